"""Progress of long work: a bar with rate and ETA on a terminal, a few quiet lines in a log."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
LOG_EVERY_S = 30.0


def progress(
    items: Iterable[T], *, label: str, unit: str = "it", total: int | None = None, scale: int = 1
) -> Iterator[T]:
    """Pass ``items`` through and show how far they are.

    ``total`` counts items where they have no length; ``scale`` is the number of units that one
    item stands for (the samples of a batch, say).
    """
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # ty: ignore[invalid-argument-type]
    if sys.stderr.isatty():
        units = total * scale if total is not None else None
        with tqdm(total=units, desc=label, unit=unit, unit_scale=True, leave=False) as bar:
            for item in items:
                yield item
                bar.update(scale)
        return
    start = last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= LOG_EVERY_S:
            last = now
            rate = done * scale / (now - start)
            left = f", {(total - done) * scale / rate:.0f} s left" if total is not None else ""
            of = f" of {total * scale:,}" if total is not None else ""
            print(f"{label}: {done * scale:,}{of} {unit} at {rate:,.0f}/s{left}", file=sys.stderr)
