"""The page's pictures: neighbours, what pruning removed and kept, copies, near-duplicates; credits.

A gallery is a list of groups, a group a list of cards, a card a few pictures that belong together.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape

from clipcause.config.report import Report
from clipcause.config.splits import NONE, Hull
from clipcause.data.manifest import Manifest
from clipcause.icons import catalogue
from clipcause.report import pictures
from clipcause.report.album import Album
from clipcause.report.decimals import fixed, percent
from clipcause.report.markup import (
    card,
    cards,
    chooser,
    data_table,
    details,
    paragraph,
    pictured,
    subsection,
    table_row,
)
from clipcause.report.pictures import Duplicate, Judged
from clipcause.report.study import Study

ATTRIBUTION = catalogue.FOLDER / catalogue.ATTRIBUTION
TINY = 0.0001  # of similarity: a smaller margin is not told as a number
OPEN = ("neighbours", "removed")  # galleries whose first group is not folded away
MOST = 1200  # pictures; with photos, 64 pixels of them at most 6 kB each, the page is under 10 MB


@dataclass(frozen=True)
class Shown:
    """A picture on a card: which image, what it is called there, a note below its caption."""

    source: Manifest
    row: int
    title: str
    note: str = ""


@dataclass(frozen=True)
class Card:
    """Pictures that belong together; ``test`` is the test set that one of them is of, or empty."""

    shown: tuple[Shown, ...]
    text: str = ""
    test: str = ""


@dataclass(frozen=True)
class Group:
    """Cards under one title, and a sentence about them."""

    title: str
    cards: tuple[Card, ...]
    text: str = ""


@dataclass(frozen=True)
class Gallery:
    """Groups that answer one question."""

    anchor: str
    title: str
    text: str
    groups: tuple[Group, ...]


def part(
    study: Study, parameters: Report, duplicate_count: int, duplicates: list[Duplicate]
) -> str:
    """All galleries below one another with one search over them; empty if there is nothing."""
    made = (
        _neighbours(study, parameters),
        _removed(study, parameters),
        _survived(study, parameters),
        _copies(study, parameters),
        _duplicates(study, duplicate_count, duplicates),
    )
    galleries = [one for one in made if one.groups]
    wanted = sum(len(item.shown) for item in _cards(galleries))
    if not wanted:
        return "".join(subsection(one.anchor, one.title, paragraph(one.text)) for one in galleries)
    galleries = limited(galleries, MOST)
    found = list(_cards(galleries))
    album = Album()
    for one in (shown for item in found for shown in item.shown):
        album.want(one.source, [one.row])
    album.read()
    tests = [test for test in study.suite if any(item.test == test for item in found)]
    shown = sum(len(item.shown) for item in found)
    left_out = ""
    if shown < wanted:
        left_out = paragraph(
            f"The page shows {shown:,} of the {wanted:,} pictures that the parameters ask for: "
            "every group is cut to the same share, so that the page stays below 10 MB.",
            "soft",
        )
    return chooser(tests, len(found)) + left_out + "".join(_drawn(one, album) for one in galleries)


def limited(galleries: list[Gallery], most: int) -> list[Gallery]:
    """The galleries with at most ``most`` pictures: of every group the same share of its cards,
    the first ones."""
    wanted = sum(len(item.shown) for item in _cards(galleries))
    if wanted <= most:
        return galleries
    return [
        replace(
            one,
            groups=tuple(
                replace(group, cards=group.cards[: len(group.cards) * most // wanted])
                for group in one.groups
            ),
        )
        for one in galleries
    ]


def credits_part() -> str:
    """Who drew the icons, where they are icons."""
    if not ATTRIBUTION.exists():
        return ""
    with ATTRIBUTION.open(newline="", encoding="utf-8") as stream:
        sets = list(csv.DictReader(stream))
    licences = sorted({one["licence"] for one in sets})
    rows = [
        table_row(
            escape(one["title"]),
            [
                _linked(one["author"], one["author_url"]),
                _linked(one["licence"], one["licence_url"]),
                f"{int(one['icons']):,}",
            ],
        )
        for one in sets
    ]
    columns = ["set", "author", "licence", "icons used"]
    return paragraph(
        f"The images are icons of {len(sets)} sets, each under its own licence "
        f"({', '.join(licences)}). They were drawn on white at a small size, and those "
        "of one test set turned, moved, scaled and tinted."
    ) + details("All sets", data_table("Icon sets, authors and licences.", columns, rows))


def _neighbours(study: Study, parameters: Report) -> Gallery:
    groups = []
    for test, source in study.suite.items():
        labels = source.labels
        items = tuple(
            Card(
                (
                    Shown(source, one.test_row, test, _class(labels[one.test_row])),
                    Shown(
                        study.reference,
                        one.reference_row,
                        "reference",
                        f"similarity {one.reference_similarity:.3f}",
                    ),
                    Shown(
                        study.pool, one.pool_row, "pool", f"similarity {one.pool_similarity:.3f}"
                    ),
                ),
                test=test,
            )
            for one in pictures.neighbours(study, test, parameters.neighbours)
        )
        groups += [Group(test, items, f"{len(items)} of {len(source):,} images.")] if items else []
    return Gallery(
        "neighbours",
        "Nearest neighbours",
        "Images of every test set, evenly from the least to the most similar to the reference, "
        "with their nearest image in the reference and in the pool.",
        tuple(groups),
    )


def _removed(study: Study, parameters: Report) -> Gallery:
    groups = []
    for name, rule in study.rules.items():
        if not isinstance(rule, Hull):
            continue
        found = pictures.removed(study, name, parameters.removed)
        gone = len(study.base_of(name)) - len(study.splits[name])
        text = f"{len(found)} of {gone:,} removed images.{_measured(rule)}"
        items = tuple(_judged(study, one, "removed", rule.delta) for one in found)
        groups += [Group(name, items, text)] if items else []
    return Gallery(
        "removed",
        "What pruning removed",
        "Pool images with the highest margins, beside the test image whose threshold they pass by "
        "most; of several for one test image only the first is shown. The threshold is the test "
        "image's similarity to its nearest reference image, the margin what is above that.",
        tuple(groups),
    )


def _survived(study: Study, parameters: Report) -> Gallery:
    groups = []
    for name, rule in study.rules.items():
        if not isinstance(rule, Hull):
            continue
        found = pictures.survived(study, name, parameters.kept)
        text = f"{len(found)} of {len(study.splits[name]):,} images that stayed.{_measured(rule)}"
        items = tuple(_judged(study, one, "kept", rule.delta) for one in found)
        groups += [Group(name, items, text)] if items else []
    return Gallery(
        "kept",
        "What stayed, just under a threshold",
        "Pool images that stayed with the smallest distance to a threshold, beside the test image "
        "whose threshold they come nearest; again one for every test image. Is what is removed "
        "clearly more alike than what stays?",
        tuple(groups),
    )


def _measured(rule: Hull) -> str:
    if rule.scores == NONE:
        return ""
    return f" Similarities and thresholds are those of the yardstick {rule.scores}."


def _copies(study: Study, parameters: Report) -> Gallery:
    groups = []
    least = parameters.copy_threshold
    for test, source in study.suite.items():
        count, found = pictures.copies(study, test, least, parameters.copies)
        labels = source.labels
        items = tuple(
            Card(
                (
                    Shown(source, one.test_row, test, _class(labels[one.test_row])),
                    Shown(
                        study.pool if one.is_pool else study.reference,
                        one.row,
                        "pool" if one.is_pool else "reference",
                    ),
                ),
                f"similarity {one.similarity:.3f}",
                test,
            )
            for one in found
        )
        text = (
            f"{count:,} of {len(source):,} test images ({percent(count / len(source))}) have such "
            f"a neighbour; {len(items)} pairs, the most similar first."
        )
        groups += [Group(test, items, text)] if items else []
    return Gallery(
        "copies",
        "Duplicates of test images",
        f"Test images whose nearest image of the reference or of the pool has a similarity of at "
        f"least {least:g}. The pool's are those before pruning and before de-duplication.",
        tuple(groups),
    )


def _duplicates(study: Study, count: int, pairs: list[Duplicate]) -> Gallery:
    share = count / len(study.pool)
    text = f"De-duplication removed {count:,} of {len(study.pool):,} pool images ({percent(share)})"
    items = tuple(
        Card(
            (Shown(study.pool, pair.row, "removed"), Shown(study.pool, pair.of, "earlier")),
            f"similarity {pair.similarity:.3f}",
        )
        for pair in pairs
    )
    some = "Some of them, from the least similar to copies, each with the earlier image it is near."
    groups = (Group("pool", items, some if items else ""),) if count else ()
    return Gallery("duplicates", "Near-duplicates in the pool", f"{text}.", groups)


def _judged(study: Study, one: Judged, title: str, delta: float) -> Card:
    source = study.suite[one.test]
    added = f" + {delta:g}" if delta else ""
    return Card(
        (
            Shown(study.pool, one.row, title),
            Shown(source, one.test_row, one.test, _class(source.labels[one.test_row])),
        ),
        f"similarity {one.similarity:.3f}, threshold {one.threshold:.3f}{added}, "
        f"{_margin(one.similarity - one.threshold, delta)}",
        one.test,
    )


def _margin(margin: float, delta: float) -> str:
    """How far above or below its threshold an image is; next to it, in words."""
    if abs(margin - delta) >= TINY:
        return f"margin {fixed(margin, 4)}"
    if margin == delta:
        return "at the threshold"
    return f"just {'over' if margin > delta else 'under'} the threshold"


def _class(label: str | None) -> str:
    return f"class {label}" if label else ""


def _cards(galleries: list[Gallery]) -> Iterator[Card]:
    return (item for one in galleries for group in one.groups for item in group.cards)


def _drawn(one: Gallery, album: Album) -> str:
    html = paragraph(one.text)
    for number, group in enumerate(one.groups):
        items = [
            card(
                [
                    pictured(album.picture(shown.source, shown.row), shown.title, shown.note)
                    for shown in item.shown
                ],
                item.text,
                item.test,
            )
            for item in group.cards
        ]
        inside = (paragraph(group.text, "soft") if group.text else "") + cards(items)
        is_open = number == 0 and one.anchor in OPEN
        html += details(group.title, inside, is_open=is_open, kind="group")
    return subsection(one.anchor, one.title, html)


def _linked(text: str, address: str) -> str:
    if not address.startswith(("https://", "http://")):
        return escape(text)
    return f'<a href="{escape(address)}">{escape(text)}</a>'
