"""Words that the sentences of several rules have in common."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal


def listed(words: Sequence[str]) -> str:
    """a, b and c."""
    words = list(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def percent(share: float) -> str:
    """A share in %, in one piece; halves of the digit that is shown are rounded up."""
    # of the number as it is written: 100 * 0.145 is a little less than 14.5
    exact = Decimal(repr(share)) * 100
    return f"{exact.quantize(Decimal('0.1'), ROUND_HALF_UP)}\u00a0%"
