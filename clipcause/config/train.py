"""Parameters of `train`: how every run of the study is trained."""

import json
import math
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from clipcause.config import Strict, nearest

NONE = "none"
LEAST_TEMPERATURE = 0.03
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Range = Annotated[list[Share], Field(min_length=2, max_length=2)]
Precision = Literal["bf16", "fp32", "fp16"]
Device = Literal["cpu", "cuda"]
# the fields of open_clip's CLIPVisionCfg and CLIPTextCfg, as data: open_clip takes seconds to load
# fmt: off
BOTH = frozenset(
    {
        "act_kwargs", "block_type", "final_ln_after_pool", "layers", "ls_init_value", "mlp_ratio",
        "norm_kwargs", "output_tokens", "pool_type", "qk_norm", "scale_attn", "scale_attn_inner",
        "scale_fc", "scale_heads", "scaled_cosine_attn", "width",
    }
)
VISION = BOTH | frozenset(
    {
        "attentional_pool", "attn_pooler_heads", "attn_pooler_queries", "head_width", "image_size",
        "no_ln_pre", "patch_dropout", "patch_size", "pos_embed_type", "timm_drop", "timm_drop_path",
        "timm_model_name", "timm_model_pretrained", "timm_pool", "timm_proj", "timm_proj_bias",
    }
)
TEXT = BOTH | frozenset(
    {
        "context_length", "embed_cls", "eos_id", "heads", "hf_model_name", "hf_model_pretrained",
        "hf_pooler_type", "hf_proj_type", "hf_tokenizer_name", "no_causal_mask", "pad_id",
        "proj_bias", "proj_type", "tokenizer_kwargs", "tokenizer_mode", "vocab_size",
    }
)
# fmt: on


class Architecture(Strict):
    """An open_clip configuration; image size and vocabulary are filled in from the parameters.

    Either `name`, one of open_clip's own configurations (ViT-B-32), or the configuration written
    out. The towers' keys are those of open_clip, which checks their values.
    """

    name: str = NONE
    embed_dim: Annotated[Count | None, Field(validate_default=True)] = None
    vision_cfg: Annotated[dict[str, Any] | None, Field(validate_default=True)] = None
    text_cfg: Annotated[dict[str, Any] | None, Field(validate_default=True)] = None
    init_logit_scale: float | None = None  # None: open_clip's, the logarithm of 1 / 0.07
    quick_gelu: bool = False
    custom_text: bool = False

    @field_validator("name")
    @classmethod
    def _published(cls, name: str) -> str:
        if name != NONE and name not in (known := _configurations()):
            raise ValueError(f"unknown open_clip configuration {name!r}; {nearest(name, known)}")
        return name

    @field_validator("embed_dim", "vision_cfg", "text_cfg")
    @classmethod
    def _written_out(cls, value: Any, info: Any) -> Any:
        if (named := info.data.get("name")) is None:
            return value  # a wrong name, which is said
        if named != NONE and value is not None:
            raise ValueError(f"the configuration is open_clip's {named}: give the name alone")
        if named == NONE and value is None:
            raise ValueError("missing, where no name of an open_clip configuration is given")
        return value

    @field_validator("vision_cfg")
    @classmethod
    def _vision(cls, tower: dict[str, Any] | None) -> dict[str, Any] | None:
        return _known(tower, VISION)

    @field_validator("text_cfg")
    @classmethod
    def _text(cls, tower: dict[str, Any] | None) -> dict[str, Any] | None:
        return _known(tower, TEXT)

    @field_validator("init_logit_scale", "quick_gelu", "custom_text")
    @classmethod
    def _own(cls, value: Any, info: Any) -> Any:
        if info.data.get("name", NONE) != NONE:
            raise ValueError("open_clip's configuration says it: give the name alone")
        return value

    @property
    def named(self) -> bool:
        """Whether it is one of open_clip's own configurations."""
        return self.name != NONE

    def config(self) -> dict[str, Any]:
        """The configuration as open_clip takes it."""
        if self.named:
            return json.loads(_configurations()[self.name].read_text())
        return self.model_dump(exclude_defaults=True)


class Optimiser(Strict):
    """One objective's schedule: AdamW, a linear warm-up, then a cosine to zero."""

    samples_seen: Count  # by every run, whatever the size of its split
    batch_size: Annotated[int, Field(ge=2)]  # of all processes together
    learning_rate: Positive
    warmup: Share  # of the samples seen
    weight_decay: Annotated[float, Field(ge=0.0)]  # of matrices and filters; not of gains, biases
    betas: Annotated[list[Share], Field(min_length=2, max_length=2)]
    eps: Positive
    shift: Annotated[int, Field(ge=0)]  # pixels that an image is moved at most
    # least and greatest share of an image's area that a random crop keeps; none: no crop
    crop: Annotated[list[Share], Field(min_length=2, max_length=2)] | None = None

    @field_validator("crop")
    @classmethod
    def _range(cls, crop: list[float] | None) -> list[float] | None:
        if crop and not 0.0 < crop[0] <= crop[1]:
            raise ValueError("expected two shares above 0, the lesser first")
        return crop


