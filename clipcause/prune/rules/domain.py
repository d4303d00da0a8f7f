"""`domain`: keep, drop or mix the rows of whole visual domains, as a classifier calls them.

Whole domains are kept, left out or mixed in arXiv 2410.08258, which trains on natural images, on
renditions, and on mixes of them at one size. Domains are called by the data sets that an entry of
``domains`` names, or `first` and `second`; rows that are called neither are `ambiguous`.

Shapes: N pool rows, M consecutive ones of them, a block; A answers (first, second, ambiguous).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Bool, Int8
from pydantic import Field, model_validator

from clipcause.config import domains, unknown
from clipcause.config.domains import SLOTS, Domain
from clipcause.prune import split
from clipcause.prune.domains import Domains
from clipcause.prune.inputs import Inputs
from clipcause.prune.rule import Decision, Rows, Seed, Sourceless
from clipcause.prune.sampling import sample
from clipcause.prune.sentences import listed

Words = str | Annotated[list[str], Field(min_length=1)]
Part = Annotated[int | float, Field(gt=0)]
Answers = Iterable[tuple[int, Int8[np.ndarray, " _M"]]]
"""What pool rows are called: first row and answers of consecutive blocks."""


class ByDomain(Sourceless):
    """One of: the rows of the domains ``keep``; all but those of ``drop``; a ``mix`` at a ratio of
    ``size`` rows, or of as many as the base has at that ratio."""

    rule: Literal["domain"]
    domain: str  # of the section domains
    keep: Words | None = None
    drop: Words | None = None
    mix: Annotated[dict[str, Part], Field(min_length=1)] | None = None
    size: Rows | None = None
    seed: Seed | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "ByDomain":
        ways = [name for name in ("keep", "drop", "mix") if getattr(self, name) is not None]
        if len(ways) != 1:
            told = " and ".join(ways) or "none of them"
            raise ValueError(f"a domain split has one of keep, drop and mix, but has {told}")
        if self.mix is None and (self.size is not None or self.seed is not None):
            raise ValueError("size and seed are of a mix; keep and drop take all rows of a domain")
        if self.mix is not None and self.seed is None:
            raise ValueError("a mix is drawn, and needs a seed")
        return self

    def words(self) -> list[str]:
        """The domains as they are written."""
        named = self.mix if self.mix is not None else self.keep or self.drop or []
        return [named] if isinstance(named, str) else list(named)

    def slots(self, of: Domain, where: str) -> list[str]:
        """Which answers of the classifier the rule names, in the order of the words.

        Raises ``ValueError`` for a word that names none, for an answer that is named twice, and for
        all of them where all is what the base is already, or nothing.
        """
        way = next(name for name in ("keep", "drop", "mix") if getattr(self, name) is not None)
        found = [of.slot(word, f"{where}.{way}") for word in self.words()]
        if len(set(found)) < len(found):
            raise ValueError(f"{where}.{way}: a domain comes twice: {', '.join(self.words())}")
        if way != "mix" and len(found) == len(SLOTS):
            left = "leaves everything" if way == "keep" else "leaves nothing"
            raise ValueError(f"{where}.{way}: {', '.join(self.words())} {left}")
        return found

    def check(self, content: Mapping[str, Any], where: str, path: str) -> None:
        """The classifier and the domains exist."""
        self.slots(domains.load(self.domain, content, path), where)

    def decide(self, given: Inputs) -> Decision:
        """The rows of whole domains, as a classifier calls them; the card says how sure that is."""
        found = given.domains(self.domain)
        kept_N, rows, source = apply(given.base_N, self, found)
        facts = {"encoder": found.card["encoder"], "classifier": source}
        return Decision(split.from_mask(kept_N), {"domains": rows}, facts)

    def sentence(self) -> str:
        """Which domains, and by which classifier."""
        called = f"as the classifier {self.domain} calls them"
        if self.mix is None:
            told = "only rows of" if self.keep is not None else "all but rows of"
            return f"domain: {told} {listed(self.words())}, {called}"
        ratio = ":".join(f"{part:g}" for part in self.mix.values())
        size = "as many rows as there are" if self.size is None else f"{self.size:,} rows"
        return f"domain: {size} of {listed(self.words())} at {ratio}, {called}, seed {self.seed}"


def apply(
    base_N: Bool[np.ndarray, " N"], rule: ByDomain, found: Domains
) -> tuple[Bool[np.ndarray, " N"], dict[str, Any], dict[str, Any]]:
    """The rows that the rule keeps, and for the split's card: rows of the base and kept ones by
    domain with the classifier's precision and recall; the classifier's hash and thresholds."""
    answer_N = collect(len(base_N), found.called())
    names = found.names
    answers = positions(rule.words(), names)
    if rule.mix is not None:
        ratio = dict(zip(answers, rule.mix.values(), strict=True))
        assert rule.seed is not None  # the parameters' model sees to it
        kept_N = mix(base_N, answer_N, ratio, rule.size, rule.seed, names)
    else:
        chosen = answers if rule.keep is not None else {0, 1, 2} - set(answers)
        kept_N = keep(base_N, answer_N, chosen)
    rows = {
        "before": counts(base_N, answer_N, names),
        "after": counts(kept_N, answer_N, names),
        "stated": found.card["stated"],
    }
    source = {name: found.card[name] for name in ("classifier", "thresholds", "names")}
    return kept_N, rows, source


def positions(words: Sequence[str], names: tuple[str, ...]) -> list[int]:
    """Which answers words mean: a domain's name, or its slot. ``ValueError`` for any other."""
    known = dict(zip((*SLOTS, *names), (*range(len(SLOTS)), *range(len(names))), strict=True))
    for word in words:
        if word not in known:
            raise unknown("domain", word, known, "the classifier")
    return [known[word] for word in words]


