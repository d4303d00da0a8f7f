"""Test images as the models of a condition saw them: how similar what they learnt from is, how many
rows of the image's class it has, and whether they are right.

Class frequencies are those that `evaluate` counted among a run's training rows.

Shapes: Q test images.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64, Shaped

from clipcause.config import layout
from clipcause.evaluate import predictions
from clipcause.report.conditions import Condition
from clipcause.report.inputs import Inputs
from clipcause.report.outline import Outline
from clipcause.report.study import Pair


@dataclass(frozen=True)
class Seen:
    """The images of a test set as one condition saw them."""

    similarity_Q: Float64[np.ndarray, " Q"]
    frequency_Q: Float64[np.ndarray, " Q"] | None  # training rows of the image's class
    correct_Q: Float64[np.ndarray, " Q"]
    class_Q: Int64[np.ndarray, " Q"]

    @property
    def varying(self) -> Float64[np.ndarray, " Q"] | None:
        """The frequencies, unless all are the same and say nothing."""
        if self.frequency_Q is None or np.ptp(self.frequency_Q) == 0:
            return None
        return self.frequency_Q


def seen(inputs: Inputs) -> dict[Pair, Seen]:
    """Every condition on every test set."""
    study, found = inputs.study, {}
    label_of = {test: labels(study, test) for test in study.tests}
    for name, one in study.conditions.items():
        for test in study.tests:
            _, class_Q = np.unique(label_of[test], return_inverse=True)
            found[name, test] = Seen(
                study.similarity(one, test),
                _frequency(one, test, label_of[test]),
                study.outcomes[name, test].top1_Q,
                class_Q.astype(np.int64),
            )
    return found


def labels(study: Outline, test: str) -> Shaped[np.ndarray, " Q"]:
    """The class id of every image of a test set, as text; empty where no model answered."""
    for one in study.conditions.values():
        table = predictions.read(layout.predictions(one.runs[0]), test)
        return np.array(table["label"].to_pylist(), dtype=str)
    return np.array([], dtype=str)


def by_class(run: str, test: str) -> list[dict[str, Any]]:
    """What `evaluate` found of every class; nothing where it was not told class frequencies."""
    folder = layout.predictions(run)
    is_there = (folder / f"{test}.classes.csv").exists()
    return predictions.read_classes(folder, test).to_pylist() if is_there else []


def _frequency(one: Condition, test: str, label_Q: np.ndarray) -> Float64[np.ndarray, " Q"] | None:
    """Mean over seeds; None where a run or the class of an image has no frequency."""
    found = [{row["class"]: row["frequency"] for row in by_class(run, test)} for run in one.runs]
    known = [[table.get(label) for table in found] for label in label_Q.tolist()]
    if not known or any(value is None for values in known for value in values):
        return None
    return np.array(known, dtype=np.float64).mean(axis=1)
