"""Where a run's batches come from: images in memory, or streams of shards.

A feed gives the part of every global batch that this process learns from: a contiguous share of
it, in both cases. Its pieces are uint8 images and their targets on the CPU.

Shapes: N rows of the training set, T texts of them, B samples of a piece, S pixels a side, L
context length.
"""

import multiprocessing
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from clipcause.config.train import Dino, Optimiser
from clipcause.embed import pixels, tokens
from clipcause.embed.pixels import View
from clipcause.train import augment, views
from clipcause.train.distributed import World
from clipcause.train.order import Order, drawn, steps
from clipcause.train.reading import Pair, Reader, Source
from clipcause.train.streams import Streams


class Piece(NamedTuple):
    """Samples in the order of the batch."""

    pixels: torch.Tensor  # uint8 [B, S, S, 3]
    target: torch.Tensor  # int64 [B, L] or [B]; of views, the small ones: uint8 [V, L, L, 3]


@dataclass(frozen=True)
class Asked:
    """What decides batches besides the data."""

    optimiser: Optimiser
    seed: int
    world: World
    pinned: bool  # for a GPU to copy from

    @property
    def total(self) -> int:
        """The number of batches of the run."""
        return steps(self.optimiser.samples_seen, self.optimiser.batch_size)

    def bounds(self, step: int) -> tuple[int, int]:
        """The samples of the global batch of a step: first, and the one after the last."""
        size = self.optimiser.batch_size
        return step * size, min((step + 1) * size, self.optimiser.samples_seen)

    def share(self, step: int) -> tuple[int, int]:
        """Those of them that this process learns from."""
        start, stop = self.bounds(step)
        count = (stop - start) // self.world.size
        start += count * self.world.rank
        return start, start + count


@runtime_checkable
class Feed(Protocol):
    """Data that a run learns from."""

    def batches(self, asked: Asked, first: int) -> Iterator[list[Piece]]:
        """This process's share of every global batch from step ``first`` on, in pieces."""
        ...


class Several(NamedTuple):
    """Where the targets of rows lie that have more than one, of which every pass draws one."""

    first_N: Int64[np.ndarray, " N"]
    count_N: Int64[np.ndarray, " N"]
    number_N: Int64[np.ndarray, " N"]  # the rows' numbers in the pool

    def drawn(
        self, seed: int, epoch_B: Int64[np.ndarray, " B"], row_B: Int64[np.ndarray, " B"]
    ) -> Int64[np.ndarray, " B"]:
        """The target of each sample."""
        index_B = drawn(seed, epoch_B, self.number_N[row_B], self.count_N[row_B])
        return self.first_N[row_B] + index_B


@dataclass(frozen=True)
class Data:
    """Images in memory, and a caption's tokens or a class of each; or several captions' tokens."""

    pixels: UInt8[np.ndarray, "N S S 3"]
    target: Int64[np.ndarray, "T ..."]
    several: Several | None = None  # None: a target for each row

    def batches(self, asked: Asked, first: int) -> Iterator[list[Piece]]:
        """See ``Feed``; the order is that of ``order.Order``."""
        order = Order(len(self.pixels), asked.seed)
        made = (self._batch(asked, order, step) for step in range(first, asked.total))
        return _ahead(made) if asked.pinned else made

    def _batch(self, asked: Asked, order: Order, step: int) -> list[Piece]:
        settings = asked.optimiser
        row_B, epoch_B = order.samples(*asked.share(step))
        images = self.pixels[row_B]
        if settings.crop:
            corners_B4 = augment.crops(asked.seed, epoch_B, row_B, settings.crop, images.shape[1:3])
            images = augment.cropped(images, corners_B4)
        shift_B2 = augment.shifts(asked.seed, epoch_B, row_B, settings.shift)
        moved = torch.from_numpy(augment.shifted(images, shift_B2, settings.shift))
        at_B = row_B if self.several is None else self.several.drawn(asked.seed, epoch_B, row_B)
        target = torch.from_numpy(self.target[at_B])
        if asked.pinned:
            return [Piece(moved.pin_memory(), target.pin_memory())]
        return [Piece(moved, target)]


@dataclass(frozen=True)
class Views:
    """Images in memory, of which several views are seen: two large ones, and small ones.

    ``settings`` are those that a run's ``Asked`` has as its optimiser.
    """

    pixels: UInt8[np.ndarray, "N S S 3"]
    settings: Dino

    def batches(self, asked: Asked, first: int) -> Iterator[list[Piece]]:
        """See ``Feed``; a piece has the views of its samples view by view."""
        order = Order(len(self.pixels), asked.seed)
        made = (self._batch(asked, order, step) for step in range(first, asked.total))
        return _ahead(made) if asked.pinned else made

    def _batch(self, asked: Asked, order: Order, step: int) -> list[Piece]:
        row_B, epoch_B = order.samples(*asked.share(step))
        made = views.made(self.pixels[row_B], asked.seed, epoch_B, row_B, self.settings)
        large, small = (torch.from_numpy(part) for part in made)
        if asked.pinned:
            return [Piece(large.pin_memory(), small.pin_memory())]
        return [Piece(large, small)]


