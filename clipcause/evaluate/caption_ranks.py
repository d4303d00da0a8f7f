"""A model's answers to a test set of captions: the ranks of `clipcause.evaluate.retrieval`.

Shapes: Q images, T texts, D dimensions.
"""

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float32
from threadpoolctl import threadpool_limits

from clipcause.config.evaluate import Evaluate
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
    texts, text_Q = retrieval.distinct(manifest.captions)
    text_TD = np.concatenate(
        [
            models.encode_texts(
                clip, texts[start : start + TEXTS], precision=settings.precision, device=device
            )
            for start in range(0, len(texts), TEXTS)
        ]
    )
    with threadpool_limits(settings.threads, user_api="blas"):
        found = retrieval.ranks(np.concatenate(unit), text_TD, text_Q)
    first_T = np.unique(text_Q, return_index=True)[1]
    columns = {
        "row": np.arange(len(manifest)),
        "caption": first_T[text_Q],
        "image_to_text": found.of_text_Q,
        "text_to_image": found.of_image_T[text_Q],
    }
    return found, pa.table(columns, schema=artifact.SCHEMA), np.concatenate(raw)
