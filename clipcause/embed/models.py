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

from clipcause.config.layout import NONE
from clipcause.embed import checkpoint, tags, text_models, tokens, weight_files
from clipcause.embed.checkpoint import Checkpoint
from clipcause.embed.pixels import FILTERS, RESIZES, View

# pixels from 0 … 255 to -1 … 1
MIDDLE = (0.5, 0.5, 0.5)
LARGEST_SCALE = 100.0  # of the logits (Radford et al. 2021, section 2.5)
SHORT = 100  # tokens
# further files of a supervised model: class weights, and the class ids in their order
CLASSIFIER = "classifier.safetensors"
CLASSES = "classes.json"
OWN_NAME = "clipcause-own"
NETWORK = "is there a network?"
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
    source: Path | None = None  # the file that its weights were read from

    @property
    def view(self) -> View:
        """The size and filter of the images that the model takes."""
        size = self.preprocess["size"]
        sides = {size} if isinstance(size, int) else set(size)
        resize = self.preprocess.get("resize_mode", "shortest")
        filter_ = self.preprocess["interpolation"]
        if len(sides) != 1 or resize not in RESIZES or filter_ not in FILTERS:
            raise ValueError(
                f"the model takes images of {size} pixels by {resize} and {filter_}; only squares "
                f"by {' or '.join(RESIZES)} and {' or '.join(FILTERS)} are known here"
            )
        return View(size=sides.pop(), interpolation=filter_, resize=resize)

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


def pretrained(name: str, weights: str, like: str = NONE) -> Clip:
    """A published model: an open_clip name with a pre-trained tag, which is fetched where it is
    new, or a file of weights; or ``hf-hub:owner/name``, with weights `none`.

    Raises ``ValueError`` for names that do not fit together (``tags.check``), and for weights that
    cannot be had or read.
    """
    tags.check(name, weights, like)
    config, preprocess = _published(name, weights, like)
    text_models.check(config, name)
    # before the weights, which are larger by far
    try:
        with _quiet():
            tokenizer = open_clip.get_tokenizer(name)
    except (OSError, ValueError) as error:
        raise ValueError(f"{name}: its tokenizer: {_line(error)}; {NETWORK}") from None
    model = _built(config, preprocess, name)
    path = _fetched(name, weights)
    weight_files.into(model, path, name)
    files = text_models.files(model, tokenizer)
    return Clip(model.eval(), tokenizer, config, _preprocess(model), files, path)


def load(folder: Path) -> Clip:
    """A model from a checkpoint of ours or from any folder with ``open_clip_config.json``.

    Raises ``ValueError`` where it has no weights that can be read: open_clip would go on with
    random ones.
    """
    path = folder / checkpoint.OPEN_CLIP
    if not path.exists():
        raise FileNotFoundError(
            f"{folder}: no {checkpoint.OPEN_CLIP}; is it an open_clip checkpoint?"
        )
    try:
        settings = json.loads(path.read_text())
        config, preprocess = settings["model_cfg"], settings.get("preprocess_cfg", {})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: damaged: {_line(error)}") from None
    text_models.check(config, str(folder))
    with _quiet():
        found = open_clip.factory._find_checkpoint_in_dir(folder)
    if found is None:
        raise ValueError(f"{folder}: it has no weights: no .safetensors, .bin or .pth")
    model = _built(text_models.located(config, folder), preprocess, str(folder))
    weight_files.into(model, Path(found), str(folder))
    local, merges = f"local-dir:{folder}", folder / tokens.MERGES
    if merges.exists():
        tokenizer = tokens.tokenizer(merges, config["text_cfg"]["context_length"])
        files = {tokens.MERGES: merges.read_bytes()}
    else:
        try:
            tokenizer = open_clip.get_tokenizer(local)
        except (OSError, ValueError) as error:
            raise ValueError(f"{folder}: its tokenizer: {_line(error)}") from None
        files = text_models.files(model, tokenizer)
    return Clip(model.eval(), tokenizer, config, _preprocess(model), files, Path(found))


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
    clip: Clip,
    texts: Sequence[str],
    *,
    batch_size: int | None = None,
    precision: str,
    device: torch.device,
) -> Float[np.ndarray, "N D"]:
    """Text embeddings of length one, float32; all at once where no ``batch_size`` is given."""
    parts = []
    for start in range(0, max(len(texts), 1), batch_size or len(texts) or 1):
        some = texts[start : start + batch_size] if batch_size else texts
        ids = torch.from_numpy(tokens.encode(clip.tokenizer, some)).to(device)
        with autocast(precision, device):
            features = clip.model.encode_text(ids)
        parts.append(functional.normalize(features.float(), dim=-1).cpu().numpy())
    return np.concatenate(parts)


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


def _published(name: str, weights: str, like: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The configuration of a model, and how its images are prepared."""
    if not name.startswith(tags.HUB):
        config = open_clip.get_model_config(name)
        assert config is not None  # `tags.check` has looked it up
        return config, tags.pixels(name, weights, like)
    path = _of_hub(name, checkpoint.OPEN_CLIP)
    try:
        settings = json.loads(path.read_text())
        return settings["model_cfg"], settings.get("preprocess_cfg", {})
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: damaged: {_line(error)}") from None


def _fetched(name: str, weights: str) -> Path:
    """The file of a model's weights, fetched where they are not here yet."""
    if name.startswith(tags.HUB):
        return _of_hub(name)
    if weights not in open_clip.list_pretrained_tags_by_model(name):
        return Path(weights)
    stated = open_clip.get_pretrained_cfg(name, weights)
    try:
        return Path(open_clip.factory.download_pretrained(stated))
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{name}, {weights}: {_line(error)}; {NETWORK}") from None


def _of_hub(name: str, file: str | None = None) -> Path:
    """A file of a repository of the hub, of the weights where none is named."""
    repository = name.removeprefix(tags.HUB)
    try:
        return Path(open_clip.factory.download_pretrained_from_hf(repository, filename=file))
    except OSError as error:
        raise ValueError(f"{name}: {_line(error)}; {NETWORK}") from None


def _built(config: Mapping[str, Any], preprocess: Mapping[str, Any], name: str) -> Any:
    """A model of a configuration, with random weights, and its preprocessing.

    A folder that has no weights gives open_clip's own way to fill in both.
    """
    settings = {"model_cfg": config, "preprocess_cfg": preprocess}
    with tempfile.TemporaryDirectory() as folder, _quiet():
        Path(folder, checkpoint.OPEN_CLIP).write_text(json.dumps(settings))
        try:
            return open_clip.create_model(f"{tags.FOLDER}{folder}", pretrained_text=False)
        except (OSError, RuntimeError, TypeError, ValueError, AssertionError) as error:
            raise ValueError(f"{name}: open_clip cannot make it: {_line(error)}") from None


def _line(error: Exception) -> str:
    """An error in a line."""
    return " ".join(str(error).split()) or type(error).__name__


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
