"""What the engines cost: shards a second against a plain loop over the same function.

    python -m benchmarks.engine --write benchmarks/engine.md

A shard's work is hashing (one core, no memory); its result is that of a shard of 10,000 images,
a float16 matrix of 10 MB. All engines do the same shards, in turns, in one run; the ratio is the
median over the rounds. The time until the first result (processes, imports, Ray itself) is given
apart, for it is paid once in a stage.
"""

import argparse
import hashlib
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.machine import describe, show
from clipcause.config.engine import Engine
from clipcause.runtime import shard_cache as cache
from clipcause.runtime.engine import mapped, shardwise

ROWS, DIM = 10_000, 512
HASHED = 1 << 24  # bytes, again and again
TIMES = 8
LOOP = "plain loop"


@dataclass(frozen=True)
class Work:
    """Some 100 ms of one core, and a part of an embedding store."""

    def start(self) -> None:
        """Nothing to load."""

    def __call__(self, item: int, /) -> dict[str, np.ndarray]:
        """The same rows for the same item."""
        digest, block = hashlib.sha256(), bytes([item % 256]) * HASHED
        for _ in range(TIMES):
            digest.update(block)
        return {"rows": np.full((ROWS, DIM), digest.digest()[0], np.float16)}

    def name(self, item: int, /) -> str:
        """What an error would call it."""
        return f"{item:05d}.tar"


def timed(results: Iterable[object]) -> tuple[float, float]:
    """Seconds until the first result, and from there to the last."""
    start = time.perf_counter()
    steps = iter(results)
    next(steps)
    first = time.perf_counter()
    for _ in steps:
        pass
    return first - start, time.perf_counter() - first


def kept(shards: int, where: Engine) -> Iterable[object]:
    """Through the shard cache."""
    items = range(shards)
    return shardwise(Work(), items, key=cache.key, store=cache.ARRAYS, where=where, label="bench")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path, help="write the table here as well")
    arguments = parser.parse_args()
    count = arguments.shards
    two, ray = Engine(workers=2), Engine(kind="ray", workers=2)
    engines: dict[str, Callable[[], Iterable[object]]] = {
        LOOP: lambda: map(Work(), range(count)),
        "`mapped`, in process": lambda: mapped(Work(), range(count), Engine()),
        "`mapped`, 2 processes": lambda: mapped(Work(), range(count), two),
        "`mapped`, 2 Ray actors": lambda: mapped(Work(), range(count), ray),
        "`shardwise`, in process": lambda: kept(count, Engine()),
        "`shardwise`, all kept": lambda: kept(count, Engine()),
    }
    rates, begun = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            os.environ[cache.ENVIRONMENT] = folder
            for name, make in engines.items():
                first, rest = timed(make())
                rates[name].append((count - 1) / rest)
                begun[name].append(first)
    lines = []
    for name, found in rates.items():
        ratio = median(one / loop for one, loop in zip(found, rates[LOOP], strict=True))
        # Ray itself is started in the first round
        lines.append(f"| {name} | {median(found):.1f} | {ratio:.2f} | {begun[name][0]:.2f} |")
    text = (
        "# Engines\n\n"
        f"`python -m benchmarks.engine` on {describe('numpy', 'ray')}. Medians of "
        f"{arguments.rounds} rounds of {count} shards, a result of {ROWS * DIM * 2 / 1e6:.0f} MB "
        "each. Rates after the first result; the ratio is to the plain loop; two workers share two "
        "cores with the stage that takes their results. The first result of the first round: what "
        "starting costs.\n\n"
        "| how | shards a second | ratio | first result, s |\n|---|---:|---:|---:|\n"
        + "\n".join(lines)
        + "\n"
    )
    show(text, arguments.write)


if __name__ == "__main__":
    main()
