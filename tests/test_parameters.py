"""Parameters: typed, strict, and every error names the nearest valid key."""

from pathlib import Path
from typing import ClassVar, Literal

import pytest
import yaml

from clipcause import config as parameters
from clipcause.check.parameters import check
from clipcause.config import Strict, item, nearest, parse, read, section
from clipcause.config.runs import of_today


class Inner(Strict):
    width: int
    rule: Literal["hull", "near", "far"]


class Outer(Strict):
    inner: Inner
    share: float = 0.5


GOOD = {"inner": {"width": 3, "rule": "hull"}}


def test_valid_values_become_a_frozen_model():
    outer = parse(GOOD, Outer, "here")
    assert outer.inner.width == 3
    with pytest.raises(ValueError, match="frozen"):
        outer.share = 1.0  # ty: ignore[invalid-assignment]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({**GOOD, "shar": 0.1}, r"here\.shar: unknown parameter; did you mean 'share'\?"),
        (
            {"inner": {"width": 3, "rule": "hull", "widht": 4}},
            r"here\.inner\.widht: unknown parameter; did you mean 'width'\?",
        ),
        (
            {"inner": {"width": 3, "rule": "hul"}},
            r"here\.inner\.rule: 'hul' .* did you mean 'hull'\?",
        ),
        ({"inner": {"width": "3", "rule": "hull"}}, r"here\.inner\.width: .*integer.*'3'"),
        ({"inner": {"width": 3}}, r"here\.inner\.rule: missing"),
    ],
)
def test_errors_say_where_and_what_is_valid(values, message):
    with pytest.raises(ValueError, match=message):
        parse(values, Outer, "here")


def test_all_problems_are_told_at_once():
    with pytest.raises(ValueError, match=r"a: missing; .*b: unknown") as error:
        parse({"b": 1}, type("M", (Strict,), {"__annotations__": {"a": int}}), "x")
    assert str(error.value).count(";") >= 1


def test_a_section_and_an_item_by_name(tmp_path: Path):
    path = tmp_path / "params.yaml"
    path.write_text("things:\n  first: {width: 1, rule: far}\n")
    assert item("things", "first", Inner, path).rule == "far"
    with pytest.raises(ValueError, match=r"unknown thing 'frist'; did you mean 'first'\?"):
        item("things", "frist", Inner, path)
    with pytest.raises(ValueError, match=r"section 'thing' is missing; did you mean 'things'\?"):
        section("thing", Inner, path)


def test_a_missing_or_unreadable_file(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="root of the repository"):
        parameters.read(tmp_path / "params.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1, 2\n")
    with pytest.raises(ValueError, match="not valid YAML"):
        parameters.read(broken)


def test_yaml_cannot_make_objects(tmp_path: Path):
    path = tmp_path / "params.yaml"
    path.write_text("a: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(ValueError, match="not valid YAML"):
        parameters.read(path)


def test_nearest_lists_the_known_names_when_none_is_close():
    assert nearest("zzz", ["a", "b"]) == "known: a, b"
    assert nearest("zzz", []) == "none are known"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("# Größe\na: 1\n".encode("latin-1"), r"p\.yaml: not UTF-8"),
        (b"a: [\n", r"p\.yaml: not valid YAML"),
        (b"- a\n", r"p\.yaml: expected a mapping of sections"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, content, message):
    (path := tmp_path / "p.yaml").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        parameters.read(path)


class Renamed(Strict):
    new: int = 0

    renamed: ClassVar[dict[str, str]] = {"old": "this is called new now"}


def test_an_old_name_states_the_new_one():
    with pytest.raises(ValueError, match=r"^x\.old: this is called new now$"):
        parse({"old": 3}, Renamed, "x")


def test_runs_of_earlier_revisions_are_read():
    entry = {"split": "full", "objective": "clip", "seed": 0, "reuse": "encoder", "donor": "none"}
    assert of_today(entry) == {
        "split": "full", "objective": "clip", "seed": 0, "text_from": "none"
    }  # fmt: skip
    assert of_today("no entry") == "no entry"


def test_a_file_is_parsed_as_often_for_many_splits_as_for_few(tmp_path, monkeypatch):
    counted = []

    def load(text, where):
        counted.append(where)
        return yaml12_load(text, where)

    yaml12_load = parameters.yaml12.load
    monkeypatch.setattr(parameters.yaml12, "load", load)
    content = read(Path("params.yaml"))
    entry = {"rule": "random", "base": "dedup", "of": "none", "with": "none", "keep": 0.5}
    times = []
    for number in (1, 40):
        content["splits"] |= {f"more-{seed}": {**entry, "seed": seed} for seed in range(number)}
        (path := tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
        counted.clear()
        check(path)
        times.append(len(counted))
    assert times[0] == times[1]
