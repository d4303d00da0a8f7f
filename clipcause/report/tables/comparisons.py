"""How sure differences are: every condition against its controls, as one family.

The family is the report's question: did choosing rows this way matter on this test set, beside
choosing as many at random, and beside choosing as many of the same classes? It holds every
condition that has such a control on every test set, and p values are corrected over all of it.
Other pairs are for `python -m clipcause compare`. A claim is a comparison of it that covers the
noise between runs and is beyond it; a condition that was trained once makes none.

Two other questions are families of their own: whether what is left without a hull still does better
than labels alone, and whether nearest similarity predicts a larger drop than is seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from clipcause.prune.rules.hull import Hull
from clipcause.report.inputs import Inputs
from clipcause.report.tables import accuracy
from clipcause.report.tables.table import High, Low, Split, Table, Test, percent, rounded
from clipcause.stats.comparison import (
    ALPHA,
    Comparison,
    Noise,
    Spread,
    analyse,
    detectable_errors,
    holm,
)

SURE, UNSURE = "beyond noise", "not beyond noise"
AIM = 0.04  # a difference that a study of this kind should find
MOST_RUNS = 200  # a condition, that are thought of


@dataclass(frozen=True)
class Compared:
    """One comparison of a family."""

    name: str  # of what is compared: the first, where all are compared with the same
    other: str
    test: str
    found: Comparison
    p_holm: float

    @property
    def is_sure(self) -> bool:
        """Whether the difference is beyond noise: p over images and runs is below 0.05 after the
        correction. Of models that were trained once none is."""
        return self.found.covers_runs and self.p_holm < ALPHA


@dataclass(frozen=True)
class Row:
    """A condition minus its control on a test set, in points."""

    test: Test
    split: Split
    difference: Annotated[float, "top-1 accuracy minus that of the control, in points"]
    low: Low
    high: High
    p: Annotated[float, "p value of no difference, for this comparison alone"]
    p_holm: Annotated[float, "after Holm's correction over all of the table"]
    detectable: Annotated[
        float | None, "smallest true difference found with probability 80 %, in points"
    ]
    kind: Annotated[
        str, "`beyond noise` where runs are covered and the corrected p value is below 0.05"
    ]
    contrast: Annotated[str, "its name, and the control where that is no random split"]
    control: Annotated[str, "what it is compared with"]
    runs: Annotated[int, "of the condition"]
    control_runs: Annotated[int, "of the control"]


@dataclass(frozen=True)
class Power:
    """What the design of a study can find on a test set, over its comparisons of several runs."""

    test: Test
    model: Annotated[str, "the kind of model"]
    noise: Annotated[
        float,
        "standard deviation of runs about their condition's mean, and about their seed's where all "
        "that are compared have the same, in points",
    ]
    error: Annotated[float, "standard error of a difference over runs and images, in points"]
    of_runs: Annotated[float, "share of its square that is the runs', the rest is the images'"]
    least: Annotated[float, "difference that is found 8 times in 10, in points"]
    least_holm: Annotated[float, "the same at the first step of Holm's correction"]
    needed: Annotated[
        int | None, "runs a condition that would find 4 points so, before the correction"
    ]
    bartlett: Annotated[float | None, "p of Bartlett's test that all conditions are equally noisy"]


def family(inputs: Inputs) -> list[Compared]:
    """Every condition with its controls, test set by test set."""
    lines = inputs.of(accuracy.lines)
    found = [
        (line.condition.name, " ".join(line.condition.controls), test, cell.against)
        for line in lines
        for test, cell in line.cells.items()
        if cell.against
    ]
    for line in lines:
        for other in line.condition.alike:
            for test in line.cells:
                one = accuracy.beside(inputs, line.condition, (other,), test)
                assert one is not None  # there is an other
                found.append((line.condition.name, other, test, one))
    return corrected(found)


def powers(inputs: Inputs) -> list[Power]:
    """A line per test set and kind of model whose noise between runs is known and was used."""
    study, level = inputs.study, ALPHA / max(len(inputs.of(family)), 1)
    pairs = [
        (study.conditions[name], study.conditions[others[0]])
        for name, one in study.conditions.items()
        for others in (one.controls, *((other,) for other in one.alike))
        if len(others) == 1
    ]
    found = []
    for (kind, test), noises in inputs.of(accuracy.noises).items():
        several = [
            pair
            for pair in pairs
            if study.models[pair[0].name] == kind
            and all(accuracy.is_by_draw(one) and len(one.runs) > 1 for one in pair)
        ]
        of_pairs = [noises.between(pair) for pair in several]
        is_left = all(one is noises.beside_seeds for one in of_pairs)
        noise = noises.beside_seeds if is_left else noises.whole
        if noise is None or not several:
            continue
        sides = [
            [accuracy.per_draw(inputs, one, test).astype(np.float64) for one in pair]
            for pair in several
        ]
        spreads = [analyse(a, b, one) for (a, b), one in zip(sides, of_pairs, strict=True)]
        error = float(np.mean([one.variance for one in spreads])) ** 0.5
        of_runs = float(np.mean([one.runs / one.variance for one in spreads]))
        freedom = float(np.mean([one.freedom for one in spreads]))
        least, least_holm = (
            rounded(100 * error * detectable_errors(freedom, one)) for one in (ALPHA, level)
        )
        p = None if noise.bartlett is None else rounded(noise.bartlett)
        points = rounded(100 * noise.variance**0.5), rounded(100 * error)
        least_of = rounded(of_runs), least, least_holm
        found.append(Power(test, kind, *points, *least_of, needed(spreads, noise, sides), p))
    return found


def needed(spreads: Sequence[Spread], noise: Noise, sides: Sequence[Sequence[Any]]) -> int | None:
    """The least number of runs a condition with which ``AIM`` would be found 8 times in 10.

    The runs' part of the variance of a mean falls with their number, the degrees of freedom of the
    pooled noise grow with it; the images stay. None where ``MOST_RUNS`` are too few.
    """
    # of both sides: as many runs each as would have the same variance
    many = 2 / float(np.mean([1 / len(a) + 1 / len(b) for a, b in sides]))
    runs, images = (
        float(np.mean([getattr(one, part) for one in spreads])) for part in ("runs", "images")
    )
    for count in range(2, MOST_RUNS + 1):
        part = runs * many / count
        variance = part + images
        freedom = noise.freedom * (count - 1) / (many - 1) * (variance / part) ** 2
        if variance**0.5 * detectable_errors(freedom) <= AIM:
            return count
    return None


def beside_labels(inputs: Inputs) -> list[Compared]:
    """Every hull split's condition with the supervised classifier, test set by test set. They are
    two kinds of models: noise between runs is each side's own."""
    study = inputs.study
    labelled = next((name for name, one in study.conditions.items() if one.is_supervised), None)
    found = []
    for name, one in study.conditions.items():
        if labelled and isinstance(study.rules.get(one.split), Hull):
            for test in study.tests:
                beside = accuracy.beside(inputs, one, (labelled,), test)
                assert beside is not None  # there is an other
                found.append((name, labelled, test, beside))
    return corrected(found)


