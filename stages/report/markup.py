"""Pieces of HTML. Text that comes from data is escaped here or by the caller with ``html.escape``;
arguments called ``html`` or ``rows`` are markup already."""

from collections.abc import Iterable
from html import escape

from stages.report.pictures import Picture

SHOWN = 72  # pixels, the longer side of a picture


def section(anchor: str, title: str, *html: str) -> str:
    """A section that can be linked to."""
    return f'<section id="{escape(anchor)}">\n<h2>{escape(title)}</h2>\n{"".join(html)}</section>\n'


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    opened = f'<p class="{kind}">' if kind else "<p>"
    return f"{opened}{escape(text)}</p>\n"


def data_table(caption: str, head: Iterable[str], rows: Iterable[str]) -> str:
    """A table that scrolls by itself on a narrow screen; ``head`` are the column names' markup."""
    cells = "".join(f'<th scope="col">{name}</th>' for name in head)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table>\n<caption>{escape(caption)}</caption>\n"
        f"<thead><tr>{cells}</tr></thead>\n<tbody>\n{''.join(rows)}</tbody>\n</table></div>\n"
    )


def table_row(head: str, cells: Iterable[str], kind: str = "") -> str:
    """A row whose first cell names it."""
    opened = f'<tr class="{kind}">' if kind else "<tr>"
    rest = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'{opened}<th scope="row">{head}</th>{rest}</tr>\n'


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


def details(title: str, html: str, *, is_open: bool = False) -> str:
    """Something that can be folded away."""
    state = " open" if is_open else ""
    return f"<details{state}><summary>{escape(title)}</summary>\n{html}</details>\n"


def pictured(one: Picture, title: str, note: str) -> str:
    """A picture with its role, its caption and a note."""
    scale = SHOWN / max(one.width, one.height)
    width, height = round(one.width * scale), round(one.height * scale)
    return (
        f'<figure><img src="{one.uri}" width="{width}" height="{height}" loading="lazy" '
        f'alt="{escape(f"{title}: {one.caption}")}">'
        f"<figcaption><b>{escape(title)}</b>{escape(one.caption)}"
        f"{f'<br>{escape(note)}' if note else ''}</figcaption></figure>"
    )


def card(figures: Iterable[str], text: str = "") -> str:
    """Pictures that belong together, with a line below."""
    below = f"<p>{escape(text)}</p>" if text else ""
    return f'<li><div class="row">{"".join(figures)}</div>{below}</li>\n'


def cards(items: Iterable[str]) -> str:
    """A grid of cards."""
    return f'<ul class="pictures">\n{"".join(items)}</ul>\n'
