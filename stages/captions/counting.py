"""Class frequency: how many captions mention each class of a list.

Shapes: C classes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
import pyarrow as pa
from jaxtyping import Int64

from stages.captions.bag import Bag, Matches

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
    from stages.captions.phrases import Strings

    return Strings(classes, boundaries=kind == "phrase")


def count(captions: Iterable[object], match: Matcher, classes: int) -> Int64[np.ndarray, " C"]:
    """Captions that mention each class, in one pass; memory holds one batch of captions.

    A caption is text or None, which mentions nothing. Raises ``ValueError`` for anything else.
    """
    total_C = np.zeros(classes, np.int64)
    for batch in _batches(captions):
        total_C += np.bincount(match(batch).class_M, minlength=classes)
    return total_C


def _batches(captions: Iterable[object]) -> Iterator[pa.StringArray]:
    iterator, start = iter(captions), 0
    while batch := list(islice(iterator, BATCH)):
        try:
            yield pa.array(batch, pa.string())
        except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError) as error:
            bad = next(at for at, caption in enumerate(batch) if not _is_text(caption))
            raise ValueError(f"caption {start + bad} is no text in UTF-8: {error}") from None
        start += len(batch)


def _is_text(caption: object) -> bool:
    try:
        pa.array([caption], pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError):
        return False
    return True
