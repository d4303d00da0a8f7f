"""Icon names: from `coffee-cup-hot-24-filled` to the caption `coffee cup hot`.

Authors put into a name what is drawn, and how (filled, outline, 24 pixels). The first part is the
caption; the second separates renditions of one drawing, of which one each is kept.
"""

import re
from collections.abc import Iterable, Mapping

# How the ink is laid. The value groups words that mean the same rendition across sets.
STYLE_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("filled", "fill", "solid", "baseline", "glyph", "f"), "filled"),
    **dict.fromkeys(
        (
            *("outline", "outlined", "outlines", "line", "linear", "stroke", "regular"),
            *("light", "thin", "o"),
        ),
        "line",
    ),
    **dict.fromkeys(("bold", "broken", "remix", "pop"), "bold"),
    **dict.fromkeys(("duotone", "duo", "twotone", "poly"), "duotone"),
    **dict.fromkeys(("color", "flat", "colors"), "colour"),
    **dict.fromkeys(("sharp", "round", "rounded", "basic", "print"), "plain"),
}
# Words that open a name and say nothing of the drawing (`ios-stopwatch`, `bxs-alarm`).
PREFIX_WORDS = frozenset({"ios", "md", "bx", "bxs", "bxl", "uil", "i", "baseline", "outline"})
PREFIX_WORDS |= {"sharp", "round", "twotone"}
SKIN_TONE = re.compile(r"(^|-)(light|medium|dark|medium-light|medium-dark)-skin-tone($|-)")
# fluent-emoji writes tones without `skin-tone`: `oncoming-fist-medium-light`
TONE_SUFFIX = re.compile(r"-(medium-light|medium-dark|medium|dark|light)(-\d+)?$")
SIZE = re.compile(r"^\d+(px)?$")


def parse(name: str) -> tuple[tuple[str, ...], str]:
    """Split an author's name into (words of the drawing, rendition).

    Style words are taken off the end and known prefixes off the start; numbers at the end are
    sizes or counters. A name that consists of style words alone keeps them: `outline` may be the
    drawing of an outline.
    """
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
    rendition = "plain"
    while len(words) > 1:
        if words[-1] in STYLE_WORDS:
            found = STYLE_WORDS[words[-1]]
            # `bold-duotone` is a duotone: the word that says most about the ink decides
            rendition = found if rendition == "plain" else max(rendition, found, key=_rank)
        elif not SIZE.match(words[-1]):
            break
        words.pop()
    while len(words) > 1 and words[0] in PREFIX_WORDS:
        found = STYLE_WORDS.get(words[0], "plain")
        rendition = found if rendition == "plain" else rendition
        words.pop(0)
    return tuple(words), rendition


def is_skin_tone(name: str, siblings: Iterable[str]) -> bool:
    """Whether ``name`` is a skin-tone variant of another icon of its set."""
    if SKIN_TONE.search(name):
        return True
    base = TONE_SUFFIX.sub("", name)
    # `moon-dark` is no tone of `moon`: a tone comes in all five shades
    return base != name and f"{base}-medium-dark" in siblings and f"{base}-medium-light" in siblings


def label_index(names: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Map every exact name to its class id. A name of two classes is an error."""
    index: dict[str, str] = {}
    for class_id, synonyms in names.items():
        for synonym in synonyms:
            if index.setdefault(synonym, class_id) != class_id:
                raise ValueError(f"name {synonym!r} stands in {index[synonym]!r} and {class_id!r}")
    return index


def _rank(rendition: str) -> int:
    return ("plain", "bold", "line", "filled", "duotone", "colour").index(rendition)
