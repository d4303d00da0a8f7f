"""Parameters of `train`: how every run of the study is trained."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from stages.parameters import Strict, nearest

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Precision = Literal["bf16", "fp32"]
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

    The towers' keys are those of open_clip, which checks their values.
    """

    embed_dim: Count
    vision_cfg: dict[str, Any]
    text_cfg: dict[str, Any]
    init_logit_scale: float | None = None  # None: open_clip's, the logarithm of 1 / 0.07
    quick_gelu: bool = False
    custom_text: bool = False

    @field_validator("vision_cfg")
    @classmethod
    def _vision(cls, tower: dict[str, Any]) -> dict[str, Any]:
        return _known(tower, VISION)

    @field_validator("text_cfg")
    @classmethod
    def _text(cls, tower: dict[str, Any]) -> dict[str, Any]:
        return _known(tower, TEXT)

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

    @field_validator("reference_caption")
    @classmethod
    def _named(cls, caption: str) -> str:
        if "{name}" not in caption:
            raise ValueError("it has no {name}")
        return caption


def _known(tower: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    for key in tower:
        if key not in known:
            raise ValueError(f"unknown parameter {key!r}; {nearest(key, known)}")
    return tower