def corrected(found: Sequence[tuple[str, str, str, Comparison]]) -> list[Compared]:
    """Comparisons as one family, by Holm's correction."""
    p_M = holm(np.array([one[-1].p for one in found], np.float64))
    return [Compared(*one, float(p)) for one, p in zip(found, p_M, strict=True)]


def numbers(found: Sequence[Compared], design: Sequence[Power] = ()) -> dict[str, Any]:
    """The metrics: the claims of a family, how many there are, and what the ``design`` can find."""
    counts = {
        "comparisons": len(found),
        "covering_runs": sum(one.found.covers_runs for one in found),
        "called": sum(one.is_sure for one in found),
    }
    power: dict[str, dict[str, dict[str, float]]] = {}
    for one in design:
        values = {"noise": one.noise, "least": one.least, "least_holm": one.least_holm}
        values |= {} if one.needed is None else {"needed": one.needed}
        power.setdefault(accuracy.path(one.model), {})[one.test] = values
    return {"claims": leaves(found), "family": counts, "power": power}


def leaves(found: Sequence[Compared]) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Differences as shares, condition minus control, by condition, control and test.

    ``covers_runs`` is 1 where noise between runs is in interval and p, 0 where a side was trained
    once: what is said there is about these models, and no claim. ``called`` is 1 for a claim.
    """
    claims: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for one in found:
        difference = one.found.difference
        values = {
            "difference": difference.value,
            "low": difference.low,
            "high": difference.high,
            "p": one.found.p,
            "p_holm": one.p_holm,
            "covers_runs": int(one.found.covers_runs),
            "called": int(one.is_sure),
            "images": one.found.images,
            "runs": one.found.runs[0],
            "control_runs": one.found.runs[1],
        }
        if one.found.detectable is not None:
            values["detectable"] = one.found.detectable
        of = claims.setdefault(accuracy.path(one.name), {})
        of.setdefault(accuracy.path(one.other), {})[one.test] = values
    return claims


def rows(inputs: Inputs) -> list[Row]:
    """The forest plot's data: a line per comparison."""
    made, known = [], inputs.study.conditions
    for one in inputs.of(family):
        found, kind = one.found, SURE if one.is_sure else UNSURE
        chances = float(f"{found.p:.4g}"), float(f"{one.p_holm:.4g}")
        least = None if found.detectable is None else rounded(100 * found.detectable)
        is_random = one.other not in known[one.name].alike
        contrast = one.name if is_random else f"{one.name}, beside {one.other}"
        facts = kind, contrast, one.other, *found.runs
        made.append(Row(one.test, one.name, *percent(found.difference), *chances, least, *facts))
    return made


TABLES = (Table("comparisons", Row, rows), Table("power", Power, powers, looks=()))
