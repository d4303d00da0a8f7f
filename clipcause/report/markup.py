"""Pieces of HTML. Text that comes from data is escaped here or by the caller with ``html.escape``;
arguments called ``html`` or ``rows`` are markup already."""

import re
from collections.abc import Iterable
from html import escape

from clipcause.report.album import SIDE, Picture
from clipcause.report.decimals import ranged
from clipcause.stats.comparison import Interval

TAG = re.compile(r"<[^>]*>")
# the number that a cell begins with, which its column is sorted by
NUMBER = re.compile(r"\s*[<≤]?\s*([-−+]?(?:\d[\d,]*)?(?:\.\d+)?)(?![\w-])")


def difference(one: Interval) -> str:
    """A difference from a random split in points, with its interval, in small print."""
    # on lines of their own, so that many test sets fit beside one another
    return f"<small{marked(one)}>{ranged(one).replace(' [', '<br>[')}</small>"


def marked(one: Interval) -> str:
    """The class of worse or better, which the sign says too, where the interval leaves out zero."""
    if not one.is_distinguishable:
        return ""
    return ' class="worse"' if one.value < 0 else ' class="better"'


def section(anchor: str, title: str, *html: str) -> str:
    """A section that can be linked to."""
    return f'<section id="{escape(anchor)}">\n<h2>{escape(title)}</h2>\n{"".join(html)}</section>\n'


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    opened = f'<p class="{kind}">' if kind else "<p>"
    return f"{opened}{escape(text)}</p>\n"


def bullets(texts: Iterable[str], kind: str = "") -> str:
    """A list of sentences; empty without any."""
    items = "".join(f"<li>{escape(text)}</li>\n" for text in texts)
    opened = f'<ul class="{kind}">' if kind else "<ul>"
    return f"{opened}\n{items}</ul>\n" if items else ""


def data_table(caption: str, head: Iterable[str], rows: Iterable[str]) -> str:
    """A table that scrolls by itself on a narrow screen; ``head`` are the column names' markup.

    The page's script makes it sortable by its columns.
    """
    cells = "".join(f'<th scope="col">{name}</th>' for name in head)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table>\n<caption>{escape(caption)}</caption>\n"
        f"<thead><tr>{cells}</tr></thead>\n<tbody>\n{''.join(rows)}</tbody>\n</table></div>\n"
    )


def table_row(head: str, cells: Iterable[str], kind: str = "") -> str:
    """A row whose first cell names it."""
    opened = f'<tr class="{kind}">' if kind else "<tr>"
    rest = "".join(f"<td{_value(cell)}>{cell}</td>" for cell in cells)
    return f'{opened}<th scope="row">{head}</th>{rest}</tr>\n'


def _value(html: str) -> str:
    """What the script sorts a cell by, where it is not the whole text: the number it begins with,
    so that ``84.3<small>-1.2 [..]</small>`` is 84.3."""
    text = re.split(r"<(?:small|br)\b", html, maxsplit=1)[0]
    found = NUMBER.match(TAG.sub("", text))
    if found is None or not any(map(str.isdigit, found[1])):
        return ""
    number = found[1].replace(",", "").replace("−", "-")
    return f' data-value="{float(number):g}"' if number != TAG.sub("", html) else ""


def chip(colour: str, *, hollow: bool = False) -> str:
    """A dot in a split's colour."""
    kind = "chip hollow" if hollow else "chip"
    return f'<span class="{kind}" style="--chip:{colour}" aria-hidden="true"></span>'


def stroke(colour: str, dash: str = "") -> str:
    """A piece of a line for the key of a plot."""
    return (
        f'<svg viewBox="0 0 28 8" aria-hidden="true"><path d="M0 4H28" stroke="{colour}" '
        f'stroke-width="2.5" stroke-dasharray="{dash}" fill="none"/></svg>'
    )


def key(entries: Iterable[tuple[str, str]]) -> str:
    """The key of a plot: pairs of mark and label."""
    items = "".join(f"<li>{mark}{escape(label)}</li>" for mark, label in entries)
    return f'<ul class="key">{items}</ul>\n'


def panels(figures: Iterable[tuple[str, str]], *, wide: bool = False) -> str:
    """Small plots side by side: pairs of title and drawing. ``wide`` ones have wider columns."""
    items = "".join(
        f"<figure><figcaption>{escape(title)}</figcaption>{svg}</figure>\n"
        for title, svg in figures
    )
    return f'<div class="panels{" wider" * wide}">\n{items}</div>\n'


def subsection(anchor: str, title: str, html: str) -> str:
    """A part of a section that can be linked to."""
    return f'<section id="{escape(anchor)}">\n<h3>{escape(title)}</h3>\n{html}</section>\n'


def details(title: str, html: str, *, is_open: bool = False, kind: str = "") -> str:
    """Something that can be folded away."""
    state = (f' class="{kind}"' if kind else "") + " open" * is_open
    return f"<details{state}><summary>{escape(title)}</summary>\n{html}</details>\n"


def chooser(tests: Iterable[str], count: int) -> str:
    """A search over ``count`` cards and a choice of their test set, which the page's script shows
    and serves; without it all cards are there and this is not."""
    options = "".join(f"<option>{escape(test)}</option>" for test in tests)
    return (
        '<form class="chooser" role="search" hidden><label for="find">class or caption</label>'
        '<input id="find" type="search" autocomplete="off"><label for="find-test">test set</label>'
        f'<select id="find-test"><option value="">all</option>{options}</select>'
        f'<output aria-live="polite">{count} of {count} shown</output></form>\n'
    )


def pictured(one: Picture, title: str, note: str) -> str:
    """A picture with its role, its caption and a note."""
    scale = SIDE / max(one.width, one.height)
    width, height = round(one.width * scale), round(one.height * scale)
    return (
        f'<figure><img src="{one.uri}" width="{width}" height="{height}" decoding="async" '
        f'alt="{escape(f"{title}: {one.caption}")}">'
        f"<figcaption><b>{escape(title)}</b>{escape(one.caption)}"
        f"{f'<br>{escape(note)}' if note else ''}</figcaption></figure>"
    )


def card(figures: Iterable[str], text: str = "", test: str = "") -> str:
    """Pictures that belong together, with a line below; ``test`` is the test set they are of."""
    below = f"<p>{escape(text)}</p>" if text else ""
    return f'<li data-test="{escape(test)}"><div class="row">{"".join(figures)}</div>{below}</li>\n'


def cards(items: Iterable[str]) -> str:
    """A grid of cards."""
    return f'<ul class="pictures">\n{"".join(items)}</ul>\n'
