"""The page as HTML: what it promises, and that no text of data is ever markup, in any section."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from markupsafe import Markup

from clipcause.config import layout
from clipcause.data.manifest import Manifest
from clipcause.icons import catalogue
from clipcause.report import page
from clipcause.report.figures import drawing
from clipcause.runtime import imports, metrics
from tests import report_imbalance, report_study
from tests.report import test_agreement, test_domains
from tests.report import test_decomposition as explain
from tests.report import test_retrieval as retrieval
from tests.report.pages import Page

EVIL = "<evil a='b'>&\""
DRAWING = Markup('<svg role="img" aria-label="a plot"></svg>')
BY_NAME = {"sets", "grids", "tables", "unlisted", "numbered"}  # mappings by a name that is data
ATTRIBUTES = {
    *("alt", "aria-hidden", "aria-label", "aria-live", "autocomplete", "class", "d", "data-test"),
    *("data-value", "decoding", "fill", "for", "height", "hidden", "href", "id", "open", "role"),
    *("scope", "src", "stroke", "stroke-dasharray", "stroke-width", "style", "tabindex", "type"),
    *("value", "viewbox", "width"),
}


def write_images():
    """The study of images, with all that is measured beside."""
    report_study.write_study(report={"copies": 2, "copy_threshold": 0.9})
    explain.write_classes()
    path = Path("params.yaml")
    entry = {"intraclass": {"full": {"split": "full", "by": "label"}}}
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | entry, sort_keys=False))
    metrics.write(layout.metrics("intraclass", "full"), {"mean": 0.5, "pairs": {"all": 3}})
    credits_of = Path(catalogue.FOLDER / catalogue.ATTRIBUTION)
    credits_of.parent.mkdir(parents=True)
    credits_of.write_text(
        "title,author,author_url,licence,licence_url,icons\n"
        "Set,Ann,https://example.org,MIT,javascript:alert(1),1200\n"
    )


STUDIES = {
    "images": write_images,
    "imbalance": report_imbalance.write,
    "retrieval": retrieval.write_study,
    "domains": test_domains.write_domains,
    "agreement": test_agreement.write_study,
}


def evil(value: Any, *, named: bool = True) -> Any:
    """The same data with markup at the end of every text; of a mapping whose names are data, also
    of the names."""
    if isinstance(value, Markup | Manifest):
        return value
    if isinstance(value, str):
        return f"{value}{EVIL}" if value else ""  # what is absent stays so
    if isinstance(value, Mapping):
        return {
            key if named else evil(key): evil(one, named=key not in BY_NAME)
            for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        found = [evil(one) for one in value]
        return type(value)(*found) if hasattr(value, "_fields") else type(value)(found)
    if is_dataclass(value) and not isinstance(value, type):
        # a mark's shape is a choice, no text
        names = [one.name for one in fields(value) if one.name != "shape"]
        return replace(value, **{name: evil(getattr(value, name)) for name in names})
    if callable(value):
        return lambda *given: evil(value(*given))
    return value


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """Of every section what it says of a study that has it, with plots that are quick to draw."""
    found = {}
    for name, write in STUDIES.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path_factory.mktemp(name))
            patch.setattr(drawing, "inline", lambda *_: DRAWING)
            write()
            content = report_study.collected()
            views = {one.id: one.view(content) for one in page.SECTIONS}
            found |= {key: (content, view) for key, view in views.items() if view is not None}
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The page of the plain study."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("page"))
        report_study.write_study()
        report_study.reported()
        yield Path("report/index.html").read_text()


def test_the_page_stands_alone_and_can_be_read_without_seeing(made):
    page = Page(made)
    assert not [tag for tag, _ in page.tags if tag in ("link", "iframe", "object")]
    assert [found for tag, found in page.tags if tag == "script"] == [{}]  # one, without a source
    assert "@import" not in made
    assert "url(" not in made
    assert all(image["src"].startswith("data:image/") for image in page.images)
    assert all(image["alt"] for image in page.images)
    assert len(set(page.ids)) == len(page.ids)
    for link in page.links:
        assert link.startswith("https://") or link[1:] in page.ids
    drawings = [found for tag, found in page.tags if tag == "svg" and "aria-hidden" not in found]
    assert drawings
    assert all(found["role"] == "img" and found["aria-label"] for found in drawings)
    assert all("scope" in found for tag, found in page.tags if tag == "th")
    tables = [tag for tag, _ in page.tags if tag in ("table", "caption")]
    assert tables == ["table", "caption"] * (len(tables) // 2)
    assert str(Path.cwd()) not in made


def test_captions_are_text_and_never_markup(made):
    assert "<pool>" not in made
    assert "&lt;pool&gt;" in made


def test_every_section_is_seen_and_no_other(seen):
    assert set(seen) == {one.id for one in page.SECTIONS}
    names = {path.name.removesuffix(".html.j2") for path in page.TEMPLATES.glob("*.j2")}
    assert names == {*seen, "page", "macros", "summary"}


def test_templates_are_code_of_the_stage():
    """An edit of one makes the report again."""
    root = Path(__file__).parents[2]
    watched = imports.files("stages.report", root).values()
    assert {root / path for path in watched} >= set(page.TEMPLATES.iterdir())


@pytest.mark.parametrize("one", page.SECTIONS, ids=lambda one: one.id)
def test_no_text_of_data_is_markup_in_a_section(seen, one):
    content, view = seen[one.id]
    templates = page.environment()
    plain = Page(page.drawn(templates, one, view, content))
    html = page.drawn(templates, one, evil(view), content)
    found = Page(html)
    assert "&lt;evil a=" in html
    assert {tag for tag, _ in found.tags} <= {tag for tag, _ in plain.tags}
    assert {name for _, attributes in found.tags for name in attributes} <= ATTRIBUTES
    assert not [link for link in found.links if link.startswith("javascript:")]


def test_names_captions_and_labels_are_text_from_end_to_end(tmp_path, monkeypatch):
    """A study whose every word is hostile, plots included."""
    monkeypatch.chdir(tmp_path)
    names = {name: f"{name}{EVIL}" for name in (*report_study.SPLITS, *report_study.RUNS)}
    tests = {test: f"{test}{EVIL}" for test in report_study.TESTS}
    splits = {
        names[name]: entry
        | {"of": names.get(entry["of"], "none")}
        | (
            {"tests": [tests[test] for test in asked]}
            if isinstance(asked := entry.get("tests"), list)
            else {}
        )
        for name, entry in report_study.SPLITS.items()
    }
    runs = {
        names[name]: entry | {"split": names.get(entry["split"], "none")}
        for name, entry in report_study.RUNS.items()
    }
    monkeypatch.setattr(report_study, "CLASSES", [f"{one}{EVIL}" for one in report_study.CLASSES])
    for test, name in tests.items():
        monkeypatch.setitem(report_study.SIZES, name, report_study.SIZES[test])
    report_study.write_study(splits=splits, runs=runs, tests=tuple(tests.values()))
    report_study.reported()
    text = Path("report/index.html").read_text()
    found = Page(text)
    assert "<evil" not in text
    assert text.count("&lt;evil") > 200
    assert "evil" not in {tag for tag, _ in found.tags}
    assert len(set(found.ids)) == len(found.ids)
    assert all(link.startswith("https://") or link[1:] in found.ids for link in found.links)
