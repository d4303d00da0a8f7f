"""Matching two downloads of a pool: time, memory and disk for four sizes.

    python -m benchmarks.overlap                # 1.5 to 18 million rows a side; 6 GB of disk
    python -m benchmarks.overlap 1000000        # one size, printed only
    python -m benchmarks.overlap 18000000:128   # of which DuckDB may hold 128 MiB

Made-up manifests of random ids, with the shards of LAION-400M (10,000 rows): the second has nine
tenths of the first one's rows, in shards of another order, a twentieth of them with a changed
caption, and a twentieth of rows of its own. Each size runs in a process of its own.
"""

import binascii
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.machine import describe
from clipcause.data import manifest, overlap
from clipcause.data.manifest import MANIFEST, PLACE_KEY, SCHEMA, SHARDS_KEY
from clipcause.data.shards import Shard
from clipcause.runtime.splitmix64 import GAMMA, finalised

TABLE = Path(__file__).with_suffix(".md")
LEAST = 128  # MiB that DuckDB may hold: of 18 million rows a side an eighth
SIZES = ("1500000", "3000000", "6000000", f"18000000:{LEAST}")
POOL = 413_000_000
SHARD = 10_000


def ids(number_K: np.ndarray, kind: int) -> pa.Array:
    """128-bit ids of numbers, 32 hexadecimal digits each."""
    words_K2 = np.empty((len(number_K), 2), np.uint64)
    for half in range(2):
        salt = np.uint64(2 * kind + half) << np.uint64(48)
        words_K2[:, half] = finalised((number_K + salt) * GAMMA)
    digits = binascii.hexlify(words_K2.tobytes())
    offsets = np.arange(0, len(digits) + 1, 32, dtype=np.int32)
    buffers = [pa.py_buffer(offsets), pa.py_buffer(digits)]
    return pa.StringArray.from_buffers(len(number_K), *buffers)


def write(folder: Path, rows: int, *, second: bool) -> None:
    """One of the two manifests."""
    folder.mkdir(parents=True)
    blocks = np.arange(0, rows, SHARD)
    if second:
        np.random.default_rng(1).shuffle(blocks)
    shards, start = [], 0
    keys = pa.array([f"{n:09d}" for n in range(SHARD)])
    with pq.ParquetWriter(
        folder / MANIFEST, SCHEMA, compression="zstd", use_dictionary=["shard"]
    ) as writer:
        for place, first in enumerate(blocks.tolist()):
            number_K = np.arange(first, min(first + SHARD, rows), dtype=np.uint64)
            changed_K = np.zeros(len(number_K), bool)
            if second:
                random = np.random.default_rng([2, first])
                fate_K = random.random(len(number_K))
                number_K, fate_K = number_K[fate_K < 0.95], fate_K[fate_K < 0.95]
                number_K[fate_K >= 0.9] += np.uint64(1 << 40)  # rows of its own
                changed_K = fate_K < 0.045
            name = f"{place:05d}.tar"
            count = len(number_K)
            source = np.where(changed_K, number_K + np.uint64(1 << 41), number_K)
            columns = {
                "row": pa.array(np.arange(start, start + count)),
                "shard": pa.array([name] * count),
                "key": keys[:count],
                "uid": ids(number_K, 1),
                "source_id": ids(source, 0),
            }
            missing = {field.name: pa.nulls(count, field.type) for field in SCHEMA}
            writer.write_table(pa.table({**missing, **columns}, schema=SCHEMA), count)
            shards.append(Shard(name, "0" * 64, 0, count))
            start += count
        writer.add_key_value_metadata(
            {SHARDS_KEY: manifest.encode_shards(shards), PLACE_KEY: "nowhere"}
        )


def measured(folder: Path, memory: int) -> dict[str, float]:
    """Seconds of the match, and the most memory that this process ever had, less its start's."""
    a, b = (manifest.read(folder / side, shards=False) for side in ("a", "b"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scratch = folder / "scratch"
    done = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        spilled = pool.submit(most_on_disk, scratch, done)
        start, spent = time.perf_counter(), time.process_time()
        try:
            found = overlap.match(a, b, scratch, memory)
        finally:
            done.set()
        return {
            "seconds": time.perf_counter() - start,
            "cpu": time.process_time() - spent,
            "mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
            "disk": spilled.result() / 2**20,
            **found.counts,
        }


def most_on_disk(folder: Path, done: threading.Event) -> int:
    """The most bytes that a folder has until ``done``, looked at twenty times a second."""
    most = 0
    while not done.wait(0.05):
        with suppress(FileNotFoundError):  # a file that went while it was looked at
            files = (path for path in folder.rglob("*") if path.is_file())
            most = max(most, sum(path.stat().st_size for path in files))
    return most


def run(rows: int, memory: int) -> dict[str, float]:
    """One size, in a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for side in ("a", "b"):
            write(folder / side, rows, second=side == "b")
        context = multiprocessing.get_context("spawn")
        with context.Pool(1) as pool:
            return pool.apply(measured, (folder, memory))


def main() -> None:
    words = sys.argv[1:] or SIZES
    found = []
    for word in words:
        rows, _, mib = word.partition(":")
        memory = int(mib) << 20 if mib else overlap.MEMORY
        found.append({"limit": memory >> 20, **run(int(rows), memory)})
    names = ("rows_a", "rows_b", "by_source_id", "by_uid", "limit", "mib", "disk")
    lines = [
        "# Matching two downloads of one pool",
        "",
        f"`python -m benchmarks.overlap`: {describe('duckdb', 'numpy', 'pyarrow')}; load average "
        f"at the end {os.getloadavg()[0]:.1f}. The limit is what DuckDB may hold; memory is all "
        "that the process took for the match.",
        "",
        "| rows of A | of B | by source_id | by uid | limit, MiB | MiB of memory | MiB on disk "
        "| seconds | CPU seconds | rows a second |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for one in found:
        both = one["rows_a"] + one["rows_b"]
        rest = f"{one['seconds']:.1f} | {one['cpu']:.1f} | {both / one['seconds']:,.0f}"
        lines.append(f"| {' | '.join(f'{int(one[name]):,}' for name in names)} | {rest} |")
    last = found[-1]
    scale = 2 * POOL / (last["rows_a"] + last["rows_b"])
    minutes, gib = scale * last["cpu"] / 60, scale * last["disk"] / 1024
    lines += [
        "",
        "What grows with the rows outside DuckDB is 4 bytes for a row's partner and up to 3 for "
        f"flags. At the rates of the last line 413 million rows a side take {minutes:.0f} minutes "
        f"of a core and {gib:.0f} GiB on disk while the match runs.",
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if not sys.argv[1:]:
        TABLE.write_text(text)
    else:
        print(json.dumps(last))


if __name__ == "__main__":
    main()
