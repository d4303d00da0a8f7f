"""How much of a difference from a random split the change in similarity explains."""

from collections.abc import Mapping
from typing import Any

from clipcause.report.content import Content
from clipcause.report.decimals import ends, fixed, listed, points, signed
from clipcause.report.figures.explained import shown
from clipcause.report.sections.conditions import marked, rows
from clipcause.report.sections.elements import NONE, Cell, Small, panels
from clipcause.report.tables.decomposition import OBSERVED, PREDICTED
from clipcause.stats.comparison import Interval
from clipcause.stats.decomposition import Explained
from clipcause.stats.logistic import Undefined


def view(content: Content) -> dict[str, Any] | None:
    """None where no condition has a random split of its size."""
    study, found, drawn = content.study, content.explained, shown(content)
    names = list(dict.fromkeys(name for name, _ in found))
    if not names:
        return None
    known = [one for one in found.values() if isinstance(one, Explained)]
    shares = [one.share for one in known]
    sure = [share for share in shares if isinstance(share, Interval)]
    above, below = sum(share.low > 1 for share in sure), sum(share.high < 1 for share in sure)
    return {
        "all": len(found),
        # of the shares where a difference's interval leaves out zero: how they lie about one
        "sure": len(sure),
        "above": above,
        "below": below,
        "opposite": sum(share.high < 0 for share in sure),
        "observed": OBSERVED,
        "predicted": PREDICTED,
        "panels": panels(content, "explained"),
        "larger": _excess(found, is_larger=True),
        "smaller": _excess(found, is_larger=False),
        "covers_runs": any(
            isinstance(one, Explained) and one.covers_runs for one in found.values()
        ),
        "left_out": len(names) - len(drawn),
        "shares": rows(study, lambda name, test: _share(found[name, test]), names),
        "unchanged": rows(study, lambda name, test: _unchanged(found[name, test]), names),
    }


def _excess(found: Mapping[tuple[str, str], Explained | Undefined], *, is_larger: bool) -> str:
    """Where the change in similarity predicts a larger or a smaller drop than is seen, that is less
    or more accuracy, by an interval that leaves out zero."""
    told = [
        f"{name} on {test} (by {points(abs(one.excess.value))} points, {ends(one.excess)})"
        for (name, test), one in found.items()
        if isinstance(one, Explained)
        and one.covers_runs
        and (one.excess.low > 0 if is_larger else one.excess.high < 0)
    ]
    return listed(told)


def _share(one: Explained | Undefined) -> Cell:
    if isinstance(one, Undefined):
        return Cell(NONE, (Small(one.reason),))
    # short lines, so that six test sets fit beside one another
    predicted = one.predicted.reversed()
    small = [Small(f"predicted {signed(predicted.value)}", ends(predicted))]
    if isinstance(share := one.share, Interval):
        value, low, high = (fixed(end, 2) for end in (share.value, share.low, share.high))
        small.append(Small("share", f"[{low}, {high}]", strong=value))
    return _difference(one.drop, *small)


def _unchanged(one: Explained | Undefined) -> Cell:
    if isinstance(one, Undefined) or one.kept_drop is None:
        return Cell(NONE)
    return _difference(one.kept_drop, Small(f"{one.kept:,} images"))


def _difference(drop: Interval, *below: Small) -> Cell:
    """A drop as a reader sees it: split minus random, with its interval below."""
    one = drop.reversed()
    return Cell(signed(one.value), (Small(ends(one), kind=marked(one)), *below))
