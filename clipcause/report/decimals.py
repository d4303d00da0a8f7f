"""Numbers and lists as text, the same way everywhere: halves are rounded away from zero."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

from clipcause.stats.comparison import Interval

NOISE = 6  # digits beyond those that are shown; what differs only there is the error of a float


def fixed(value: int | float, digits: int) -> str:
    """A number with so many digits after the point and a minus sign where it is negative.

    Python's own rounding takes halves to the even digit, of the float nearest to them, so that
    0.125 and 0.375 would be 0.12 and 0.38. A zero has no sign.
    """
    exact = Decimal(repr(round(float(value), digits + NOISE)))
    found = exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{abs(found) if found == 0 else found:f}".replace("-", "−")


def points(share: float) -> str:
    """A difference of shares in points, with a minus sign where it is negative."""
    return fixed(100 * share, 1)


def signed(share: float, digits: int = 1) -> str:
    """A difference of shares in points with its sign; zero has none."""
    text = fixed(100 * share, digits)
    return f"+{text}" if text.strip("0.") and not text.startswith("−") else text


def ends(one: Interval) -> str:
    """The ends of a difference in points."""
    return f"[{signed(one.low)}, {signed(one.high)}]"


def percent(share: float) -> str:
    """A share in %, in one piece."""
    return f"{points(share)}\u00a0%"


def listed(words: Sequence[str]) -> str:
    """a, b and c; empty where there are none."""
    words = list(words)
    return "".join(words) if len(words) < 2 else f"{', '.join(words[:-1])} and {words[-1]}"
