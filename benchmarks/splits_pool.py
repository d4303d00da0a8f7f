"""Decisions from stored scores and columns, DataComp's kind of pool: `benchmarks.splits --pool`.

The pool is synthetic: uids, captions, original sizes and both CLIP scores, as DataComp's metadata
have them, in a manifest of shards of 10,000 rows, and as Parquet files of 100,000 rows, which
DataComp's own code reads. With `--datacomp FOLDER`, a clone of mlfoundations/datacomp, its
`baselines` decide the same from the same values with one worker a core. No caption's language is
asked on either side: its fastText model is fetched from the network, and is replaced by one that
finds English everywhere.

The clock of both sides starts when Python and its libraries are there. What that takes is measured
apart, of processes that import the same and end.
"""

import json
import os
import resource
import subprocess
import sys
import time
from binascii import unhexlify
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import splits
from benchmarks.machine import cores, describe
from clipcause.config import layout
from clipcause.data.manifest import COLUMNS, MANIFEST, Manifest
from clipcause.data.shards import Shard
from clipcause.prune import rules, split
from clipcause.prune.inputs import Inputs
from clipcause.runtime.splitmix64 import outputs

HEAD = "## Decisions on a pool of DataComp's kind"
ROWS = 12_800_000  # DataComp small's
METADATA = Path("metadata")
FILE_ROWS = 100_000
TEXTS = 1_000_000  # distinct captions, of which rows take one by chance
LANGUAGES = ("en", "de", "fr", "es", "ru", "zh")
NEEDED = ("fasttext", "gcld3")  # by DataComp's code, which asks them nothing here
# what the stage imports; pandas, where it is installed, comes with the first value of Arrow's
OUR_START = "import stages.prune, pyarrow; pyarrow.scalar(0)"
THEIR_START = (
    "import sys; from types import ModuleType as M; "
    f"sys.modules.update((name, M(name)) for name in {NEEDED}); "
    "sys.modules['fasttext'].FastText = M(''); "
    "sys.path.insert(0, sys.argv[1]); import baselines.apply_filter"
)
L14, B32 = "clip_l14_similarity_score", "clip_b32_similarity_score"


def make(rows: int) -> None:
    """The pool's manifest and DataComp's metadata of it; in the working folder."""
    chance = np.random.default_rng(1)
    texts = captions(chance)
    METADATA.mkdir()
    folder = layout.dataset(layout.POOL)
    folder.mkdir(parents=True)
    writer = None
    for start in range(0, rows, FILE_ROWS):
        count = min(FILE_ROWS, rows - start)
        published = metadata(chance, texts, start, count)
        pq.write_table(published, METADATA / f"{start:09d}.parquet")
        table = manifest(chance, published)
        writer = writer or pq.ParquetWriter(folder / MANIFEST, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=splits.SHARD)
    assert writer is not None
    writer.close()


def captions(chance: np.random.Generator) -> pa.Array:
    """Captions of one to some thirty words, whose frequencies fall as those of a language do."""
    words = np.array([f"w{number:x}" for number in range(50_000)])
    sizes = chance.poisson(chance.gamma(2.0, 4.0, TEXTS)) + 1
    drawn = words[np.minimum(chance.zipf(1.3, int(sizes.sum())), len(words)) - 1].tolist()
    stops = np.cumsum(sizes).tolist()
    starts = [0, *stops[:-1]]
    return pa.array([" ".join(drawn[a:b]) for a, b in zip(starts, stops, strict=True)])


