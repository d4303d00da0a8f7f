"""The page's section on test sets of captions: R@k by condition, beside the random split's.

Shapes: S runs of a condition, N queries (images, or distinct captions).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Float64

from clipcause.config.report import Report
from clipcause.evaluate.retrieval import DEPTHS
from clipcause.report import charts, series
from clipcause.report.conditions import Condition
from clipcause.report.markup import (
    chip,
    data_table,
    difference,
    key,
    panels,
    paragraph,
    stroke,
    table_row,
)
from clipcause.report.retrieved import DIRECTIONS, Retrieved
from clipcause.report.statistics import binned_accuracy
from clipcause.report.study import Study
from clipcause.report.table import path, points
from clipcause.stats.comparison import Comparison, Interval, compare
from clipcause.stats.statistics import wilson

TITLE = "Finding captions and images"
TEXT = "image_to_text"
COLUMNS = {
    "retrieval": (
        "test", "direction", "depth", "split", "beside", "kind", "recall", "low", "high",
        "difference", "difference_low", "difference_high", "colour",
    ),
    "retrieval_bins": (
        "test", "split", "kind", "similarity", "accuracy", "low", "high", "images", "colour",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Recall:
    """R@k with its Wilson interval, and its difference from the random split's."""

    share: Interval
    against: Comparison | None


@dataclass(frozen=True)
class Line:
    """One condition on one test set; keys of ``recalls`` are direction and depth."""

    condition: Condition
    recalls: dict[tuple[str, int], Recall]
    median: dict[str, float]  # of the ranks, by direction; over runs their mean


Found = dict[str, list[Line]]  # by test set


def load(study: Study, parameters: Report) -> Found:
    """All conditions that were asked for captions, in their order."""
    return {
        test: [
            _line(one, found, parameters)
            for name, one in study.conditions.items()
            if name in found.ranks
        ]
        for test, found in study.retrieval.items()
    }


def _line(one: Condition, found: Retrieved, parameters: Report) -> Line:
    recalls, median = {}, {}
    for direction in DIRECTIONS:
        rank_SN = getattr(found.ranks[one.name], direction)
        median[direction] = float(np.median(rank_SN, axis=1).mean())
        for depth in DEPTHS:
            right_N = (rank_SN <= depth).mean(axis=0)
            hits, count = float(right_N.sum()), len(right_N)
            against = None
            if (beside_TN := _beside(one, found, direction, depth)) is not None:
                against = compare(
                    beside_TN, rank_SN <= depth, resamples=parameters.resamples,
                    seed=parameters.seed,
                ).reversed()  # fmt: skip
            share = Interval(hits / count, *wilson(hits, count))
            recalls[direction, depth] = Recall(share, against)
    return Line(one, recalls, median)


def _beside(
    one: Condition, found: Retrieved, direction: str, depth: int
) -> Float64[np.ndarray, "S N"] | None:
    """What a condition is compared with, as `Study.twin_units` has it for classes."""
    ranks = [getattr(found.ranks[twin], direction) for twin in one.twins if twin in found.ranks]
    if len(ranks) == 1:
        return (ranks[0] <= depth).astype(np.float64)
    return np.stack([(rank_SN <= depth).mean(axis=0) for rank_SN in ranks]) if ranks else None


def numbers(found: Found) -> dict[str, Any]:
    """The metrics: differences from the random split by condition, test set, direction, depth."""
    drops: dict[str, Any] = {}
    for test, lines in found.items():
        for line in lines:
            for (direction, depth), recall in line.recalls.items():
                if recall.against:
                    of_test = drops.setdefault(path(line.condition.name), {}).setdefault(test, {})
                    value = recall.against.difference.value
                    of_test.setdefault(direction, {})[f"r{depth}"] = value
    return drops


def tables(
    study: Study, parameters: Report, found: Found
) -> dict[str, tuple[Sequence[str], series.Rows]]:
    """The data of the plots by name, columns and rows."""
    made = {"retrieval": rows(study, found), "retrieval_bins": bin_rows(study, parameters)}
    return {name: (COLUMNS[name], made[name]) for name in COLUMNS}


def rows(study: Study, found: Found) -> series.Rows:
    """R@k in % by test set, direction, depth and condition."""
    colour, made = series.colours(study), []
    for test, lines in found.items():
        for line in lines:
            one = line.condition
            for (direction, depth), recall in line.recalls.items():
                ends = [100 * recall.share.value, 100 * recall.share.low, 100 * recall.share.high]
                gap = recall.against.difference if recall.against else None
                gaps = [100 * end for end in (gap.value, gap.low, gap.high)] if gap else []
                values = [series.rounded(value) for value in (*ends, *gaps)]
                named = zip(COLUMNS["retrieval"][6:12], [*values, *[None] * 3], strict=False)
                shown = dict(named)
                made += [
                    {
                        "test": test,
                        "direction": DIRECTIONS[direction],
                        "depth": f"R@{depth}",
                        "split": one.name,
                        "beside": other,
                        "kind": series.kind(study, one),
                        **shown,
                        "colour": colour[other],
                    }
                    for other in series.beside(study, one)
                ]
    return made


