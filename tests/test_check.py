"""check: a study whose parts do not fit each other is refused before any work."""

import copy
from pathlib import Path

import pytest
import yaml

from clipcause.check import command, parameters, paths
from clipcause.config.intraclass import Intraclass
from stages import check

ROOT = Path(__file__).parents[1]
DEFAULT = yaml.safe_load((ROOT / "params.yaml").read_text())


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A valid parameter file in a folder of its own; a function writes a changed copy."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for name in ("data/classes", "data/icons"):
        (tmp_path / name).symlink_to(ROOT / name)

    def write(*path, value) -> Path:
        content = copy.deepcopy(DEFAULT)
        content["weights"] = {"theirs": "x"}
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
    assert check.main() == "6 tests, 24 splits, 45 runs"
    assert check.OUTPUT.read_text() == "parameters are valid\n"
    assert Path("splits/none/pool/rows.roaring").exists()
    assert Path("models/none/card.json").exists()
    assert Path("data/none").read_bytes() == b""
    assert Path("data/places/none").exists()
    assert capsys.readouterr().err == ""


PROBE = {"run": "full-0", "data": "pool", "split": "full", "regularisation": [0.1]}
RUN = {"split": "full", "objective": "clip", "seed": 0, "text_from": "none"}
THEIRS = {"split": "none", "objective": "checkpoint", "text_from": "weights/theirs"}

ICONS = {"source": "icons", "raw": "x"}
BROAD = {"encoder": "main", "run": "none", "reference": "pool"}
STYLE = {"first": "reference", "second": "pool", "precision": 0.9, "regularisation": [1.0]}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("yardsticks",), {}, "yardsticks: this section is called scores now"),
        (("runs", "x"), RUN | {"reuse": "none"}, r"x\.reuse: .* the run that encoder\.run"),
        (("runs", "x"), RUN | {"donor": "none"}, r"x\.donor: this is called text_from"),
        (("encoder", "source"), "train", r"encoder\.source: .* state its objective .* in runs"),
        (
            ("encoder", "seed"),
            0,
            r"encoder\.seed: the encoder is a run now: name it in encoder\.run",
        ),
        (
            ("encoder",),
            {"name": "x", "path": "y"},
            r"encoder\.run: missing: one of runs, .*; .*encoder\.path: the",
        ),
        (("tests", "val"), ICONS, r"val\.source: .* in datasets, under tests/NAME"),
    ],
)
def test_old_names_state_the_new_ones(study, path, value, message):
    file = study(*path, value=value)
    with pytest.raises(ValueError, match=message):
        parameters.check(file)