def metadata(chance: np.random.Generator, texts: pa.Array, start: int, count: int) -> pa.Table:
    """What DataComp publishes of some rows; the lower half of a uid is the row."""
    row_M = np.arange(start, start + count, dtype=np.uint64)
    both = np.stack([outputs(0, row_M.astype(np.int64)), row_M], axis=1).astype(">u8")
    digits = both.tobytes().hex()
    uids = [digits[place : place + 32] for place in range(0, len(digits), 32)]
    score = chance.normal(0.2, 0.05, (count, 2)).astype(np.float32)
    return pa.table(
        {
            "uid": uids,
            "text": texts.take(pa.array(chance.integers(0, TEXTS, count))),
            "original_width": np.exp(chance.normal(6.2, 0.7, count)).astype(np.int64) + 1,
            "original_height": np.exp(chance.normal(6.0, 0.7, count)).astype(np.int64) + 1,
            B32: score[:, 0],
            L14: score[:, 1],
        }
    )


def manifest(chance: np.random.Generator, published: pa.Table) -> pa.Table:
    """The columns of the manifest that rules read, with what it keeps of the metadata."""
    kept: dict[str, Any] = {name: published[name] for name in ("original_width", "original_height")}
    kept |= {name: published[name].cast(pa.float64()) for name in (B32, L14)}
    place_M = chance.integers(0, len(LANGUAGES), len(published))
    kept["tongue"] = [pa.array(LANGUAGES).take(pa.array(place_M))]
    arrays = [pa.concat_arrays(getattr(one, "chunks", one)) for one in kept.values()]
    struct = pa.StructArray.from_arrays(arrays, list(kept))
    return pa.table({"pool_uid": published["uid"], "caption": published["text"], COLUMNS: struct})


def where(column: str, **values: Any) -> dict[str, Any]:
    """An item of the rule `where`."""
    return {"rule": "where", "column": column, **values}


class Chain(NamedTuple):
    """Rules, each on what the one before left, and what decides the same in DataComp's code."""

    label: str
    items: tuple[dict[str, Any], ...]
    theirs: Callable[[Any, str], np.ndarray] | None = None
    base: str = "all"


CHAINS = {
    "top": Chain(
        "`where`: the 30 % with the highest L/14 score",
        (where(L14, keep=0.3, stays="highest"),),
        lambda code, folder: code.load_uids_with_clip_score(folder, "l14", None, 0.3, cores()),
    ),
    "threshold": Chain(
        "`where`: B/32 score at least 0.28",
        (where(B32, least=0.28),),
        lambda code, folder: code.load_uids_with_clip_score(folder, "b32", 0.28, None, cores()),
    ),
    "among": Chain(
        "`where`: a column of text among 2 values",
        (where("tongue", among=["en", "de"]),),
    ),
    "words": Chain(
        "`where`: the half with the most words",
        (where("caption_words", keep=0.5, stays="highest"),),
    ),
    "distinct": Chain("`distinct_captions`", ({"rule": "distinct_captions"},)),
    "hull": Chain("`hull`, 1 test set", ({"rule": "hull", "tests": ["val"], "delta": 0.0},)),
    "near": Chain("`near`, 1 test set, half", ({"rule": "near", "tests": ["val"], "keep": 0.5},)),
    "basic": Chain(
        "basic filter: 3 words, 6 characters, 200 pixels, aspect 3",
        (
            where("caption_words", least=3),
            where("caption_characters", least=6),
            where("short_side", least=200),
            where("aspect", most=3.0),
        ),
        lambda code, folder: code.load_uids_with_basic_filter(folder, cores()),
    ),
}


class Time(NamedTuple):
    """Seconds by the clock, and of processors, those of workers among them."""

    clock: float
    cpu: float

    def since(self) -> "Time":
        """What has passed."""
        return Time(*(now - then for now, then in zip(clock(), self, strict=True)))