def bin_rows(study: Study, parameters: Report) -> series.Rows:
    """R@1 of images in % by bin of their nearest similarity to the training data."""
    bins = {
        (name, test): binned_accuracy(
            study.similarity(study.conditions[name], test),
            (ranks.image_to_text == 1).mean(axis=0),
            width=parameters.bin_width,
            least=parameters.least_per_bin,
        )
        for test, found in study.retrieval.items()
        for name, ranks in found.ranks.items()
    }
    return series.bin_rows(study, bins)


def figures(study: Study, found: Found) -> dict[str, charts.Spec]:
    """The figures that are files, by name; absent without data."""
    drawn = {}
    for test, lines in found.items():
        mine = [row for row in rows(study, {test: lines}) if row["direction"] == DIRECTIONS[TEXT]]
        panel = _panel(lines, mine)
        # the name of a figure of several test sets says which
        name = "retrieval" if len(found) == 1 else f"retrieval-{test}"
        spec = charts.figure(
            panel, mine, [], f"Test set {test}: captions found by images",
            "Filled: the split. Hollow: a random split of the same size. Bars: 95 % Wilson "
            "intervals over images.",
        )  # fmt: skip
        spec["facet"] = {"field": "depth", "type": "nominal", "title": None, "sort": _depths()}
        drawn[name] = spec
    return drawn


def part(study: Study, parameters: Report, found: Found) -> str:
    """The section; empty in a study without such a test set."""
    html = ""
    for test, lines in found.items():
        if lines:
            html += _of_test(study, parameters, test, lines)
    if not html:
        return ""
    return (
        paragraph(
            "Each image asks for its caption among all captions of the test set, and each caption "
            "for its image among all images: R@k is the share that find it among the k nearest. "
            "Captions that are equal are one, and each of its images is right. Only CLIP has "
            "learnt what captions say; other models are not asked. Equally near ones count in the "
            "order of the test set."
        )
        + key([
            (chip(series.GREY), "split"),
            (chip(series.GREY, hollow=True), "random split of the same size"),
        ])
        + html
    )  # fmt: skip


def _of_test(study: Study, parameters: Report, test: str, lines: list[Line]) -> str:
    images = len(study.retrieval[test].manifest)
    captions = len(next(iter(study.retrieval[test].ranks.values())).row_T)
    made = rows(study, {test: lines})
    drawn = []
    for direction in DIRECTIONS.values():
        for depth in _depths():
            mine = [row for row in made if (row["direction"], row["depth"]) == (direction, depth)]
            label = f"{depth} on {test}, {direction}, by training data; the table has the numbers."
            drawn.append((f"{depth}, {direction}", charts.inline(_panel(lines, mine), mine, label)))
    body = []
    for line in lines:
        cells = []
        for direction in DIRECTIONS:
            cells += [_cell(line.recalls[direction, depth]) for depth in DEPTHS]
            cells.append(f"{line.median[direction]:g}")
        kind = "random" if line.condition.split in study.twins else ""
        body.append(table_row(escape(line.condition.name), cells, kind))
    head = ["training data"]
    for direction in DIRECTIONS.values():
        head += [f"{depth}<br><small>{direction}</small>" for depth in _depths()]
        head.append(f"median rank<br><small>{direction}</small>")
    table = data_table(
        f"{test}, {images:,} images and {captions:,} captions: R@k in %. With it, points above "
        "(+) or below (−, worse) the random split of the same size and their 95 % paired interval; "
        "it is not corrected for "
        f"{len(DEPTHS) * len(DIRECTIONS)} looks at each condition. By chance R@1 would be "
        f"{100 / captions:.1g} %.",
        head,
        body,
    )
    return (
        f"<h3>{escape(test)}</h3>\n{table}{panels(drawn)}{_by_similarity(study, parameters, test)}"
    )


def _by_similarity(study: Study, parameters: Report, test: str) -> str:
    """R@1 of images by their similarity to the training data."""
    mine = [row for row in bin_rows(study, parameters) if row["test"] == test]
    if not mine:
        return ""
    colour = series.colours(study)
    # splits have a line each; of those on random splits the page's key speaks above
    named = dict.fromkeys(row["split"] for row in mine)
    marks = [
        (stroke(colour[name], "5 3" if study.conditions[name].split in study.twins else ""), name)
        for name in named
    ]
    drawing = charts.inline(
        charts.bins_panel(title="R@1 / %"), mine,
        f"R@1 of the images of {test} by their similarity to the training data.",
    )  # fmt: skip
    return (
        paragraph(
            f"R@1, image to text, by the image's nearest similarity to the training data, the "
            f"reference included; bins of fewer than {parameters.least_per_bin} images are left "
            "out."
        )
        + key(marks)
        + panels([(test, drawing)], wide=True)
    )


def _panel(lines: list[Line], mine: series.Rows) -> charts.Spec:
    beside = dict.fromkeys(row["beside"] for row in mine)
    order = [line.condition.name for line in lines if line.condition.name in beside]
    paired = any(row["kind"] == series.RANDOM for row in mine)
    return charts.accuracy_panel(order, paired=paired, field="recall", title="share found / %")


def _depths() -> list[str]:
    return [f"R@{depth}" for depth in DEPTHS]


def _cell(recall: Recall) -> str:
    text = points(recall.share.value)
    if recall.against is None:
        return text
    return f"{text}{difference(recall.against.difference)}"
