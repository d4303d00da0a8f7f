"""What a caption, a label or a key is, whatever type it came in: one rule for all sources.

Tables, JSON and text files give bytes, whole numbers (as floats, where pandas met a hole), NaN and
lists. What is missing is None; what never was text is a ``NotTextError``, and not its repr.
"""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal, NamedTuple
from unicodedata import category

BYTE_ORDER_MARK = "\ufeff"
Lines = Literal["join", "first", "captions"]
UNSAFE = "unsafe name"  # the reason of a ledger's line
KINDS = {dict: "a map", list: "a list", tuple: "a list", bool: "a truth value"}


class NotTextError(ValueError):
    """A value that is no text; the message says what it is."""


class Captions(NamedTuple):
    """The captions of one picture: the first, and all of them where there are several."""

    first: str
    all: list[str] | None


def text(value: Any) -> str | None:
    """A value as text without blanks around it; None where it is missing, NaN or blank.

    Whole numbers are their digits, 3.0 is "3". Raises ``NotTextError`` for every other type, for
    bytes that are no UTF-8, and for half of a character of two.
    """
    if isinstance(value, bytes):
        value = decoded(value)
    if isinstance(value, str):
        if not value.isascii():
            value = value.removeprefix(BYTE_ORDER_MARK)
            if any("\ud800" <= letter <= "\udfff" for letter in value):
                raise NotTextError("half of a character of two")
        return value.strip() or None
    if value is None:
        return None
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        if math.isnan(value):
            return None
        if math.isfinite(value) and value == int(value):
            return str(int(value))
        raise NotTextError(f"{value} is neither text nor a whole number")
    raise NotTextError(f"{KINDS.get(type(value), type(value).__name__)}, expected text")


def decoded(content: bytes) -> str:
    """Bytes as text. Raises ``NotTextError`` for what is no UTF-8."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise NotTextError(f"not UTF-8: {error}") from None


def captions(value: Any) -> Captions | None:
    """The captions of a value, which is one or a list of them; None where there is none."""
    given = value if isinstance(value, list | tuple) else [value]
    found = [one for one in map(text, given) if one is not None]
    return several(found)


def of_lines(content: str, lines: Lines) -> Captions | None:
    """The captions of a text file. Its lines are one caption (``join``, a blank for a line's end),
    a caption each (``captions``), or all but the ``first`` are left out by wish."""
    found = [one for one in map(text, content.splitlines()) if one is not None]
    if lines == "first":
        found = found[:1]
    return several([" ".join(found)] if lines == "join" and found else found)


def several(found: Sequence[str]) -> Captions | None:
    """Captions that are there already as text; None of none."""
    if not found:
        return None
    return Captions(found[0], list(found) if len(found) > 1 else None)


def shown(name: str) -> str:
    """A name that can be stored and printed: what cannot be is its escape."""
    letters = (repr(one)[1:-1] if category(one) in ("Cc", "Cs") else one for one in name)
    return "".join(letters)


def unsafe(key: str) -> str:
    """Why a key cannot be stored, or would harm where it is printed; empty where it is fine.

    Blanks of other scripts and joiners are letters of names; what steers a terminal is not.
    """
    if key.isascii() and key.isprintable():
        return ""
    if any("\ud800" <= letter <= "\udfff" for letter in key):
        return "bytes that are not UTF-8"
    return "control characters" if any(category(letter) == "Cc" for letter in key) else ""
