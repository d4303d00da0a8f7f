"""What each property of splits explains of the accuracy after them: a regression over splits.

Units are conditions on splits, of the kind of model that has most; draws of a split are one unit,
for they differ by nothing that a property measures, and runs are in its mean.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Float64

from clipcause.report.inputs import Inputs
from clipcause.report.tables import accuracy, makeup, table
from clipcause.stats import regression
from clipcause.stats.logistic import Undefined
from clipcause.stats.regression import Regression

# columns of `makeup` to what they stand for
PROPERTIES = {
    "similarity": "similarity to the tests",
    "mentions": "class content",
    "words": "caption detail",
    "distance": "diversity: mean distance",
    "clusters": "diversity: effective clusters",
    "copied": "duplicates",
    "rows": "number of rows, doublings",
}


@dataclass(frozen=True)
class Facts:
    """The regression, or why there is none."""

    found: Regression | Undefined
    model: str  # the kind of model whose splits are the units
    units: list[str]  # conditions
    noise: float | None  # share of the variance between units that is noise between their runs
    lacking: list[str]  # properties that this study does not know


@dataclass(frozen=True)
class Row:
    """A property."""

    property_: Annotated[str, "of a split"]
    share: Annotated[float, "of the variance of accuracy between splits, averaged over all orders"]
    low: table.Low
    high: table.High
    chance: Annotated[float, "what its share is below 19 times in 20 with shuffled accuracies"]
    slope: Annotated[float | None, "points of accuracy for one standard deviation, others held"]
    slope_low: Annotated[float | None, "lower end of its 95 % interval"]
    slope_high: Annotated[float | None, "upper end of that interval"]
    correlation: Annotated[float, "Pearson's, of property and accuracy"]
    inflation: Annotated[float | None, "variance inflation factor; empty: others determine it"]
    closest: Annotated[str, "the property that goes with it most"]
    closest_correlation: Annotated[float | None, "Pearson's, of the two"]
    units: Annotated[int, "conditions on splits"]


def facts(inputs: Inputs) -> Facts | None:
    """The regression of the study; None where nothing was trained on a split."""
    every = inputs.of(makeup.rows)
    kinds = [row.model for row in {row.split: row for row in every}.values()]
    if not kinds:
        return None
    model = max(dict.fromkeys(kinds), key=kinds.count)
    of: dict[str, list[makeup.Row]] = {}
    for row in every:
        if row.model == model:
            of.setdefault(row.split, []).append(row)
    values = {name: values for name in PROPERTIES if (values := _values(of, name)) is not None}
    accuracy_U = _mean(of, "accuracy")
    return Facts(
        regression.regress(
            {PROPERTIES[name]: one for name, one in values.items()}, accuracy_U, **inputs.draws
        ),
        model,
        list(of),
        _noise(inputs, model, of, accuracy_U),
        [PROPERTIES[name] for name in PROPERTIES if name not in values],
    )


def rows(inputs: Inputs) -> list[Row]:
    """A line a property, the largest share first; none where there are too few splits."""
    known = inputs.of(facts)
    if known is None or isinstance(known.found, Undefined):
        return []
    found, made = known.found, []
    for name, one in found.parts.items():
        of = found.correlation[name]
        others = [other for other in found.parts if other != name]
        closest = max(others, key=lambda other, of=of: abs(of[other]), default="")
        slope: tuple[float | None, ...] = (None, None, None)
        if one.slope:
            slope = tuple(map(table.rounded, (one.slope.value, one.slope.low, one.slope.high)))
        made.append(
            Row(
                name,
                *(
                    table.rounded(end, table.SHARES)
                    for end in (one.share.value, one.share.low, one.share.high, one.chance)
                ),
                *slope,
                table.rounded(of[""]),
                None if one.inflation is None else table.rounded(one.inflation),
                closest,
                table.rounded(of[closest]) if closest else None,
                found.units,
            )
        )
    return sorted(made, key=lambda row: -row.share)


def _values(of: Mapping[str, list[makeup.Row]], name: str) -> Float64[np.ndarray, " U"] | None:
    """A property of every condition, the mean over its draws; None where it is not known of all.
    Rows are in doublings; without clusters, their number is the Vendi score's."""
    if name == "rows":
        return np.log2(np.maximum(_mean(of, name), 1.0))
    every = [row for draws in of.values() for row in draws]
    if name == "clusters" and any(row.clusters is None for row in every):
        name = "vendi"
    if any(getattr(row, name) is None for row in every):
        return None
    return _mean(of, name)


def _mean(of: Mapping[str, list[makeup.Row]], name: str) -> Float64[np.ndarray, " U"]:
    """Over the draws of every condition, each weighing as its runs."""
    return np.array(
        [
            sum(getattr(row, name) * row.runs for row in draws) / sum(row.runs for row in draws)
            for draws in of.values()
        ]
    )


def _noise(
    inputs: Inputs, model: str, of: Mapping[str, list[makeup.Row]], accuracy_U: np.ndarray
) -> float | None:
    """How much of the variance between units is that of means of so few runs."""
    noise = inputs.of(accuracy.mean_noises)[model].between(
        inputs.study.conditions[name] for name in of
    )
    between = float(np.var(accuracy_U, ddof=1)) if len(accuracy_U) > 1 else 0.0
    if noise is None or not between:
        return None
    parts = [1e4 * noise.variance / sum(row.runs for row in draws) for draws in of.values()]
    return min(float(np.mean(parts)) / between, 1.0)


TABLES = (table.Table("relations", Row, rows, looks=()),)
