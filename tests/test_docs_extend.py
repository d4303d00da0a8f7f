"""What the documents add: every example is applied to a copy of the repository and tested."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clones import copy
from tests.documents import ROOT, Block, blocks
from tests.repository import Repository

PAGES = [
    ROOT / f"docs/{name}.md" for name in ("extend", "signals", "extend_objective", "extend_report")
]
CODE = [block for page in PAGES for block in blocks(page) if block.kind in ("diff", "python")]


def apply(block: Block, folder: Path) -> None:
    """Change the file that a diff names: its lines with ` ` and `-` are there, once, in a row."""
    first, *lines = block.text.splitlines()
    path = folder / first.removeprefix("# ")
    before = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
    after = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("-"))
    text = path.read_text()
    found = len(re.findall(f"^{re.escape(before)}", text, re.MULTILINE))
    assert found == 1, f"{block.path}:{block.line}: {found} times in {path.name}:\n{before}"
    path.write_text(re.sub(f"^{re.escape(before)}", lambda _: after, text, flags=re.MULTILINE))


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extend") / "clone"
    folder.mkdir()
    copy(folder)
    for block in CODE:
        if block.kind == "diff":
            apply(block, folder)
        else:
            assert block.file
            assert not (folder / block.file).exists(), "an example is a new file"
            (folder / block.file).write_text(block.text.split("\n", 1)[1])
    return folder


def run(folder: Path, *words: str) -> str:
    return Repository(folder, PYTHONPATH=str(folder)).python(*words)


@pytest.mark.parametrize(
    ("test", "passed", "needed"),
    [
        ("tests/prune/test_band.py", 4, ["clipcause/prune/rules/band.py"]),
        ("tests/signals/test_typical.py", 2, ["clipcause/signals/kinds/typical.py"]),
        ("tests/test_sources_listed.py", 2, ["clipcause/data/sources/listed.py"]),
        (
            "tests/test_learning_decoupled.py",
            2,
            ["clipcause/config/objectives/decoupled.py", "clipcause/train/objectives/decoupled.py"],
        ),
    ],
)
def test_the_test_of_an_example_passes(extended, test, passed, needed):
    assert {test, *needed} <= {block.file for block in CODE}
    out = run(extended, "pytest", "-p", "no:cacheprovider", test)
    assert f"{passed} passed" in out


def test_the_tests_of_what_was_there_need_no_edit(extended):
    tests = ("tests/prune/test_kinds.py", "tests/test_train.py", "tests/test_learning_texts.py")
    named = "told_in_words or cannot_be or make_no_sense"
    run(extended, "pytest", "-p", "no:cacheprovider", *tests, "-k", named)


def test_the_examples_are_clean(extended):
    changed = sorted(str(block.file) for block in CODE)
    run(extended, "ruff", "check", *changed)
    run(extended, "ruff", "format", "--check", *changed)


def test_the_section_of_the_example_is_drawn(extended):
    (template,) = [block for block in blocks(PAGES[-1]) if block.kind == "html"]
    first, text = template.text.split("\n", 1)
    (extended / first.removeprefix("{# ").removesuffix(" #}")).write_text(text)
    code = """
from clipcause.report import page
from clipcause.report.sections.elements import Row
(one,) = [one for one in page.SECTIONS if one.id == "sizes"]
template = page.environment().get_template("sizes.html.j2")
html = template.render(rows=[Row("a<b>", ["1,200"])])
assert '<th scope="row">a&lt;b&gt;</th><td data-value="1200">1,200</td>' in html
"""
    subprocess.run([sys.executable, "-c", code], cwd=extended, check=True)


def test_the_figure_of_the_example_is_one_file_and_one_test(tmp_path):
    folder = tmp_path / "clone"
    folder.mkdir()
    copy(folder)
    files = [block for block in CODE if block.file and Path(block.file).stem.endswith("copies")]
    assert len(files) == 2
    for block in files:
        assert block.file
        (folder / block.file).write_text(block.text.split("\n", 1)[1])
    said = run(folder, "clipcause", "plots", "--write")
    assert {".dvc/plots/copies.json", "report/dvc.yaml"} <= set(said.splitlines())
    changed = [str(block.file) for block in files]
    run(folder, "ruff", "check", *changed)
    run(folder, "ruff", "format", "--check", *changed)
    # its own test, and some of those of all figures
    tests = [changed[-1], "tests/report/test_figures.py", "tests/report/test_dvc_plots.py"]
    said = run(folder, "pytest", "-p", "no:cacheprovider", *tests, "-k", "every or committed")
    assert "5 passed" in said


def test_the_table_of_the_example_is_one_file_and_one_test(extended):
    files = [str(block.file) for block in CODE if block.file and "seeds" in block.file]
    assert files == ["clipcause/report/tables/seeds.py", "tests/report/test_seeds.py"]
    # its own test, and some of those of all tables
    tests = [files[-1], "tests/report/test_analysis.py"]
    said = run(
        extended, "pytest", "-p", "no:cacheprovider", *tests, "-k", "apart or lists or every"
    )
    assert "7 passed" in said
