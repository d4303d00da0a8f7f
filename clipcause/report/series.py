"""The data of the report's plots in long form, a dictionary per mark, and the splits' colours.

A split has the same colour everywhere; the random split of its size has it too, unless several
splits share it.
"""

import csv
import io
from typing import Any

from clipcause.config.report import Report
from clipcause.report.conditions import Condition
from clipcause.report.statistics import Bins, bin_index, binned_accuracy, histogram
from clipcause.report.study import Study
from clipcause.report.table import Line
from clipcause.stats.statistics import wilson

Rows = list[dict[str, Any]]

# told apart by most colour-blind readers, and legible on white and on black
PALETTE = (
    "#3b82d0", "#d9622b", "#2f9e77", "#b65fc0", "#c79a00",
    "#d6478c", "#159fb5", "#8a6d4b", "#7a8f1f", "#6f6ad6",
)  # fmt: skip
GREY = "#8a8a8a"
RANDOM = "random"
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


def colours(study: Study) -> dict[str, str]:
    """The colour of every split and condition."""
    of = {name: others[0] for name, others in study.twins.items() if len(others) == 1}
    own = [name for name in study.splits if name in study.rules and name not in of]
    found = {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(own)}
    found |= {name: found.get(other, GREY) for name, other in of.items()}
    return found | {name: found.get(one.split, GREY) for name, one in study.conditions.items()}


def free(study: Study) -> list[str]:
    """Colours for what is no split, such as a kind of model: those that no split has come first."""
    taken = set(colours(study).values())
    middle = len(PALETTE) // 2
    return sorted(PALETTE[middle:] + PALETTE[:middle], key=taken.__contains__)


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


def beside(study: Study, condition: Condition) -> list[str]:
    """The conditions whose lines in the plot a condition shares: a random split those of all that
    are compared with it, any other its own."""
    found = [name for name, one in study.conditions.items() if condition.name in one.twins]
    return found or [condition.name]


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


def kind(study: Study, condition: Condition) -> str:
    """What a condition's mark looks like: of a split, of a random split, or supervised."""
    if condition.is_supervised:
        return "supervised"
    return RANDOM if condition.split in study.twins else "split"


def rounded(value: float) -> float:
    """As the data of plots have it; a zero has no sign."""
    return round(float(value), 4) + 0.0
