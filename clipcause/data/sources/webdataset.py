"""`webdataset`: what img2dataset wrote, tars of images with captions, read where they lie.

Beside `00000.tar` lies `00000_stats.json`, written last, with the number of samples that should be
in it. The tars are read once, each by one task of the engine, and that reading is the audit too:
whatever is wrong with a tar or a sample goes to the ledger and stops nothing. Nothing is copied;
the URLs in the metadata are hashed and never fetched.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import braceexpand
import pyarrow as pa
from fsspec.utils import glob_translate
from pydantic import Field, model_validator

from clipcause.captions import classes
from clipcause.config import engine, layout, nearest, study, versions
from clipcause.config.datasets import NONE, Limits, Prepare, Share
from clipcause.config.engine import Engine
from clipcause.data import kept, member_index, place, signatures, tar
from clipcause.data.dataset import Drop
from clipcause.data.in_place import PART, Part, rows_digest, with_columns
from clipcause.data.place import Facts
from clipcause.data.shards import Shard
from clipcause.data.source import InPlace
from clipcause.data.sources.members import Reading, Row, Texts
from clipcause.data.stream import Reader
from clipcause.data.values import Lines
from clipcause.runtime import shard_cache as cache
from clipcause.runtime.engine import shardwise

WILD = re.compile(r"[*?\[]")
ALL = ("*.tar", "*.tar.gz", "*.tgz")
STATS = "_stats.json"
LARGEST_STATS = 1 << 24
FACTS = b"clipcause.part"

MISSING = "missing tar"
UNREADABLE = "unreadable tar"
DAMAGED = "damaged tar"
TRUNCATED = "truncated tar"
MORE = "data after the end of the tar"
COUNTS = "counts differ from the statistics"
NO_STATS = "no statistics"
UNREADABLE_STATS = "unreadable statistics"
NOT_SAMPLED = "left out of a rehearsal"


class WebDataset(InPlace):
    """The tars of img2dataset below ``place``, read where they lie."""

    source: Literal["webdataset"]
    captioned: ClassVar = True
    # their names: one or several, with {00000..00099} and, for what a folder happens to hold, *;
    # none: all that end in .tar, .tar.gz or .tgz
    shards: str | list[str] = NONE
    # the member (its extension) or the key of a sample's JSON that has its caption; none: txt, or
    # `caption` of the JSON
    caption: str = NONE
    # the key of a sample's JSON that has its class, where it has no cls; none: no classes
    label: str = "none"
    # what a cls is: id, a class's id; index, its position in the class list; or the name of a file
    # below place (classnames.txt) with a class a line, id or name, of which it is the position
    cls: str = "id"
    # where a cls is an index: the test set whose classes alone it counts (imagenet-r), which the
    # class list names; none: all of the list
    subset: str = NONE
    # the file below place whose lines must be the names of these classes, in this order
    classnames: str = NONE
    # what the lines of a txt are: one caption, all but the first left out, or a caption each
    lines: Lines = "join"
    # keys of the JSON whose values the manifest keeps, for rules
    columns: list[str] = Field(default_factory=list)
    # of a rehearsal: the share of the tars that is read, from the first on, and the share of every
    # class's samples that is used, from the first on; at least one of each
    part: Share = 1.0
    each: Share = 1.0

    @model_validator(mode="after")
    def _somewhere(self) -> "WebDataset":
        if self.place == NONE:
            raise ValueError("place is missing: the folder or URL of the tars")
        if self.cls != "index" and (self.subset != NONE or self.classnames != NONE):
            raise ValueError("subset and classnames say what a position is: cls: index")
        return self

    def parts(self, where: str, settings: Prepare, name: str) -> tuple[str, Iterator[Part]]:
        """The tars in their order, by workers that show their own progress."""
        versions.check("pillow")
        # of all of `prepare`, what decides a tar's part
        limits = Limits(**settings.model_dump(include=set(Limits.model_fields)))
        workers = engine.current().without_gpu()
        by_place = positions(where, self.cls, self.subset, self.classnames)
        kept_columns = tuple(self.columns)
        read = Texts(self.label, by_place, self.lines, self.caption, kept_columns, words(by_place))
        found = parts(where, self.shards, read, limits, workers, name, self.part)
        return where, found if self.each == 1.0 else of_each(found, self.each)


def positions(where: str, said: str, subset: str = NONE, classnames: str = NONE) -> tuple[str, ...]:
    """The class ids of the study's list by their positions, as ``cls`` says; empty for ids.

    Raises ``FileNotFoundError`` for a file that is not there, and ``ValueError`` for a line of it
    that is no class, or the same one as another, and for ``classnames`` of other classes.
    """
    if said == "id":
        return ()
    path = layout.classes(study.name("classes"))
    known = classes.read(path)
    own = tuple(classes.own(known))
    if said == "index":
        if subset != NONE:
            own = tuple(classes.subset(known, subset, f"{path}: subset"))
        if classnames != NONE:
            # never by name: missile is the name of two classes of ImageNet
            file = place.join(where, classnames)
            _check_names(file, _lines(file), [known[key].name for key in own], path)
        return own
    file = place.join(where, said)
    names = _lines(file)
    owners = Counter(known[key].name for key in own)
    ids = {known[key].name: key for key in own} | {key: key for key in own}
    found: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if name not in ids or (name not in own and owners[name] > 1):
            why = "is the name of several classes" if name in ids else "is no class"
            raise ValueError(
                f"{file}: line {number}: {name!r} {why} of {path}; {nearest(name, ids)}"
            )
        if ids[name] in found:
            raise ValueError(
                f"{file}: lines {found[ids[name]]} and {number} are both the class {ids[name]!r}"
            )
        found[ids[name]] = number
    return tuple(found)


def words(ids: tuple[str, ...]) -> tuple[str, ...]:
    """The names of classes of the study's list."""
    known = classes.read(layout.classes(study.name("classes"))) if ids else {}
    return tuple(known[key].name for key in ids)


