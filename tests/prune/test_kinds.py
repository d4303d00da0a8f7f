"""The union of the rules: found by being there, and every error in words that help."""

import re
from pathlib import Path

import pytest

from clipcause.prune import rules
from clipcause.prune.rule import Rule
from clipcause.runtime.imports import files

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "clipcause/prune/rules"
MODULES = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
SLOTS = {"base": "all", "of": "none", "with": "none"}


def test_every_file_is_a_rule_of_that_name():
    assert rules.RULES.models.keys() == MODULES
    for word, model in rules.RULES.models.items():
        assert model.__module__ == f"clipcause.prune.rules.{word}"
        assert model.__doc__ != Rule.__doc__


def test_a_stage_that_prunes_has_every_rule_as_its_code_and_training_has_none():
    paths = {f"clipcause/prune/rules/{name}.py" for name in MODULES}
    assert paths <= {path.as_posix() for path in files("stages.prune", ROOT).values()}
    train = {path.as_posix() for path in files("stages.train", ROOT).values()}
    assert {path for path in train if path.startswith("clipcause/prune/")} == {
        "clipcause/prune/__init__.py",
        "clipcause/prune/split/__init__.py",
        "clipcause/prune/split/roaring.py",
    }


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"rule": "near", "tests": ["r"], "keep": "50%"}, "x.keep: keep is a .*, but was '50%'; "
         "write 0.5"),
        ({"rule": "near", "tests": ["r"], "keep": True}, "x.keep: keep is a number of rows"),
        ({"rule": "near", "tests": ["r"], "kep": 3}, "x.kep: unknown parameter; .* 'keep'"),
        ({"rule": "hull", "tests": ["r"], "wiht": "all"}, "x.wiht: unknown parameter; .* 'with'"),
        ({"rule": "nere", "tests": ["r"]}, "x: unknown rule 'nere'; did you mean 'near'"),
        ({"rule": None}, "x: unknown rule 'None'; "),
        ({}, "x: rule is missing: one of balance, .*, core, .*, where$"),
        ([], r"x: expected a mapping, but it is \[\]"),
    ],
)  # fmt: skip
def test_a_wrong_item_is_told_in_words(item, message):
    values = {**SLOTS, **item} if isinstance(item, dict) else item
    with pytest.raises(ValueError, match=message):
        rules.parse(values, "x")


@pytest.mark.parametrize("slot", SLOTS)
def test_a_missing_slot_says_what_it_can_be(slot):
    values = {key: value for key, value in SLOTS.items() if key != slot}
    none = "write none, since the rule reads no other split here"
    said = {"base": "all, dedup or another split", "of": none, "with": none}
    with pytest.raises(ValueError, match=re.escape(f"x.{slot}: missing: {said[slot]}")):
        rules.parse({"rule": "none", **values}, "x")
