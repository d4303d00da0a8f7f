"""The data of the plots of accuracy and similarity in long form, a dictionary per mark."""

import csv
import io

from clipcause.config.report import Report
from clipcause.report.colours import GREY, colours
from clipcause.report.statistics import Bins, bin_index, binned_accuracy, histogram
from clipcause.report.study import Study
from clipcause.report.tables.accuracy import Line
from clipcause.report.tables.tabular import Rows, beside, kind, rounded
from clipcause.stats.statistics import wilson

COLUMNS = {
    "accuracy": ("test", "split", "beside", "kind", "top1", "low", "high", "colour"),
    "similarity": ("test", "data", "similarity", "share", "colour"),
    "binned": (
        "test",
        "split",
        "kind",
        "similarity",
        "accuracy",
        "low",
        "high",
        "images",
        "colour",
    ),
}


def accuracy_rows(study: Study, lines: list[Line]) -> Rows:
    """Top-1 in % with its Wilson interval per test set and condition.

    A random split comes once for every condition that it is compared with, in that one's colour.
    """
    colour = colours(study)
    rows = []
    for line in lines:
        one = line.condition
        for test, cell in line.cells.items():
            low, high = 100 * cell.top1.low, 100 * cell.top1.high
            rows += [
                {
                    "test": test,
                    "split": one.name,
                    "beside": other,
                    "kind": kind(study, one),
                    "top1": rounded(100 * cell.top1.value),
                    "low": rounded(low),
                    "high": rounded(high),
                    "colour": colour[other],
                }
                for other in beside(study, one)
            ]
    return rows


def similarity_rows(study: Study, width: float) -> Rows:
    """Per test set, the share of its images in % in every bin of nearest similarity to the
    reference, to the pool, and to every split with the reference added."""
    colour = colours(study)
    rows = []
    for test, found in study.scores.items():
        series = {"reference": found.test.reference_sim, "pool": found.test.pool_sim}
        series |= {name: study.gaps[name, test].similarity_Q for name in study.rules}
        bins = [bin_index(values, width) for values in series.values()]
        first = min(int(one.min()) for one in bins)
        last = max(int(one.max()) for one in bins)
        for name, values in series.items():
            for index, share in enumerate(histogram(values, width, first, last), first):
                rows.append(
                    {
                        "test": test,
                        "data": name,
                        "similarity": rounded((index + 0.5) * width),
                        "share": rounded(100 * share),
                        "colour": colour.get(name, GREY),
                    }
                )  # fmt: skip
    return rows


def all_bins(study: Study, parameters: Report) -> dict[tuple[str, str], Bins]:
    """Accuracy by similarity, by condition and test set."""
    return {
        (name, test): binned_accuracy(
            study.similarity(one, test),
            study.outcomes[name, test].top1_Q,
            width=parameters.bin_width,
            least=parameters.least_per_bin,
        )
        for name, one in study.conditions.items()
        for test in study.tests
    }


def bin_rows(study: Study, bins: dict[tuple[str, str], Bins]) -> Rows:
    """Accuracy in % with its Wilson interval per bin of similarity to the training data, by test
    set and condition."""
    colour = colours(study)
    return [
        {
            "test": test,
            "split": name,
            "kind": kind(study, study.conditions[name]),
            "similarity": rounded(similarity),
            "accuracy": rounded(100 * accuracy),
            "low": rounded(100 * low),
            "high": rounded(100 * high),
            "images": int(count),
            "colour": colour[name],
        }
        for (name, test), found in bins.items()
        for similarity, accuracy, count in zip(
            found.similarity_B, found.accuracy_B, found.count_B, strict=True
        )
        for low, high in [wilson(min(accuracy * count, count), int(count))]
    ]


def to_csv(name: str, rows: Rows) -> str:
    """The rows of the plot ``name`` as CSV; without rows, the names of its columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS[name], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
