"""The icons that may be used: distinct, by identity, with the words of their names.

Names give captions and classes; pixels give styles. What is left out on the way is said, with why.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from clipcause.config.icons import Icons
from clipcause.icons import hard, names, package, raster, style
from clipcause.icons.catalogue import LeftOut
from clipcause.icons.sets import Sets
from clipcause.runtime.parallel import ordered_map
from clipcause.runtime.progress import progress

SIZE = 64  # pixels at which styles are measured; the thresholds of `style` were chosen there

# Elements of SVG's animations and the rules of CSS's. Such a drawing is another at every moment,
# and resvg draws the SVG as it stands: often a first stroke, under the caption of the whole.
ANIMATED = re.compile(
    r"<(?:animate|animateColor|animateMotion|animateTransform|set)[\s/>]"
    r"|@keyframes\b|\banimation(?:-name)?\s*:"
)

Identity = tuple[str, str]  # prefix and name
IconTable = dict[Identity, tuple[package.Icon, tuple[str, ...]]]


@dataclass(frozen=True)
class Drawing:
    """What the pixels of a labelled icon say."""

    style: style.Style
    thumbnail: UInt8[np.ndarray, " pixels"]


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
    """One still icon per drawing and rendition of a set, without skin tones; and what was left out.

    An animated icon makes room for a still one of the same words.
    """
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
        elif ANIMATED.search(icon.svg):
            left_out.append(LeftOut(icon.prefix, icon.name, "animated"))
        elif (other := first.setdefault((words, rendition), icon.name)) != icon.name:
            left_out.append(LeftOut(icon.prefix, icon.name, "same drawing", other))
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
