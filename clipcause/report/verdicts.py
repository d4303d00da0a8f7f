"""How sure differences are, in words and as text. Nothing here is HTML."""

from collections.abc import Collection, Sequence

from clipcause.report.decimals import fixed, signed
from clipcause.report.tables.comparisons import Compared
from clipcause.stats.comparison import ALPHA, MCNEMAR, POWER

NAMED = 8  # differences that a sentence names; of more it says how many
MOST_DECIMALS = 9  # of points: a tenth of an image among a hundred million
NONE = "–"


def cells(one: Compared) -> list[str]:
    """Difference, interval, p, corrected p, smallest detectable difference, verdict, as text."""
    difference, seen = one.found.difference, one.found.detectable
    digits = _decimals(difference.value) if one.is_sure else 1
    return [
        signed(difference.value, digits),
        f"{signed(difference.low, digits)} to {signed(difference.high, digits)}",
        p_value(one.found.p),
        p_value(one.p_holm),
        NONE if seen is None else points_of(seen),
        "yes" if one.is_sure else "no",
    ]


def sentences(found: Sequence[Compared], other: str) -> list[str]:
    """Which differences are beyond noise and which are not, in words; ``other`` is what all were
    compared with."""
    sure = [one for one in found if one.is_sure]
    if len(found) == 1:
        verdict = "beyond noise" if sure else "not beyond noise"
        p = p_value(found[0].p_holm)
        p = f"p {p}" if p.startswith("<") else f"p = {p}"
        told = f"{_told(found[0])} than {other}: {verdict} ({p})."
        if not found[0].found.covers_runs:
            told = f"{_told(found[0])} than {other} over these images ({p}): no claim."
    else:
        rule = f"p below {ALPHA:g} after Holm's correction over all {len(found)}"
        verb = "are" if len(sure) > 1 else "is"
        told = f"Of {len(found)} differences from {other}, {len(sure) or 'none'} {verb} beyond "
        told += f"noise ({rule}){f': {_listed(sure)}' if sure else ''}."
    texts = [told]
    if len(sure) < len(found):
        unsure = [one for one in found if not one.is_sure]
        texts.append(_unsure(unsure, is_rest=bool(sure), is_corrected=len(found) > 1))
    return [*texts, covered(found)]


def covered(found: Sequence[Compared]) -> str:
    """What intervals and tests are about, in a sentence."""
    covers = {one.found.covers_runs for one in found}
    if covers == {True}:
        return (
            "Both sides were trained several times: intervals and tests cover the choice of test "
            "images and the noise between runs."
        )
    runs = {count for one in found if not one.found.covers_runs for count in one.found.runs}
    once = "trained once" if runs == {1} else "of which a side was trained only once"
    which = "All of this is about models" if covers == {False} else "Some of this is about models"
    few = "One run: no claim. " if runs == {1} else "One run on a side: no claim. "
    return (
        f"{few}{which} {once}: intervals and tests cover the choice of test images, not the noise "
        "between runs. Another seed can change such a difference, whatever its p value; only "
        "several seeds on both sides can show that it comes from the data."
    )


def method(found: Sequence[Compared]) -> str:
    """What was computed, in one paragraph."""
    tests = {one.found.test for one in found}
    exact = "the exact McNemar test" if MCNEMAR in tests else ""
    more = " and ".join(sorted(tests - {MCNEMAR}))
    named = ", elsewhere ".join(filter(None, [exact, more]))
    first = (
        "Points of top-1 accuracy; below zero is worse than the other. Intervals are bootstrap "
        f"intervals of one difference at a time; p is that of {named}. "
    )
    holm_text = (
        "Holm's correction keeps the chance of one or more wrong calls in the whole family at 5 % "
        "or less, so that a difference can be uncertain although its own interval leaves out zero. "
    )
    last = (
        "The smallest detectable difference is one that this design would find with probability "
        f"{100 * POWER:g} % at level {ALPHA:g}"
    )
    if len(found) == 1:
        return f"{first}{last}."
    return f"{first}{holm_text}{last} before the correction; after it, it is larger."


def p_value(p: float) -> str:
    """A p value as text: as many digits as say something."""
    if p < 0.0001:
        return "< 0.0001"
    return f"{p:.4f}" if p < 0.01 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def _listed(sure: Collection[Compared]) -> str:
    """The largest first; of many only some."""
    order = sorted(sure, key=lambda one: -abs(one.found.difference.value))
    told = "; ".join(_told(one) for one in order[:NAMED])
    more = len(order) - NAMED
    return f"{told}; and {more} more in the table" if more > 0 else told


def _told(one: Compared) -> str:
    value = one.found.difference.value
    way = "lower" if value < 0 else "higher"
    if not value:
        return f"{one.name} is no better and no worse on {one.test}"
    return f"{one.name} is {points_of(abs(value))} points {way} on {one.test}"


def _decimals(share: float) -> int:
    """Decimals of points that show that a share is not zero: one, or more where it is small."""
    least = abs(100 * share)
    return next((digits for digits in range(1, MOST_DECIMALS) if least >= 0.5 * 10**-digits), 1)


def points_of(share: float) -> str:
    return fixed(100 * share, _decimals(share))


def _unsure(unsure: Sequence[Compared], *, is_rest: bool, is_corrected: bool) -> str:
    seen = [one.found.detectable for one in unsure if one.found.detectable is not None]
    start = "For the others nothing can be told" if is_rest else "Nothing can be told"
    if not seen:
        return f"{start}: there are too few test images to find any difference."
    low, high = points_of(min(seen)), points_of(max(seen))
    span = f"{low} points" if low == high else f"{low} to {high} points, depending on the row,"
    more = " before the correction; after it, larger ones too" if is_corrected else ""
    return (
        f"{start}, which is not the same as no difference: a true difference smaller than {span} "
        f"would be missed more often than one time in five{more}."
    )