class Dino(Optimiser):
    """Self-distillation (Caron et al. 2021): temperatures and momentum as there, a smaller head.

    The views of an image are crops, so that there is no shift and no crop beside them.
    """

    shift: Literal[0] = 0
    crop: None = None
    local_crops: Annotated[int, Field(ge=0)] = 6  # views that only the student sees, beside two
    local_size: Count  # pixels a side of those; the tower must take images of that size
    # least and greatest share of an image's area that a view shows
    global_area: Range = Field(default_factory=lambda: [0.4, 1.0])
    local_area: Range = Field(default_factory=lambda: [0.05, 0.4])
    flip: bool = True  # half of the views are mirrored
    jitter: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.2  # of brightness, contrast and colours
    prototypes: Annotated[int, Field(ge=2)] = 4096  # outputs of the head; a run may draw from them
    hidden: Count = 512  # width of the head's two layers
    bottleneck: Count = 128  # dimensions in which features are compared with prototypes
    teacher_momentum: Share = 0.996  # of the first step; it goes to 1 by a cosine
    teacher_temperature: Positive = 0.04
    student_temperature: Positive = 0.1
    sinkhorn_iterations: Count = 3

    @field_validator("global_area", "local_area")
    @classmethod
    def _areas(cls, areas: list[float]) -> list[float]:
        if not 0.0 < areas[0] <= areas[1]:
            raise ValueError("expected two shares above 0, the lesser first")
        return areas

    @field_validator("teacher_temperature")
    @classmethod
    def _finite(cls, temperature: float) -> float:
        # Sinkhorn-Knopp divides exponentials of up to ±1 / temperature, in float32
        if temperature < LEAST_TEMPERATURE:
            raise ValueError(f"{temperature} is too cold: take {LEAST_TEMPERATURE} at least")
        return temperature


class Train(Strict):
    """What all runs share."""

    model: Architecture
    image_size: Count  # pixels a side that the model sees
    # of the vocabulary learnt from the pool's captions; clip: the published models' vocabulary
    merges: Annotated[int, Field(ge=0)] | Literal["clip"]
    precision: Precision
    threads: Count  # of every process
    device: Annotated[Device, Field(validate_default=True)] = "cpu"
    add_reference: bool
    reference_caption: str  # of a reference image; {name} is its class's name
    processes: Count = 1  # under torchrun, of all machines together; one on each GPU
    data: Literal["memory", "stream"] = "memory"  # all images decoded at once, or shard by shard
    streams: Count = 1  # of which the order is made
    shuffle: Count = 4096  # rows that a stream holds and draws from
    gradient_checkpointing: bool = False  # activations are computed again, not kept
    accumulate: Count = 1  # parts in which a process's batch goes through the model
    accumulate_batchnorm: bool = False  # let the parts of a batch be normalised apart
    clip: Optimiser
    supervised: Optimiser
    dino: Dino | None = None  # None: there are no such runs

    @field_validator("reference_caption")
    @classmethod
    def _named(cls, caption: str) -> str:
        if "{name}" not in caption:
            raise ValueError("it has no {name}")
        return caption

    @field_validator("device")
    @classmethod
    def _half(cls, device: str, info: Any) -> str:
        if device == "cpu" and info.data.get("precision") == "fp16":
            raise ValueError("precision fp16 needs device cuda; bf16 is for both")
        return device

    @field_validator("clip", "supervised", "dino")
    @classmethod
    def _shared_out(cls, settings: Optimiser | None, info: Any) -> Optimiser | None:
        given = info.data
        if settings is None:
            return None
        if not {"processes", "streams", "accumulate", "data"} <= given.keys():
            return settings  # one of them is wrong, and that is said
        parts = given["processes"] * given["accumulate"]
        if given["data"] == "stream":
            parts = math.lcm(parts, given["streams"])
        why = f"a batch is shared out in {parts} parts (processes times accumulate, and streams)"
        for name in ("batch_size", "samples_seen"):
            if left := (size := getattr(settings, name)) % parts:
                raise ValueError(f"{why}: take {name} {size - left} or {size - left + parts}")
        return settings

    def deciding(self) -> dict[str, Any]:
        """What decides weights beside the objective's settings; what is off is left out.

        A parameter that did not exist, and is off, changes no recipe of an earlier model.
        """
        off = {
            name
            for name in ("processes", "data", "gradient_checkpointing", "accumulate")
            if getattr(self, name) == type(self).model_fields[name].default
        }
        if "data" in off:
            off |= {"streams", "shuffle"}
        if "accumulate" in off:
            off.add("accumulate_batchnorm")
        content = self.model_dump(exclude={"clip", "supervised", "dino", "add_reference", *off})
        if not self.model.named:
            del content["model"]["name"]
        return content


def divided(train: Train, loaders: int) -> None:
    """Raise ``ValueError`` where streams cannot be shared out evenly among all loaders.

    ``loaders`` are those of each process, `engine.loaders`; 0 is the process itself.
    """
    readers = train.processes * max(loaders, 1)
    if train.data == "stream" and train.streams % readers:
        raise ValueError(
            f"engine.loaders is {loaders}, train.processes {train.processes} and train.streams "
            f"{train.streams}: processes times loaders do not divide the streams, of which every "
            "loader takes as many as another; engine.loaders alone changes no result"
        )


def _known(tower: dict[str, Any] | None, known: frozenset[str]) -> dict[str, Any] | None:
    for key in tower or ():
        if key not in known:
            raise ValueError(f"unknown parameter {key!r}; {nearest(key, known)}")
    return tower


def _configurations() -> dict[str, Path]:
    """open_clip's configurations by name, found without loading it."""
    package = find_spec("open_clip")
    if package is None or package.origin is None:
        return {}
    folder = Path(package.origin).parent / "model_configs"
    return {path.stem: path for path in folder.glob("*.json")}
