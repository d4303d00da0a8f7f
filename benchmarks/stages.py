"""How long does every stage of a study take? Reads what `dvc repro` prints, while it runs.

    make repro 2>&1 | python -m benchmarks.stages --write benchmarks/stages.md

Stages of one kind (`train@…`) are one row: how many, their sum, the longest. DVC's own work
between two stages counts to the one before.
"""

import argparse
import sys
import time
from collections import defaultdict
from pathlib import Path

from benchmarks.machine import describe

MARK = "Running stage '"


def watch() -> dict[str, list[float]]:
    """Pass standard input through; seconds of every stage by kind, in order."""
    seconds: dict[str, list[float]] = defaultdict(list)
    current, since = "start", time.monotonic()
    for line in sys.stdin:
        sys.stdout.write(line)
        sys.stdout.flush()
        if line.startswith(MARK):
            now = time.monotonic()
            seconds[current].append(now - since)
            current, since = line.removeprefix(MARK).partition("'")[0].partition("@")[0], now
    seconds[current].append(time.monotonic() - since)
    return dict(seconds)


def table(seconds: dict[str, list[float]]) -> str:
    """The Markdown table, with the total."""
    lines = ["| stage | runs | seconds in all | longest |", "|---|---:|---:|---:|"]
    lines += [
        f"| {name} | {len(each)} | {sum(each):.1f} | {max(each):.1f} |"
        for name, each in seconds.items()
    ]
    total = sum(sum(each) for each in seconds.values())
    return "\n".join([*lines, f"| **all** | | **{total:.0f}** | |"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="write the table here as well")
    parser.add_argument("--note", default="", help="of what else the machine did, for the table")
    arguments = parser.parse_args()
    body = table(watch())
    text = (
        "# Wall time of the default study\n\n"
        "`make repro 2>&1 | python -m benchmarks.stages` from a fresh clone, environment and cache "
        f"of fetched files apart, on {describe()}. {arguments.note}\n\n{body}\n"
    )
    print(text)
    if arguments.write:
        arguments.write.write_text(text)


if __name__ == "__main__":
    main()
