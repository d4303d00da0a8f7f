"""Which captions mention which class, as strings: the two other matchers that the field uses.

`phrase`: a name occurs between word boundaries, in any case: the regular expression
``\\b(name|name|…)\\b`` by which the "-Cls" sets and LAIONet were chosen (arXiv 2405.21070).
`substring`: MetaCLIP's rule (arXiv 2309.16671, algorithm 1): a name between spaces occurs in the
caption, which has spaces around it and around its punctuation; case counts.

An Aho-Corasick automaton finds all names in one pass over a caption.
"""

from collections.abc import Mapping, Sequence

import ahocorasick  # ty: ignore[import-not-found] - compiled, without types
import numpy as np
import pyarrow as pa

from clipcause.captions.bag import Matches

# letters that `re.IGNORECASE` holds equal to ASCII ones and `str.lower` does not
_FOLD = str.maketrans({"İ": "i", "ı": "i", "ſ": "s"})
_SPACED = str.maketrans({mark: f" {mark} " for mark in ",.;:?!`"} | dict.fromkeys("\t\n\r", " "))


def folded(text: str) -> str:
    """Text in which letters that differ in case alone are equal; its length is the same."""
    return (
        "".join(
            low if len(low := letter.lower()) == 1 else letter for letter in text.translate(_FOLD)
        )
        if not text.isascii()
        else text.lower()
    )


def spaced(text: str) -> str:
    """Text with a space at both ends and around each mark of punctuation."""
    return f" {text} ".translate(_SPACED)


class Strings:
    """A matcher for a list of classes by `phrase` or `substring`."""

    def __init__(
        self, classes: Mapping[str, Mapping[str, Sequence[str]]], *, boundaries: bool
    ) -> None:
        self._boundaries = boundaries
        self._classes = len(classes)
        self._automaton = ahocorasick.Automaton()
        for owner, (key, entry) in enumerate(classes.items()):
            if unknown := entry.keys() - {"name", "names", "negatives"}:
                raise ValueError(f"class {key!r}: unknown entry {min(unknown)!r}; names, negatives")
            if not entry.get("names"):
                raise ValueError(f"class {key!r}: no names, so no caption could mention it")
            for is_name, names in ((True, entry["names"]), (False, entry.get("negatives", ()))):
                for name in names:
                    self._add(key, name, owner, is_name=is_name)
        self._automaton.make_automaton()

    def _add(self, key: str, name: str, owner: int, *, is_name: bool) -> None:
        if not name.strip():
            raise ValueError(f"class {key!r}: a name is empty")
        # a mark of punctuation in a name would never be found in a caption that is spaced
        sought = folded(name) if self._boundaries else f" {name} "
        _, owners = self._automaton.get(sought, (len(sought), set()))
        self._automaton.add_word(sought, (len(sought), owners | {(owner, is_name)}))

    def __call__(self, captions: pa.StringArray) -> Matches:
        """The matches of a batch."""
        row_M: list[int] = []
        class_M: list[int] = []
        for row, caption in enumerate(captions.to_pylist()):
            own = self._of(caption) if caption else []
            row_M += [row] * len(own)
            class_M += own
        return Matches(np.array(row_M, np.int64), np.array(class_M, np.int64))

    def _of(self, caption: str) -> list[int]:
        text = folded(caption) if self._boundaries else spaced(caption)
        found: set[tuple[int, bool]] = set()
        for last, (length, owners) in self._automaton.iter(text):
            if not self._boundaries or _stands_alone(text, last + 1 - length, last + 1):
                found |= owners
        return sorted(owner for owner, is_name in found if is_name and (owner, False) not in found)


def _stands_alone(text: str, start: int, stop: int) -> bool:
    """Whether both ends of a piece of text are word boundaries, as `\\b` has them."""
    return _boundary(text, start) and _boundary(text, stop)


def _boundary(text: str, at: int) -> bool:
    before = at > 0 and _is_word(text[at - 1])
    after = at < len(text) and _is_word(text[at])
    return before != after


def _is_word(letter: str) -> bool:
    return letter.isalnum() or letter == "_"