@pytest.mark.parametrize("run", ["theirs", "supervised-0"])
def test_the_encoder_may_be_of_no_split(study, run):
    file = study("runs", "theirs", value=THEIRS)
    content = yaml.safe_load(file.read_text())
    content["encoder"]["run"] = run
    file.write_text(yaml.safe_dump(content))
    parameters.check(file)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("splts",), {}, r"unknown section 'splts'; did you mean 'splits'\?"),
        (("encoder",), None, "section 'encoder' is missing; studies/own/params.yaml has one"),
        (("encoder", "name"), "../x", r"encoder\.name '\.\./x': a name has letters"),
        (("encoder", "name"), "no", r"encoder\.name 'no': YAML takes this name"),
        (("classes",), "icon", r"unknown class list 'icon'; did you mean 'icons'\?"),
        (("icons", "classes"), "data/classes/other.yaml", "but classes names data/classes/icons"),
        (("reference",), "pool", "reference is pool: then every threshold"),
        (("scores",), {"x": BROAD}, r"scores\.x\.reference is pool: .* removes nothing"),
        (("domains",), {"x": STYLE}, r"domains\.x\.second is pool: then all its rows count"),
        (("tests", "val", "task"), "retrieval", r"unknown test set to classify 'val'"),
        (("runs", "x"), RUN | {"split": "dedup"}, r"add one .* `full: \{rule: none, base: dedup, "),
        (("reference",), "referenc", r"unknown data set 'referenc'; did you mean 'reference'\?"),
        (("datasets", "pool"), None, r"datasets\.pool is missing"),
        (("datasets", "classes"), {"source": "folder", "raw": "x"}, "the name is taken"),
        (("datasets", "places"), {"source": "folder", "raw": "x"}, "the name is taken"),
        (("places",), None, "section 'places' is missing"),
        (("places",), {"a/b": "/data"}, r"places\.a/b: a name has letters"),
        (("places",), {"web": "none"}, r"places\.web: 'none' is neither a folder nor a URL"),
        (
            ("datasets", "pool", "raw"),
            "data/places/web",
            r"raw: section places: unknown place",
        ),
        (("runs", "none"), RUN, "the name is taken"),
        (("runs", "x"), RUN | {"split": "ful"}, r"unknown split 'ful'; did you mean 'full'\?"),
        (("runs", "x"), RUN | {"split": "none"}, "unknown split 'none'"),
        (("runs", "x"), RUN | {"objective": "dino"}, r"train\.dino is missing"),
        (("runs", "x"), RUN | {"text_from": "x", "text": "frozen"}, "cannot take its own"),
        (("runs", "x"), {key: RUN[key] for key in RUN if key != "text_from"}, "text_from is miss"),
        (
            ("runs", "x"),
            RUN | {"text_from": "supervised-0", "text": "frozen"},
            "is a supervised run",
        ),
        (("runs", "x"), RUN | {"text_from": "fll-0", "text": "frozen"}, "did you mean 'full-0'"),
        (("probes",), {"p": PROBE | {"run": "fll-0"}}, "did you mean 'full-0'"),
        (("probes",), {"p": PROBE | {"split": "ful"}}, "did you mean 'full'"),
        (("intraclass",), {"i": {"split": "ful", "by": "label"}}, "did you mean 'full'"),
        (("splits", "x"), {"rule": "hul"}, r"unknown rule 'hul'; did you mean 'hull'\?"),
        (("train", "clip", "batch_siz"), 3, r"batch_siz: unknown parameter; .*'batch_size'"),
        (("tests",), {}, "expected a mapping"),
        (
            ("encoder", "run"),
            "fll-0",
            r"encoder\.run: unknown run 'fll-0'; did you mean 'full-0'",
        ),
        (
            ("encoder", "run"),
            "core-0",
            r"core-0 learns from the split core, .* a circle; take a run",
        ),
        (("runs", "full-0", "split"), "full", r"full-0 learns from the split full, .* a circle"),
        (("datasets", "tests/skech"), ICONS, r"tests/skech: no entry of tests .*'sketch'\?"),
        (("tests", "skech"), {}, r"tests\.skech: .* not have; did you mean 'tests/sketch'\?"),
        (("datasets", "tests/a/b"), ICONS, r"datasets\.tests/a/b: a name has letters"),
        (("datasets", "a/b"), ICONS, r"datasets\.a/b: a name has letters, digits, - and _ \("),
        (("reference",), "tests/val", "unknown data set 'tests/val'"),
        (("engine",), {"kind": "rai"}, r"engine.kind: 'rai' is not valid; did you mean 'ray'\?"),
        (("engine", "launcher"), 3, r"engine\.launcher"),
        (("train", "workers"), 3, r"train\.workers: unknown parameter"),
        (("exports",), {"x": {"split": "ful", "shard_size": 9}}, r"'ful'; did you mean 'full'\?"),
        (("spilts",), {}, r"unknown section 'spilts'; did you mean 'splits'\?"),
        (("splits", "full", "of"), None, r"splits\.full\.of: missing: write none, since the rule"),
        (("splits", "combined", "base"), None, r"base: missing: all, dedup or another split"),
        (("splits", "core", "keep"), "50%", r"core\.keep: .* but was '50%'; write 0\.5"),
        (("runs", "full-0", "split"), None, r"full-0\.split: missing: a split to learn from"),
        (("scores",), {"x": {"encoder": "main"}}, r"scores\.x\.run: missing: the run whose .*none"),
        (("domains",), {"x": {}}, r"domains\.x\.first: missing: a data set"),
        (("probes",), {"x": {}}, r"probes\.x\.run: missing: the run whose features"),
        (("intraclass",), {"x": {}}, r"intraclass\.x\.split: missing: a split, or none"),
        (("exports",), {"x": {}}, r"exports\.x\.split: missing: the split that is written"),
        (("encoder", "run"), None, r"encoder\.run: missing: one of runs"),
        (("versions",), 3, r"versions: expected a mapping, but it is 3"),
        (("datasets", "pool", "raw"), None, r"pool\.raw: missing: the file or folder that DVC"),
    ],
)
def test_what_does_not_fit_is_named(study, path, value, message):
    file = study(*path, value=value)
    with pytest.raises(ValueError, match=message):
        parameters.check(file)


