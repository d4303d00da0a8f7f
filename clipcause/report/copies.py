"""Duplicates of test images: the share of every test set that has one in its training data."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Float64

from clipcause.report import series
from clipcause.report.content import Content
from clipcause.report.decimals import fixed
from clipcause.report.markup import chip, data_table, paragraph, table_row
from clipcause.report.series import Rows
from clipcause.report.study import Study
from clipcause.stats.statistics import wilson

TITLE = "Duplicates of test images"
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


def tables(content: Content) -> dict[str, tuple[Sequence[str], Rows]]:
    """The numbers as CSV."""
    return {"copies": (COLUMNS, rows(content.study, content.parameters.copy_threshold))}


def part(content: Content) -> str:
    """The section."""
    study, threshold = content.study, content.parameters.copy_threshold
    of = {(row["data"], row["test"]): row for row in rows(study, threshold)}
    colour, lines = series.colours(study), []
    for name in (REFERENCE, POOL, *study.rules):
        dot = "" if name in (REFERENCE, POOL) else chip(colour[name], hollow=name in study.twins)
        cells = [_cell(of[name, test]) for test in study.suite]
        kind = "random" if name in study.twins else ""
        lines.append(table_row(dot + escape(name), cells, kind))
    return (
        paragraph(
            "A test image counts as having a duplicate where its nearest image there has a "
            f"similarity of at least {threshold:g} (report.copy_threshold). That is a statement "
            f"about the encoder “{study.encoder}”, not about pixels: look at the pairs below "
            "“Pictures” before you call them copies. Splits are counted without the reference, "
            "which most runs saw as well."
        )
        + data_table(
            "Share of every test set with a duplicate, in %, its 95 % Wilson interval, and the "
            "number of test images. The published study states, for its own threshold and "
            "encoder, 3.1 % of ImageNet-Sketch in LAION-400M and 0.04 % in ImageNet-Train; "
            "of ImageNet-V2 0.14 % and 2.67 %.",
            ["data", *(f"{test}<small>of {len(study.suite[test]):,}</small>"
                       for test in study.suite)],
            lines,
        )
    )  # fmt: skip


def _cell(row: Mapping[str, Any]) -> str:
    low, high = 100 * row["low"], 100 * row["high"]
    ends = f"[{fixed(low, 1)}, {fixed(high, 1)}]"
    return f"{fixed(100 * row['share'], 1)}<small>{ends}<br>{row['images']:,}</small>"
