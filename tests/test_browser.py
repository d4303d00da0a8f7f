"""The report's page, and the pages of `dvc plots`, in a real browser without a network."""

import shutil
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from clipcause.report import dvc_plots, offline
from tests import report_study
from tests.browser import Visit, browser
from tests.report_study import write_study
from tests.repository import Repository

ROOT = Path(__file__).parent.parent
DEFAULT = ROOT / "report/index.html"  # there where the default study has run
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1200, "height": 900}


@pytest.fixture(scope="module")
def chromium():
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The page of a study that is made here."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_study(report={"neighbours": 5, "copies": 4, "copy_threshold": 0.9})
        report_study.reported()
    return folder / "report/index.html"


@pytest.fixture(params=["made", "default"])
def file(request):
    if request.param == "made":
        return request.getfixturevalue("made")
    if not DEFAULT.exists():
        pytest.skip("report/index.html is not here; `dvc repro` makes it")
    if "<script" not in DEFAULT.read_text(encoding="utf-8"):
        pytest.skip("report/index.html is of older code; `dvc repro report` makes it again")
    return DEFAULT


@pytest.fixture
def visit(chromium):
    """Open files; at the end nothing may have been said or asked for."""
    opened = []

    def call(file, **options):
        opened.append(Visit(chromium, file, **{"viewport": DESK, **options}))
        return opened[-1].page

    yield call
    for one in opened:
        one.check()
        one.close()


def counted(locator, count):
    """Wait for that many elements. Nothing may be evaluated in the page: its policy forbids it."""
    pytest.importorskip("playwright.sync_api").expect(locator).to_have_count(count)


def column(table, index):
    """The first line of a column's cells, as they stand."""
    return table.locator("tbody tr").evaluate_all(
        "(rows, index) => rows.map((row) => row.cells[index].textContent.trim())", index
    )


def test_every_picture_loads_and_has_a_text(visit, file):
    page = visit(file)
    page.evaluate("Promise.all([...document.images].map((one) => one.decode()))")
    found = page.locator("img").evaluate_all("all => all.map(one => [one.naturalWidth, one.alt])")
    assert found
    assert all(width > 0 and text for width, text in found)
    assert page.locator("svg:not([aria-hidden]):not([role=img][aria-label])").count() == 0


def test_tables_sort_by_click(visit, file):
    page = visit(file)
    table = page.locator("#accuracy table").first
    written = column(table, 1)
    head = table.locator("thead th").nth(1)
    assert head.get_attribute("aria-sort") == "none"
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    sizes = [int(text.split("of")[0].replace(",", "")) for text in column(table, 1)]
    assert sizes == sorted(sizes, reverse=True)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert table.locator("thead [aria-sort=none]").count() == table.locator("thead th").count() - 1
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "none"
    assert column(table, 1) == written


def test_tables_sort_by_keyboard_and_by_number(visit, file):
    page = visit(file)
    table = page.locator("#accuracy table").first
    buttons = table.locator("thead button")
    buttons.nth(2).focus()
    page.keyboard.press("Tab")  # to the next column, the first test set
    page.keyboard.press("Enter")
    assert table.locator("thead th").nth(3).get_attribute("aria-sort") == "descending"
    values = table.locator("tbody tr").evaluate_all(
        "rows => rows.map((row) => Number(row.cells[3].dataset.value ?? row.cells[3].textContent))"
    )
    assert values == sorted(values, reverse=True)
    page.keyboard.press("Space")
    assert table.locator("thead th").nth(3).get_attribute("aria-sort") == "ascending"
    # names are words: from A on
    table.locator("thead button").first.click()
    names = column(table, 0)
    assert names == sorted(names, key=str.lower)


