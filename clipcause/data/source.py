"""A source of a data set: an entry of ``datasets``, and how it becomes samples.

A source is one module of ``clipcause.data.sources``: a model of its parameters that reads. It is
``Copied`` into shards here, sample by sample, or read ``InPlace``, shard by shard, where only the
manifest and the ledger are written. A sample that cannot be used is a ``Drop`` with a reason.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict

from clipcause.config import layout, places
from clipcause.config.datasets import NONE, Dataset, Prepare
from clipcause.data import dataset, in_place, place
from clipcause.data.dataset import Counts, Drop, Sample
from clipcause.data.in_place import Part


class Source(Dataset, ABC):
    """What all sources have: the slots of a data set. Each has keys of its own beside them."""

    model_config = ConfigDict(extra="forbid")
    # whether its images have captions of their own, by which a test set of the task retrieval asks
    captioned: ClassVar[bool] = False

    @abstractmethod
    def write(self, settings: Prepare, name: str) -> tuple[Counts, int | None]:
        """Write the data set ``name``; its counts, and how many samples in place are missing
        without a trace (None where all are copied)."""

    def found(self, name: str) -> Path:
        """The file or folder that the data set ``name`` is read from.

        Raises ``FileNotFoundError`` where nothing is there; a URL is not looked at.
        """
        raw, where = self.slot(name)
        if not place.is_url(self.place) and not raw.exists():
            raise FileNotFoundError(f"{raw}: not found ({where})")
        return raw

    def slot(self, name: str) -> tuple[Path, str]:
        """What is read, and the parameter that says so."""
        if (listed := places.named(self.raw)) is not None:
            return Path(self.place), f"{places.SECTION}.{listed} in params.yaml"
        slot = "raw" if self.place == NONE else "place"
        return Path(getattr(self, slot)), f"datasets.{name}.{slot} in params.yaml"


class Copied(Source):
    """A source whose samples are written as shards."""

    @abstractmethod
    def samples(self, raw: Path, settings: Prepare, name: str) -> Iterator[Sample | Drop]:
        """The samples below ``raw``, a file or folder, in an order that is always the same."""

    def found(self, name: str) -> Path:
        """As of any source; a URL is refused with ``ValueError``."""
        if place.is_url(self.place):
            _, where = self.slot(name)
            raise ValueError(
                f"{self.place}: {self.source} reads a folder of this machine ({where})"
            )
        return super().found(name)

    def write(self, settings: Prepare, name: str) -> tuple[Counts, int | None]:
        """Shards, manifest and ledger."""
        given = self.samples(self.found(name), settings, name)
        counts = dataset.write(
            layout.dataset(name),
            given,
            shard_size=settings.shard_size,
            max_drop_fraction=settings.max_drop_fraction,
        )
        return counts, None


class InPlace(Source):
    """A source that is read where it lies, a folder or URL."""

    @abstractmethod
    def parts(self, where: str, settings: Prepare, name: str) -> tuple[str, Iterator[Part]]:
        """The folder or URL of the shards of ``where``, and the shards in their order."""

    def write(self, settings: Prepare, name: str) -> tuple[Counts, int | None]:
        """Manifest and ledger."""
        self.found(name)
        where, parts = self.parts(self.raw if self.place == NONE else self.place, settings, name)
        most = settings.max_drop_fraction
        return in_place.write(layout.dataset(name), where, parts, max_drop_fraction=most)
