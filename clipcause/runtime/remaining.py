"""How much of a run is left: stage i of n, and about how long, by what stages of a kind took.

A kind is the part of a stage's name before the @. What a kind took is the mean over this run;
before one has ended, that of the last run in this folder.
"""

import json
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from clipcause.runtime import atomic

FILE = "clipcause-seconds.json"  # in DVC's folder for temporary files
HOUR = 3600


class Remaining:
    """The stages of a run that are expected to be run, by name."""

    def __init__(self, stages: Iterable[str], jobs: int, folder: Path) -> None:
        self._left = dict.fromkeys(stages)
        self._all, self._begun, self._jobs = len(self._left), 0, jobs
        self._file = folder / FILE
        self._took: dict[str, list[float]] = {}
        self._before: dict[str, float] = {}
        with suppress(OSError, ValueError, AttributeError):
            stored = json.loads(self._file.read_text()).items()
            self._before = {kind: float(seconds) for kind, seconds in stored}

    def begins(self, stage: str) -> str:
        """Which of how many a stage is, and what is left with it, in words."""
        self._begun += 1
        self._all = max(self._all, self._begun)  # one that nobody expected
        seconds, is_known = 0.0, True
        for one in {**self._left, stage: None}:
            each = self._seconds(kind(one))
            is_known &= each is not None
            seconds += each or 0.0
        text = f"{self._begun} of {self._all}"
        if not seconds:
            return text
        return f"{text}, {'about' if is_known else 'at least'} {told(seconds / self._jobs)} left"

    def ended(self, stage: str, seconds: float | None = None) -> None:
        """A stage is up to date; ``seconds`` where it was run."""
        is_expected = stage in self._left
        self._left.pop(stage, None)
        if seconds is None:
            self._all -= is_expected  # it need not be run
        else:
            self._took.setdefault(kind(stage), []).append(seconds)

    def write(self) -> None:
        """Keep what kinds took for the next run."""
        means = {kind: self._seconds(kind) for kind in (*self._before, *self._took)}
        with suppress(OSError), atomic.file(self._file) as temporary:
            temporary.write_text(json.dumps(means, sort_keys=True))

    def _seconds(self, kind: str) -> float | None:
        took: Collection[float] = self._took.get(kind, ())
        return sum(took) / len(took) if took else self._before.get(kind)


def kind(stage: str) -> str:
    """Of a stage's name."""
    return stage.partition("@")[0]


def told(seconds: float) -> str:
    """A time that is not known exactly."""
    if seconds < 100:
        return f"{max(round(seconds, -1), 10):.0f} s"
    if seconds < 1.5 * HOUR:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / HOUR:.1f} h"
