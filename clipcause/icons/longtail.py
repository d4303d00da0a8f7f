"""The long-tailed world: one labelled pool in its natural counts, and a balanced test.

The parts mirror the data of the imbalance study (NeurIPS 2024, arXiv 2405.21070): ImageNet-Captions
and LAIONet, whose classes have as many images as the web has of them, and ImageNet-Val, which has
the same number of each. Nothing is drawn to a style: the counts are those of the icon names.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from clipcause.icons.labels import Labels
from clipcause.icons.roles import POOL, REFERENCE, Candidate, fraction

BALANCED = "balanced"
SUBSET = "subset"  # the images of `balanced` that are of some classes

Identity = tuple[str, str]  # prefix and name


@dataclass(frozen=True)
class LongTail:
    """How many icons each part gets."""

    salt: str
    per_class: int  # test images a class, one of an icon family
    least_families: int  # that draw a class; a class with fewer takes no part
    reference_per_class: int  # at most; see `cast`
    pool_with_class_word: int  # icons of no class whose name has the words of one
    pool_unrelated: int  # icons whose name has none


@dataclass(frozen=True)
class Deal:
    """Who plays which part, and who none."""

    role: Mapping[Identity, str]
    relatives: frozenset[Identity]  # of test images: they may be in no other part
    too_few: tuple[str, ...]  # classes that too few families draw


def cast(candidates: Iterable[Candidate], casting: LongTail, labels: Labels) -> Deal:
    """Give a part to icons: which, and what is in no part.

    * ``balanced``: of each class, one icon of each of ``per_class`` families. All else that these
      families draw of the class leaves, so that no near-copy of a test image is trained on. The
      families are those first in the order of a hash among the half that draw the class least
      often: the families that dominate its images stay in the pool, and the tail keeps its images.
    * ``reference``: of each class, icons of different families: a fifth of what is left, at least
      one and at most ``reference_per_class``.
    * ``pool``: all other labelled icons, in their natural counts; of the others,
      ``pool_with_class_word`` that mention a class and ``pool_unrelated`` that mention none.

    Raises ValueError where there are fewer such icons than asked for.
    """
    everyone = sorted(candidates, key=lambda c: c.identity)
    families = _families(everyone)
    usable = {k: v for k, v in families.items() if len(v) >= casting.least_families}
    role: dict[Identity, str] = {}
    relatives: set[Identity] = set()
    held: set[tuple[str, str]] = set()  # (class, family)
    for label, drawn in sorted(usable.items()):
        for family in _held_out(label, drawn, casting):
            held.add((label, family))
            test = min(drawn[family], key=lambda c: fraction(casting.salt, "icon", *c.identity))
            role[test.identity] = BALANCED
            relatives |= {c.identity for c in drawn[family]} - {test.identity}
        left = {k: v for k, v in drawn.items() if (label, k) not in held}
        role |= {c.identity: REFERENCE for c in _reference(label, left, casting)}

    related, unrelated = [], []
    for candidate in everyone:
        if candidate.identity in role or candidate.identity in relatives:
            continue
        if candidate.label in usable:
            role[candidate.identity] = POOL
        elif not (found := labels.mentions(candidate.words) & usable.keys()):
            unrelated.append(candidate)
        elif any((label, candidate.family) in held for label in found):
            # `folder star` of a family whose folder is a test image shows that folder
            relatives.add(candidate.identity)
        else:
            related.append(candidate)
    for kind, members, wanted in (
        ("pool_with_class_word", related, casting.pool_with_class_word),
        ("pool_unrelated", unrelated, casting.pool_unrelated),
    ):
        role |= {c.identity: POOL for c in _sample(kind, members, wanted, casting.salt)}
    too_few = tuple(sorted(families.keys() - usable.keys()))
    return Deal(role, frozenset(relatives), too_few)


def _families(candidates: Iterable[Candidate]) -> dict[str, dict[str, list[Candidate]]]:
    families: dict[str, dict[str, list[Candidate]]] = defaultdict(lambda: defaultdict(list))
    for candidate in candidates:
        if candidate.label is not None:
            families[candidate.label][candidate.family].append(candidate)
    return families


def _held_out(label: str, drawn: Mapping[str, list[Candidate]], casting: LongTail) -> list[str]:
    middle = median(len(icons) for icons in drawn.values())
    order = sorted(
        drawn,
        key=lambda family: (
            len(drawn[family]) > middle,
            fraction(casting.salt, BALANCED, label, family),
        ),
    )
    return order[: casting.per_class]


def _reference(
    label: str, left: Mapping[str, list[Candidate]], casting: LongTail
) -> list[Candidate]:
    fifth = sum(len(icons) for icons in left.values()) // 5
    wanted = min(casting.reference_per_class, max(1, fifth))
    order = sorted(left, key=lambda family: fraction(casting.salt, REFERENCE, label, family))
    return [
        min(left[family], key=lambda c: fraction(casting.salt, "icon", *c.identity))
        for family in order[:wanted]
    ]


def _sample(kind: str, members: list[Candidate], wanted: int, salt: str) -> list[Candidate]:
    if wanted > len(members):
        raise ValueError(
            f"icons.{kind} asks for {wanted:,} icons, but only {len(members):,} are left; "
            "lower it in params.yaml"
        )
    return sorted(members, key=lambda c: fraction(salt, POOL, *c.identity))[:wanted]