def _lines(file: str) -> list[str]:
    """The lines of a file of classes, without empty ones at its end."""
    place.facts(file)  # says in one way that it is not there
    with place.opened(file) as stream:
        lines = stream.read(LARGEST_STATS).decode("utf-8-sig").split("\n")
    names = [line.strip() for line in lines]
    while names and not names[-1]:
        names.pop()
    return names


def _check_names(file: str, said: list[str], expected: list[str], path: Path) -> None:
    """Raise ``ValueError`` where the names that a set has by position are others than ours."""
    if len(said) != len(expected):
        raise ValueError(
            f"{file}: {len(said):,} classes, and {path} has {len(expected):,} of them; another "
            "subset?"
        )
    pairs = zip(said, expected, strict=True)
    unlike = [(at, one, ours) for at, (one, ours) in enumerate(pairs) if one != ours]
    if unlike:
        shown = "; ".join(f"{at} is {one!r}, not {ours!r}" for at, one, ours in unlike[:3])
        raise ValueError(
            f"{file}: {len(unlike):,} of {len(said):,} names are others than those of {path}: "
            f"{shown}; their order decides which class a cls is"
        )


def of_each(parts: Iterable[Part], share: float) -> Iterator[Part]:
    """The parts with a share of every class's rows, from the first on and at least one; the others
    are remarks. Memory holds them all: a test set is small."""
    held = list(parts)
    labels = [part.rows["label"].to_pylist() for part in held]
    most = {
        label: math.ceil(share * count)
        for label, count in Counter(one for shard in labels for one in shard).items()
    }
    for part, shard in zip(held, labels, strict=True):
        used = []
        for at, label in enumerate(shard):
            if most[label]:
                most[label] -= 1
                used.append(at)
        chosen = pa.array(used, pa.int64())
        rows = part.rows.take(chosen)
        places = None if part.places is None else part.places.take(chosen)
        keys, seen = part.rows["key"].to_pylist(), set(used)
        left = [
            Drop(part.shard.name, keys[at], NOT_SAMPLED, f"{share} of every class")
            for at in range(len(shard))
            if at not in seen
        ]
        entry = part.shard._replace(samples=len(used), rows=rows_digest(rows))
        remarks = [*part.remarks, *left]
        yield replace(part, shard=entry, rows=rows, places=places, remarks=remarks)


@dataclass(frozen=True)
class Tar:
    """One tar to read, as a listing shows it. ``found`` is None where only its statistics are
    there; ``stats`` where it has none, which counts where others have (``compared``)."""

    name: str
    found: Facts | None
    stats: Facts | None
    compared: bool


@dataclass(frozen=True)
class Audit:
    """The task of one tar: its part of the manifest and of the ledger, as a table."""

    source: str
    limits: Limits
    read: Texts

    def start(self) -> None:
        """Nothing to load."""

    def __call__(self, item: Tar, /) -> pa.Table:
        """Read a tar. Raises ``OSError`` where it cannot be had, ``ValueError`` where it changes
        while it is read; nothing for what is in it."""
        return encode(read_tar(self, item))

    def name(self, item: Tar, /) -> str:
        """Path or URL of the tar."""
        return place.join(self.source, item.name)


