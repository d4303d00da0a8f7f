"""Decisions from stored scores and columns, DataComp's kind of pool: `benchmarks.splits --pool`.

The pool is synthetic: uids, captions, original sizes and both CLIP scores, as DataComp's metadata
have them, in a manifest of shards of 10,000 rows, and as Parquet files of 100,000 rows, which
DataComp's own code reads. With `--datacomp FOLDER`, a clone of mlfoundations/datacomp, its
`baselines` decide the same from the same values with one worker a core. No caption's language is
asked on either side: its fastText model is fetched from the network, and is replaced by one that
finds English everywhere.
"""

import json
import subprocess
import sys
import time
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
}


class Ours(NamedTuple):
    """Of one process: seconds of the decision, bytes that it took, rows; seconds of their uids."""

    seconds: float
    bytes: int
    rows: int
    uids: float


def decide(name: str, rows: int) -> Ours:
    """From the files to the file of the split, in this process."""
    chain, before = CHAINS[name], splits.peak()
    start = time.perf_counter()
    base = chain.base
    for number, item in enumerate(chain.items):
        rule = rules.parse({**splits.SLOTS, **item, "base": base}, name)
        found = Inputs(pool(rows), split.read_for(layout.split(base), splits.POOL))
        base = f"{name}-{number}"
        splits.keep(base, rows, rule.decide(found).kept)
    seconds, peak = time.perf_counter() - start, splits.peak()
    made = split.read(layout.split(base))
    start = time.perf_counter()
    uids(pool(rows), made)
    return Ours(seconds, peak - before, len(made), time.perf_counter() - start)


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
        parts.append(bytes.fromhex("".join(found.to_pylist())))
    pairs = np.frombuffer(b"".join(parts), ">u8").astype("<u8").reshape(-1, 2)
    # by the first half: two are never the same here
    return pairs[np.argsort(pairs[:, 0])].view("u8,u8")[:, 0]


def theirs(name: str, folder: Path) -> float:
    """DataComp's own code on the same values, in this process and its workers; the seconds."""
    for module in ("fasttext", "gcld3"):  # nothing here asks them anything
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
    start = time.perf_counter()
    found = decided(code, str(METADATA))
    found.sort()
    seconds = time.perf_counter() - start
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
    """Measure every chain, theirs right after ours; the section of the page."""
    lines = []
    for name, chain in CHAINS.items():
        one = Ours(*apart(["--rows", str(rows), "--one-pool", name]))
        shown = (
            f"| {chain.label} | {one.rows:,} | {one.seconds:.1f} | {one.bytes / rows:.0f} | "
            f"{one.seconds + one.uids:.1f} |"
        )
        if datacomp is not None and chain.theirs is not None:
            (seconds,) = apart(["--one-theirs", name, "--datacomp", str(datacomp)])
            more, tied, fewer = differing(name, rows)
            ratio, both = seconds / one.seconds, seconds / (one.seconds + one.uids)
            shown += (
                f" {seconds:.1f} | {ratio:.1f} | {both:.1f} | {more:,} ({tied:,}) | {fewer:,} |"
            )
        else:
            shown += "  |  |  |  |  |"
        lines.append(shown)
        print(lines[-1], flush=True)
    beside = ""
    if datacomp is not None:
        beside = (
            " DataComp's `baselines` (commit "
            f"{commit(datacomp)}) ran right after each, {cores()} workers, on the same values; its "
            "language model is left out of it, for it is fetched. Its share is cut at the value "
            "of row N + 1 and keeps all that have it: such rows are counted as more, in brackets "
            "those that have just that value."
        )
    return (
        f"{HEAD}\n\n`python -m benchmarks.splits --pool --rows {rows}"
        f"{' --datacomp FOLDER' if datacomp else ''}` on {describe('numpy', 'pyarrow', 'pandas')}. "
        f"{rows:,} rows with uid, caption, original size and two CLIP scores; every decision is a "
        "process, from the manifest's and scores' files to the split's. Memory is what it grew by. "
        f"With uids: the subset as DataComp writes it besides.{beside} {note}\n\n"
        "| decision | rows | s | bytes a row | s with uids | DataComp, s | times | times with uids "
        "| more (at the cut) | fewer |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n"
        + "\n".join(lines)
        + "\n"
    )


def commit(folder: Path) -> str:
    """The commit of a clone, or `unknown` of a folder that is none."""
    command = ["git", "-C", str(folder), "rev-parse", "--short=12", "HEAD"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout.strip() if (folder / ".git").exists() else "unknown"


def apart(arguments: Sequence[str]) -> list[Any]:
    """What a process of its own prints last."""
    return json.loads(splits.alone(arguments).splitlines()[-1])
