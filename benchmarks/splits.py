"""Split operations at the size of LAION-400M: time, memory, bytes.

    python -m benchmarks.splits                       # 400,000,000 rows, 20 GB of temporary files
    python -m benchmarks.splits --rows 4000000        # a look
    python -m benchmarks.splits --pool                # 12,800,000 rows with columns, as DataComp's

Scores of one synthetic test set are written as `similarity` writes them; those of the other five
are copies. Every operation is a process of its own, from its files to its files: it reads base and
scores, applies the rule and writes the split; the clock starts when Python and its libraries are
there. Memory is the largest resident size of that process, Python and its libraries included.

The limit is the time that the operation's bytes need at the rate measured in the same run. Scores
are dropped from the page cache before, and read at the rate of reading the same file to no end; a
split's 50 MB and the booleans of 400 M rows move at the rate of copying memory. Where one column is
read, the seconds with it in the page cache stand beside: what the operation itself takes.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq

from benchmarks.machine import describe
from clipcause.config import FILE, layout
from clipcause.data.manifest import Manifest
from clipcause.data.shards import Shard
from clipcause.prune import rules, split
from clipcause.prune.inputs import Inputs
from clipcause.prune.split import diff as cli
from clipcause.search import scores

TABLE = Path(__file__).with_suffix(".md")
TESTS = ("val", "v2", "sketch", "r", "a", "objectnet")
POOL = "0" * 64
CARD = {"encoder": "e" * 64, "pool": POOL, "reference": "r" * 64, "test": "t" * 64}
BLOCK = 1 << 20
SHARD = 10_000
QUERIES = 50_000
GIB = 2**30
SLOTS: dict[str, Any] = {"base": "dedup", "of": "none", "with": "none"}


class Measured(NamedTuple):
    """What a process reports of its operation; ``rows`` are those of the result."""

    seconds: float
    peak: int
    rows: int


def make(rows: int, tests: Sequence[str] = TESTS) -> None:
    """Base splits of all rows and of a half, scores, and what names them; in the working folder."""
    FILE.write_text("encoder: {name: clip}\nreference: reference\n")
    chance = np.random.default_rng(0)
    mask_N = np.empty(rows, bool)
    test = scores.TestScores(
        row=np.arange(QUERIES),
        reference_sim=np.zeros(QUERIES),
        reference_row=np.zeros(QUERIES, np.int64),
        pool_sim=np.zeros(QUERIES),
        pool_row=np.zeros(QUERIES, np.int64),
    )
    folder = layout.similarity("clip", "reference", TESTS[0])
    with scores.writing(folder, CARD, QUERIES) as out:
        for start in range(0, rows, BLOCK):
            count = min(BLOCK, rows - start)
            mask_N[start : start + count] = chance.random(count, np.float32) < 0.5
            max_sim_M = chance.standard_normal(count, np.float32) * np.float32(0.08)
            max_sim_M += np.float32(0.45)
            # about one row in ten lies inside the hull
            margin_M = max_sim_M - chance.random(count, np.float32) * np.float32(0.3)
            margin_M -= np.float32(0.45)
            nearest_M = np.zeros(count, np.int32)  # no operation reads it
            out.add(scores.PoolScores(max_sim_M, nearest_M, margin_M))
        out.finish(test)
    for name in tests[1:]:
        shutil.copytree(folder, layout.similarity("clip", "reference", name))
    for name, made in (("all", split.everything(rows)), ("dedup", split.from_mask(mask_N))):
        split.write(layout.split(name), made, card=card(rows))


def card(rows: int) -> dict[str, Any]:
    """What the card of every split here states."""
    return {"pool": POOL, "pool_rows": rows}


def inputs(rows: int) -> Inputs:
    """A pool of so many rows, and the base: half of it."""
    pool = Manifest(Path(), POOL, (Shard("0", "0", 0, rows),))
    return Inputs(pool, split.read_for(layout.split("dedup"), POOL))


def ruled(name: str, rows: int, **values: Any) -> int:
    """What a rule keeps."""
    rule = rules.parse({**SLOTS, **values}, name)
    return keep(name, rows, rule.decide(inputs(rows)).kept)


def hull(name: str, rows: int, tests: tuple[str, ...]) -> int:
    """Rows that no test set removes."""
    return ruled(name, rows, rule="hull", tests=list(tests))


def ranked(name: str, rows: int, kind: str, tests: tuple[str, ...]) -> int:
    """A quarter of the pool by similarity."""
    return ruled(name, rows, rule=kind, tests=list(tests), keep=0.5)


def random(name: str, rows: int) -> int:
    """A quarter of the pool by chance."""
    return ruled(name, rows, rule="random", keep=0.5, seed=0)


def combined(name: str, rows: int, operation: Callable[..., split.Split]) -> int:
    """A set operation on the hull split and the random one."""
    a, b = (split.read_for(layout.split(one), POOL) for one in ("hull", "random"))
    return keep(name, rows, operation(a, b))


def diff(_: str, __: int) -> int:
    """`python -m clipcause diff`, without class labels."""
    cli.main("hull", "random")
    return 0


def shards(_: str, rows: int) -> int:
    """What a reader of shards asks for, over the whole pool."""
    one = split.read_for(layout.split("random"), POOL)
    return sum(int(one.within(a, min(a + SHARD, rows)).sum()) for a in range(0, rows, SHARD))


def keep(name: str, rows: int, made: split.Split) -> int:
    """Write a result; how many rows it has."""
    split.write(layout.split(name), made, card=card(rows))
    return len(made)


class Operation(NamedTuple):
    """What is measured, how often it reads a column of scores, how often a boolean a row."""

    run: Callable[[str, int], int]
    label: str
    column: str = ""
    columns: int = 0
    masks: int = 0
    files: tuple[str, ...] = ()


SOME, ALL = ("val",), TESTS
OPERATIONS = {
    "hull": Operation(lambda n, r: hull(n, r, SOME), "hull, 1 test set", "margin", 1, 3),
    "combined": Operation(lambda n, r: hull(n, r, ALL), "hull, 6 test sets", "margin", 6, 3),
    "near": Operation(lambda n, r: ranked(n, r, "near", SOME), "near, 1 test set", "max_sim", 1, 2),
    "far": Operation(lambda n, r: ranked(n, r, "far", SOME), "far, 1 test set", "max_sim", 1, 2),
    "core": Operation(lambda n, r: ranked(n, r, "core", ALL), "core, 6 test sets", "max_sim", 6, 2),
    "random": Operation(random, "random", masks=2),
    "union": Operation(
        lambda n, r: combined(n, r, split.union), "union", files=("hull", "random", "union")
    ),
    "intersection": Operation(
        lambda n, r: combined(n, r, split.intersection),
        "intersection",
        files=("hull", "random", "intersection"),
    ),
    "difference": Operation(
        lambda n, r: combined(n, r, split.difference),
        "difference",
        files=("hull", "random", "difference"),
    ),
    "diff": Operation(diff, "diff (counts, Jaccard)", files=("hull", "random")),
    "shards": Operation(shards, "`within` of every shard of 10,000", masks=1, files=("random",)),
}


def measure(name: str, rows: int) -> Measured:
    """Run one operation in this process."""
    start = time.perf_counter()
    count = OPERATIONS[name].run(name, rows)
    seconds = time.perf_counter() - start
    return Measured(seconds, peak(), count)


def peak() -> int:
    """The largest resident size of this process, in bytes; `ru_maxrss` begins with its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def apart(name: str, rows: int, *, cold: bool) -> Measured:
    """Run one operation in a process of its own; ``cold``: with no scores in the page cache."""
    for test in TESTS if cold else ():
        forget(scores_file(test))
    return Measured(*json.loads(alone(["--rows", str(rows), "--one", name]).splitlines()[-1]))


