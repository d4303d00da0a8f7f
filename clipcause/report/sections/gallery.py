"""The page's pictures: neighbours, what pruning removed and kept, copies, near-duplicates.

A gallery is a list of groups, a group a list of cards, a card a few pictures that belong together.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from clipcause.config.layout import NONE
from clipcause.data.manifest import Manifest
from clipcause.prune.rules.hull import Hull
from clipcause.report import album, pictures
from clipcause.report.content import Content
from clipcause.report.decimals import fixed, percent
from clipcause.report.pictures import Duplicate, Judged
from clipcause.report.study import Sources

TINY = 0.0001  # of similarity: a smaller margin is not told as a number
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
    groups: tuple[Group, ...]


def view(content: Content) -> dict[str, Any] | None:
    """All galleries below one another with one search over them; None if there is nothing."""
    study, parameters = content.sources, content.parameters
    least, count = parameters.copy_threshold, content.duplicate_count
    made = {
        "neighbours": _neighbours(study, parameters.neighbours),
        "removed": _of_hulls(study, pictures.removed, parameters.removed, "removed"),
        "kept": _of_hulls(study, pictures.survived, parameters.kept, "kept"),
        "copies": _copies(study, least, parameters.copies),
        "duplicates": _duplicates(study, content.duplicates) if count else (),
    }
    wanted = [Gallery(anchor, found) for anchor, groups in made.items() if (found := tuple(groups))]
    if not wanted:
        return None
    if not _count(wanted):
        wanted = [replace(one, groups=()) for one in wanted]
    galleries = limited(wanted, MOST)
    found = list(_cards(galleries))
    drawn = album.read((one.source, one.row) for item in found for one in item.shown)
    return {
        "galleries": galleries,
        "picture": lambda source, row: drawn[source.folder, row],
        "sets": [test for test in study.suite if any(item.test == test for item in found)],
        "cards": len(found),
        "shown": _count(galleries),
        "wanted": _count(wanted),
        "least": f"{least:g}",
        "duplicates": f"{count:,}",
        "pool": f"{len(study.pool):,}",
        "share": percent(count / len(study.pool)),
    }


def limited(galleries: list[Gallery], most: int) -> list[Gallery]:
    """The galleries with at most ``most`` pictures: of every group the same share of its cards,
    the first ones."""
    wanted = _count(galleries)
    if wanted <= most:
        return galleries

    def cut(group: Group) -> Group:
        return replace(group, cards=group.cards[: len(group.cards) * most // wanted])

    return [replace(one, groups=tuple(map(cut, one.groups))) for one in galleries]


def _cards(galleries: list[Gallery]) -> Iterator[Card]:
    return (item for one in galleries for group in one.groups for item in group.cards)


def _count(galleries: list[Gallery]) -> int:
    return sum(len(item.shown) for item in _cards(galleries))


def _of_test(study: Sources, test: str, row: int) -> Shown:
    label = study.suite[test].labels[row]
    return Shown(study.suite[test], row, test, f"class {label}" if label else "")


def _neighbours(study: Sources, count: int) -> Iterator[Group]:
    def card(test: str, one: pictures.Neighbours) -> Card:
        near, far = one.reference_similarity, one.pool_similarity
        return Card(
            (
                _of_test(study, test, one.test_row),
                Shown(study.reference, one.reference_row, "reference", f"similarity {near:.3f}"),
                Shown(study.pool, one.pool_row, "pool", f"similarity {far:.3f}"),
            ),
            test=test,
        )

    for test, source in study.suite.items():
        cards = tuple(card(test, one) for one in pictures.neighbours(study, test, count))
        if cards:
            yield Group(test, cards, f"{len(cards)} of {len(source):,} images.")


def _of_hulls(
    study: Sources, choose: Callable[[Sources, str, int], list[Judged]], count: int, title: str
) -> Iterator[Group]:
    """Every hull split with cards: pool images beside the test images that judged them; and by
    what, where it is not the study's encoder and reference."""
    for name, rule in study.rules.items():
        if not isinstance(rule, Hull) or not (found := choose(study, name, count)):
            continue
        cards = tuple(_judged(study, one, title, rule.delta) for one in found)
        by = f" Similarities and thresholds are those of the scores “{rule.scores}”."
        stayed = len(study.splits[name])
        gone = f"{len(study.base_of(name)) - stayed:,} removed images"
        many = gone if title == "removed" else f"{stayed:,} images that stayed"
        text = f"{len(cards)} of {many}.{'' if rule.scores == NONE else by}"
        yield Group(name, cards, text)


def _judged(study: Sources, one: Judged, title: str, delta: float) -> Card:
    added = f" + {delta:g}" if delta else ""
    return Card(
        (Shown(study.pool, one.row, title), _of_test(study, one.test, one.test_row)),
        f"similarity {one.similarity:.3f}, threshold {one.threshold:.3f}{added}, "
        f"{margin(one.similarity - one.threshold, delta)}",
        one.test,
    )


def margin(value: float, delta: float) -> str:
    """How far above or below its threshold an image is; next to it, in words."""
    if abs(value - delta) >= TINY:
        return f"margin {fixed(value, 4)}"
    if value == delta:
        return "at the threshold"
    return f"just {'over' if value > delta else 'under'} the threshold"


def _copies(study: Sources, least: float, most: int) -> Iterator[Group]:
    def card(test: str, one: pictures.Copy) -> Card:
        source, title = (study.pool, "pool") if one.is_pool else (study.reference, "reference")
        shown = (_of_test(study, test, one.test_row), Shown(source, one.row, title))
        return Card(shown, f"similarity {one.similarity:.3f}", test)

    for test, source in study.suite.items():
        count, found = pictures.copies(study, test, least, most)
        share = percent(count / len(source))
        if found:
            yield Group(
                test,
                tuple(card(test, one) for one in found),
                f"{count:,} of {len(source):,} test images ({share}) have such a neighbour; "
                f"{len(found)} pairs, the most similar first.",
            )


def _duplicates(study: Sources, pairs: list[Duplicate]) -> Iterator[Group]:
    """One group, which has no cards where none shall be shown."""
    cards = tuple(
        Card(
            (Shown(study.pool, pair.row, "removed"), Shown(study.pool, pair.of, "earlier")),
            f"similarity {pair.similarity:.3f}",
        )
        for pair in pairs
    )
    some = "Some of them, from the least similar to copies, each with the earlier image it is near."
    yield Group("pool", cards, some if cards else "")
