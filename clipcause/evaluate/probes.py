"""Probes: what linear classifiers on a run's features say about the test sets.

``probes/<name>/<condition>/draw-<n>/<test>.parquet``, in the format of ``predictions``: the
condition is ``all`` (every labelled row was fitted) or ``shots-<n>``. Test images of a class that
the probe was not fitted on have no row.
"""

from pathlib import Path

ALL = "all"


def condition(shots: int | None) -> str:
    """The name of a number of rows of every class; None is all of them."""
    return ALL if shots is None else f"shots-{shots}"


def predictions(folder: Path, shots: int | None, draw: int) -> Path:
    """The folder of one draw's predictions, one file per test set."""
    return folder / condition(shots) / f"draw-{draw}"