def clock() -> Time:
    """Now."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return Time(time.perf_counter(), sum(one.ru_utime + one.ru_stime for one in used))


def start_of(code: str, *arguments: str, times: int = 2) -> Time:
    """What a process takes that runs ``code``, imports: the least of some, the files at hand."""
    found = []
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    for _ in range(times):
        begun = clock()
        subprocess.run([sys.executable, "-c", code, *arguments], check=True, env=environment)
        found.append(begun.since())
    return min(found, key=lambda one: one.cpu)


class Ours(NamedTuple):
    """Of one process: seconds of the decision, bytes that it took, rows; seconds of their uids."""

    seconds: Time
    bytes: int
    rows: int
    uids: Time


def decide(name: str, rows: int) -> Ours:
    """From the files to the file of the split, in this process."""
    chain = CHAINS[name]
    pa.scalar(0)  # by which Arrow imports pandas: start, as it is of DataComp's code
    before, start = splits.peak(), clock()
    base = chain.base
    for number, item in enumerate(chain.items):
        rule = rules.parse({**splits.SLOTS, **item, "base": base}, name)
        found = Inputs(pool(rows), split.read_for(layout.split(base), splits.POOL))
        base = f"{name}-{number}"
        splits.keep(base, rows, rule.decide(found).kept)
    seconds, peak = start.since(), splits.peak()
    made = split.read(layout.split(base))
    start = clock()
    if chain.theirs is not None:
        uids(pool(rows), made)
    return Ours(seconds, peak - before, len(made), start.since())


def pool(rows: int) -> Manifest:
    """The pool as it would be read, without the checks of opening it."""
    sizes = (min(splits.SHARD, rows - start) for start in range(0, rows, splits.SHARD))
    shards = tuple(Shard(str(number), "0", 0, size) for number, size in enumerate(sizes))
    return Manifest(layout.dataset(layout.POOL), splits.POOL, shards)


def uids(of: Manifest, made: split.Split) -> np.ndarray:
    """The split as DataComp writes a subset: sorted pairs of 64 bits."""
    parts = []
    for position in range(len(of.shards)):
        inside = pa.array(made.within(*of.starts[position : position + 2]))
        found = of.shard_table(position, ["pool_uid"])["pool_uid"].filter(inside)
        parts.append(_halves(found.combine_chunks()))
    pairs = np.frombuffer(b"".join(parts), ">u8").astype("<u8").reshape(-1, 2)
    # by the first half: two are never the same here
    return pairs[np.argsort(pairs[:, 0])].view("u8,u8")[:, 0]


def _halves(uid_M: pa.Array) -> bytes:
    """The bytes of uids of 32 hexadecimal digits, which lie one after the other."""
    _, offsets, digits = uid_M.buffers()
    first, last = np.frombuffer(offsets, np.int32)[[uid_M.offset, uid_M.offset + len(uid_M)]]
    return unhexlify(memoryview(digits)[first:last]) if len(uid_M) else b""


def theirs(name: str, folder: Path) -> Time:
    """DataComp's own code on the same values, in this process and its workers; the seconds."""
    for module in NEEDED:
        sys.modules[module] = ModuleType(module)
    sys.modules["fasttext"].FastText = ModuleType("FastText")  # ty: ignore[missing-attribute]
    sys.path.insert(0, str(folder))
    from importlib import import_module

    code: Any = import_module("baselines.apply_filter")
    code.download = lambda *_: ""
    code.fasttext.load_model = lambda _: None
    code.get_fasttext_language = lambda *_: "en"
    decided = CHAINS[name].theirs
    assert decided is not None
    start = clock()
    found = decided(code, str(METADATA))
    found.sort()
    seconds = start.since()
    np.save(f"{name}.npy", found)
    return seconds


def differing(name: str, rows: int) -> tuple[int, int, int]:
    """Rows that DataComp's code alone keeps, how many of them have just the value of its cut, and
    rows that ours alone keeps."""
    last = f"{name}-{len(CHAINS[name].items) - 1}"
    ours_N = split.read(layout.split(last)).mask(rows)
    theirs_N = np.zeros(rows, bool)
    theirs_N[np.load(f"{name}.npy")["f1"].astype(np.int64)] = True
    more_N = theirs_N & ~ours_N
    tied = 0
    if more_N.any():
        column = CHAINS[name].items[-1]["column"]
        values_N = pool(rows).kept(column).to_numpy()
        tied = np.count_nonzero(values_N[more_N] == values_N[theirs_N].min())
    return int(more_N.sum()), int(tied), int((ours_N & ~theirs_N).sum())


