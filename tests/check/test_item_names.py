"""Names of items: refused where DVC, a shell or YAML takes them for something else."""

from pathlib import Path

import pytest
import yaml

from clipcause.check import item_names

FILE = Path("params.yaml")
REFUSED = (
    *("far sketch", "far;true", "$HOME", "a/b", "..", "far.sketch", "far:1", "-x", "Größe", "a,b"),
    *(".hidden", "far@2", "x" * 300, "{a}", "a'b", "*", "a[1]", "a\nb", ""),
)


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_is_no_word_of_a_command_is_refused(name):
    with pytest.raises(ValueError, match="a name has letters, digits"):
        item_names.check({"splits": {name: {}}}, FILE)


def test_a_name_that_cannot_be_seen_is_told_in_one_line():
    for name, told in (("", r"''"), ("a\nb", r"'a\\nb'")):
        with pytest.raises(ValueError, match=rf"splits\.{told}: a name has") as error:
            item_names.check({"splits": {name: {}}}, FILE)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text", ["no", "on", "y", "1", "1e3", "1e-5", "null", "2020-01-01", "0x1f", "1_000", "Off"]
)
@pytest.mark.parametrize("quote", ["", "'"])
def test_a_word_that_yaml_takes_for_something_else_is_refused_with_quotes_too(text, quote):
    items = yaml.safe_load(f"{{{quote}{text}{quote}: {{}}}}")
    with pytest.raises(ValueError, match="YAML takes this name for a number, a date or a truth"):
        item_names.check({"runs": items}, FILE)


@pytest.mark.parametrize("name", ["hull-r", "random_0", "1e", "e3", "CON", "a", "2-b", "x" * 100])
def test_other_names_are_fine(name):
    item_names.check({"splits": {name: {}}, "runs": None}, FILE)


def test_only_data_sets_may_be_test_sets():
    item_names.check({"datasets": {"tests/val": {}}}, FILE)
    for sections in ({"splits": {"tests/val": {}}}, {"datasets": {"tests/a/b": {}}}):
        with pytest.raises(ValueError, match="a name has letters"):
            item_names.check(sections, FILE)