@pytest.mark.parametrize(
    "path",
    [
        ("datasets", "pool", "raw"),
        ("datasets", "tests/val", "embeddings"),
        ("frequency", "wordnet"),
        ("icons", "sets"),
        ("fetch", "icons", "archive"),
        ("weights", "theirs"),
    ],
)
def test_a_relative_path_that_leaves_the_repository_is_refused(study, monkeypatch, path):
    monkeypatch.setattr(parameters, "repository", Path.cwd)
    file = study("runs", "theirs", value=THEIRS)
    content = yaml.safe_load(file.read_text())

    def put(value):
        inner = content
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        file.write_text(yaml.safe_dump(content))

    put("../near/it")
    there = Path.cwd().parent / "near/it"
    with pytest.raises(ValueError, match=f"{path[-1]}: .*leads out of the repository.*{there}$"):
        parameters.check(file)
    for fine in (str(there), "data/../data/it"):
        put(fine)
        parameters.check(file)


def test_a_new_section_of_items_with_a_split_needs_no_second_list(study, monkeypatch):
    monkeypatch.setitem(parameters.FREE, "lengths", Intraclass)
    monkeypatch.setattr(parameters, "KNOWN", (*parameters.KNOWN, "lengths"))
    parameters.check(study("lengths", value={"x": {"split": "full"}}))
    with pytest.raises(ValueError, match=r"lengths\.x\.split: unknown split 'ful'; did you mean"):
        parameters.check(study("lengths", value={"x": {"split": "ful"}}))


def test_loaders_divide_the_streams(study):
    file = study("engine", "loaders", value=3)
    parameters.check(file)  # in memory there are none
    content = yaml.safe_load(file.read_text())
    content["train"] |= {"data": "stream", "streams": 2}
    file.write_text(yaml.safe_dump(content))
    names = r"engine\.loaders is 3, train\.processes 1 and train\.streams 2"
    with pytest.raises(ValueError, match=rf"{file}: {names}"):
        parameters.check(file)


def circle(content):
    content["splits"] |= {
        name: {"rule": "random", "base": "all", "of": of, "with": "none", "seed": 0}
        for name, of in {"a": "b", "b": "c", "c": "a"}.items()
    }


def nowhere(content):
    content["classes"] = content["icons"]["classes"] = "other"
    content["datasets"] |= {
        "pool": {"source": "webdataset", "raw": "data/none", "place": "s3://bucket/laion"},
        "reference": {"source": "imagefolder", "raw": "data/none", "place": "/no/imagenet"},
        "broad": {"source": "webdataset", "raw": "data/places/web"},
    }
    content["places"] = {"web": "/no/web"}
    content["weights"] = {"theirs": "/no/model"}
    content["runs"]["theirs"] = THEIRS
    content["encoder"] = {"name": "b16", "run": "theirs"}


def other(change=lambda content: None):
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    change(content)
    Path("other.yaml").write_text(yaml.safe_dump(content))
    return Path("other.yaml")


def test_a_study_whose_data_is_not_here_is_valid_and_says_what_is_missing(study):
    Path("dvc.yaml").symlink_to(ROOT / "dvc.yaml")
    _, found = command.whole(other(nowhere))
    assert {str(place) for place in found} >= {
        "missing: data/classes/other.yaml (classes)",
        "not looked at: s3://bucket/laion (datasets.pool.place)",
        "missing: /no/imagenet (datasets.reference.place)",
        "missing: /no/web (places.web)",
        "missing: /no/model (weights.theirs)",
    }
    # what stages make is not missing
    assert not [place for place in found if place.path.startswith("data/catalogue")]
    _, found = command.whole(other())
    assert {place.state for place in found} <= {paths.HERE}


def test_a_study_with_a_circle_among_splits_is_refused(study):
    with pytest.raises(ValueError, match="refers to itself: a -> b -> c -> a"):
        command.whole(other(circle))


def test_what_the_graph_needs_is_missed_with_the_file_named(study):
    Path("dvc.yaml").write_text("stages: {x: {foreach: '${exprts}', do: {cmd: y}}}")
    with pytest.raises(ValueError, match=r"other.yaml: stage x: \$\{exprts\} is not in"):
        command.whole(other())


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
