"""`siglip`: whether an image and a caption belong together, for every pair of a batch by itself."""

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

from clipcause.config.objective import Captioned


class Siglip(Captioned):
    """A run on captions by the pairwise sigmoid loss (Zhai et al. 2023, arXiv 2303.15343), with the
    schedule of `train.clip`."""

    objective: Literal["siglip"]

    title: ClassVar = "SigLIP"
    # section 3.2 there: so that training does not begin with correcting for all negatives
    logits: ClassVar[Mapping[str, float]] = {
        "init_logit_scale": math.log(10.0),
        "init_logit_bias": -10.0,
    }