def collect(count: int, blocks: Answers) -> Int8[np.ndarray, " N"]:
    """The answers of all ``count`` pool rows: a byte each."""
    answer_N, filled = np.empty(count, np.int8), 0
    for start, answer_M in blocks:
        answer_N[start : start + len(answer_M)] = answer_M
        filled += len(answer_M)
    if filled != count:
        raise ValueError(f"answers for {filled} rows, the pool has {count}")
    return answer_N


def keep(
    base_N: Bool[np.ndarray, " N"], answer_N: Int8[np.ndarray, " N"], answers: Collection[int]
) -> Bool[np.ndarray, " N"]:
    """The base rows that are called one of ``answers``."""
    kept_N = np.zeros_like(base_N)
    for answer in answers:  # looking answers up in a table would take eight bytes a row
        kept_N |= answer_N == answer
    return np.logical_and(kept_N, base_N, out=kept_N)


def counts(
    base_N: Bool[np.ndarray, " N"], answer_N: Int8[np.ndarray, " N"], names: Collection[str]
) -> dict[str, int]:
    """How many base rows are called what."""
    return {name: int(np.count_nonzero(base_N & (answer_N == at))) for at, name in enumerate(names)}


def apportion(ratio: Mapping[int, int | float], size: int) -> dict[int, int]:
    """``size`` rows at a ratio, by Sainte-Laguë's method; equal claims: the first one named.

    For two parts that is the largest remainder. For three, the largest remainder can give a part
    fewer rows of a larger sample (the Alabama paradox), and samples would not be nested; this
    method never does (Balinski and Young, Fair Representation, 1982).
    """
    shares = {part: Fraction(value) for part, value in ratio.items()}
    whole = sum(shares.values())
    # up to three parts get no less than their quota rounded down, so it is the place to start
    given = {part: int(share * size / whole) for part, share in shares.items()}
    for _ in range(size - sum(given.values())):
        given[max(shares, key=lambda part: shares[part] / (2 * given[part] + 1))] += 1
    return given


def largest(ratio: Mapping[int, int | float], have: Mapping[int, int]) -> int:
    """The largest size at the ratio for which every part has rows enough."""
    low, high = 0, sum(have[part] for part in ratio)
    while low < high:  # what a part gets does not fall with the size
        middle = (low + high + 1) // 2
        enough = all(rows <= have[part] for part, rows in apportion(ratio, middle).items())
        low, high = (middle, high) if enough else (low, middle - 1)
    return low


def mix(
    base_N: Bool[np.ndarray, " N"],
    answer_N: Int8[np.ndarray, " N"],
    ratio: Mapping[int, int | float],
    size: int | None,
    seed: int,
    names: tuple[str, ...],
) -> Bool[np.ndarray, " N"]:
    """``size`` base rows of some answers at a ratio; without a size, as many as there can be.

    Samples of one seed and ratio are nested by size. Raises ``ValueError`` with the counts where an
    answer has too few rows.
    """
    have = {part: int(np.count_nonzero(base_N & (answer_N == part))) for part in ratio}
    most = largest(ratio, have)
    if size is None:
        size = most
    wanted = apportion(ratio, size)
    told = ", ".join(f"{wanted[part]} of the {have[part]} {names[part]}" for part in ratio)
    if not size or any(wanted[part] > have[part] for part in ratio):
        raise ValueError(
            f"a mix of {size} rows takes {told} in the base; at most {most} rows can be had at "
            "this ratio"
        )
    kept_N = np.zeros_like(base_N)
    for part, rows in wanted.items():
        kept_N |= sample(base_N & (answer_N == part), rows, seed)
    return kept_N