def test_galleries_are_searched_by_class_and_test_set(visit, file):
    page = visit(file)
    section = page.locator("#pictures")
    cards = section.locator("li[data-test]")
    total = cards.count()
    said = section.locator("output")
    assert said.inner_text() == f"{total} of {total} shown"
    assert said.get_attribute("aria-live") == "polite"
    first = section.locator("li[data-test]:not([data-test=''])").first
    note = first.locator("figcaption", has_text="class").first.inner_text()
    label = note.rsplit("class ", 1)[1].strip()
    page.get_by_role("searchbox", name="class or caption").fill(label.upper())
    shown = section.locator("li[data-test]:not([hidden])")
    assert 0 < shown.count() < total
    assert all(label.lower() in text.lower() for text in shown.all_text_contents())
    assert said.inner_text() == f"{shown.count()} of {total} shown"
    assert shown.first.is_visible()  # its group is opened
    test = first.get_attribute("data-test")
    page.get_by_role("combobox").select_option(test)
    of_test = section.locator("li[data-test]:not([hidden])")
    assert {one.get_attribute("data-test") for one in of_test.all()} == {test}
    page.get_by_role("searchbox", name="class or caption").fill("no such words")
    assert said.inner_text() == f"0 of {total} shown"
    assert section.locator("details.group:visible").count() == 0
    page.get_by_role("searchbox", name="class or caption").fill("")
    page.get_by_role("combobox").select_option("")
    assert said.inner_text() == f"{total} of {total} shown"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_down_only(visit, file, scheme):
    page = visit(file, viewport=PHONE, color_scheme=scheme, has_touch=True)
    page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    ink, paper = page.evaluate(
        "(() => { const style = getComputedStyle(document.body);"
        " return [style.color, style.backgroundColor]; })()"
    )
    lightness = [sum(map(int, text[4:-1].split(","))) for text in (ink, paper)]
    assert (lightness[0] < lightness[1]) == (scheme == "light")
    assert abs(lightness[0] - lightness[1]) > 450


def test_a_phone_breaks_no_word_of_a_table(visit, file):
    page = visit(file, viewport=PHONE)
    small = page.locator(".wide tbody th small")
    looks = small.evaluate_all(
        "all => all.map(getComputedStyle).map((one) => [one.display, one.overflowWrap])"
    )
    assert {tuple(one) for one in looks} <= {("block", "normal")}


def test_print_shows_what_is_folded_away(visit, file):
    page = visit(file)
    closed = page.locator("details:not([open])")
    before = closed.count()
    assert before
    page.emulate_media(media="print")
    counted(closed, 0)
    assert not page.locator(".chooser").is_visible()
    page.emulate_media(media="screen")
    counted(closed, before)


def test_headings_descend_by_one(visit, file):
    page = visit(file)
    levels = page.locator("h1, h2, h3, h4, h5, h6").evaluate_all(
        "all => all.map((one) => Number(one.localName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = page.locator("[id]").evaluate_all("all => all.map((one) => one.id)")
    assert len(ids) == len(set(ids))


def test_what_has_the_focus_is_seen(visit, file):
    page = visit(file)
    seen = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        kind, width, style = page.evaluate(
            "(() => { const one = document.activeElement; const look = getComputedStyle(one);"
            " return [one.localName, parseFloat(look.outlineWidth), look.outlineStyle]; })()"
        )
        if kind == "body":
            break
        assert width >= 2, kind
        assert style != "none", kind
        seen.add(kind)
    assert {"a", "button"} <= seen


def test_without_scripts_everything_is_there(visit, made):
    page = visit(made, java_script_enabled=False)
    assert not page.locator(".chooser").is_visible()
    assert (
        page.locator("li[data-test]").count() == page.locator("li[data-test]:not([hidden])").count()
    )
    assert page.locator("thead button").count() == 0


@pytest.fixture(scope="module")
def plotted(made, tmp_path_factory):
    """What `dvc plots show` makes of the study's tables, and the names of those with rows."""
    folder = tmp_path_factory.mktemp("plots")
    shutil.copytree(made.parent / "plots", folder / "report/plots")
    known = yaml.safe_load(dvc_plots.definitions())["plots"]
    entries = [entry for entry in known if has_rows(folder / "report" / next(iter(entry)))]
    (folder / "report/dvc.yaml").write_text(yaml.safe_dump({"plots": entries}))
    repository = Repository(folder)
    repository.init()
    shutil.copytree(ROOT / ".dvc/plots", folder / ".dvc/plots", dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        offline.write()
    repository.dvc("plots", "show", "-o", "out")
    return folder / "out/index.html", [entry[next(iter(entry))]["template"] for entry in entries]


def has_rows(path):
    return path.exists() and len(path.read_text(encoding="utf-8").splitlines()) > 1


def test_plots_of_dvc_are_drawn_without_a_network(chromium, plotted):
    file, names = plotted
    assert {"accuracy", "similarity", "binned"} <= set(names)
    opened = Visit(chromium, file, viewport=DESK)
    drawn = opened.page.locator(".vega-embed canvas, .vega-embed svg.marks")
    counted(drawn, len(names))
    for one in drawn.all():
        box = one.bounding_box()
        assert box["width"] > 100
        assert box["x"] + box["width"] <= DESK["width"]
        assert box["height"] > 60
    # Vega warns of panels without data and of the version that a specification names
    opened.check(may_warn=True)
    opened.close()
