"""docs/: tables of formats are the schemas of the code, what is named exists, links lead on."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from clipcause.report import published
from tests.documents import FENCE, ROOT, exists, pages

ARTIFACTS = "".join((ROOT / f"docs/{name}.md").read_text() for name in ("artifacts", "signals"))
LINES = 330
# `clipcause.prune.rules.hull`: a module, and perhaps something in it
NAMED = re.compile(r"`((?:stages|clipcause)(?:\.\w+)+)`")


def resolved(name: str) -> Any:
    """What a dotted name means: the longest module of it, and what is in that."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise AttributeError(name)


def tables(kind: str) -> dict[str, list[list[str]]]:
    """The rows of the tables that stand under `<!-- kind: name -->`."""
    found = re.findall(rf"<!-- {kind}: (\S+) -->\n((?:\|.*\n)+)", ARTIFACTS)
    return {
        name: [[cell.strip() for cell in line.strip("|").split("|")] for line in text.split("\n")
               if line][2:]
        for name, text in found
    }  # fmt: skip


@pytest.mark.parametrize("name", tables("schema"))
def test_columns_and_types_are_the_codes(name):
    schema = resolved(name)
    shown = [(row[0], row[1]) for row in tables("schema")[name]]
    assert shown == [(field.name, str(field.type)) for field in schema]


@pytest.mark.parametrize("name", tables("model"))
def test_keys_are_the_models(name):
    assert [row[0] for row in tables("model")[name]] == list(resolved(name).model_fields)


def test_every_schema_of_an_artifact_is_on_the_page():
    """A new format that is not described is found here."""
    written = re.compile(r"^(\w*SCHEMA) = (?!\")", re.MULTILINE)  # no address is one
    named = {
        f"{'.'.join(path.relative_to(ROOT).with_suffix('').parts)}.{schema}"
        for path in sorted((ROOT / "clipcause").rglob("*.py"))
        for schema in written.findall(path.read_text())
    }
    assert named == tables("schema").keys()


def test_every_artifact_folder_of_the_graph_is_on_the_page():
    text = (ROOT / "dvc.yaml").read_text()
    folders = set(re.findall(r"^ {4,8}- ([a-z_]+)/\$\{", text, re.MULTILINE)) - {"data", "metrics"}
    for folder in folders - {"curves"}:
        assert f"`{folder}/" in ARTIFACTS, folder


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_what_a_page_names_in_the_code_exists(page):
    for name in NAMED.findall(FENCE.sub("", page.read_text())):
        assert exists(name), name


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page):
    text = FENCE.sub("", page.read_text())
    for target in re.findall(r"`((?:stages|tests|docs|studies|benchmarks)/[\w./-]+)`", text):
        if not re.fullmatch(r"tests/\w+", target):  # a data set, whose folder is data/tests/…
            assert (ROOT / target).exists(), target


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text())):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        assert other.exists(), target
        if anchor:
            assert anchor in anchors(other), target


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made of their words."""
    heads = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head).strip().lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", pages()[1:], ids=lambda page: page.name)
def test_no_page_is_long(page):
    assert len(page.read_text().splitlines()) <= LINES


def test_a_paper_has_one_title():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())["references"]
    title = {one["identifiers"][0]["value"].removeprefix("arXiv:"): one["title"] for one in cited}
    defined = (ROOT / "docs/definitions.md").read_text().replace("’", "'")
    for arxiv, name in title.items():
        (line,) = [line for line in defined.splitlines() if f"arXiv {arxiv}" in line]
        assert f"“{name}”, " in line
    theirs = published.load()
    assert title[theirs.arxiv] == theirs.title
