"""The images of a test set as a model's embeddings, for what compares them with something.

Shapes: Q test images, D dimensions.
"""

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch.nn import functional

from clipcause.config.evaluate import Evaluate
from clipcause.embed import models
from clipcause.embed.models import Clip


@torch.no_grad()
def encode(
    clip: Clip,
    pixels_QSS3: UInt8[np.ndarray, "Q S S 3"],
    settings: Evaluate,
    device: torch.device,
) -> tuple[Float32[np.ndarray, "Q D"], Float32[np.ndarray, "Q D"]]:
    """Image embeddings before normalisation, and of length one."""
    raw, unit = [], []
    for start in range(0, len(pixels_QSS3), settings.batch_size):
        part = np.ascontiguousarray(pixels_QSS3[start : start + settings.batch_size])
        images = clip.normalise(part, device)
        with models.autocast(settings.precision, device):
            embedded = clip.model.encode_image(images)
        embedded = embedded.float()
        raw.append(embedded.cpu().numpy())
        unit.append(functional.normalize(embedded, dim=-1).cpu().numpy())
    return np.concatenate(raw), np.concatenate(unit)
