"""Models on a GPU against open_clip: embedding and training. Part of `benchmarks.gpu`."""

import io
import logging
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import open_clip
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from clipcause.config.embed import Embed
from clipcause.config.train import Architecture, Optimiser
from clipcause.data import dataset
from clipcause.data.manifest import Manifest
from clipcause.embed import models
from clipcause.embed.embedding import part
from clipcause.embed.models import Clip
from clipcause.runtime.parallel import cores
from clipcause.train import loop
from clipcause.train.feed import Data
from clipcause.train.objectives.clip import Contrastive

STORED = 256  # pixels of the shorter side of stored images, as img2dataset leaves them


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    embedded: tuple[str, ...] = ("ViT-B-32", "ViT-B-16-plus-240")
    trained: str = "ViT-B-32"
    images: int = 16_384  # decoded ones
    files: int = 8_192  # JPEGs
    batch: int = 512
    training_batch: int = 1024
    steps: int = 20
    rows: int = 2_000_000
    queries: int = 100_000
    dim: int = 640
    equal: tuple[int, int] = (200_000, 20_000)  # rows and queries whose scores are compared
    product: int = 4096
    rounds: int = 3
    loaders: int = cores()  # processes of the DataLoader to compare with


# a model of a moment, for trying the command
TINY = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 16, "width": 64, "heads": 2, "layers": 1},
}
SMALL = Sizes(
    ("tiny",), "tiny", 16, 16, 8, 8, 2, 3000, 300, 64, (2000, 200), 512, rounds=1, loaders=0
)


def clip_of(name: str) -> Clip:
    """One of open_clip's configurations with random weights and the published vocabulary."""
    config: dict[str, Any] = TINY if name == "tiny" else Architecture(name=name).config()
    size = config["vision_cfg"]["image_size"]
    return models.create(config, None, image_size=size, seed=0, published=True)


def in_turns(works: Mapping[str, Callable[[], object]], rounds: int, where: torch.device) -> dict:
    """Median seconds of each work; the first turn of each warms up."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            settled(where)
            start = time.perf_counter()
            work()
            settled(where)
            if turn:
                taken[name].append(time.perf_counter() - start)
    return {name: median(each) for name, each in taken.items()}


@contextmanager
def free() -> Generator[None]:
    """What others write does not ask for equal bits, so it is timed without our settings."""
    torch.use_deterministic_algorithms(mode=False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode=True)


def settled(where: torch.device) -> None:
    """Wait for what the GPU has been given."""
    if where.type == "cuda":
        torch.cuda.synchronize()


def embedding(name: str, sizes: Sizes, where: torch.device) -> Iterator[str]:
    """Rows of the table: decoded images, and JPEGs in tars."""
    clip = clip_of(name)
    clip.model.to(where).eval()
    shape = (sizes.images, clip.view.size, clip.view.size, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    ready = [clip.normalise(pixels[: sizes.batch], where)] * (sizes.images // sizes.batch)

    def ours() -> None:
        models.encode_images(clip, pixels, batch_size=sizes.batch, precision="bf16", device=where)

    @free()
    @torch.no_grad()
    def bare() -> None:
        for images in ready:
            with torch.autocast(where.type, dtype=torch.bfloat16):
                clip.model.encode_image(images, normalize=True).float().cpu()

    seconds = in_turns({"ours": ours, "bare": bare}, sizes.rounds, where)
    yield compared(f"embed {name}, decoded images", seconds, sizes.images, "images")
    with tempfile.TemporaryDirectory() as folder:
        manifest, files = stored(Path(folder, "data"), sizes.files)
        yield from_files(name, clip, manifest, files, sizes, where)


def stored(folder: Path, count: int) -> tuple[Manifest, list[bytes]]:
    """JPEGs with some structure in one shard, and their bytes."""
    random = np.random.default_rng(0)
    files = []
    for _ in range(min(count, 64)):  # few pictures, for making them is no part of it
        coarse = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((STORED * 4 // 3, STORED))
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=95)
        files.append(stream.getvalue())
    files = [files[at % len(files)] for at in range(count)]
    samples = (
        dataset.Sample(
            key=f"{at:09}", image=image, extension="jpg", caption="a", label=None,
            width=STORED * 4 // 3, height=STORED, source=str(at),
        )
        for at, image in enumerate(files)
    )  # fmt: skip
    dataset.write(folder, samples, shard_size=count, max_drop_fraction=0.0)
    return dataset.read(folder), files


class Files(Dataset):
    """JPEGs through open_clip's own transform."""

    def __init__(self, files: list[bytes], transform: Any) -> None:
        self.files, self.transform = files, transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.transform(Image.open(io.BytesIO(self.files[index])))


