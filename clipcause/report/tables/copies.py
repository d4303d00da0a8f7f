"""Duplicates of test images: the share of every test set that has one in its training data."""

import numpy as np
from jaxtyping import Float64

from clipcause.report.study import Study
from clipcause.report.tables.tabular import Rows
from clipcause.stats.statistics import wilson

COLUMNS = ("test", "data", "threshold", "images", "n_test", "share", "low", "high")
REFERENCE, POOL = "reference", "pool"


def rows(study: Study, threshold: float) -> Rows:
    """Per test set, and for reference, pool and every split without the reference, the test images
    whose nearest image there has at least this similarity, with the share's Wilson interval."""
    found: Rows = []
    for test, scores in study.scores.items():
        nearest: dict[str, Float64[np.ndarray, " Q"]] = {
            REFERENCE: scores.test.reference_sim,
            POOL: scores.test.pool_sim,
            **{name: study.gaps[name, test].alone_Q for name in study.rules},
        }
        for name, similarity_Q in nearest.items():
            count, total = int((similarity_Q >= threshold).sum()), len(similarity_Q)
            low, high = wilson(count, total)
            found.append(
                {
                    "test": test,
                    "data": name,
                    "threshold": threshold,
                    "images": count,
                    "n_test": total,
                    "share": round(count / total, 6),
                    "low": round(low, 6),
                    "high": round(high, 6),
                }
            )
    return found
