"""Parameters of `train`: how every run of the study is trained."""

from typing import Annotated, Any, Literal

from pydantic import Field

from stages.parameters import Strict

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Precision = Literal["bf16", "fp32"]
Device = Literal["cpu", "cuda"]


class Architecture(Strict):
    """An open_clip configuration; image size and vocabulary are filled in from the parameters.

    The towers' keys are open_clip's (`CLIPVisionCfg`, `CLIPTextCfg`), which checks them.
    """

    embed_dim: Count
    vision_cfg: dict[str, Any]
    text_cfg: dict[str, Any]
    init_logit_scale: float | None = None  # None: open_clip's, the logarithm of 1 / 0.07
    quick_gelu: bool = False
    custom_text: bool = False

    def config(self) -> dict[str, Any]:
        """The configuration as open_clip takes it."""
        return self.model_dump(exclude_defaults=True)


class Optimiser(Strict):
    """One objective's schedule: AdamW, a linear warm-up, then a cosine to zero."""

    samples_seen: Count  # by every run, whatever the size of its split
    batch_size: Annotated[int, Field(ge=2)]
    learning_rate: Positive
    warmup: Share  # of the samples seen
    weight_decay: Annotated[float, Field(ge=0.0)]  # of matrices and filters; not of gains, biases
    betas: Annotated[list[Share], Field(min_length=2, max_length=2)]
    eps: Positive
    shift: Annotated[int, Field(ge=0)]  # pixels that an image is moved at most


class Train(Strict):
    """What all runs share."""

    model: Architecture
    image_size: Count  # pixels a side that the model sees
    merges: Annotated[int, Field(ge=0)]  # of the vocabulary learnt from the pool's captions
    precision: Precision
    threads: Count
    device: Device = "cpu"
    add_reference: bool
    reference_caption: str  # of a reference image; {name} is its class's name
    clip: Optimiser
    supervised: Optimiser
