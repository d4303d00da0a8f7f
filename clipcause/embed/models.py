"""open_clip models: made from a configuration, a pre-trained tag or a checkpoint, and taken apart.

A model here is open_clip's module with what it needs to be used: its tokenizer and the view of an
image that it takes. Everything that is stored can be loaded by open_clip alone:
``open_clip.create_model("local-dir:models/<run>")``, and the tokenizer by
``open_clip.get_tokenizer("local-dir:models/<run>", bpe_path="models/<run>/merges.txt.gz")``.

Shapes: N images of S x S pixels, L context length, D dimensions.
"""

import functools
import json
import logging
import os
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from jaxtyping import Float, UInt8
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from clipcause.embed import checkpoint, tags, tokens
from clipcause.embed.checkpoint import Checkpoint
from clipcause.embed.pixels import View

# pixels from 0 … 255 to -1 … 1
MIDDLE = (0.5, 0.5, 0.5)
LARGEST_SCALE = 100.0  # of the logits (Radford et al. 2021, section 2.5)
SHORT = 100  # tokens
# further files of a supervised model: class weights, and the class ids in their order
CLASSIFIER = "classifier.safetensors"
CLASSES = "classes.json"
OWN_NAME = "clipcause-own"
# keys of configurations whose text tower or objective is not CLIP's own
FOREIGN = frozenset({"hf_model_name", "hf_tokenizer_name", "multimodal_cfg"})
AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.bfloat16}


@dataclass(frozen=True)
class Clip:
    """A CLIP model with its tokenizer and its view of an image."""

    model: Any  # open_clip.CLIP or CustomTextCLIP: the same methods, no common base
    tokenizer: Any
    config: Mapping[str, Any]  # open_clip's model_cfg
    preprocess: Mapping[str, Any]  # open_clip's preprocess_cfg
    files: Mapping[str, bytes]  # further files of the checkpoint: the vocabulary

    @property
    def view(self) -> View:
        """The size and filter of the images that the model takes."""
        size = self.preprocess["size"]
        sides = {size} if isinstance(size, int) else set(size)
        if len(sides) != 1 or self.preprocess.get("resize_mode", "shortest") != "shortest":
            raise ValueError(
                f"the model takes images of {size} pixels by {self.preprocess.get('resize_mode')}; "
                "only squares cut from the middle are known here"
            )
        return View(size=sides.pop(), interpolation=self.preprocess["interpolation"])

    def normalise(
        self, pixels: UInt8[np.ndarray, "N S S 3"], device: torch.device
    ) -> Float[torch.Tensor, "N 3 S S"]:
        """Bytes to the model's floats on a device, channels last in memory."""
        return self.floats(torch.from_numpy(pixels).to(device))

    def floats(self, pixels: UInt8[torch.Tensor, "N S S 3"]) -> Float[torch.Tensor, "N 3 S S"]:
        """Bytes to the model's floats, where they are, channels last in memory."""
        images = pixels.permute(0, 3, 1, 2).float()
        mean, std = (
            _levels(tuple(self.preprocess[name]), pixels.device) for name in ("mean", "std")
        )
        return images.sub_(mean).div_(std)


def create(
    config: Mapping[str, Any],
    merges: Path | None,
    *,
    image_size: int,
    seed: int,
    published: bool = False,
) -> Clip:
    """A model with random weights: ``config`` as open_clip's, the size and vocabulary filled in.

    ``merges`` is the vocabulary's file; None takes the vocabulary of the published models.
    ``published`` models see images as those do (their mean, deviation and filter). Raises
    ``ValueError`` for a configuration that open_clip does not take.
    """
    filled = deepcopy(dict(config))
    filled["vision_cfg"] = {**filled["vision_cfg"], "image_size": image_size}
    text = {"context_length": 77, **filled["text_cfg"]}
    if foreign := sorted(FOREIGN & {*text, *filled}):
        raise ValueError(
            f"the configuration of the model has {foreign[0]}: its text tower is no part of "
            "open_clip, or learns by another objective; take one without"
        )
    tokenizer = tokens.tokenizer(merges, text["context_length"])
    filled["text_cfg"] = {**text, "vocab_size": tokenizer.vocab_size}
    files: dict[str, bytes] = {}
    if merges is not None:
        # loaded without our help, the wrong vocabulary would go unnoticed
        filled["text_cfg"]["tokenizer_kwargs"] = {"bpe_path": tokens.MERGES}
        files[tokens.MERGES] = merges.read_bytes()
    torch.manual_seed(seed)
    try:
        with tempfile.TemporaryDirectory() as folder, _quiet():
            path = Path(folder, f"{OWN_NAME}.json")
            path.write_text(json.dumps(filled))
            open_clip.add_model_config(path)
            model = open_clip.create_model(OWN_NAME)
            _forget(path)
    except (TypeError, KeyError, RuntimeError, AssertionError) as error:
        raise ValueError(
            f"open_clip does not take the configuration of the model: {error}"
        ) from None
    preprocess = {
        "size": image_size,
        "mode": "RGB",
        "mean": list(open_clip.OPENAI_DATASET_MEAN if published else MIDDLE),
        "std": list(open_clip.OPENAI_DATASET_STD if published else MIDDLE),
        "interpolation": "bicubic" if published else "bilinear",
        "resize_mode": "shortest",
        "fill_color": 0,
    }
    return Clip(model, tokenizer, filled, preprocess, files)