def alone(arguments: Sequence[str]) -> str:
    """What this command prints in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.splits", *arguments]
    root = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return done.stdout


def scores_file(test: str = TESTS[0]) -> Path:
    """The file whose columns are read."""
    return layout.similarity("clip", "reference", test) / scores.POOL


def forget(path: Path) -> None:
    """Drop a file from the page cache."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def disk_rate(most: int = 2 * GIB) -> float:
    """Bytes a second of reading the scores' file, cold."""
    path = scores_file()
    forget(path)
    done, start = 0, time.perf_counter()
    with path.open("rb", buffering=0) as stream:
        while done < most and (piece := stream.read(1 << 23)):
            done += len(piece)
    return done / (time.perf_counter() - start)


def memory_rate() -> float:
    """Bytes a second of copying memory."""
    source = np.ones(GIB // 4, np.uint8)
    target = np.zeros_like(source)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        np.copyto(target, source)
        seconds.append(time.perf_counter() - start)
    return len(source) / min(seconds)


def stored(column: str) -> int:
    """The bytes of a column of scores in its file."""
    footer = pq.ParquetFile(scores_file()).metadata
    groups = (footer.row_group(group) for group in range(footer.num_row_groups))
    position = scores.POOL_SCHEMA.get_field_index(column)
    return sum(group.column(position).total_compressed_size for group in groups)


def size(name: str) -> int:
    """The bytes of a split's rows."""
    return (layout.split(name) / split.ROWS).stat().st_size


def line(name: str, rows: int, disk: float, memory: float) -> str:
    """A row of the table."""
    one, found = OPERATIONS[name], apart(name, rows, cold=True)
    warm = f"{apart(name, rows, cold=False).seconds:.2f}" if one.columns == 1 else ""
    read = stored(one.column) * one.columns if one.column else 0
    limit = read / disk + (one.masks * rows + sum(map(size, one.files))) / memory
    written = (layout.split(name) / split.ROWS).exists()
    result = f"{found.rows:,}" if found.rows else ""
    bits = f"{size(name) * 8 / rows:.4f}" if written else ""
    return (
        f"| {one.label} | {result} | {found.seconds:.2f} | {warm} | {found.peak / GIB:.2f} | "
        f"{bits} | {read / 1e9:.1f} | {limit:.2f} | {limit / found.seconds:.0%} |"
    )


def table(rows: int, note: str) -> str:
    """Measure everything; the Markdown page."""
    disk, memory = disk_rate(), memory_rate()
    lines = []
    for name in OPERATIONS:
        lines.append(line(name, rows, disk, memory))
        print(lines[-1], flush=True)
    where = describe("numpy", "pyarrow", "pyroaring")
    head = (
        f"# Split operations on {rows:,} rows\n\n"
        f"`python -m benchmarks.splits --rows {rows}` on {where}. "
        f"Disk {disk / 1e9:.2f} GB/s (reading, "
        f"cold), memory {memory / 1e9:.1f} GB/s (copying). Base: half the rows; near, far, core "
        f"and random keep half of it. {note}\n\n"
        "| operation | rows of the result | seconds | scores cached | peak GiB | "
        "bits a pool row on disk | GB of scores read | limit, s | share of the limit |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|\n"
    )
    return head + "\n".join(lines) + "\n"


def main() -> None:
    from benchmarks import splits_pool  # which takes this module's parts

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, help="400,000,000, with --pool 12,800,000")
    parser.add_argument("--pool", action="store_true", help=splits_pool.__doc__)
    parser.add_argument("--datacomp", type=Path, help="with --pool, a clone to stand beside")
    parser.add_argument("--folder", type=Path, help="make the scores here, or take those that are")
    parser.add_argument("--write", type=Path, help=f"write the table, as in {TABLE.name}")
    parser.add_argument("--note", default="", help="of what else the machine did, for the table")
    parser.add_argument("--one", choices=OPERATIONS, help=argparse.SUPPRESS)
    parser.add_argument("--one-pool", choices=splits_pool.CHAINS, help=argparse.SUPPRESS)
    parser.add_argument("--one-theirs", choices=splits_pool.CHAINS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    rows = arguments.rows or (splits_pool.ROWS if arguments.pool else 400_000_000)
    if arguments.one:
        print(json.dumps(measure(arguments.one, rows)))
    elif arguments.one_pool:
        print(json.dumps(splits_pool.decide(arguments.one_pool, rows)))
    elif arguments.one_theirs:
        print(json.dumps([splits_pool.theirs(arguments.one_theirs, arguments.datacomp)]))
    else:
        target = arguments.write.absolute() if arguments.write else None
        datacomp = arguments.datacomp.absolute() if arguments.datacomp else None
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(arguments.folder or folder)
            there = (layout.split("dedup") / split.ROWS).exists()
            if arguments.pool:
                if not there:
                    splits_pool.make(rows)
                    make(rows, TESTS[:1])
                text = splits_pool.table(rows, arguments.note, datacomp)
            else:
                if not there:
                    make(rows)
                text = table(rows, arguments.note)
            os.chdir("/")
        print(text)
        if target:
            target.write_text(together(target, text))


def together(target: Path, text: str) -> str:
    """The page with the part ``text`` in the place of its older one: it has two, each a command."""
    from benchmarks.splits_pool import HEAD

    page = target.read_text() if target.exists() else ""
    first, _, second = page.partition(HEAD)
    if text.startswith(HEAD):
        return first + text
    return text + (f"\n{HEAD}{second}" if second else "")


if __name__ == "__main__":
    main()
