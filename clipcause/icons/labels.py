"""Which class an icon shows, and which classes its name mentions.

Labels are strict: the whole name is a class's, but for badges at its end. Mentions are loose, as
LAIONet's are: the words of a class's name are somewhere in the icon's.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from clipcause.captions.classes import ClassNames
from clipcause.icons import names

Phrase = tuple[frozenset[str], str]  # words and the class whose name, or negative, they are


@dataclass(frozen=True)
class Labels:
    """The names of a class list; make it by ``of``."""

    index: Mapping[str, str]  # from exact name to class
    badges: Collection[str]
    by_word: Mapping[str, list[Phrase]]  # names under one of their words, so that few are compared
    negatives: Mapping[str, list[frozenset[str]]]  # by class

    @classmethod
    def of(cls, classes: Mapping[str, ClassNames], badges: Collection[str] = ()) -> "Labels":
        """From a class list; ``badges`` are words that change nothing of what a name means."""
        index = names.label_index({key: entry.names for key, entry in classes.items()})
        grouped: dict[str, list[Phrase]] = defaultdict(list)
        for name, label in sorted(index.items()):
            words = name.split()
            grouped[words[0]].append((frozenset(words), label))
        negatives = {
            key: [frozenset(negative.split()) for negative in entry.negatives]
            for key, entry in classes.items()
        }
        return cls(index, frozenset(badges), dict(grouped), negatives)

    def label(self, words: tuple[str, ...]) -> str | None:
        """The class of a name: itself, or what is left when badges and numbers go off its end.

        `calendar plus` is a calendar with a small plus: what is drawn is a calendar. A name that
        holds a negative of the class is not of it.
        """
        for end in range(len(words), 0, -1):
            if (label := self.index.get(" ".join(words[:end]))) is not None:
                return None if self._denied(label, frozenset(words)) else label
            if words[end - 1] not in self.badges and not words[end - 1].isdigit():
                return None
        return None

    def mentions(self, words: Iterable[str]) -> frozenset[str]:
        """The classes of which a name's words, in any order, are all among ``words``."""
        found = frozenset(words)
        return frozenset(
            label
            for word in found
            for name, label in self.by_word.get(word, ())
            if name <= found and not self._denied(label, found)
        )

    def _denied(self, label: str, words: frozenset[str]) -> bool:
        return any(negative <= words for negative in self.negatives.get(label, ()))
