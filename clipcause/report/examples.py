"""A few pictures of what hull pruning took, as one file for README.

The file is among the figures, which are committed: a study of pictures that may not be shown
leaves `report.examples` at 0.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from clipcause.prune.rules.hull import Hull
from clipcause.report import album, pictures
from clipcause.report.study import Sources

FILE = "pruned.png"
LOOKED_AT = 60  # pairs that examples are taken from, those with the highest margins
SIDE, GAP, LINE = 128, 12, 18  # pixels: of a picture, between two, of a line of text
INK, QUIET, FRAME = "#111111", "#666666", "#cccccc"
LETTERS = 22  # of a caption


@dataclass(frozen=True)
class Example:
    """A pool image that was removed, and the test image that judged it."""

    removed: Image.Image
    caption: str
    judge: Image.Image
    label: str
    test: str


def chosen(study: Sources, count: int) -> list[Example]:
    """At most ``count`` pairs of the first hull split that is about one test set, each of another
    class, spread over the highest margins. Empty where there is no such split."""
    rules = study.rules.items()
    hulls = [name for name, rule in rules if isinstance(rule, Hull) and len(rule.tests) == 1]
    if not hulls or not count:
        return []
    of_class = {}
    for one in pictures.removed(study, hulls[0], LOOKED_AT):
        of_class.setdefault(study.suite[one.test].labels[one.test_row], one)
    every = list(of_class.values())
    if not every:
        return []
    kept = [every[at] for at in pictures.spread(np.arange(len(every)), count)]
    found = []
    for one in kept:
        suite = study.suite[one.test]
        (caption,) = album.captions(study.pool, [one.row])
        removed, judge = (
            album.on_white(source.image([row])[0], f"{source.folder}: image of row {row}")
            for source, row in ((study.pool, one.row), (suite, one.test_row))
        )
        found.append(Example(removed, caption, judge, suite.labels[one.test_row], one.test))
    return found


def drawn(examples: Sequence[Example]) -> bytes:
    """Pairs beside one another, as PNG: what was removed on the left, what judged it on the
    right, with the caption and the class."""
    pair = 2 * SIDE + GAP
    width = len(examples) * pair + (len(examples) + 1) * 2 * GAP
    height = SIDE + 2 * LINE + 3 * GAP
    sheet = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for at, one in enumerate(examples):
        left = 2 * GAP + at * (pair + 2 * GAP)
        sides = ((one.removed, "removed", one.caption), (one.judge, one.test, one.label))
        for side, (picture, what, words) in enumerate(sides):
            x = left + side * (SIDE + GAP)
            sheet.paste(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (x, GAP))
            draw.rectangle((x, GAP, x + SIDE - 1, GAP + SIDE - 1), outline=FRAME)
            y = SIDE + 2 * GAP - 4
            draw.text((x, y), what, fill=QUIET, font=font)
            draw.text((x, y + LINE), _short(words), fill=INK, font=font)
    stream = io.BytesIO()
    sheet.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _short(words: str) -> str:
    return words if len(words) <= LETTERS else f"{words[: LETTERS - 1].rstrip()}…"
