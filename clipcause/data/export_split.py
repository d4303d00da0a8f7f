"""Exporting a split: its rows as ordinary WebDataset shards, on the engine's workers.

Shard k holds the split's rows k * shard_size to (k + 1) * shard_size - 1, in the pool's order, so
its bytes are the same for any number of workers. The rows of a shard are consecutive in the split:
a pool shard is read once for every exported shard that it has rows for, hence no more often than
its samples fill shards, plus one.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from clipcause.config.engine import Engine
from clipcause.config.exports import Captions
from clipcause.data import exports, manifest, picture, samples
from clipcause.data.exports import Stats
from clipcause.data.manifest import Manifest, uid
from clipcause.data.shards import UNLABELLED, digest
from clipcause.data.sources import audit
from clipcause.prune import split
from clipcause.prune.split import Split
from clipcause.runtime import code
from clipcause.runtime import shard_cache as cache
from clipcause.runtime.engine import mapped
from clipcause.runtime.progress import progress


class Part(NamedTuple):
    """One shard to write: its number and the first and last of its rows."""

    number: int
    first: int
    last: int


class Alike(NamedTuple):
    """What all samples of an export have alike: the type that pictures are called by, and the
    labels by position (none where no sample is labelled)."""

    extension: str
    classes: tuple[str, ...]


@dataclass
class Exporting:
    """Writes shards of a split below ``folder``; each worker opens pool and split for itself."""

    pool: Path
    split: Path
    folder: Path
    alike: Alike
    captions: Captions = "first"
    opened: tuple[Manifest, Split] | None = None

    def start(self) -> None:
        pool = manifest.read(self.pool, shards=False)
        self.opened = pool, split.read_for(self.split, pool.sha256)

    def __call__(self, part: Part) -> Stats:
        if self.opened is None:
            raise RuntimeError("the worker was not started")
        pool, chosen = self.opened
        path = exports.shard(self.folder, part.number)
        samples = of_part(pool, chosen, part, self.alike, self.captions)
        return exports.write_shard(path, samples)

    def name(self, part: Part) -> str:
        return str(exports.shard(self.folder, part.number))


def alike(pool: Manifest, chosen: Split) -> Alike:
    """What the samples of a split will have alike. Memory holds a shard's labels."""
    extension, labels, labelled = "", dict[str, None](), False
    for position in range(len(pool.shards)):
        wanted_M = chosen.within(*pool.starts[position : position + 2])
        known = pool.shard_table(position, ["label", "converted"])
        if known["label"].null_count < len(known):
            labels |= dict.fromkeys(known["label"].drop_null().unique().to_pylist())
            mine = known["label"].filter(pa.array(wanted_M))
            labelled = labelled or mine.null_count < len(mine)
        if not extension and wanted_M.any():
            if pool.source is not None:  # beside the manifest they lie as they were converted
                wanted_M &= ~known["converted"].to_numpy()
            (rows,) = np.nonzero(wanted_M)
            if len(rows):
                extension = pool.members(position)["extension"][int(rows[0])].as_py()
    found = "jpg" if extension == "jpeg" else extension or "png"
    return Alike(found, tuple(labels) if labelled else ())


def of_part(
    pool: Manifest, chosen: Split, part: Part, shared: Alike, captions: Captions = "first"
) -> Iterator[exports.Exported]:
    """The samples of one shard, in order."""
    position_of = {label: number for number, label in enumerate(shared.classes)}
    for position in range(bisect_right(pool.starts, part.first) - 1, len(pool.shards)):
        start, stop = pool.starts[position : position + 2]
        if part.last < start:
            return
        wanted_M = chosen.within(start, stop)
        wanted_M[: max(0, part.first - start)] = False
        wanted_M[part.last + 1 - start :] = False
        if not wanted_M.any():
            continue
        rows = pool.shard_table(position).filter(wanted_M).to_pylist()
        found = samples.originals(pool, position, wanted_M)
        for row, one in zip(rows, found, strict=True):
            image = one.image
            if row["converted"] and pool.source is not None:
                image = picture.stored(image, audit.OPENED)
            origin = {"source_id": row["source_id"] or "", "shard": pool.shards[position].name}
            at = position_of.get(row["label"], UNLABELLED) if shared.classes else None
            yield exports.Exported(
                row=one.row,
                extension=shared.extension,
                image=image,
                caption=row["caption"],
                label=row["label"],
                position=at,
                original=one.facts,
                origin={**origin, "key": row["key"], "uid": row["uid"] or uid(one.image)},
                captions=(row["captions"] or [row["caption"]]) if captions == "all" else None,
            )


def parts(chosen: Split, shard_size: int) -> list[Part]:
    """The shards of a split: ``shard_size`` rows each, the last one fewer."""
    starts = range(0, len(chosen), shard_size)
    ends = (min(start + shard_size, len(chosen)) - 1 for start in starts)
    rank = chosen.bitmap.__getitem__
    return [Part(n, rank(a), rank(z)) for n, (a, z) in enumerate(zip(starts, ends, strict=True))]


def write(task: Exporting, todo: list[Part], where: Engine) -> list[Stats]:
    """Write the shards that no earlier run finished; the statistics of all."""
    paths = [exports.shard(task.folder, part.number) for part in todo]
    found = [exports.finished(path) for path in paths]
    missing = [part for part, stats in zip(todo, found, strict=True) if stats is None]
    written = mapped(task, missing, where)
    for index, stats in progress(written, label="export", unit="shards", total=len(missing)):
        found[missing[index].number] = stats
    return [stats for stats in found if stats is not None]


def export(
    target: Path,
    pool: Manifest,
    name: str,
    folder: Path,
    shard_size: int,
    where: Engine,
    captions: Captions = "first",
) -> dict[str, Any]:
    """Write the pool's split ``name``, which lies in ``folder``, to ``target``; the card.

    Raises ``ValueError`` for a split of another pool, or without rows.
    """
    chosen = split.read_for(folder, pool.sha256)
    if not len(chosen):
        raise ValueError(f"exports.{target.name}: {folder} has no rows")
    rows = digest(folder / split.ROWS)
    identity = code.of(__name__), pool.sha256, rows, shard_size, captions
    part = exports.partial(target, cache.key(*identity))
    shared = alike(pool, chosen)
    task = Exporting(pool.folder, folder, part, shared, captions)
    shards = write(task, parts(chosen, shard_size), where)
    card = {
        "pool": pool.sha256,
        "split": name,
        "split_card": dict(chosen.card),
        "split_sha256": rows,
        "shard_size": shard_size,
        "captions": captions,
    }
    return exports.finish(part, target, shards, card, shared.classes)
