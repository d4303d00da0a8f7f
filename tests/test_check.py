"""check: a study whose parts do not fit each other is refused before any work."""

from pathlib import Path

import pytest
import yaml

from stages import check

ROOT = Path(__file__).parents[1]


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A valid parameter file in a folder of its own; a function writes a changed copy."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/classes").symlink_to(ROOT / "data/classes")

    def write(*path, value) -> Path:
        content = yaml.safe_load((ROOT / "params.yaml").read_text())
        inner = content
        for key in path[:-1]:
            inner = inner[key]
        if value is None:
            del inner[path[-1]]
        else:
            inner[path[-1]] = value
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
        return Path("params.yaml")

    return write


def test_the_default_is_valid_and_leaves_what_the_slots_point_at(study, capsys):
    study("classes", value="icons")
    assert check.main() == "6 tests, 9 splits, 10 runs"
    assert check.OUTPUT.read_text() == "parameters are valid\n"
    assert Path("splits/none/rows.roaring").exists()
    assert Path("models/none/card.json").exists()
    assert capsys.readouterr().err == ""


RUN = {"split": "full", "objective": "clip", "seed": 0, "reuse": "none"}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("splts",), {}, r"unknown section 'splts'; did you mean 'splits'\?"),
        (("encoder",), None, "section 'encoder' is missing"),
        (("classes",), "icon", r"unknown class list 'icon'; did you mean 'icons'\?"),
        (("icons", "classes"), "data/classes/other.yaml", "but classes names data/classes/icons"),
        (("reference",), "referenc", r"unknown data set 'referenc'; did you mean 'reference'\?"),
        (("datasets", "pool"), None, r"datasets\.pool is missing"),
        (("datasets", "classes"), {"source": "folder", "raw": "x"}, "the name is taken"),
        (("runs", "encoder"), RUN, "the name is taken"),
        (("runs", "x"), RUN | {"split": "ful"}, r"unknown split 'ful'; did you mean 'full'\?"),
        (("runs", "x"), RUN | {"objective": "supervised"}, "say none"),
        (("splits", "x"), {"rule": "hul"}, r"unknown rule 'hul'; did you mean 'hull'\?"),
        (("train", "clip", "batch_siz"), 3, r"batch_siz: unknown parameter; .*'batch_size'"),
        (("tests",), {}, "expected a mapping"),
    ],
)
def test_what_does_not_fit_is_named(study, path, value, message):
    file = study(*path, value=value)
    with pytest.raises(ValueError, match=message):
        check.check(file)


def test_leftovers_of_removed_items_are_told(study, capsys):
    study("classes", value="icons")
    for folder in ("splits/old", "data/tests/gone", "models/full-0", "splits/dedup"):
        Path(folder).mkdir(parents=True)
    check.main()
    told = capsys.readouterr().err
    assert "splits/old" in told
    assert "data/tests/gone" in told
    assert "full-0" not in told
    assert "dedup" not in told
