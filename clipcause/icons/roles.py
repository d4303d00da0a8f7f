"""Who plays which part: icons into pool, reference and test sets.

The parts mirror the data of the similarity study (ICLR 2024, arXiv 2310.09562): ImageNet-Train
is the reference, the six test sets are ImageNet-Val, -V2, -Sketch, -R, -A and ObjectNet, LAION is
the pool. Every choice is a hash of names, so it depends on no order and no random state.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clipcause.icons.style import Style

POOL, REFERENCE = "pool", "reference"


@dataclass(frozen=True)
class Candidate:
    """An icon that may take a part. ``label`` and ``style`` are None where the name is no class."""

    prefix: str
    name: str
    family: str
    words: tuple[str, ...]
    label: str | None = None
    style: Style | None = None
    rendition: bool = False  # coloured, or of an emoji, hand-drawn or pixel set

    @property
    def identity(self) -> tuple[str, str]:
        return self.prefix, self.name

    @property
    def concept(self) -> tuple[str, ...]:
        """Icons of one concept are near-copies: one family's drawings of one name."""
        return self.family, *self.words


@dataclass(frozen=True)
class Casting:
    """How many icons each part gets."""

    salt: str
    reference_families: float  # share of the icon families whose solid glyphs are the reference
    per_class: int  # test images a class and test set
    adversarial_candidates: int  # a class; those a simple classifier gets wrong become A
    pool_size: int  # 0: all that is left
    pool_labelled: int  # of these, how many have the name of a class
    pool_with_class_word: int  # and how many others have a class word somewhere in their name


def fraction(salt: str, *parts: str) -> float:
    """A number in [0, 1) that depends on ``salt`` and ``parts`` alone."""
    digest = hashlib.blake2b("\0".join((salt, *parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def cast(
    candidates: Iterable[Candidate], casting: Casting, class_words: set[str]
) -> dict[tuple[str, str], str]:
    """Give a part to icons: (prefix, name) -> role. Icons without a part are absent.

    * ``reference``: labelled solid glyphs of the reference families;
    * ``val``: glyphs of the same families whose concept is held out of the reference;
    * ``v2``, ``objectnet``, ``a-candidate``: labelled solid glyphs of the other families;
    * ``sketch``: labelled line drawings; ``r``: labelled renditions;
    * ``pool``: a sample of everything else, enriched with names that contain a class word.

    A class takes part only where enough concepts are left for the reference after Val has its own:
    the supervised baseline must know every class that a test set asks for.

    A test image is never in the pool; near-copies of it (another version of its set) may be, as
    in any web pool: similarity is what is studied, so it must not be removed beforehand.
    """
    by_part: dict[str, list[Candidate]] = defaultdict(list)
    everyone = sorted(candidates, key=lambda c: c.identity)
    usable = _usable_classes(everyone, casting)
    for candidate in everyone:
        kind = _kind(candidate, casting) if candidate.label in usable else "unlabelled"
        by_part[kind].append(candidate)
    roles: dict[tuple[str, str], str] = {}

    held_out = _pick(by_part["inside"], ["val"], casting.per_class, casting.salt)
    roles |= held_out
    val_concepts = {c.concept for c in by_part["inside"] if c.identity in held_out}
    roles |= {c.identity: REFERENCE for c in by_part["inside"] if c.concept not in val_concepts}
    roles |= _pick(by_part["outside"], ["v2", "objectnet"], casting.per_class, casting.salt)
    left = [c for c in by_part["outside"] if c.identity not in roles]
    roles |= _pick(left, ["a-candidate"], casting.adversarial_candidates, casting.salt)
    roles |= _pick(by_part["line"], ["sketch"], casting.per_class, casting.salt)
    roles |= _pick(by_part["rendition"], ["r"], casting.per_class, casting.salt)

    rest = [c for c in everyone if c.identity not in roles]
    rest.sort(key=lambda c: fraction(casting.salt, "pool", *c.identity))
    if casting.pool_size:
        rest = _sample_pool(rest, casting, class_words)
    return roles | {c.identity: POOL for c in rest}


def _sample_pool(rest: list[Candidate], casting: Casting, class_words: set[str]) -> list[Candidate]:
    """Take the first of each kind; what a kind lacks, the unrelated icons make up for."""
    named = [c for c in rest if c.label is not None]
    related = [c for c in rest if c.label is None and class_words.intersection(c.words)]
    other = [c for c in rest if c.label is None and not class_words.intersection(c.words)]
    chosen = named[: casting.pool_labelled] + related[: casting.pool_with_class_word]
    wanted = casting.pool_size - len(chosen)
    if wanted < 0:
        raise ValueError(
            f"icons.pool_labelled and icons.pool_with_class_word ask for {len(chosen):,} icons, "
            f"icons.pool_size in params.yaml for {casting.pool_size:,} in all"
        )
    if wanted > len(other):
        raise ValueError(
            f"the pool shall hold {casting.pool_size:,} icons, but only "
            f"{len(chosen) + len(other):,} are left after the test sets; lower "
            "icons.pool_size in params.yaml (0 takes all)"
        )
    return chosen + other[:wanted]


def _usable_classes(candidates: Iterable[Candidate], casting: Casting) -> set[str]:
    concepts: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for candidate in candidates:
        if candidate.label is not None and _kind(candidate, casting) == "inside":
            concepts[candidate.label].add(candidate.concept)
    return {label for label, found in concepts.items() if len(found) > casting.per_class}


def _kind(candidate: Candidate, casting: Casting) -> str:
    if candidate.label is None:
        return "unlabelled"
    if candidate.rendition:
        return "rendition"
    if candidate.style == "line":
        return "line"
    if candidate.style == "solid":
        inside = fraction(casting.salt, "family", candidate.family) < casting.reference_families
        return "inside" if inside else "outside"
    return "unlabelled"


def _pick(
    candidates: Iterable[Candidate], parts: list[str], per_class: int, salt: str
) -> Mapping[tuple[str, str], str]:
    """Deal concepts of each class to ``parts`` in turn, one icon a concept, in order of hashes."""
    concepts: dict[str, dict[tuple[str, ...], list[Candidate]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for candidate in candidates:
        if candidate.label is not None:
            concepts[candidate.label][candidate.concept].append(candidate)
    picked: dict[tuple[str, str], str] = {}
    for groups in concepts.values():
        order = sorted(groups, key=lambda concept: fraction(salt, *parts, *concept))
        for place, concept in enumerate(order[: per_class * len(parts)]):
            icon = min(groups[concept], key=lambda c: fraction(salt, "icon", *c.identity))
            picked[icon.identity] = parts[place % len(parts)]
    return picked
