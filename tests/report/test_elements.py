"""What sections are made of, as data and as they look: cells and what they are sorted by, tables,
keys, panels."""

import jinja2
import pytest
from markupsafe import Markup

from clipcause.report import page
from clipcause.report.sections.elements import (
    Cell,
    Mark,
    Panel,
    Row,
    Small,
    grouped,
    panels,
    ranged,
    sorted_by,
)
from tests import report_study
from tests.report.pages import Page

HOSTILE = "<script>alert('x')</script> & \"quoted\""


def drawn(text, /, **values):
    """A template's text with the macros at hand."""
    return page.environment().from_string(text).render(values).strip()


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        (ranged("84.3", "0.1", "2.2"), "84.3"),
        ("12,345", "12345"),
        (Cell("−0.5", (Small("x"),)), "-0.5"),
        ("9.0 %", "9"),
        (Cell("2,415", (Small("of the reference"),)), "2415"),
        ("< 0.0001", "0.0001"),
        ("> 1.50", "1.5"),
        (Cell("0.71", then=Cell("0.20")), "0.71"),
        ("84.3", ""),
        ("–", ""),
        ("icons", ""),
        ("3D shapes", ""),
    ],
)
def test_a_cell_is_sorted_by_the_number_it_begins_with(cell, value):
    assert sorted_by(cell) == value
    table = drawn("{{ page.bare(['a'], rows, '') }}", rows=[Row("a", [cell])])
    assert ("data-value" in table) == bool(value)
    if value:
        assert f'<td data-value="{value}">' in table


@pytest.mark.parametrize(
    ("cell", "html"),
    [
        (Cell("val\n", (Small("30 images"),)), "val<br><small>30 images</small>"),
        (
            Cell("1.0", (Small("−2.0", "[−3.0, −1.0]", "worse"),)),
            '1.0<small class="worse">−2.0<br>[−3.0, −1.0]</small>',
        ),
        (Cell("a", (Small("share", "[0, 1]", strong="0.50"),)),
         "a<small>share <b>0.50</b><br>[0, 1]</small>"),
        (Cell("NC2", then=Cell("M", kind="sub", then=Cell(" nearest"))),
         "NC2<sub>M</sub> nearest"),
        (Cell("0.1", (Small("x"),), Cell("0.2", (Small("y"),))),
         "0.1<small>x</small>0.2<small>y</small>"),
        (Cell("a", link="#b"), '<a href="#b">a</a>'),
        (Cell("a", id="split-a"), '<span id="split-a">a</span>'),
        (Cell("a b", kind="text"), '<span class="text">a b</span>'),
        (Cell("ff", kind="code"), "<code>ff</code>"),
        (
            Cell("a", mark=Mark("#111111", "hollow")),
            '<span class="chip hollow" style="--chip:#111111" aria-hidden="true"></span>a',
        ),
        ("a < b", "a &lt; b"),
    ],
)  # fmt: skip
def test_cells(cell, html):
    assert drawn("{{ page.cell(cell) }}", cell=cell) == html


def test_every_text_of_an_element_is_escaped():
    small = Small(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    cells = [
        HOSTILE,
        Cell(HOSTILE, (small,), then=Cell(HOSTILE, kind="sub")),
        Cell(HOSTILE, link=HOSTILE, mark=Mark(HOSTILE, "line", HOSTILE)),
        Cell(HOSTILE, id=HOSTILE, mark=Mark(HOSTILE, HOSTILE)),
        *(Cell(HOSTILE, kind=kind) for kind in ("text", "code", "sub", HOSTILE)),
    ]
    panel = Panel(HOSTILE, Markup("<svg></svg>"), [(Mark(HOSTILE, "diamond"), HOSTILE)])
    html = drawn(
        "{% call page.table([text] + cells, rows, text) %}{{ text }}{% endcall %}"
        "{{ page.key([(mark, text)]) }}{{ page.panels([panel]) }}{{ page.soft(text) }}"
        "{{ page.dot(text) }}{{ page.hollow(text) }}{{ page.dashes(text, text, text) }}"
        "{% call page.fold(text, kind=text) %}{{ text }}{% endcall %}",
        text=HOSTILE,
        cells=cells,
        rows=[Row(cells[-1], cells, HOSTILE)],
        panel=panel,
        mark=Mark(HOSTILE),
    )
    found = Page(html)
    assert "script" not in {tag for tag, _ in found.tags}
    assert html.count("&lt;script&gt;") > 30
    assert all("alert" not in name for _, attributes in found.tags for name in attributes)


def test_a_table_of_many_rows_is_folded_away():
    text = "{% call page.table(['a'], rows, most=2) %}About\n  it.{% endcall %}"
    few, many = ([Row(str(at), []) for at in range(count)] for count in (2, 3))
    assert "<details" not in drawn(text, rows=few)
    html = drawn(text, rows=many)
    assert "<details><summary>Table of 3 conditions</summary>" in html
    assert 'aria-label="About it."' in html
    assert "<caption>About it.</caption>" in html


def test_a_blank_that_does_not_break_stays():
    assert page.one_line(" 3.1\u00a0%\n of  it\n") == "3.1\u00a0% of it"


def test_a_name_that_no_view_gives_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="'absent' is undefined"):
        drawn("{{ absent }}")


def test_panels_are_the_figures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_study.write_study()
    content = report_study.collected()
    by_test = grouped(content, "accuracy", "test")
    assert list(by_test) == ["val", "sketch"]
    assert [one for (one,) in by_test.values()] == panels(content, "accuracy")
    assert [one.title for one in panels(content, "accuracy")] == ["val", "sketch"]
    label = 'role="img" aria-label="Top-1 accuracy on val by training data; the table has'
    assert label in by_test["val"][0].drawing
