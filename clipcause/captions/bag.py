"""Which captions mention which class, as bags of lemmas: the frequency of the imbalance study.

Definition (arXiv 2405.21070): a caption counts once for a class iff no negative of the class and
at least one of its names is in it. A name (or negative) is in a caption iff the lemmas of all its
words are among the lemmas of the caption's words; order and repetition do not matter.

The loop of the definition asks every class about every caption. Here a batch of captions is split
at once, each different word is looked up once, words that are in no name drop out, and what is
left are joins on sorted arrays: a name is asked for in the captions that hold its rarest lemma.

Shapes: N captions, M matches, K (caption, lemma) pairs, L lemmas of names.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Int64

from clipcause.captions import words


class Matches(NamedTuple):
    """Pairs of caption and class, sorted by caption, then class; each comes once."""

    row_M: Int64[np.ndarray, " M"]
    class_M: Int64[np.ndarray, " M"]


@dataclass(frozen=True)
class Phrases:
    """Sets of lemmas (names or negatives of classes), as arrays in groups of equal size."""

    # per size S: lemmas (P, S) and classes (P); sizes differ, so the axes have no names
    groups: tuple[tuple[Int64[np.ndarray, "_ _"], Int64[np.ndarray, " _"]], ...]

    @classmethod
    def of(cls, found: Sequence[tuple[frozenset[int], int]]) -> "Phrases":
        """From (lemmas, class) pairs."""
        by_size: dict[int, dict[tuple[tuple[int, ...], int], None]] = {}
        for lemmas, owner in found:
            by_size.setdefault(len(lemmas), {})[tuple(sorted(lemmas)), owner] = None
        return cls(
            tuple(
                (
                    np.array([lemmas for lemmas, _ in group], np.int64),
                    np.array([owner for _, owner in group], np.int64),
                )
                for _, group in sorted(by_size.items())
            )
        )


@dataclass
class Bag:
    """A matcher for a list of classes; ``lemma`` maps a lower-case word to its lemma."""

    classes: Mapping[str, Mapping[str, Sequence[str]]]
    lemma: Callable[[str], str]
    _code: dict[str, int] = field(default_factory=dict, init=False)  # of lemmas in names
    _seen: dict[str, tuple[int, ...]] = field(default_factory=dict, init=False)  # by word

    def __post_init__(self) -> None:
        names, negatives = [], []
        for owner, (key, entry) in enumerate(self.classes.items()):
            if unknown := entry.keys() - {"name", "names", "negatives"}:
                raise ValueError(f"class {key!r}: unknown entry {min(unknown)!r}; names, negatives")
            if not entry.get("names"):
                raise ValueError(f"class {key!r}: no names, so no caption could mention it")
            names += [(self._lemmas(key, name), owner) for name in entry["names"]]
            negatives += [(self._lemmas(key, name), owner) for name in entry.get("negatives", ())]
        self._names, self._negatives = Phrases.of(names), Phrases.of(negatives)

    def __call__(self, captions: pa.StringArray) -> Matches:
        """The matches of a batch."""
        pairs = self._pairs(captions)
        found = _join(self._names, pairs, len(self._code), len(self.classes))
        wrong = _join(self._negatives, pairs, len(self._code), len(self.classes))
        if len(wrong):
            found = np.setdiff1d(found, wrong, assume_unique=True)
        return Matches(*np.divmod(found, max(len(self.classes), 1)))

    def _lemmas(self, key: str, name: str) -> frozenset[int]:
        lemmas = {self.lemma(word) for word in words.tokens(name)}
        if not lemmas:
            raise ValueError(f"class {key!r}: name {name!r} has no letters a-z to match")
        return frozenset(self._code.setdefault(lemma, len(self._code)) for lemma in lemmas)

    def _pairs(self, captions: pa.StringArray) -> Int64[np.ndarray, " K"]:
        """Caption * L + lemma for the lemmas of names that captions hold, sorted, once each."""
        row_W, code_W, different = words.split(captions)
        lemmas = [self._of(word) for word in different]
        most = max(map(len, lemmas), default=0)
        pairs = []
        for part in range(most):  # a contraction stands for two words
            lemma_D = np.array([own[part] if part < len(own) else -1 for own in lemmas], np.int64)
            lemma_W = lemma_D[code_W]
            kept = lemma_W >= 0
            pairs.append(row_W[kept] * len(self._code) + lemma_W[kept])
        return _once(np.concatenate(pairs)) if pairs else np.empty(0, np.int64)

    def _of(self, word: str) -> tuple[int, ...]:
        """The codes of a word's lemmas, as far as names have them."""
        known = self._seen.get(word)
        if known is None:
            if len(self._seen) > FORGET:
                self._seen.clear()
            parts = words.CONTRACTIONS.get(word, (word,)) if word else ()
            codes = (self._code.get(self.lemma(part)) for part in parts)
            known = self._seen[word] = tuple(code for code in codes if code is not None)
        return known


FORGET = 1_000_000
"""Different words remembered at most: a corpus has no end of misspellings."""


def _join(
    phrases: Phrases, pair_K: Int64[np.ndarray, " K"], lemmas: int, classes: int
) -> Int64[np.ndarray, " M"]:
    """Caption * classes + class for every phrase whose lemmas a caption holds, sorted, once."""
    if not len(pair_K) or not phrases.groups:
        return np.empty(0, np.int64)
    row_K, lemma_K = np.divmod(pair_K, lemmas)
    count_L = np.bincount(lemma_K, minlength=lemmas)
    found = []
    for lemma_PS, owner_P in phrases.groups:
        # the rarest lemma first: few captions hold it, and only those are asked for the others
        order_PS = np.argsort(count_L[lemma_PS], axis=1, kind="stable")
        lemma_PS = np.take_along_axis(lemma_PS, order_PS, axis=1)
        by_anchor = np.argsort(lemma_PS[:, 0], kind="stable")
        first_L = np.searchsorted(lemma_PS[by_anchor, 0], np.arange(lemmas + 1))
        times_K = (first_L[1:] - first_L[:-1])[lemma_K]
        at_K = np.flatnonzero(times_K)
        times = times_K[at_K]
        row_C = np.repeat(row_K[at_K], times)
        within_C = np.arange(len(row_C)) - np.repeat(np.cumsum(times) - times, times)
        phrase_C = by_anchor[np.repeat(first_L[lemma_K[at_K]], times) + within_C]
        for place in range(1, lemma_PS.shape[1]):
            wanted_C = row_C * lemmas + lemma_PS[phrase_C, place]
            at_C = np.minimum(np.searchsorted(pair_K, wanted_C), len(pair_K) - 1)
            holds_C = pair_K[at_C] == wanted_C
            row_C, phrase_C = row_C[holds_C], phrase_C[holds_C]
        found.append(row_C * classes + owner_P[phrase_C])
    return _once(np.concatenate(found))


def _once(number_M: Int64[np.ndarray, " _"]) -> Int64[np.ndarray, " _"]:
    """Sorted, each number once. ``np.unique`` hashes first, which takes several times as long."""
    sorted_M = np.sort(number_M)
    return sorted_M[np.diff(sorted_M, prepend=-1) > 0]