def from_files(
    name: str, clip: Clip, manifest: Manifest, files: list[bytes], sizes: Sizes, where: torch.device
) -> str:
    """The row of the table for images that are decoded on the way."""
    settings = Embed(
        batch_size=sizes.batch, precision="bf16", threads=cores(),
        device="cuda" if where.type == "cuda" else "cpu", keep_pixels=False,
    )  # fmt: skip
    transform = open_clip.image_transform(clip.view.size, is_train=False)
    loader = DataLoader(
        Files(files, transform), sizes.batch,
        num_workers=sizes.loaders, persistent_workers=sizes.loaders > 0,
        multiprocessing_context="forkserver" if sizes.loaders else None,
        pin_memory=where.type == "cuda",
    )  # fmt: skip

    @free()
    @torch.no_grad()
    def bare() -> None:
        for images in loader:
            with torch.autocast(where.type, dtype=torch.bfloat16):
                clip.model.encode_image(images.to(where), normalize=True).float().cpu()

    works = {"ours": lambda: part(clip, manifest, 0, settings, cores()), "bare": bare}
    seconds = in_turns(works, sizes.rounds, where)
    return compared(f"embed {name}, JPEGs of {STORED} pixels", seconds, len(files), "images")


def training(sizes: Sizes, where: torch.device) -> str:
    """The row of the table for training."""
    batch, samples = sizes.training_batch, sizes.training_batch * sizes.steps
    clip = clip_of(sizes.trained)
    random = np.random.default_rng(0)
    shape = (batch, clip.view.size, clip.view.size, 3)
    pixels = random.integers(0, 256, shape, dtype=np.uint8)
    length, words = clip.model.context_length, clip.model.vocab_size
    target = random.integers(1, words - 1, (batch, length))
    settings = Optimiser(
        samples_seen=samples, batch_size=batch, learning_rate=5e-4, warmup=0.1, weight_decay=0.2,
        betas=[0.9, 0.98], eps=1e-6, shift=0,
    )  # fmt: skip

    def ours() -> None:
        run = loop.Regime(settings, 0, "bf16", where)
        loop.train(Contrastive(clip.model), clip, Data(pixels, target), run)

    theirs = open_clip_trainer(sizes, where, clip, pixels, target)
    seconds = in_turns({"ours": ours, "theirs": theirs}, sizes.rounds, where)
    return compared(f"train {sizes.trained}, batch {batch:,}", seconds, samples, "samples")


class Ready:
    """What `train_one_epoch` takes for a loader: one batch, again and again."""

    def __init__(self, batch: tuple[torch.Tensor, torch.Tensor], steps: int) -> None:
        self.batch, self.num_batches = batch, steps
        self.num_samples = steps * len(batch[0])
        self.dataloader = self

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return iter([self.batch] * self.num_batches)

    def set_epoch(self, epoch: int) -> None:
        """No order to change."""


def open_clip_trainer(
    sizes: Sizes, where: torch.device, clip: Clip, pixels: np.ndarray, target: np.ndarray
) -> Callable[[], object]:
    """An epoch of open_clip's own trainer on a model of the same configuration."""
    from open_clip_train.scheduler import cosine_lr
    from open_clip_train.train import train_one_epoch

    logging.getLogger().setLevel(logging.WARNING)
    model = deepcopy(clip.model).to(where)
    model.output_dict = True
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-4, betas=(0.9, 0.98), eps=1e-6)
    images = clip.normalise(pixels, torch.device("cpu")).contiguous()
    batch = images, torch.from_numpy(target)
    if where.type == "cuda":
        batch = images.pin_memory(), batch[1].pin_memory()
    arguments = Namespace(
        device=str(where), precision="amp_bf16", distill=False, accum_freq=1, skip_scheduler=False,
        grad_clip_norm=None, horovod=False, log_every_n_steps=100, batch_size=len(pixels),
        world_size=1, rank=0, local_rank=0, wandb=False,
    )  # fmt: skip
    schedule = cosine_lr(optimiser, 5e-4, 2, sizes.steps)
    data, loss = {"train": Ready(batch, sizes.steps)}, open_clip.ClipLoss()

    @free()
    def epoch() -> None:
        train_one_epoch(model, data, loss, 0, optimiser, None, schedule, None, arguments)

    return epoch


def compared(what: str, seconds: Mapping[str, float], count: int, unit: str) -> str:
    """A row: our rate, the other's, the ratio."""
    ours, other = (count / each for each in seconds.values())
    return f"| {what}, {unit}/s | {ours:,.0f} | {other:,.0f} | {ours / other:.2f} |"
