"""The faults that are planted: found by their text, caught by tests of a name, all still there."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import faults
from benchmarks.faults import Edit, Fault

ROOT = Path(__file__).parents[1]
EDIT = Edit("return a > b", "return a >= b")


def fault(*edits: Edit, tests: tuple[str, ...] = ("test_strict",)) -> Fault:
    return Fault("not strict", edits, tests)


@pytest.fixture
def tree(tmp_path):
    """A product of one function, and its test."""
    for name, text in {
        "stages/deep/rule.py": "def above(a, b):\n    return a > b\n",
        "tests/room/test_rule.py": (
            "from stages.deep.rule import above\n\n\n"
            "def test_strict():\n    assert not above(1, 1)\n\n\n"
            "def test_other():\n    assert above(2, 1)\n"
        ),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_text_is_found_wherever_it_stands_and_however_it_is_broken(tree):
    path = tree / "stages/deep/rule.py"
    assert faults.planted(fault(EDIT), faults.sources(tree)) == (
        path,
        "def above(a, b):\n    return a >= b\n",
    )
    path.write_text("def above(a, b):\n    return (\n        a\n        > b\n    )\n")
    edit = Edit("a > b", "a >= b")
    assert "a >= b" in faults.planted(fault(Edit("x", "y"), edit), faults.sources(tree))[1]


def test_a_text_in_no_place_or_in_two_is_said(tree):
    (tree / "clipcause").mkdir()
    (tree / "clipcause/rule.py").write_text("def above(a, b):\n    return a > b\n")
    said = faults.planted(fault(EDIT, Edit("gone", "")), faults.sources(tree))
    assert said == "2 times: return a > b; 0 times: gone"
    assert faults.attempt(fault(EDIT), tree).result == faults.NOT_FOUND


@pytest.mark.parametrize(
    ("edit", "test", "result"),
    [
        (EDIT, "test_strict", faults.CAUGHT),
        (EDIT, "test_other", faults.MISSED),
        (EDIT, "test_renamed", faults.NO_TEST),
        (Edit("return a > b", "return a >"), "test_strict", faults.BROKEN),
    ],
)
def test_what_becomes_of_a_fault(tree, edit, test, result):
    before = (tree / "stages/deep/rule.py").read_bytes()
    assert faults.attempt(fault(edit, tests=(test,)), tree).result == result
    assert (tree / "stages/deep/rule.py").read_bytes() == before


def test_tests_that_fail_without_a_fault_catch_nothing(tree):
    assert faults.sound([fault(EDIT)], tree) is None
    rule = tree / "stages/deep/rule.py"
    rule.write_text(rule.read_text().replace(">", ">="))
    assert "1 failed" in (faults.sound([fault(EDIT)], tree) or "")


LIST = faults.read()
SOURCES = faults.sources(ROOT)


def test_there_are_forty():
    assert len(LIST) == 40
    assert len({one.name for one in LIST}) == 40


@pytest.mark.parametrize("one", LIST, ids=lambda one: one.name)
def test_every_fault_of_the_list_can_be_planted(one):
    found = faults.planted(one, SOURCES)
    assert not isinstance(found, str), found
    path, content = found
    if path.suffix == ".py":
        assert ast.dump(ast.parse(content)) != ast.dump(ast.parse(SOURCES[path]))
    for name in one.tests:
        assert faults.test_ids([name], ROOT), f"{name} is no test"


def test_the_command_says_what_it_takes():
    words = [sys.executable, "-m", "benchmarks.faults", "--help"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert "--only" in done.stdout