@dataclass(frozen=True)
class Streamed:
    """Streams of shards, read and decoded by ``loaders`` processes, or by this one."""

    sources: tuple[Source, ...]
    streams: Streams
    view: View
    tokenizer: Any  # None: texts are classes
    classes: Mapping[str, int]
    loaders: int

    def batches(self, asked: Asked, first: int) -> Iterator[list[Piece]]:
        """See ``Feed``; the order is that of ``streams.Streams``."""
        loaders = max(self.loaders, 1)
        loader = DataLoader(
            _Batches(self, asked, first, loaders),
            batch_size=None,
            num_workers=self.loaders,
            pin_memory=asked.pinned,
            multiprocessing_context=_processes() if self.loaders else None,
            # else it draws a seed from the generator of the model's dropout, in every start anew
            generator=torch.Generator(),
        )
        pieces = iter(loader)
        # the loaders take turns
        for _ in range(first, asked.total):
            yield [self._piece(pieces) for _ in range(loaders)]

    def _piece(self, pieces: Iterator[Any]) -> Piece:
        try:
            content = next(pieces)
        except RuntimeError as error:
            if "worker" not in str(error):
                raise
            raise ChildProcessError(
                f"a loader process ended ({error}); start the stage again, and it goes on"
            ) from None
        if isinstance(content, str):
            raise ValueError(content)  # noqa: TRY004 - what a loader process found
        return Piece(*content)

    def decoded(
        self, samples: list[Pair], asked: Asked
    ) -> tuple[UInt8[np.ndarray, "B S S 3"], Int64[np.ndarray, "B ..."]]:
        """Images, moved as the seed says, and targets of some samples."""
        turn_B = np.array([sample.turn for sample in samples])
        row_B = np.array([sample.row for sample in samples])
        settings, size = asked.optimiser, self.view.size
        pixels_BSS3 = np.empty((len(samples), size, size, 3), np.uint8)
        for index, sample in enumerate(samples):
            pixels_BSS3[index] = self._image(sample, asked)
        shift_B2 = augment.shifts(asked.seed, turn_B, row_B, settings.shift)
        moved_BSS3 = augment.shifted(pixels_BSS3, shift_B2, settings.shift)
        texts = [sample.text for sample in samples]
        if self.tokenizer is None:
            return moved_BSS3, np.array([self.classes[text] for text in texts], np.int64)
        return moved_BSS3, tokens.encode(self.tokenizer, texts)

    def _image(self, sample: Pair, asked: Asked) -> UInt8[np.ndarray, "S S 3"]:
        try:
            if asked.optimiser.crop is None:
                return pixels.decode(sample.image, self.view)
            picture = pixels.opened(sample.image)
            turn_B, row_B = np.array([sample.turn]), np.array([sample.row])
            sides = picture.height, picture.width
            corners = augment.crops(asked.seed, turn_B, row_B, asked.optimiser.crop, sides)[0]
            return pixels.resized(picture, self.view, corners)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            number, position, row = sample.origin
            manifest = self.sources[number].manifest
            keys = manifest.shard_table(position, ["key"])["key"]
            key = keys[row - manifest.starts[position]].as_py()
            raise ValueError(
                f"{manifest.place(position)}: {key}: cannot be decoded: {error}; "
                "prepare the data set again, which leaves such images out"
            ) from None


class _Batches(IterableDataset):
    """What one loader reads: the pieces of its streams, batch after batch."""

    def __init__(self, feed: Streamed, asked: Asked, first: int, loaders: int) -> None:
        self.feed = feed
        # a loader knows nobody else
        world = World(asked.world.rank, asked.world.size)
        self.asked = Asked(asked.optimiser, asked.seed, world, pinned=False)
        self.first = first
        self.loaders = loaders

    def __iter__(self) -> Iterator[Any]:
        # what goes wrong is sent as words: an exception would come with the loader's traceback
        try:
            yield from self._pieces()
        except (ValueError, OSError) as error:
            if get_worker_info() is None:
                raise
            yield str(error)

    def _pieces(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        asked, streams = self.asked, self.feed.streams
        worker = get_worker_info()
        loader = asked.world.rank * self.loaders + (worker.id if worker else 0)
        share = len(streams) // (asked.world.size * self.loaders)
        mine = range(loader * share, (loader + 1) * share)
        begun = asked.bounds(self.first)[0] // len(streams)
        readers = [Reader(self.feed.sources, streams, stream).samples(begun) for stream in mine]
        for step in range(self.first, asked.total):
            start, stop = asked.bounds(step)
            each = (stop - start) // len(streams)
            samples = [next(reader) for reader in readers for _ in range(each)]
            images, target = self.feed.decoded(samples, asked)
            yield torch.from_numpy(images), torch.from_numpy(target)


def _processes() -> Any:
    """How loaders start: as copies of a process that has loaded what they need, and has no threads.

    A copy of this process, which has some, could hang.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _ahead(made: Iterator[list[Piece]]) -> Iterator[list[Piece]]:
    """Make the next batch in a thread while one is learnt from."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(lambda: next(made, None))
        while (batch := coming.result()) is not None:
            coming = pool.submit(lambda: next(made, None))
            yield batch
