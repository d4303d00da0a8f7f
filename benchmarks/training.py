"""Samples a second of our training loop against a plain loop over the same open_clip model.

All train the default model of `params.yaml` on the same images and captions, in turns within one
process, so that whatever else the machine does falls on all of them: our loop with everything in
memory, our loop over streams of tar shards, which are read and decoded on the way, and the plain
loop, which has everything in memory and is what one writes first: a shuffled index, open_clip's
model and loss, autocast to bfloat16, AdamW. Decoding and embedding are timed alone. Run with
nothing else on the machine:

    python -m benchmarks.training

writes `benchmarks/training.md`.
"""

import argparse
import io
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import torch
import yaml
from open_clip.loss import ClipLoss
from PIL import Image

from benchmarks.machine import extensions, versions
from clipcause.config import parse
from clipcause.config.train import Train
from clipcause.data import dataset
from clipcause.embed import models, pixels, tokens
from clipcause.embed.models import Clip
from clipcause.runtime import processor
from clipcause.runtime.parallel import cores
from clipcause.train import loop
from clipcause.train.feed import Data, Feed, Streamed
from clipcause.train.objectives.clip import Contrastive
from clipcause.train.reading import Source
from clipcause.train.streams import Streams

OUTPUT = Path("benchmarks/training.md")
IMAGES = 20_000
WORDS = 2_000
STORED = 64  # pixels a side of the stored images
ROUNDS = 5
DECODED = 4_000
SHARDS = 8
STREAMS = 4
SHUFFLE = 512  # rows of a window: filling the first ones is no small part of a short run


def make_clip(train: Train, captions: Sequence[str]) -> Clip:
    """The default model with a vocabulary learnt from ``captions``."""
    if train.merges == "clip":
        config, size = train.model.config(), train.image_size
        return models.create(config, None, image_size=size, seed=0, published=train.model.named)
    with tempfile.TemporaryDirectory() as folder:
        merges = Path(folder, tokens.MERGES)
        tokens.write(merges, tokens.learn(captions, train.merges))
        return models.create(train.model.config(), merges, image_size=train.image_size, seed=0)


def discs() -> list[bytes]:
    """PNG images of simple shapes."""
    side = np.arange(STORED)
    files = []
    for number in range(100):
        disc = (side[:, None] - 32) ** 2 + (side - 32) ** 2 < (8 + number % 20) ** 2
        stream = io.BytesIO()
        Image.fromarray(np.where(disc, 0, 255).astype(np.uint8)).convert("RGB").save(stream, "PNG")
        files.append(stream.getvalue())
    return files


def make_data(train: Train, folder: Path) -> tuple[Clip, Data, Streamed]:
    """A model, and images with captions of one to four made-up words: in memory and in shards."""
    random = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = ["".join(random.choice(letters, random.integers(3, 9))) for _ in range(WORDS)]
    # frequencies fall as 1 / rank, as those of words do
    weight = 1.0 / np.arange(1, WORDS + 1)
    captions = [
        " ".join(random.choice(words, random.integers(1, 5), p=weight / weight.sum()))
        for _ in range(IMAGES)
    ]
    clip = make_clip(train, captions)
    files = discs()
    images = np.stack([pixels.decode(file, clip.view) for file in files])
    data = Data(images[np.arange(IMAGES) % len(files)], tokens.encode(clip.tokenizer, captions))
    samples = (
        dataset.Sample(
            f"{row:06d}", files[row % len(files)], "png", caption, None, STORED, STORED, str(row)
        )
        for row, caption in enumerate(captions)
    )
    dataset.write(folder, samples, shard_size=IMAGES // SHARDS, max_drop_fraction=0.0)
    source = Source(dataset.read(folder), None, 0, None)
    streams = Streams(source.parts(0), STREAMS, 0, SHUFFLE)
    return clip, data, Streamed((source,), streams, clip.view, clip.tokenizer, {}, 0)


def ours(clip: Clip, data: Feed, train: Train, samples: int) -> None:
    """Our loop, with its moves of images, its order and its curve."""
    settings = train.clip.model_copy(update={"samples_seen": samples})
    run = loop.Regime(settings, 0, train.precision, torch.device("cpu"))
    loop.train(Contrastive(clip.model), clip, data, run)


def plain(clip: Clip, data: Data, train: Train, samples: int) -> None:
    """The loop to compare with: the same model, batch size, precision, memory format, optimiser."""
    settings = train.clip
    model = clip.model.to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    loss_of = ClipLoss()
    images, target = torch.from_numpy(data.pixels), torch.from_numpy(data.target)
    order = torch.randperm(len(images))
    for start in range(0, samples, settings.batch_size):
        index = order[torch.arange(start, start + settings.batch_size) % len(order)]
        batch = images[index].permute(0, 3, 1, 2).float() / 127.5 - 1.0
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=train.precision == "bf16"):
            image, text, scale = model(batch, target[index])
            loss = loss_of(image, text, scale)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))