def parts(
    source: str,
    shards: str | list[str],
    read: Texts,
    limits: Limits,
    where: Engine,
    name: str,
    share: float = 1.0,
) -> Iterator[Part]:
    """The parts of a pool's shards in their order, from the shard cache where they are in it; of
    the first tars alone where a ``share`` of them is read.

    Raises ``ValueError`` or ``FileNotFoundError`` at once where a tar that is named, the place or
    its driver is missing.
    """
    items = tars(source, shards, share)
    task = Audit(source, limits, read)
    made_by = (versions.used("pillow"), source, read._asdict(), limits.model_dump())

    def key(item: Tar) -> str:
        return cache.key(*made_by, asdict(item))

    results = shardwise(
        task, items, key=key, store=cache.TABLE, where=where, label=f"prepare {name}"
    )
    return _named(map(decode, results), source, read)


def _named(parts: Iterable[Part], source: str, read: Texts) -> Iterator[Part]:
    """The parts. Raises ``ValueError`` where the first that has rows has nothing of what is named:
    a misspelt name would be null in all of a pool."""
    looked = False
    for part in parts:
        if part.shard.samples and not looked:
            looked = True
            where = f"{place.join(source, part.shard.name)}: the json of its samples"
            kept.check(where, read.columns, part.keys)
            if read.label != NONE and part.rows["label"].null_count == part.rows.num_rows:
                kept.check(where, [read.label], part.keys)
        yield part


def tars(source: str, shards: str | list[str], share: float = 1.0) -> list[Tar]:
    """The tars below ``source``: those named, in the order given, braces expanded; what a pattern
    with * finds is in natural order (2 before 10). ``none`` is all that are called as tars are. Of
    a ``share`` of them the first ones, at least one."""
    listed = place.listing(source)
    patterns = [shards] if isinstance(shards, str) else shards
    names = [name for pattern in patterns for name in braceexpand.braceexpand(pattern)]
    if shards == NONE:
        names = list(ALL)
    chosen: dict[str, None] = {}
    for name in names:
        matching = _matching(name, listed) if WILD.search(name) else [name]
        if not matching and shards != NONE:
            raise FileNotFoundError(f"{source}: nothing is called {name}; {_there(listed)}")
        chosen |= dict.fromkeys(matching)
    if not chosen:
        raise FileNotFoundError(
            f"{source}: nothing is called {', '.join(ALL)}; {_there(listed)}; `shards` names tars "
            "that are called otherwise, or lie deeper"
        )
    absent = [name for name in names if not WILD.search(name) and name not in listed]
    if absent:
        tip = nearest(absent[0], [name for name in listed if not name.endswith(STATS)][:10_000])
        raise FileNotFoundError(
            f"{place.join(source, absent[0])}: not found ({len(absent):,} of {len(names):,} named "
            f"shards are missing); {tip} A pattern with * takes what is there"
        )
    stats = {name: listed.get(_stats_name(name)) for name in chosen}
    compared = any(facts is not None for facts in stats.values())
    found = [Tar(name, listed.get(name), stats[name], compared) for name in chosen]
    return found[: max(1, math.ceil(share * len(found)))]


def _there(listed: Collection[str]) -> str:
    """What a folder has instead, for an error."""
    shown = sorted(listed, key=lambda name: (".tar" not in name, name))[:3]
    return (
        f"there are {len(listed):,} files, such as {', '.join(shown)}" if shown else "it is empty"
    )


def read_tar(task: Audit, item: Tar) -> Part:
    """Read one tar from start to end and look at every sample."""
    reading = Reading(item.name, task.limits, task.read)
    damage: Drop | None = None
    path = task.name(item)
    if item.found is None:
        shard = Shard(item.name, "", 0, 0)
        damage = Drop(item.name, "", MISSING, f"only its {_stats_name(item.name)} is there")
    else:
        digest, damage, more = _read(path, item.name, item.found, reading)
        if more:
            detail = "readers stop at the end mark, so its samples are lost"
            reading.remarks.append(Drop(item.name, "", MORE, detail))
        shard = Shard(item.name, digest, item.found.bytes, len(reading.rows))
    columns = zip(*reading.rows, strict=True) if reading.rows else [[] for _ in Row._fields]
    arrays = dict(zip(Row._fields, map(list, columns), strict=True))
    rows = pa.table(arrays, schema=PART)
    if reading.rows and task.read.columns:
        held, others = kept.of_values(task.read.columns, reading.columns)
        rows = with_columns(rows, held)
        for other in others:
            key = reading.rows[other.place].key
            reading.remarks.append(Drop(item.name, key, kept.OTHER_TYPE, other.detail))
    shard = shard._replace(rows=rows_digest(rows))
    stated = _stated(task, item, reading)
    lost = max(0, stated - reading.images) if stated is not None else 0
    if damage is not None:
        # a damage counts as one sample lost where nobody knows how many
        (reading.remarks if lost else reading.drops).append(damage)
    if stated is not None and stated != reading.images:
        detail = f"{reading.images:,} samples, the statistics say {stated:,}"
        reading.remarks.append(Drop(item.name, "", COUNTS, detail))
    places = member_index.table(reading.places)
    keys = sorted(reading.keys)
    return Part(shard, rows, reading.drops, reading.remarks, lost, places, keys)


