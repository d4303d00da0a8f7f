"""Who plays which part in the embedded study, from the icon package to the rows of the catalogue.

Names give captions and classes, pixels give styles, hashes deal out the parts. Only icons whose
name is a class are drawn here, to see their style, and those of the files that
``clipcause.icons.further`` makes from what is left.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from clipcause.captions import classes
from clipcause.config import unknown
from clipcause.config.icons import Icons
from clipcause.icons import further, hard, longtail, package, roles
from clipcause.icons.catalogue import Credit, LeftOut
from clipcause.icons.distort import distort
from clipcause.icons.labels import Labels
from clipcause.icons.longtail import LongTail
from clipcause.icons.roles import Candidate, Casting
from clipcause.icons.sets import Sets, read_sets
from clipcause.icons.table import Drawing, IconTable, Identity, collect, draw, look_at, usable_sets
from clipcause.runtime import notices
from clipcause.runtime.parallel import ordered_map

ADVERSARIAL, OBJECTNET = "a", "objectnet"
CANDIDATE = "a-candidate"


@dataclass(frozen=True)
class Cast:
    """Who plays which part, who was left out for it, and which classes take no part."""

    part: Mapping[Identity, str]
    left_out: list[LeftOut]
    without_part: tuple[str, ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)


def resolve_adversarial(
    part: Mapping[Identity, str],
    label: Mapping[Identity, str],
    drawings: Mapping[Identity, Drawing],
) -> tuple[dict[Identity, str], list[LeftOut]]:
    """Give A those candidates that nearest neighbours in the reference get wrong.

    The others leave: they were looked at, so the pool must not have them either.
    """
    number = {class_id: n for n, class_id in enumerate(sorted(set(label.values())))}

    def arrays(members: list[Identity]) -> tuple[np.ndarray, np.ndarray]:
        pixels = np.stack([drawings[i].thumbnail for i in members])
        return pixels, np.array([number[label[i]] for i in members], dtype=np.int64)

    members = sorted(identity for identity, role in part.items() if role == CANDIDATE)
    reference = sorted(identity for identity, role in part.items() if role == roles.REFERENCE)
    if not members or len(reference) < hard.NEIGHBOURS:
        raise ValueError(
            f"{len(members)} candidates for A and {len(reference)} reference glyphs are too few; "
            "raise icons.adversarial_candidates_per_class or icons.reference_families"
        )
    wrong = hard.misclassified(*arrays(members), *arrays(reference))
    resolved = {identity: role for identity, role in part.items() if role != CANDIDATE}
    resolved |= {i: ADVERSARIAL for i, missed in zip(members, wrong, strict=True) if missed}
    reason = "candidate for A that was classified correctly"
    easy = [LeftOut(*i, reason) for i, missed in zip(members, wrong, strict=True) if not missed]
    return resolved, easy


def candidates(
    icons: IconTable,
    label: Mapping[Identity, str],
    drawings: Mapping[Identity, Drawing],
    sets: Sets,
) -> list[Candidate]:
    """What casting needs to know of every icon."""
    result = []
    for identity, (icon, words) in icons.items():
        drawing = drawings.get(identity)
        coloured = drawing is not None and drawing.style == "colour"
        result.append(
            Candidate(
                prefix=icon.prefix,
                name=icon.name,
                family=sets.family.get(icon.prefix, icon.prefix),
                words=words,
                label=label.get(identity),
                style=drawing.style if drawing else None,
                rendition=coloured or icon.prefix in sets.renditions,
            )
        )
    return result


def cast_similarity(
    parameters: Icons,
    world: list[Candidate],
    labels: Labels,
    label: Mapping[Identity, str],
    drawings: Mapping[Identity, Drawing],
) -> Cast:
    """Pool, reference and six test sets: `clipcause/icons/roles.py`."""
    casting = Casting(
        salt=parameters.salt,
        reference_families=parameters.reference_families,
        per_class=parameters.test_images_per_class,
        adversarial_candidates=parameters.adversarial_candidates_per_class,
        pool_size=parameters.pool_size,
        pool_labelled=parameters.pool_labelled,
        pool_with_class_word=parameters.pool_with_class_word,
    )
    class_words = {word for name in labels.index for word in name.split()}
    part, easy = resolve_adversarial(roles.cast(world, casting, class_words), label, drawings)
    return Cast(part, easy)


def cast_long_tail(parameters: Icons, world: list[Candidate], labels: Labels) -> Cast:
    """Pool in natural counts, reference and balanced test: `clipcause/icons/longtail.py`."""
    casting = LongTail(
        salt=parameters.salt,
        per_class=parameters.test_images_per_class,
        least_families=parameters.least_families,
        reference_per_class=parameters.reference_images_per_class,
        pool_with_class_word=parameters.pool_with_class_word,
        pool_unrelated=parameters.pool_unrelated,
    )
    dealt = longtail.cast(world, casting, labels)
    if dealt.too_few:
        which = ", ".join(dealt.too_few)
        notices.line(
            f"{len(dealt.too_few)} classes take no part, because fewer than "
            f"{casting.least_families} icon families draw them: {which}"
        )
    reason = "relative of a test image"
    left_out = [LeftOut(*identity, reason) for identity in sorted(dealt.relatives)]
    in_pool = Counter(
        c.label for c in world if c.label and dealt.role.get(c.identity) == roles.POOL
    )
    counts = sorted((in_pool[c] for c in in_pool if c not in dealt.too_few), reverse=True)
    numbers = {
        "classes_with_too_few_families": len(dealt.too_few),
        "labelled": {
            "classes": len(counts),
            "images": sum(counts),
            "most": max(counts, default=0),
            "median": median(counts) if counts else 0,
            "least": min(counts, default=0),
        },
    }
    return Cast(dealt.role, left_out, dealt.too_few, numbers)


def cast_further(
    parameters: Icons, world: list[Candidate], cast: Cast, labels: Labels, icons: IconTable
) -> further.Further:
    """The files that are made from icons without a part: `clipcause/icons/further.py`."""

    def drawn(identities: Iterable[Identity]) -> Iterator[Drawing | str]:
        return ordered_map(draw, (icons[identity][0].svg for identity in identities))

    return further.cast(
        world,
        cast.part,
        cast.left_out,
        labels,
        drawn,
        salt=parameters.salt,
        retrieval=parameters.retrieval_images,
        domain=parameters.domain_images,
    )


def row(
    icon: package.Icon,
    words: tuple[str, ...],
    collection: package.Collection,
    label: str | None,
    drawing: Drawing | None,
) -> dict[str, Any]:
    """One line of the catalogue."""
    return {
        "prefix": icon.prefix,
        "name": icon.name,
        "caption": " ".join(words),
        "label": label,
        "style": drawing.style if drawing else None,
        "licence": collection.licence,
        "author": collection.author,
        "title": collection.title,
        "category": collection.category,
        "tags": list(collection.tags),
        "svg": icon.svg,
    }


def of_classes(rows: list[dict[str, Any]], wanted: list[str]) -> list[dict[str, Any]]:
    """The lines of the catalogue that are of some classes, each of which has one."""
    labels = {line["label"] for line in rows}
    for class_id in wanted:
        if class_id not in labels:
            raise unknown("class", class_id, labels, "params.yaml: icons.subset")
    return [line for line in rows if line["label"] in wanted]


@dataclass(frozen=True)
class Deal:
    """The catalogue: lines by role, in order, who was left out, whose work it is; its metrics."""

    rows: Mapping[str, list[dict[str, Any]]]
    left_out: list[LeftOut]
    attribution: list[Credit]
    numbers: Mapping[str, Any]


def deal(raw: Path, parameters: Icons) -> Deal:
    """Deal the icons of the package ``raw`` out to pool, reference and test sets."""
    sets = read_sets(Path(parameters.sets))
    class_names = classes.read(Path(parameters.classes))
    long_tail = parameters.cast == "long-tail"
    labels = Labels.of(class_names, sets.badges if long_tail else ())

    described, left_out = usable_sets(package.collections(raw), parameters, sets)
    icons, same = collect(raw, described)
    found = {i: labels.label(words) for i, (_, words) in icons.items()}
    label = {i: class_id for i, class_id in found.items() if class_id is not None}
    drawings, broken = look_at(icons, label)
    for entry in broken:
        del icons[entry.prefix, entry.name], label[entry.prefix, entry.name]

    world = candidates(icons, label, drawings, sets)
    if long_tail:
        cast = cast_long_tail(parameters, world, labels)
    else:
        cast = cast_similarity(parameters, world, labels, label, drawings)
    label = {i: class_id for i, class_id in label.items() if class_id not in cast.without_part}
    part = cast.part

    by_role: dict[str, list[dict[str, Any]]] = defaultdict(list)
    # hash order: shards are random samples of a role, and no set stands together
    for identity in sorted(part, key=lambda i: roles.fraction(parameters.salt, "order", *i)):
        icon, words = icons[identity]
        if part[identity] == OBJECTNET:
            svg = distort(icon.svg, parameters.objectnet_strength, *identity)
            icon = replace(icon, svg=svg)
        entry = row(
            icon, words, described[icon.prefix], label.get(identity), drawings.get(identity)
        )
        by_role[part[identity]].append(entry)
    if parameters.subset:
        by_role[longtail.SUBSET] = of_classes(by_role[longtail.BALANCED], parameters.subset)
    past_badges = Labels.of(class_names, sets.badges)
    more = cast_further(parameters, world, cast, past_badges, icons)
    seen, named = {**drawings, **more.drawings}, {**label, **more.label}
    for role, members in more.members.items():
        by_role[role] = [
            row(*icons[i], described[i[0]], named.get(i), seen.get(i)) for i in members
        ]
    everyone = {*part, *(identity for members in more.members.values() for identity in members)}
    used = Counter(prefix for prefix, _ in everyone)
    attribution = [
        Credit(p, c.title, c.author, c.author_url, c.licence, c.licence_url, used[p])
        for p, c in described.items()
        if used[p]
    ]
    left_out += [*same, *broken, *cast.left_out, *more.broken]
    counts = {role: len(rows) for role, rows in sorted(by_role.items())}
    reasons = dict(Counter(entry.reason.replace(" ", "_") for entry in left_out))
    numbers = {"sets": len(attribution), "classes": len(class_names), "left_out": reasons}
    return Deal(by_role, left_out, attribution, {"roles": counts, **numbers, **cast.numbers})
