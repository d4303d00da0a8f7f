"""Definitions of noun synsets by WordNet, as NLTK's `Synset.definition()` gives them.

A synset is named as NLTK does, `cup.n.01`: a lemma of its, and which of that lemma's senses it is;
or as ImageNet does, `n03147509`: where its line begins in `data.noun` (of WordNet 3.0).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clipcause.captions import wordnet
from clipcause.captions.classes import ClassNames
from clipcause.config import nearest

WNID = re.compile(r"n(\d{8})")
NAME = re.compile(r"(.+)\.n\.(\d+)")
FILES = (wordnet.INDEX, wordnet.DATA)
_EXAMPLE = re.compile('"[^"]*"')


@dataclass(frozen=True)
class Glosses:
    """The nouns of a WordNet: the line of each lemma in the index, and the synsets."""

    index: Mapping[str, str]
    data: bytes
    version: str

    def offset(self, synset: str) -> int:
        """Where the synset's line begins. Raises ``ValueError`` for one that there is not."""
        if wnid := WNID.fullmatch(synset):
            return int(wnid[1])
        named = NAME.fullmatch(synset.lower())
        if not named:
            raise ValueError(f"synset {synset!r} is no name such as cup.n.01 or n03147509")
        lemma, sense = named[1], int(named[2])
        if lemma not in self.index:
            near = nearest(lemma, (known for known in self.index if known[:1] == lemma[:1]))
            raise ValueError(f"synset {synset!r}: WordNet has no noun {lemma!r}; {near}")
        fields = self.index[lemma].split()
        senses = int(fields[2])  # the last fields of the line are their offsets
        if not 1 <= sense <= senses:
            raise ValueError(f"synset {synset!r}: the noun {lemma!r} has the senses 1 to {senses}")
        return int(fields[len(fields) - senses + sense - 1])

    def definition(self, synset: str) -> str:
        """The gloss without its examples. Raises ``ValueError`` for a synset that there is not."""
        start = self.offset(synset)
        head, bar, gloss = self.data[start : self._end(start)].decode().partition("|")
        if not bar or head[:8] != f"{start:08d}":
            raise ValueError(f"synset {synset!r}: WordNet has no noun at byte {start} of data.noun")
        return _EXAMPLE.sub("", gloss).strip().strip("; ")

    def _end(self, start: int) -> int:
        end = self.data.find(b"\n", start)
        return len(self.data) if end < 0 else end


def read(path: Path) -> Glosses:
    """Read WordNet's nouns from the package or a folder, as ``clipcause.captions.wordnet`` does."""
    found = wordnet.read(path, FILES)
    lines = found[wordnet.INDEX].decode().splitlines()
    index = {line.partition(" ")[0]: line for line in lines if line and not line.startswith(" ")}
    return Glosses(index, found[wordnet.DATA], wordnet.version(found[wordnet.INDEX]))


def definitions(classes: Mapping[str, ClassNames], known: Glosses) -> dict[str, str]:
    """The definition of each class that has one, in the order of the list.

    The class's own ``definition``, else that of its ``synset``, else that of its id, where the id
    is ImageNet's. Raises ``ValueError`` naming the class whose synset there is not.
    """
    found: dict[str, str] = {}
    for key, entry in classes.items():
        synset = entry.synset or (key if WNID.fullmatch(key) else None)
        if entry.definition is not None:
            found[key] = entry.definition
        elif synset is not None:
            try:
                found[key] = known.definition(synset)
            except ValueError as error:
                raise ValueError(f"class {key!r}: {error}") from None
    return found