def table(rows: int, note: str, datacomp: Path | None) -> str:
    """Measure every chain, theirs right after ours."""
    lines = []
    starts = Time(0, 0), Time(0, 0)
    if datacomp is not None:
        starts = start_of(OUR_START), start_of(THEIR_START, str(datacomp))
    for name, chain in CHAINS.items():
        one = Ours(*apart(["--rows", str(rows), "--one-pool", name]))
        ours, listing = Time(*one.seconds), Time(*one.uids)
        shown = (
            f"| {chain.label} | {one.rows:,} | {ours.clock:.1f} | {ours.cpu:.2f} | "
            f"{one.bytes / rows:.0f} | "
        )
        if datacomp is not None and chain.theirs is not None:
            other = Time(*apart(["--one-theirs", name, "--datacomp", str(datacomp)]))
            more, tied, fewer = differing(name, rows)
            started = (other.cpu + starts[1].cpu) / (ours.cpu + starts[0].cpu)
            shown += (
                f"{other.clock:.1f} | {other.cpu:.2f} | {other.clock / ours.clock:.1f} | "
                f"{other.cpu / ours.cpu:.1f} | {started:.1f} | {listing.cpu:.2f} | "
                f"{other.cpu / (ours.cpu + listing.cpu):.1f} | {more:,} ({tied:,}) | {fewer:,} |"
            )
        else:
            shown += " |" * 9
        lines.append(shown)
        print(lines[-1], flush=True)
    return page(rows, lines, note, datacomp, starts)


def page(
    rows: int, lines: Sequence[str], note: str, datacomp: Path | None, starts: tuple[Time, Time]
) -> str:
    """The section of the page: what was measured, and the table."""
    beside = ""
    if datacomp is not None:
        beside = (
            " DataComp's `baselines` (commit "
            f"{commit(datacomp)}) ran right after each, {cores()} workers, on the same values; its "
            "language model is left out of it, for it is fetched. Its share is cut at the value "
            "of row N + 1 and keeps all that have it: such rows are counted as more, in brackets "
            "those that have just that value. Not in the seconds is the start, measured of "
            f"processes that import the same and end: ours takes {starts[0].cpu:.2f} CPU seconds, "
            f"DataComp's, with torch, {starts[1].cpu:.2f}; one column has both with it. Uids are "
            "text of 32 digits in the manifest, which have to be read of all shards, whatever the "
            "number of rows that stay: for few rows that takes longer than the decision. Ours is "
            "one process and theirs are several at once, so that `times`, by the clock, is less "
            "than `times in CPU` where processors are free."
        )
    return (
        f"{HEAD}\n\n`python -m benchmarks.splits --pool --rows {rows}"
        f"{' --datacomp FOLDER' if datacomp else ''}` on {describe('numpy', 'pyarrow', 'pandas')}. "
        f"{rows:,} rows with uid, caption, original size and two CLIP scores; every decision is a "
        "process, from the manifest's and scores' files to the split's. CPU is the time of all "
        "processors, workers' among it, which others on the machine change less than the clock. "
        "Memory is what the process grew by. "
        f"Uids: the subset as DataComp writes it, besides.{beside} {note}\n\n"
        "| decision | rows | s | CPU s | bytes a row | DataComp, s | CPU s | times | "
        "times in CPU | with the start | uids, CPU s | times with uids | more (at the cut) | "
        "fewer |\n|---" + "|---:" * 13 + "|\n" + "\n".join(lines) + "\n"
    )


def commit(folder: Path) -> str:
    """The commit of a clone, or `unknown` of a folder that is none."""
    command = ["git", "-C", str(folder), "rev-parse", "--short=12", "HEAD"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout.strip() if (folder / ".git").exists() else "unknown"


def apart(arguments: Sequence[str]) -> list[Any]:
    """What a process of its own prints last."""
    return json.loads(splits.alone(arguments).splitlines()[-1])
