"""Duplicates of test images: the share of every test set that has one in its training data."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Float64

from clipcause.report.inputs import Inputs
from clipcause.report.tables.table import SHARES, High, Low, Table, Test, rounded, share

REFERENCE, POOL = "reference", "pool"


@dataclass(frozen=True)
class Row:
    """Test images with a near neighbour in some data."""

    test: Test
    data: Annotated[str, "`reference`, `pool`, or a split without the reference"]
    threshold: Annotated[float, "similarity from which an image counts as a duplicate"]
    images: Annotated[int, "test images whose nearest image there has at least this similarity"]
    n_test: Annotated[int, "all test images"]
    share: Annotated[float, "`images` over `n_test`"]
    low: Low
    high: High


def rows(inputs: Inputs) -> list[Row]:
    """Per test set, the images that have a duplicate, with the share's Wilson interval."""
    study, threshold, found = inputs.study, inputs.parameters.copy_threshold, []
    for test, scores in study.sources.scores.items():
        nearest: dict[str, Float64[np.ndarray, " Q"]] = {
            REFERENCE: scores.test.reference_sim,
            POOL: scores.test.pool_sim,
            **{name: study.gaps[name, test].alone_Q for name in study.rules},
        }
        for name, similarity_Q in nearest.items():
            count, total = int((similarity_Q >= threshold).sum()), len(similarity_Q)
            one = share(count, total)
            ends = (rounded(end, SHARES) for end in (one.value, one.low, one.high))
            found.append(Row(test, name, threshold, count, total, *ends))
    return found


TABLES = (Table("copies", Row, rows, looks=()),)
