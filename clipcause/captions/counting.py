"""Class frequency: how many captions mention each class of a list.

Shapes: C classes.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Int64

from clipcause.captions.bag import Bag, Matches

Classes = Mapping[str, Mapping[str, Sequence[str]]]
Matcher = Callable[[pa.StringArray], Matches]

MATCHERS = ("bag", "phrase", "substring")
BATCH = 65_536
"""Captions at once: the words of a batch are held, some 20 MB."""


def matcher(kind: str, classes: Classes, lemma: Callable[[str], str]) -> Matcher:
    """The matcher of that name for a list of classes; `bag` alone asks for lemmas."""
    if not classes:
        raise ValueError("the list of classes is empty")
    if kind == "bag":
        return Bag(classes, lemma)
    if kind not in MATCHERS:
        raise ValueError(f"matcher {kind!r}: valid are {', '.join(MATCHERS)}")
    from clipcause.captions.phrases import Strings

    return Strings(classes, boundaries=kind == "phrase")


class Faults(NamedTuple):
    """How many captions are no text: they mention nothing."""

    null: int = 0
    not_utf8: int = 0

    def plus(self, other: "Faults") -> "Faults":
        """Those of both."""
        return Faults(self.null + other.null, self.not_utf8 + other.not_utf8)

    def warning(self) -> str:
        """What to tell the user; empty where there is nothing to tell."""
        kinds = (("null", self.null), ("not UTF-8", self.not_utf8))
        found = [f"{n:,} {'is' if n == 1 else 'are'} {kind}" for kind, n in kinds if n]
        return f"of the captions {' and '.join(found)}: they mention no class" if found else ""


def count(
    captions: Iterable[object], match: Matcher, classes: int
) -> tuple[Int64[np.ndarray, " C"], Faults]:
    """Captions that mention each class, in one pass; memory holds one batch of captions.

    A caption is text, or bytes of it in UTF-8. None and NaN (as pandas has it), and what is no
    UTF-8, mention nothing and are counted. Raises ``ValueError`` for anything else.
    """
    total_C, faults = np.zeros(classes, np.int64), Faults()
    iterator, start = iter(captions), 0
    while batch := list(islice(iterator, BATCH)):
        texts, bad = column(batch, start)
        total_C += np.bincount(match(texts).class_M, minlength=classes)
        faults, start = faults.plus(bad), start + len(batch)
    return total_C, faults


def column(captions: Sequence[object], start: int = 0) -> tuple[pa.StringArray, Faults]:
    """Captions as a column in which those that are no text are null, and how many these are.

    ``start`` is the position of the first one, for errors.
    """
    try:
        texts = pa.array(captions, pa.string(), from_pandas=True)
        return texts, Faults(null=texts.null_count)
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError):
        pass  # one by one, to say which
    whole = [_text(caption, start + at) for at, caption in enumerate(captions)]
    null = sum(map(_is_null, captions))
    texts = pa.array(whole, pa.string())
    return texts, Faults(null, texts.null_count - null)


def checked(texts: pa.ChunkedArray) -> tuple[pa.StringArray, Faults]:
    """A column of a file, whose bytes Arrow does not look at when it reads them."""
    whole = texts.combine_chunks()
    try:
        whole.validate(full=True)
        return whole, Faults(null=whole.null_count)
    except pa.ArrowInvalid:
        return column(whole.cast(pa.binary()).to_pylist())


def _text(caption: object, at: int) -> str | None:
    if _is_null(caption):
        return None
    if not isinstance(caption, str | bytes):
        raise ValueError(  # noqa: TRY004 - bad data
            f"caption {at} is {caption!r}, which is no text; give captions as text, or None"
        )
    try:
        return (caption if isinstance(caption, bytes) else caption.encode()).decode()
    except UnicodeError:
        return None


def _is_null(caption: object) -> bool:
    return caption is None or (isinstance(caption, float) and math.isnan(caption))
