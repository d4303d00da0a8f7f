"""catalogue: the icon package comes in; who plays which part goes out (`data/catalogue/`).

Names give captions and classes, pixels give styles, hashes deal out the parts. Only icons whose
name is a class are drawn here, to see their style; `prepare` draws what each data set needs.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from stages import versions
from stages.artifacts import catalogue, classes, layout, metrics
from stages.artifacts.catalogue import Credit, LeftOut
from stages.entry import run
from stages.icons import hard, names, package, raster, roles, style
from stages.icons.distort import distort
from stages.icons.roles import Candidate, Casting
from stages.parallel import ordered_map
from stages.parameters import Strict, parse, read, section
from stages.parameters.icons import Icons
from stages.progress import progress

SIZE = 64  # pixels at which styles are measured; the thresholds of `style` were chosen there
ADVERSARIAL, OBJECTNET = "a", "objectnet"
CANDIDATE = "a-candidate"
METRICS = Path("metrics/catalogue.json")

Identity = tuple[str, str]  # prefix and name
IconTable = dict[Identity, tuple[package.Icon, tuple[str, ...]]]


@dataclass(frozen=True)
class Drawing:
    """What the pixels of a labelled icon say."""

    style: style.Style
    thumbnail: UInt8[np.ndarray, " pixels"]


@dataclass(frozen=True)
class Sets:
    """`data/icons/sets.yaml`: what a person has to know about the sets."""

    leave_out: Mapping[str, str]
    renditions: frozenset[str]
    family: Mapping[str, str]


class SetsFile(Strict):
    """The data file as it stands."""

    leave_out: dict[str, str]
    renditions: dict[str, list[str]]
    families: dict[str, list[str]]


def read_sets(path: Path) -> Sets:
    """Read the data file; a set in two families is an error."""
    content = parse(read(path), SetsFile, str(path))
    family: dict[str, str] = {}
    for name, members in content.families.items():
        for prefix in members:
            if prefix in family:
                raise ValueError(f"{path}: {prefix} stands in {family[prefix]} and {name}")
            family[prefix] = name
    renditions = frozenset(p for group in content.renditions.values() for p in group)
    return Sets(content.leave_out, renditions, family)


def usable_sets(
    collections: Mapping[str, package.Collection], parameters: Icons, sets: Sets
) -> tuple[dict[str, package.Collection], list[LeftOut]]:
    """Divide the sets into those that may be used and those left out, with the reason."""
    kept, left_out = {}, []
    for prefix, collection in sorted(collections.items()):
        if prefix in sets.leave_out:
            left_out.append(LeftOut(prefix, "*", "set left out", sets.leave_out[prefix]))
        elif collection.licence not in parameters.licences:
            left_out.append(LeftOut(prefix, "*", "licence", collection.licence or "none named"))
        elif collection.category in parameters.leave_out_categories:
            left_out.append(LeftOut(prefix, "*", "category", collection.category))
        else:
            kept[prefix] = collection
    return kept, left_out


def distinct(
    icons: Iterable[package.Icon],
) -> tuple[list[tuple[package.Icon, tuple[str, ...]]], list[LeftOut]]:
    """One icon per drawing and rendition of a set, without skin tones; and what was left out."""
    icons = list(icons)
    siblings = {icon.name for icon in icons}
    first: dict[tuple[tuple[str, ...], str], str] = {}
    kept, left_out = [], []
    for icon in icons:
        words, rendition = names.parse(icon.name)
        if names.is_skin_tone(icon.name, siblings):
            left_out.append(LeftOut(icon.prefix, icon.name, "skin tone"))
        elif not words:
            left_out.append(LeftOut(icon.prefix, icon.name, "no caption"))
        elif (twin := first.setdefault((words, rendition), icon.name)) != icon.name:
            left_out.append(LeftOut(icon.prefix, icon.name, "same drawing", twin))
        else:
            kept.append((icon, words))
    return kept, left_out


def draw(svg: str) -> Drawing | str:
    """Rasterise a labelled icon and look at it; or (str) say why it cannot be drawn."""
    try:
        rgba = raster.rasterise(svg, SIZE)
    except raster.BrokenIconError as error:
        return str(error)
    return Drawing(style.classify(rgba), hard.thumbnail(raster.on_white(rgba)))


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


def collect(
    archive: Path, described: Mapping[str, package.Collection]
) -> tuple[IconTable, list[LeftOut]]:
    """Every distinct icon of the usable sets, by identity, with the words of its name."""
    icons: IconTable = {}
    left_out: list[LeftOut] = []
    read = package.icons(archive, set(described))
    for _, members in progress(read, label="read", unit="sets", total=len(described)):
        kept, dropped = distinct(members)
        left_out += dropped
        icons |= {(icon.prefix, icon.name): (icon, words) for icon, words in kept}
    return icons, left_out


def look_at(
    icons: IconTable, label: Mapping[Identity, str]
) -> tuple[dict[Identity, Drawing], list[LeftOut]]:
    """Draw the labelled icons; the broken ones are in the ledger instead."""
    results = ordered_map(draw, [icons[identity][0].svg for identity in label])
    results = progress(results, label="draw", unit="icons", total=len(label))
    drawings: dict[Identity, Drawing] = {}
    broken: list[LeftOut] = []
    for identity, result in zip(label, results, strict=True):
        if isinstance(result, str):
            broken.append(LeftOut(*identity, "broken", result))
        else:
            drawings[identity] = result
    return drawings, broken


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


def nothing() -> str:
    """The catalogue of a study that draws no icons: `fetch.package` is none."""
    catalogue.write(catalogue.FOLDER, {}, [], [])
    metrics.write(METRICS, {"sets": 0})
    return "no icons were fetched: the catalogue is empty"


def main() -> str:
    if not layout.RAW_ICONS.stat().st_size:
        return nothing()
    versions.check("resvg-py")
    parameters = section("icons", Icons)
    sets = read_sets(Path(parameters.sets))
    class_names = classes.read(Path(parameters.classes))
    index = names.label_index({key: entry.names for key, entry in class_names.items()})

    described, left_out = usable_sets(package.collections(layout.RAW_ICONS), parameters, sets)
    icons, same = collect(layout.RAW_ICONS, described)
    label = {
        i: index[name] for i, (_, words) in icons.items() if (name := " ".join(words)) in index
    }
    drawings, broken = look_at(icons, label)
    for entry in broken:
        del icons[entry.prefix, entry.name], label[entry.prefix, entry.name]

    casting = Casting(
        salt=parameters.salt,
        reference_families=parameters.reference_families,
        per_class=parameters.test_images_per_class,
        adversarial_candidates=parameters.adversarial_candidates_per_class,
        pool_size=parameters.pool_size,
        pool_labelled=parameters.pool_labelled,
        pool_with_class_word=parameters.pool_with_class_word,
    )
    class_words = {word for name in index for word in name.split()}
    part = roles.cast(candidates(icons, label, drawings, sets), casting, class_words)
    part, easy = resolve_adversarial(part, label, drawings)

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
    used = Counter(prefix for prefix, _ in part)
    attribution = [
        Credit(p, c.title, c.author, c.author_url, c.licence, c.licence_url, used[p])
        for p, c in described.items()
        if used[p]
    ]
    left_out += [*same, *broken, *easy]
    catalogue.write(catalogue.FOLDER, by_role, left_out, attribution)
    counts = {role: len(rows) for role, rows in sorted(by_role.items())}
    reasons = dict(Counter(entry.reason.replace(" ", "_") for entry in left_out))
    numbers = {"sets": len(attribution), "classes": len(class_names), "left_out": reasons}
    metrics.write(METRICS, {"roles": counts, **numbers})
    return ", ".join(f"{role} {count:,}" for role, count in counts.items())


if __name__ == "__main__":
    run(main)
