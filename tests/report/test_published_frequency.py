"""Published class frequencies and accuracies, drawn by a command."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from scipy import stats

from clipcause.report import published_frequency

ROOT = Path(__file__).parents[2]
NAMES = ("cat", "dog", "sea lion", "zebra", "kite")
LAION = (900, 400, 30, 0, 7)
CC = (50, 60, 3, 1, 0)


def write(path, names, counts):
    path.write_text("".join(f"{n}\t{c}\n" for n, c in zip(names, counts, strict=True)))
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "laion.txt", NAMES, LAION)
    # in another order: what is joined is the names
    write(tmp_path / "cc.txt", NAMES[::-1], CC[::-1])
    shares = dict(zip(NAMES, (0.9, 0.5, 0.6, 0.2, 0.1), strict=True))
    (tmp_path / "rn50.json").write_text(json.dumps(shares))
    Path("list.yaml").write_text(
        "".join(f"n{at}: {{name: {name}, names: [{name}]}}\n" for at, name in enumerate(NAMES))
    )
    return tmp_path


def rows(name):
    with Path(f"out/{name}.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


COUNTS = ("--counts", "LAION=laion.txt", "CC=cc.txt", "--out", "out")


def test_curves_agreement_and_accuracies_are_written_and_said(here, capsys):
    said = published_frequency.main(*COUNTS, "--accuracy", "RN50=rn50.json")
    assert said == "out: 2 corpora, 1 accuracies"
    both = stats.spearmanr(LAION, CC).statistic
    agreement = {(row["first"], row["second"]): float(row["spearman"]) for row in rows("sources")}
    assert agreement["LAION", "CC"] == pytest.approx(both, abs=1e-4)
    accuracy = (0.9, 0.5, 0.6, 0.2, 0.1)
    expected = {
        name: stats.spearmanr(counts, accuracy).statistic
        for name, counts in (("LAION", LAION), ("CC", CC))
    }
    found = {row["corpus"]: float(row["spearman"]) for row in rows("correlations")}
    assert found == pytest.approx(expected, abs=1e-4)
    text = capsys.readouterr().out
    assert f"Spearman of CC and LAION: {both:.3f}" in text
    assert f"Spearman of LAION and accuracy of RN50: {expected['LAION']:.3f} (5 classes)" in text
    assert "LAION: 1,337 in 5 classes, 1 of them without any, at most 900" in text
    curve = [row for row in rows("frequency") if row["corpus"] == "LAION"]
    assert [row["class"] for row in curve] == ["cat", "dog", "sea lion", "kite", "zebra"]
    for name in ("frequency", "sources", "perclass"):
        assert Path(f"out/{name}.svg").read_text().startswith("<svg")
        assert Path(f"out/{name}.png").read_bytes()[:4] == b"\x89PNG"


def test_one_corpus_alone_has_its_curve(here):
    published_frequency.main("--counts", "LAION=laion.txt", "--out", "out")
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "frequency.csv", "frequency.png", "frequency.svg",
    ]  # fmt: skip


def test_ids_names_and_percentages_join_by_a_class_list(here):
    ids = [f"n{at}" for at in range(5)]
    write(here / "cc.txt", ids, CC)
    percent = dict(zip(ids, (90, 50, 60, None, 10), strict=True))
    Path("rn50.json").write_text(json.dumps(percent))
    published_frequency.main(*COUNTS, "--accuracy", "RN50=rn50.json", "--classes", "list.yaml")
    assert {row["class"]: row["name"] for row in rows("frequency")} == dict(
        zip(ids, NAMES, strict=True)
    )
    assert {row["corpus"]: row["classes"] for row in rows("correlations")} == {
        "LAION": "4", "CC": "4",
    }  # fmt: skip
    points = [row for row in rows("perclass") if row["role"] == "class"]
    assert {float(row["accuracy"]) for row in points} == {90, 50, 60, 10}


def test_accuracies_of_some_classes_are_counted(here, capsys):
    Path("rn50.json").write_text(json.dumps({"cat": 0.5, "dog": 0.25, "kite": 0, "zebra": None}))
    published_frequency.main(*COUNTS, "--accuracy", "RN50=rn50.json")
    assert "rn50.json: no accuracy of 2 of 5 classes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("cc.txt", "cat\t1\ndog\t2\n", r"cc.txt: 3 of 5 classes have no count: 'kite', 'sea lion'"),
        ("cc.txt", "cat\t1\ndgo\t2\n", r"cc.txt: 1 of 2 classes are not .* 'dgo'; .* 'dog'"),
        ("cc.txt", "cat 1\n", r"cc.txt: "),
        ("cc.txt", "".join(f"{n}\tmany\n" for n in NAMES), r"cc.txt: line 1: .* a name, a tab"),
        ("rn50.json", '{"cat": 0.5, "catt": 1}', r"rn50.json: 1 of 2 classes .*'catt'"),
        ("rn50.json", '{"cat": 101}', r"rn50.json: cat: 101 is no accuracy"),
        ("rn50.json", '{"cat": "high"}', r"rn50.json: cat: 'high' is no accuracy"),
        ("rn50.json", "{", r"rn50.json: not JSON"),
        ("rn50.json", '{"cat": 0.1, "cat": 0.9}', r"rn50.json: .* 1 keys come more .*: 'cat'"),
        ("rn50.json", "[]", r"rn50.json: expected an object"),
    ],
)
def test_files_that_do_not_join_are_named_with_their_classes(here, file, text, said):
    Path(file).write_text(text)
    with pytest.raises(ValueError, match=said):
        published_frequency.main(*COUNTS, "--accuracy", "RN50=rn50.json")
    assert not Path("out").exists()


TWICE = ("missile", "cat", "dog", "missile", "zebra")


@pytest.fixture
def twice(here):
    """The first and the fourth class have one name; files are in the order of the list."""
    write(here / "laion.txt", TWICE, LAION)
    write(here / "cc.txt", [f"n{at}" for at in range(4, -1, -1)], CC[::-1])
    entry = "n{}: {{name: {name}, names: [m{}], shared: [{name}]}}\n"
    lines = [entry.format(at, at, name=name) for at, name in enumerate(TWICE)]
    Path("list.yaml").write_text("".join(lines))
    return ("--classes", "list.yaml")


def test_names_of_two_classes_are_theirs_in_turn(twice):
    published_frequency.main(*COUNTS, *twice)
    found = {(row["corpus"], row["class"]): int(row["count"]) for row in rows("frequency")}
    for at, key in enumerate(f"n{at}" for at in range(5)):
        assert (found["LAION", key], found["CC", key]) == (LAION[at], CC[at])


def test_names_of_two_classes_in_another_order_are_an_error(twice):
    write(Path("laion.txt"), TWICE[::-1], LAION[::-1])
    with pytest.raises(ValueError, match=r"laion.txt: line 2: 'missile' .* n0 and of n3, .* ids"):
        published_frequency.main(*COUNTS, *twice)


def test_without_a_list_names_that_come_twice_ask_for_one(twice):
    with pytest.raises(ValueError, match=r"laion.txt: 1 names .*: 'missile'; say with --classes"):
        published_frequency.main(*COUNTS)


def test_an_accuracy_by_a_name_of_two_classes_is_an_error(twice):
    Path("rn50.json").write_text('{"missile": 0.5, "cat": 0.25}')
    with pytest.raises(ValueError, match=r"rn50.json: 'missile' .* n0 and of n3; put class ids"):
        published_frequency.main(*COUNTS, *twice, "--accuracy", "RN50=rn50.json")
    assert not Path("out").exists()
    # what is not used has no need to be told apart
    Path("rn50.json").write_text('{"dog": 0.5, "cat": 0.25, "zebra": 0.75}')
    published_frequency.main(*COUNTS, *twice, "--accuracy", "RN50=rn50.json")
    points = [row for row in rows("perclass") if row["role"] == "class"]
    assert {row["class"]: float(row["accuracy"]) for row in points} == {
        "n1": 25, "n2": 50, "n4": 75,
    }  # fmt: skip


def test_what_has_no_order_is_said(here, capsys):
    write(here / "cc.txt", NAMES, [3] * 5)
    Path("rn50.json").write_text(json.dumps(dict.fromkeys(NAMES)))
    Path("flat.json").write_text(json.dumps(dict.fromkeys(NAMES, 0.5)))
    published_frequency.main(*COUNTS, "--accuracy", "RN50=rn50.json", "flat=flat.json")
    assert not Path("out/sources.csv").exists()  # one corpus is left, and no pair
    assert rows("correlations") == []
    undefined = "which are fewer than three or have one count or one accuracy"
    assert capsys.readouterr().err.splitlines() == [
        "rn50.json: no accuracy of 5 of 5 classes",
        "CC is left out of the agreement: all of its 5 classes have one count, or they are fewer "
        "than three",
        *(
            f"no correlation of {corpus} and accuracy of {name}: {classes} classes have both, "
            + undefined
            for name, classes in (("RN50", 0), ("flat", 5))
            for corpus in ("LAION", "CC")
        ),
    ]


def test_text_that_is_not_utf8_is_an_error(here):
    Path("cc.txt").write_bytes(b"caf\xe9\t1\n")
    with pytest.raises(ValueError, match=r"cc.txt: not UTF-8"):
        published_frequency.main(*COUNTS)


def test_arguments_are_checked(here):
    with pytest.raises(ValueError, match=r"'laion.txt': expected NAME=FILE"):
        published_frequency.main("--counts", "laion.txt", "--out", "out")
    with pytest.raises(ValueError, match="'a' comes twice"):
        published_frequency.main("--counts", "a=laion.txt", "a=cc.txt", "--out", "out")
    with pytest.raises(FileNotFoundError, match=r"no.txt: not found"):
        published_frequency.main("--counts", "a=no.txt", "--out", "out")
    Path("out").mkdir()
    Path("out/notes.txt").touch()
    with pytest.raises(ValueError, match="out: is not empty"):
        published_frequency.main(*COUNTS)


def test_the_command_says_an_error_in_one_line(here):
    command = [sys.executable, "-m", "clipcause", "published", "--counts", "a=no.txt"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(
        [*command, "--out", "out"], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "published: error: no.txt: not found\n"
