"""Two matrices: every split on every test set, and how far splits removed the same rows."""

from collections.abc import Sequence
from typing import Any

from clipcause.prune import split
from clipcause.prune.split import Split
from clipcause.report.decimals import points, signed
from clipcause.report.study import Study
from clipcause.report.tables import accuracy, tabular
from clipcause.report.tables.accuracy import Line
from clipcause.report.tables.tabular import Rows

COLUMNS = {
    "matrix": ("test", "split", "kind", "top1", "difference", "low", "high", "said", "told"),
    "overlap": ("base", "first", "second", "removed_first", "removed_second", "jaccard", "chance"),
}


def accuracy_rows(study: Study, lines: Sequence[Line]) -> Rows:
    """Per condition and test set the accuracy in %, and how many points it is above (+) or below
    (-) the random split of its size, with the 95 % interval of that; empty without such a split.

    ``said`` and ``told`` are accuracy and difference as the plot says them, since its own rounding
    is not the page's; a star where the difference's interval leaves out zero.
    """
    found: Rows = []
    for line in lines:
        one = line.condition
        kind = "supervised" if one.is_supervised else "split"
        kind = tabular.RANDOM if one.split in study.twins else kind
        for test, cell in line.cells.items():
            row: dict[str, Any] = {"test": test, "split": one.name, "kind": kind}
            row["top1"], row["said"] = _round(100 * cell.top1.value), points(cell.top1.value)
            row |= dict.fromkeys(("difference", "low", "high", "told"))
            if (drop := cell.drop) is not None:
                row["difference"] = _round(-100 * drop.value)
                row["low"], row["high"] = _round(-100 * drop.high), _round(-100 * drop.low)
                row["told"] = signed(-drop.value) + "*" * drop.is_distinguishable
            found.append(row)
    return found


def removed(study: Study) -> dict[str, dict[str, Split]]:
    """By base, what every split removed from it. Splits that removed nothing, or are not a part of
    their base, and bases with one split, are left out."""
    found: dict[str, dict[str, Split]] = {}
    for name, rule in study.rules.items():
        base, own = study.base_of(name), study.splits[name]
        gone = split.difference(base, own)
        # a rule that adds or repeats rows has no removed set
        if len(gone) and len(gone) == len(base) - len(own):
            found.setdefault(rule.base, {})[name] = gone
    return {base: of for base, of in found.items() if len(of) > 1}


def overlap_rows(study: Study) -> Rows:
    """Per base and pair of its splits, the Jaccard index of what they removed: rows that both
    removed over rows that either did. ``chance``: what two random choices of their sizes would
    have, by the expected number of common rows."""
    found: Rows = []
    for base, of in removed(study).items():
        total = len(study.splits[base])
        alike: dict[frozenset[str], float] = {}
        for first, a in of.items():
            for second, b in of.items():
                pair = frozenset((first, second))
                if pair not in alike:
                    alike[pair] = split.jaccard(a, b)
                common = len(a) * len(b) / total
                chance = 1.0 if first == second else common / (len(a) + len(b) - common)
                found.append(
                    {
                        "base": base,
                        "first": first,
                        "second": second,
                        "removed_first": len(a),
                        "removed_second": len(b),
                        "jaccard": _round(alike[pair]),
                        "chance": _round(chance),
                    }
                )
    return found


def _round(value: float) -> float:
    return round(value, accuracy.DIGITS - 2) + 0.0