def encode(part: Part) -> pa.Table:
    """A part as one table: its rows and their places, the rest in the metadata of its schema."""
    facts = {
        "keys": part.keys,
        "shard": part.shard.entry(),
        "drops": [list(vars(drop).values()) for drop in part.drops],
        "remarks": [list(vars(drop).values()) for drop in part.remarks],
        "lost": part.lost,
    }
    whole = part.rows
    if part.places is not None:
        for name in member_index.PART.names:
            whole = whole.append_column(name, part.places[name])
    return whole.replace_schema_metadata({FACTS: json.dumps(facts)})


def decode(table: pa.Table) -> Part:
    """What ``encode`` made."""
    facts = json.loads(table.schema.metadata[FACTS])
    drops, remarks = ([Drop(*drop) for drop in facts[name]] for name in ("drops", "remarks"))
    whole = table.replace_schema_metadata(None)
    places = whole.select(member_index.PART.names)
    rows = whole.drop_columns(member_index.PART.names)
    shard = Shard(**facts["shard"])
    return Part(shard, rows, drops, remarks, facts["lost"], places, facts["keys"])


def _read(path: str, name: str, found: Facts, reading: Reading) -> tuple[str, Drop | None, bool]:
    """The SHA-256 of the tar, its damage, and whether there is something after its end."""
    damage: Drop | None = None
    members = 0
    before = place.facts(path)
    with place.opened(path, before.bytes) as stream:
        reader = Reader(stream, hashed=True)
        try:
            for member in tar.members(reader, reading.is_read):
                members += 1
                reading.add(member)
        except tar.TarError as error:
            kind = TRUNCATED if isinstance(error, tar.TruncatedTarError) else DAMAGED
            reason = kind if members else UNREADABLE
            what = "" if members else signatures.called(place.beginning(path))
            detail = f"it is {what}" if what else f"{error}, after {members:,} members"
            damage = Drop(name, "", reason, detail)
        reading.end(damaged=damage is not None)
        digest, more = reader.finish()
    # some object stores state the time in one way in a listing and in another for one file
    listed = before if not place.is_url(path) else before._replace(stamp=found.stamp)
    short = reader.position != found.bytes and not place.is_compressed(path)
    if listed != found or place.facts(path) != before or short:
        raise ValueError(f"{path}: changed while it was read; run again when it is complete")
    return digest, damage, more and damage is None


def _stated(task: Audit, item: Tar, reading: Reading) -> int | None:
    """The number of samples that the statistics beside a tar say; None where they say none."""
    if item.stats is None:
        if item.compared:
            detail = "other tars have them; was the download of this one finished?"
            reading.remarks.append(Drop(item.name, "", NO_STATS, detail))
        return None
    path = place.join(task.source, _stats_name(item.name))
    try:
        if item.stats.bytes > LARGEST_STATS:
            raise ValueError(f"{item.stats.bytes:,} bytes")  # noqa: TRY301 - one ledger entry
        with place.opened(path) as stream:
            content: Any = json.loads(stream.read(LARGEST_STATS))
        successes = content["successes"]
        if not isinstance(successes, int) or successes < 0:
            raise ValueError(f"successes: {successes!r}")  # noqa: TRY301
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        detail = f"{_stats_name(item.name)}: {error!r}"
        reading.remarks.append(Drop(item.name, "", UNREADABLE_STATS, detail[:200]))
        return None
    return successes


def _matching(pattern: str, listed: Iterable[str]) -> list[str]:
    """The names that a pattern finds, in natural order, and tars of which only statistics are."""
    expression = re.compile(glob_translate(pattern))
    names = {name for name in listed if expression.match(name)}
    there = {_stats_name(name) for name in listed if name.endswith((".tar", *place.COMPRESSED))}
    alone = (name for name in listed if name.endswith(STATS) and name not in there)
    lost = (name.removesuffix(STATS) + ".tar" for name in alone)
    return sorted(names | {name for name in lost if expression.match(name)}, key=natural)


def natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """A key that puts 2 before 10."""
    pieces = re.split(r"(\d+)", name)
    return [(int(p), "") if p.isdigit() and p.isascii() else (-1, p) for p in pieces], name


def _stats_name(name: str) -> str:
    for end in (".tar", *place.COMPRESSED):
        name = name.removesuffix(end)
    return name + STATS
