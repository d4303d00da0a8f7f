"""Exports: a split as ordinary WebDataset shards, for tools that know nothing of splits.

``export/<name>/`` holds ``00000.tar`` and so on, beside each a ``00000_stats.json``, and
``sizes.json`` and ``card.json``. A sample has the row in the pool as its key, ten digits; its
image, bytes unchanged; ``txt``, the caption of the manifest; and ``json``: everything that the
pool's own shard says of it (a downloader's ``url``, say), ``uid`` if that does not say one, and
under ``clipcause`` the row, uid, source_id (empty without a URL) and label (empty without one) of
the manifest and the shard and key that the sample is from. Where any sample is labelled, all have
``cls``: the label's position in ``classnames.txt``, -1 without one. That file lists the labels of
the pool in the order of their first rows, so that it is the same for all of its exports. With
``captions: all`` ``txt`` has a line for every caption, and ``captions`` in ``json`` is their list.

All samples have the same members of the same types, since a reader may look at a few of them and
pass by what those did not have: pictures of several types are all called by the type of the first
that was not converted. Decoders look at the bytes.

* open_clip: ``--dataset-type webdataset --train-data 'export/<name>/{00000..00041}.tar'``;
  ``sizes.json`` gives it the number of samples, or ``--train-num-samples`` does, which the card
  states as ``samples``.
* DataComp's tools select by ``uid``, 32 hexadecimal digits: that of the pool's JSON (DataComp's
  own), else the 128-bit hash of the image's bytes.
* img2dataset's readers take ``successes`` from ``_stats.json``; an export can be a pool itself.

Shards are written one by one and the folder is complete when it has its name: until then finished
shards lie beside it, and a killed export goes on after the last one.
"""

import hashlib
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clipcause.data.shards import CLASSES, ShardWriter, digest, write_classes
from clipcause.runtime import atomic, unchanged

CARD = "card.json"
SIZES = "sizes.json"
DIGITS = 10  # of a key: rows of a split are below 2^32


@dataclass(frozen=True)
class Stats:
    """What one shard holds. ``described`` counts samples whose JSON could be read in the pool's
    shard, ``located`` those of them with a URL."""

    count: int
    successes: int
    bytes: int
    sha256: str
    first_row: int
    last_row: int
    labelled: int
    described: int
    located: int


@dataclass(frozen=True)
class Exported:
    """A sample of the split: ``original`` is the JSON object of the pool's shard, None without."""

    row: int
    extension: str
    image: bytes
    caption: str
    label: str | None
    position: int | None  # of the label; None where no sample of the export has one
    original: Mapping[str, Any] | None
    origin: Mapping[str, Any]  # uid, source_id, shard, key
    captions: Sequence[str] | None = None  # all, where they are asked for

    @property
    def text(self) -> str:
        """The caption; of all a line each, whatever a caption has that ends one."""
        if self.captions is None:
            return self.caption
        return "\n".join(" ".join(one.splitlines()) for one in self.captions)

    @property
    def facts(self) -> dict[str, Any]:
        """The sample's JSON: the pool's own keys stay as they are. No value of ours is null, which
        to a reader that looks at a few samples is a type."""
        ours = {"row": self.row, "label": self.label or "", **self.origin}
        facts = {**(self.original or {}), "clipcause": ours}
        if self.captions is not None:
            facts["captions"] = list(self.captions)
        return facts if facts.get("uid") else facts | {"uid": self.origin["uid"]}


def shard(folder: Path, number: int) -> Path:
    """The tar of a shard."""
    return folder / f"{number:05d}.tar"


def stats_of(path: Path) -> Path:
    """The statistics beside a shard, written after it: what has them is finished."""
    return path.with_name(f"{path.stem}_stats.json")


def partial(folder: Path, identity: str) -> Path:
    """The folder that becomes ``folder``, kept from one run to the next of the same export.

    What lies there of another export of the name is removed.
    """
    path = folder.parent / f".{folder.name}.{identity[:16]}{atomic.SUFFIX}"
    for other in folder.parent.glob(f".{folder.name}.*{atomic.SUFFIX}"):
        if other != path:
            shutil.rmtree(other)
    path.mkdir(parents=True, exist_ok=True)
    return path


def finished(path: Path) -> Stats | None:
    """The statistics of a shard that an earlier run finished, None where it did not."""
    with suppress(FileNotFoundError, ValueError, TypeError):
        stats = Stats(**atomic.read_json(stats_of(path)))
        return stats if path.stat().st_size == stats.bytes else None
    return None


def write_shard(path: Path, samples: Iterable[Exported]) -> Stats:
    """Write one shard and its statistics, each atomically; the same samples, the same bytes."""
    rows, labelled, described, located = [], 0, 0, 0
    with atomic.file(path) as temporary:
        with ShardWriter(temporary) as tar:
            for one in samples:
                key, facts = f"{one.row:0{DIGITS}d}", one.facts
                try:
                    tar.add(key, one.extension, one.image, one.text, one.position, facts)
                except (ValueError, TypeError, RecursionError) as error:
                    origin = f"{one.origin['shard']}: {one.origin['key']}"
                    raise ValueError(
                        f"{origin} (row {one.row}): cannot be written: {error}"
                    ) from None
                rows.append(one.row)
                labelled += one.label is not None
                described += one.original is not None
                located += bool(facts.get("url"))
        size, sha256 = temporary.stat().st_size, digest(temporary)
    found = len(rows), len(rows), size, sha256, rows[0], rows[-1], labelled, described, located
    stats = Stats(*found)
    unchanged.check()
    atomic.write_json(stats_of(path), asdict(stats))
    return stats


def finish(
    part: Path,
    folder: Path,
    shards: list[Stats],
    card: Mapping[str, Any],
    classes: Sequence[str] = (),
) -> dict[str, Any]:
    """Add sizes, card and list of classes to a folder with all its shards, and give it its name;
    the card.

    The card's ``shards_sha256`` is the hash of the list of the shards' hashes.
    """
    names = [shard(part, number).name for number in range(len(shards))]
    sizes = {name: stats.count for name, stats in zip(names, shards, strict=True)}
    atomic.write_json(part / SIZES, sizes)
    counts = ("labelled", "described", "located", "bytes")
    hashes = "".join(f"{stats.sha256}\n" for stats in shards)
    full = {
        **card,
        "samples": sum(sizes.values()),
        "shards": len(shards),
        "shards_sha256": hashlib.sha256(hashes.encode()).hexdigest(),
        **{name: sum(getattr(stats, name) for stats in shards) for name in counts},
    }
    atomic.write_json(part / CARD, full)
    if classes:
        write_classes(part, classes)
    expected = {
        CARD,
        SIZES,
        *([CLASSES] if classes else []),
        *names,
        *(stats_of(part / name).name for name in names),
    }
    for other in part.iterdir():
        if other.name not in expected:
            other.unlink()  # what a killed writer left
    if folder.exists():
        shutil.rmtree(folder)
    part.rename(folder)
    return full