def pretrained(name: str, tag: str) -> Clip:
    """A published model: any open_clip name and pre-trained tag. It is fetched where it is new.

    Raises ``ValueError`` for names that do not fit together (``tags.check``).
    """
    tags.check(name, tag)
    try:
        with _quiet():
            model = open_clip.create_model(name, pretrained=tag)
    except RuntimeError as error:
        raise ValueError(f"{name}, {tag}: {error}; is there a network?") from None
    config = open_clip.get_model_config(name)
    assert config is not None  # looked up above
    tokenizer = open_clip.get_tokenizer(name)
    return Clip(model.eval(), tokenizer, config, _preprocess(model), {})


def load(folder: Path) -> Clip:
    """A model from a checkpoint of ours or from any folder with ``open_clip_config.json``."""
    if not (folder / checkpoint.OPEN_CLIP).exists():
        raise FileNotFoundError(
            f"{folder}: no {checkpoint.OPEN_CLIP}; is it an open_clip checkpoint?"
        )
    local = f"local-dir:{folder}"
    with _quiet():
        model = open_clip.create_model(local)
    settings = json.loads((folder / checkpoint.OPEN_CLIP).read_text())
    config = settings["model_cfg"]
    merges = folder / tokens.MERGES
    if merges.exists():
        tokenizer = open_clip.get_tokenizer(local, bpe_path=str(merges))
        files = {tokens.MERGES: merges.read_bytes()}
    else:
        tokenizer, files = open_clip.get_tokenizer(local), {}
    return Clip(model.eval(), tokenizer, config, _preprocess(model), files)


def restore(stored: Checkpoint) -> Clip:
    """The model of a checkpoint that was read, and so compared with its fingerprint."""
    return load(stored.folder)


def weights(module: torch.nn.Module) -> dict[str, np.ndarray]:
    """Every parameter and buffer that is stored, as arrays in C order, by name."""
    state = module.state_dict()
    return {name: np.ascontiguousarray(state[name].cpu().numpy()) for name in sorted(state)}


@torch.no_grad()
def encode_images(
    clip: Clip,
    pixels: UInt8[np.ndarray, "N S S 3"],
    *,
    batch_size: int,
    precision: str,
    device: torch.device,
) -> Float[np.ndarray, "N D"]:
    """Image embeddings of length one, float32."""
    parts = []
    for start in range(0, len(pixels), batch_size):
        images = clip.normalise(np.ascontiguousarray(pixels[start : start + batch_size]), device)
        with autocast(precision, device):
            features = clip.model.encode_image(images)
        parts.append(functional.normalize(features.float(), dim=-1).cpu().numpy())
    return np.concatenate(parts)


@torch.no_grad()
def encode_texts(
    clip: Clip, texts: Sequence[str], *, precision: str, device: torch.device
) -> Float[np.ndarray, "N D"]:
    """Text embeddings of length one, float32."""
    ids = torch.from_numpy(tokens.encode(clip.tokenizer, texts)).to(device)
    with autocast(precision, device):
        features = clip.model.encode_text(ids)
    return functional.normalize(features.float(), dim=-1).cpu().numpy()


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """The context in which a model computes: 16 bits where it may, or float32 throughout."""
    return torch.autocast(device.type, dtype=AUTOCAST[precision], enabled=precision != "fp32")


def attention(clip: Clip, device: torch.device) -> AbstractContextManager[Any]:
    """The context in which short sequences are attended to by plain matrix products.

    torch's fused attention on a CPU takes 7 times as long for the 12 tokens of a caption, twice as
    long for 77, and is faster from about 150 on (forward and backward, bfloat16).
    """
    lengths = [
        parameter.shape[0]
        for name, parameter in clip.model.named_parameters()
        if name.endswith("positional_embedding")
    ]
    if device.type != "cpu" or max(lengths, default=0) > SHORT:
        return nullcontext()
    return sdpa_kernel(SDPBackend.MATH)


def settle(threads: int, device: str, local: int | None = None) -> torch.device:
    """Fix what decides the bits of a computation on one machine, and give the device.

    ``local`` is the number of the GPU, where there are several.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is cuda, and torch sees no GPU here; set it to cpu")
    if device == "cuda":
        # cuBLAS is deterministic with a workspace of its own only, and reads this when it starts
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(mode=True)
    # the mode above fills every new tensor, for code that reads what it has not written
    torch.utils.deterministic.fill_uninitialized_memory = False  # ty: ignore[missing-attribute]
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return torch.device(device) if device == "cpu" else torch.device(device, local or 0)


@functools.lru_cache(maxsize=8)
def _levels(values: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """Shares of white as byte levels of three channels; a GPU would wait for each new copy."""
    return torch.tensor(values, device=device).view(1, 3, 1, 1) * 255.0


def _preprocess(model: Any) -> dict[str, Any]:
    """open_clip's preprocessing as JSON has it: lists, no tuples."""
    return json.loads(json.dumps(dict(model.visual.preprocess_cfg)))


def _forget(path: Path) -> None:
    """Take a temporary file off open_clip's list of configurations, which it reads again."""
    open_clip.factory._MODEL_CONFIG_PATHS.remove(path)
    open_clip.factory._MODEL_CONFIGS.pop(path.stem)


@contextmanager
def _quiet() -> Generator[None]:
    """open_clip warns through the root logger that a new model has random weights: it shall."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    root.setLevel(logging.ERROR)
    # without a handler, logging.warning would install one for good
    silent = logging.NullHandler()
    root.addHandler(silent)
    try:
        yield
    finally:
        root.removeHandler(silent)
        root.setLevel(level)
        root.handlers[:] = handlers