def rate(work: Callable[[], object], count: int) -> tuple[float, float]:
    """Items a second, by the clock and by this process's time on all cores."""
    start, used = time.perf_counter(), time.process_time()
    work()
    return count / (time.perf_counter() - start), count / (time.process_time() - used)


def rounds(
    clip: Clip, data: Data, streamed: Streamed, train: Train, samples: int
) -> Iterator[tuple[tuple[float, float], ...]]:
    """Rates (clock, cores) of our loop, of ours over streams and of the plain one, in turns.

    The turns change places from round to round.
    """
    loops: list[Callable[[int], None]] = [
        lambda count: ours(clip, data, train, count),
        lambda count: ours(clip, streamed, train, count),
        lambda count: plain(clip, data, train, count),
    ]
    for loop_ in loops:
        loop_(4 * train.clip.batch_size)  # first calls compile kernels
    for number in range(ROUNDS):
        rates = {}
        for turn in range(len(loops)):
            which = (turn + number) % len(loops)
            rates[which] = rate(lambda which=which: loops[which](samples), samples)
        yield tuple(rates[which] for which in range(len(loops)))


def embedding_rate(clip: Clip, data: Data, precision: str) -> float:
    """Images embedded a second."""
    clip.model.eval()
    device = torch.device("cpu")

    def work() -> None:
        models.encode_images(clip, data.pixels, batch_size=256, precision=precision, device=device)

    work()
    return rate(work, len(data.pixels))[0]


def decoding_rate(train: Train) -> float:
    """PNG images of simple shapes decoded and resized a second, by one thread."""
    view = pixels.View(size=train.image_size)
    files = discs()

    def work() -> None:
        for number in range(DECODED):
            pixels.decode(files[number % len(files)], view)

    return rate(work, DECODED)[0]


def spread(ratios: Sequence[float]) -> str:
    """The median, the least and the greatest."""
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def machine() -> str:
    """What the figures were measured on."""
    bf16 = {"amx_bf16", "avx512_bf16"}.intersection(extensions())
    return f"{processor.name()}, {cores()} cores, bfloat16 instructions: {'yes' if bf16 else 'no'}"


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--samples", type=int, default=10_240, help="of every round")
    parser.add_argument("--threads", type=int, help="those of the parameters, if not given")
    parser.add_argument("--note", default="", help="of what else the machine did, for the table")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    train = parse(yaml.safe_load(options.params.read_text())["train"], Train, str(options.params))
    train = train.model_copy(update={"threads": options.threads or train.threads})
    models.settle(train.threads, "cpu")
    with tempfile.TemporaryDirectory() as folder:
        clip, data, streamed = make_data(train, Path(folder, "pool"))
        measured = list(rounds(clip, data, streamed, train, options.samples))
    by_clock = [tuple(by_clock for by_clock, _ in one) for one in measured]
    ratio = [mine / plain for mine, _, plain in by_clock]
    streaming = [streams / mine for mine, streams, _ in by_clock]
    (mine, mine_cpu), (streams, streams_cpu), (theirs, theirs_cpu) = (
        tuple(map(median, zip(*column, strict=True))) for column in zip(*measured, strict=True)
    )
    packages = ("torch", "open_clip_torch", "timm", "numpy", "pillow")
    parameters = sum(values.size for values in models.weights(clip.model).values())
    size = f"{parameters / 1e6:.2f} M parameters, {train.image_size} pixels"
    text = f"""# Training the default model

`python -m benchmarks.training` on {machine()}; {versions(*packages)}.

Model: {size}, batch {train.clip.batch_size}, {train.precision}, {train.threads} threads.
Medians of {ROUNDS} rounds of {options.samples:,} samples, the three loops in turns in one process.
Streams are read from {SHARDS} tar shards of {STORED}-pixel PNG and decoded by the training process
itself; everything else is in memory. {options.note}

| what | a second | a second of one core |
|---|---:|---:|
| our loop, samples | {mine:,.0f} | {mine_cpu:,.0f} |
| our loop over {STREAMS} streams, samples | {streams:,.0f} | {streams_cpu:,.0f} |
| plain loop over the same open_clip model, samples | {theirs:,.0f} | {theirs_cpu:,.0f} |
| our loop over the plain one (least to greatest) | {spread(ratio)} | {mine_cpu / theirs_cpu:.2f} |
| streams over memory | {spread(streaming)} | {streams_cpu / mine_cpu:.2f} |
| embedding in float32, images | {embedding_rate(clip, data, "fp32"):,.0f} | |
| embedding in bfloat16, images | {embedding_rate(clip, data, "bf16"):,.0f} | |
| decoding {STORED}-pixel PNG, images, one thread | {decoding_rate(train):,.0f} | |
"""
    options.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
