"""How fast are captions counted, and are they counted as NLTK would?

    python -m benchmarks.frequency --write benchmarks/frequency.md

1,000,000 captions made of the real icons' names and what their sets say of themselves (title,
category, tags), 1,000 classes: those of the study, and words and pairs of words of the captions.
Compared with the loop of the definition, class by class over all captions (each caption's bag of
lemmas is made once), on as many captions as `--loop` says, for it is slow. Equality: the words and
lemmas of every caption of the study by NLTK's own tokeniser and lemmatiser over the same WordNet.
Seconds are the processor's, of one process: what else the machine does is not counted.
"""

import argparse
import random
import resource
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path

import nltk
import numpy as np
import pyarrow.parquet as pq

from benchmarks.machine import describe, show
from clipcause.captions import classes, counting, lemmas, words
from clipcause.captions.counting import Classes
from clipcause.config import layout
from clipcause.icons import catalogue

# WordNet's lexnames(5WN): the file that NLTK's reader wants and the package lacks
PARTS = {"adj": 3, "adv": 4, "noun": 1, "verb": 2}
# fmt: off
LEXICOGRAPHERS = (
    "adj.all", "adj.pert", "adv.all", "noun.Tops", "noun.act", "noun.animal", "noun.artifact",
    "noun.attribute", "noun.body", "noun.cognition", "noun.communication", "noun.event",
    "noun.feeling", "noun.food", "noun.group", "noun.location", "noun.motive", "noun.object",
    "noun.person", "noun.phenomenon", "noun.plant", "noun.possession", "noun.process",
    "noun.quantity", "noun.relation", "noun.shape", "noun.state", "noun.substance", "noun.time",
    "verb.body", "verb.change", "verb.cognition", "verb.communication", "verb.competition",
    "verb.consumption", "verb.contact", "verb.creation", "verb.emotion", "verb.motion",
    "verb.perception", "verb.possession", "verb.social", "verb.stative", "verb.weather",
    "adj.ppl",
)
# fmt: on


def captions() -> list[str]:
    """Real captions: names with the words that their sets have."""
    table = pq.read_table(catalogue.FOLDER / "pool.parquet", partitioning=None)
    names = ("caption", "title", "category", "tags")
    rows = zip(*(table[name].to_pylist() for name in names), strict=True)
    return [
        " ".join([caption, title, category, *(tags or ())])
        for caption, title, category, tags in rows
    ]


def class_list(real: list[str], count: int) -> dict[str, dict[str, list[str]]]:
    """The study's classes, filled up with words and pairs of words of the captions."""
    known = classes.read(layout.classes("icons"))
    listed = {key: {"names": c.names, "negatives": c.negatives} for key, c in known.items()}
    chance = random.Random(0)
    different = sorted({word for caption in real for word in words.tokens(caption)})
    while len(listed) < count:
        name = " ".join(chance.sample(different, chance.choice((1, 1, 2))))
        listed[f"word {len(listed)}"] = {"names": [name], "negatives": []}
    return listed


def loop(real: list[str], listed: Classes, lemma: Callable[[str], str]) -> np.ndarray:
    """The definition: for every class, all captions."""
    bags = [{lemma(word) for word in words.tokens(caption)} for caption in real]
    counts = []
    for entry in listed.values():
        names, negatives = (
            [frozenset(lemma(word) for word in words.tokens(name)) for name in entry[kind]]
            for kind in ("names", "negatives")
        )
        counts.append(
            sum(
                any(name <= bag for name in names) and not any(name <= bag for name in negatives)
                for bag in bags
            )
        )
    return np.array(counts)


def nltk_lemma(package: Path, folder: Path) -> Callable[[str], str]:
    """NLTK's lemmatiser over the package's WordNet, unpacked as NLTK wants it."""
    target = folder / "corpora/wordnet"
    target.mkdir(parents=True)
    with tarfile.open(package) as outer:
        for member in outer:
            name = Path(member.name).name
            stream = outer.extractfile(member) if member.isfile() else None
            if stream is not None and (name.endswith((".exc", ".gz"))):
                (target / name).write_bytes(stream.read())
    with tarfile.open(target / "WNdb-3.0.tar.gz") as inner:
        for member in inner:
            stream = inner.extractfile(member) if member.isfile() else None
            if stream is not None:
                (target / Path(member.name).name).write_bytes(stream.read())
    lines = (
        f"{number:02d}\t{name}\t{PARTS[name.partition('.')[0]]}"
        for number, name in enumerate(LEXICOGRAPHERS)
    )
    (target / "lexnames").write_text("\n".join(lines) + "\n")
    nltk.data.path.insert(0, str(folder))
    return nltk.stem.WordNetLemmatizer().lemmatize


def differing(real: list[str], lemma: Callable[[str], str], theirs: Callable[[str], str]) -> int:
    """Captions whose words or lemmas are not those of NLTK."""
    tokenizer = nltk.tokenize.NLTKWordTokenizer()
    known: dict[str, str] = {}
    different = 0
    for caption in dict.fromkeys(real):
        expected = tokenizer.tokenize(words.cleaned(caption))
        for word in expected:
            if word not in known:
                known[word] = theirs(word)
        found = words.tokens(caption)
        equal = found == expected and all(lemma(word) == known[word] for word in found)
        different += not equal
    return different


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--captions", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=1_000)
    parser.add_argument("--loop", type=int, default=20_000, help="captions for the loop")
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    real = captions()
    listed = class_list(real, arguments.classes)
    nouns = lemmas.read(layout.RAW_WORDNET)

    def stream(count: int) -> Iterator[str]:
        return islice(cycle(real), count)

    match = counting.matcher("bag", listed, nouns.lemma)
    few = list(stream(arguments.loop))
    before = time.process_time()
    expected_C = loop(few, listed, nouns.lemma)
    slow = (time.process_time() - before) / len(few)
    counting.count(few, match, len(listed))  # the first use of a matcher looks up its words
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    before = time.process_time()
    counting.count(stream(arguments.captions), match, len(listed))
    fast = (time.process_time() - before) / arguments.captions
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    equal = np.array_equal(counting.count(few, match, len(listed))[0], expected_C)
    with tempfile.TemporaryDirectory() as folder:
        theirs = nltk_lemma(layout.RAW_WORDNET, Path(folder))
        wrong = differing(real, nouns.lemma, theirs)
    rows = [
        ("loop of the definition", f"{1 / slow:,.0f}", "1"),
        ("`clipcause.captions`, one process", f"{1 / fast:,.0f}", f"{slow / fast:,.0f}"),
    ]
    text = (
        "# Counting classes in captions\n\n"
        f"`python -m benchmarks.frequency` on {describe()}: {arguments.captions:,} captions of "
        f"{sum(map(len, few)) / len(few):.0f} characters, {len(listed):,} classes.\n\n"
        "| | captions a processor second | times the loop |\n|---|---:|---:|\n"
        + "".join(f"| {' | '.join(row)} |\n" for row in rows)
        + f"\nCounts equal those of the loop on {len(few):,} captions: {'yes' if equal else 'NO'}. "
        f"Captions of {len(dict.fromkeys(real)):,} different ones whose words or lemmas are not "
        f"NLTK {nltk.__version__}'s: {wrong}. Peak memory grew by {memory / 1024:.0f} MiB over the "
        f"{arguments.captions:,} captions.\n"
    )
    show(text, arguments.write)


if __name__ == "__main__":
    main()
