"""The page's pictures: what pruning removed, nearest neighbours, near-duplicates; the credits."""

import csv
from html import escape

from stages.artifacts import catalogue
from stages.parameters.report import Report
from stages.parameters.splits import Hull
from stages.report import pictures
from stages.report.markup import card, cards, data_table, details, paragraph, pictured, table_row
from stages.report.pictures import Album, Duplicate, Neighbours, Removed
from stages.report.study import Study
from stages.report.table import percent

ATTRIBUTION = catalogue.FOLDER / catalogue.ATTRIBUTION


def parts(
    study: Study, parameters: Report, duplicate_count: int, duplicates: list[Duplicate]
) -> dict[str, str]:
    """The sections `removed`, `neighbours` and `duplicates`; one with nothing to show is empty."""
    removed = {
        name: pictures.removed(study, name, parameters.removed)
        for name, rule in study.rules.items()
        if isinstance(rule, Hull)
    }
    near = {test: pictures.neighbours(study, test, parameters.neighbours) for test in study.tests}
    album = Album()
    for found in removed.values():
        album.want(study.pool, (one.row for one in found))
        for one in found:
            album.want(study.tests[one.test], [one.test_row])
    for test, found in near.items():
        album.want(study.tests[test], (one.test_row for one in found))
        album.want(study.reference, (one.reference_row for one in found))
        album.want(study.pool, (one.pool_row for one in found))
    for pair in duplicates:
        album.want(study.pool, (pair.row, pair.of))
    album.read()
    return {
        "removed": _removed(study, album, {name: one for name, one in removed.items() if one}),
        "neighbours": _neighbours(study, album, {test: one for test, one in near.items() if one}),
        "duplicates": _duplicates(study, album, duplicate_count, duplicates),
    }


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


def _removed(study: Study, album: Album, found: dict[str, list[Removed]]) -> str:
    if not found:
        return ""
    html = paragraph(
        "Pool images with the highest margins, beside the test image whose threshold they pass by "
        "most; of several for one test image only the first is shown. The threshold is the test "
        "image's similarity to its nearest reference image."
    )
    for name, chosen in found.items():
        items = []
        for one in chosen:
            margin = one.similarity - one.threshold
            items.append(
                card(
                    [
                        pictured(album.picture(study.pool, one.row), "removed", ""),
                        pictured(album.picture(study.tests[one.test], one.test_row), one.test, ""),
                    ],
                    f"similarity {one.similarity:.3f}, threshold {one.threshold:.3f}, "
                    f"margin {margin:.3f}",
                )
            )
        html += f"<h3>{escape(name)}</h3>\n" + cards(items)
    return html


def _neighbours(study: Study, album: Album, found: dict[str, list[Neighbours]]) -> str:
    if not found:
        return ""
    html = paragraph(
        "Some images of every test set, from the least to the most similar to the reference, with "
        "their nearest image in the reference and in the pool."
    )
    for number, (test, chosen) in enumerate(found.items()):
        items = [
            card(
                [
                    pictured(album.picture(study.tests[test], one.test_row), test, ""),
                    pictured(
                        album.picture(study.reference, one.reference_row),
                        "reference",
                        f"{one.reference_similarity:.3f}",
                    ),
                    pictured(
                        album.picture(study.pool, one.pool_row),
                        "pool",
                        f"{one.pool_similarity:.3f}",
                    ),
                ]
            )
            for one in chosen
        ]
        html += details(test, cards(items), is_open=number == 0)
    return html


def _duplicates(study: Study, album: Album, count: int, pairs: list[Duplicate]) -> str:
    if not count:
        return ""
    share = count / len(study.pool)
    text = (
        f"De-duplication removed {count:,} of {len(study.pool):,} pool images ({percent(share)}). "
    )
    items = [
        card(
            [
                pictured(album.picture(study.pool, pair.row), "removed", ""),
                pictured(album.picture(study.pool, pair.of), "earlier", ""),
            ],
            f"similarity {pair.similarity:.3f}",
        )
        for pair in pairs
    ]
    shown = (
        "Some of them, from the least similar to copies, each with the earlier image it is near:"
    )
    return paragraph(text + (shown if items else "")) + (cards(items) if items else "")


def _linked(text: str, address: str) -> str:
    if not address.startswith(("https://", "http://")):
        return escape(text)
    return f'<a href="{escape(address)}">{escape(text)}</a>'
