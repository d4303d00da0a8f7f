"""A model's answers to a test set of captions: the ranks of `clipcause.evaluate.retrieval`.

Shapes: Q images, P captions of all images, T different texts among them, D dimensions.
"""

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float32, Int64
from threadpoolctl import threadpool_limits

from clipcause.config.evaluate import Evaluate
from clipcause.data import every_caption
from clipcause.data.manifest import Manifest
from clipcause.embed import images, models, pixels
from clipcause.embed.models import Clip
from clipcause.evaluate import ranks as artifact
from clipcause.evaluate import retrieval
from clipcause.runtime.progress import progress

TEXTS = 4096  # that are encoded at once


def retrieve(
    clip: Clip, manifest: Manifest, settings: Evaluate, device: torch.device, label: str
) -> tuple[retrieval.Ranks, pa.Table, Float32[np.ndarray, "Q D"]]:
    """Ranks of images and captions, the table of the artifact, and the images' embeddings before
    normalisation; memory holds the pixels of one shard."""
    raw, unit = [], []
    for number in progress(range(len(manifest.shards)), label=f"evaluate {label}", unit="shards"):
        pixels_QSS3 = pixels.shard(manifest, number, clip.view)
        raw_QD, unit_QD = images.encode(clip, pixels_QSS3, settings, device)
        raw.append(raw_QD)
        unit.append(unit_QD)
    asked, row_P, index_P = _captions(manifest)
    texts, text_P = retrieval.distinct(asked)
    text_TD = np.concatenate(
        [
            models.encode_texts(
                clip, texts[start : start + TEXTS], precision=settings.precision, device=device
            )
            for start in range(0, len(texts), TEXTS)
        ]
    )
    with threadpool_limits(settings.threads, user_api="blas"):
        found = retrieval.ranks(np.concatenate(unit), text_TD, text_P, image_P=row_P)
    first_T = np.unique(text_P, return_index=True)[1]
    columns = {
        "row": row_P,
        "caption_index": index_P,
        "caption": first_T[text_P],
        "image_to_text": found.of_text_Q[row_P],
        "text_to_image": found.of_image_T[text_P],
    }
    return found, pa.table(columns, schema=artifact.SCHEMA), np.concatenate(raw)


def _captions(
    manifest: Manifest,
) -> tuple[list[str], Int64[np.ndarray, " P"], Int64[np.ndarray, " P"]]:
    """All captions, the rows that have them, and their places among those of the row."""
    parts = [every_caption.of_shard(manifest, number) for number in range(len(manifest.shards))]
    texts = [text for part in parts for text in part.texts.to_pylist()]
    row_P, index_P = (np.concatenate(column) for column in list(zip(*parts, strict=True))[1:])
    return texts, row_P, index_P
