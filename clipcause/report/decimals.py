"""Numbers as text, the same way everywhere: halves are rounded away from zero."""

from decimal import ROUND_HALF_UP, Decimal

NOISE = 6  # digits beyond those that are shown; what differs only there is the error of a float


def fixed(value: int | float, digits: int) -> str:
    """A number with so many digits after the point and a minus sign where it is negative.

    Python's own rounding takes halves to the even digit, of the float nearest to them, so that
    0.125 and 0.375 would be 0.12 and 0.38. A zero has no sign.
    """
    exact = Decimal(repr(round(float(value), digits + NOISE)))
    found = exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{abs(found) if found == 0 else found:f}".replace("-", "−")
