"""Whether a study says what another does: `replicate`, and the claims of machines."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from clipcause.__main__ import main as commands
from clipcause.report import machines, replicate
from clipcause.stats.replication import CONTRADICTED, SIGN
from tests.report_study import RUNS, SPLITS

MACHINES = Path(__file__).parents[1] / "fixtures/machines"
LEAF = {
    "difference": -0.08, "low": -0.11, "high": -0.05, "p": 1e-4, "p_holm": 2e-4, "covers_runs": 1,
    "called": 1, "images": 300, "runs": 5, "control_runs": 5,
}  # fmt: skip
NULL = LEAF | {"difference": 0.01, "low": -0.02, "high": 0.04, "p": 0.5, "p_holm": 1.0, "called": 0}
PARAMETERS = {
    "classes": "icons",
    "tests": {"val": {}, "sketch": {}},
    "splits": SPLITS,
    "runs": RUNS,
    "train": {"image_size": 32},
}


def write(folder, *, tests=None, **changed):
    """A study's parameters and claims, as far as `replicate` reads them."""
    (folder / "metrics").mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(PARAMETERS | changed, sort_keys=False))
    found = {"sketch": LEAF, "val": NULL} if tests is None else tests
    claims = {"hull-sketch": {"random-hull-sketch": found}}
    (folder / "metrics/claims.json").write_text(json.dumps({"claims": claims}))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A study in the current folder; others lie beside it."""
    folder = tmp_path / "here"
    write(folder)
    monkeypatch.chdir(folder)
    return folder


def said(capsys, *words):
    line = replicate.main(*words)
    return " ".join(f"{capsys.readouterr().out} {line}".split())


def test_a_second_machines_single_runs_are_read_as_they_were_written(monkeypatch, capsys):
    """The published study of ten runs, and the same on an Intel Xeon with AMX, two cores."""
    monkeypatch.chdir(MACHINES / "amd")
    found = replicate.compared(replicate.read(""), replicate.read("../intel"))
    assert len(found.pairs) == 24
    assert {one.here.runs for one in found.pairs} == {(1, 1)}
    assert not any(one.here.is_called or one.there.is_called for one in found.pairs)
    of = {one.here.at: one for one in found.pairs}
    core = of["core", "random-core", "r"]
    assert (core.here.difference.value, core.there.difference.value) == (0.096866, 0.065527)
    assert core.verdict.startswith("same sign")
    values = [one.here.difference.value - one.there.difference.value for one in found.pairs]
    assert (sum(value**2 for value in values) / 24) ** 0.5 == pytest.approx(0.036, abs=0.0005)
    agreed = sum(one.here.difference.is_distinguishable and one.there.difference.is_distinguishable
                 for one in found.pairs)  # fmt: skip
    assert agreed == 5
    text = said(capsys, "../intel")
    assert "this study has no params.yaml" in text
    assert "24 are of one run on some side: no claim" in text


def test_the_same_claims_are_the_same_to_the_last_digit(here, capsys):
    write(here.parent / "there")
    assert replicate.paragraph("../there") == (
        "This study's claims are those of ../there to the last digit."
    )
    text = said(capsys, "../there")
    assert "Beyond noise: 1 here, 1 there, 1 of them the same." in text
    assert text.endswith("0 contradicted")


def test_signs_and_errors_decide_what_a_claim_says_to_another(here, capsys):
    other = LEAF | {"difference": 0.05, "low": 0.02, "high": 0.08}
    write(here.parent / "there", tests={"sketch": other, "val": NULL | {"difference": 0.015}})
    found = replicate.compared(replicate.read(""), replicate.read("../there"))
    assert [one.verdict for one in found.pairs] == [CONTRADICTED, SIGN]
    assert (
        "Contradicted: hull-sketch less random-hull-sketch on sketch (−8.0 here, +5.0 there)."
        in (said(capsys, "../there"))
    )


def test_what_is_defined_otherwise_is_named_and_the_rest_is_compared(here, capsys):
    there = here.parent / "there"
    write(there, tests={"sketch": LEAF, "val": NULL})
    write(there, tests=None, train={"image_size": 48})
    params = yaml.safe_load((there / "params.yaml").read_text())
    params["tests"] = {"val": {"task": "classify"}, "sketch": {}}
    (there / "params.yaml").write_text(yaml.safe_dump(params))
    text = said(capsys, "../there")
    assert "Defined otherwise, and not compared: test set val; of 2 claims 1 are left." in text
    assert "Not the same in both, and compared all the same: train.image_size." in text
    splits = {**SPLITS, "hull-sketch": {**SPLITS["hull-sketch"], "delta": 0.1}}
    write(there, splits=splits)
    text = said(capsys, "../there")
    # the random split has the size of the other hull
    assert "split hull-sketch and split random-hull-sketch; of 2 claims 0 are left." in text
    assert "No claim of ../there can be compared with this study." in text
    write(there, classes="other")
    assert "Classes are not the same (icons, other): nothing is compared." in said(
        capsys, "../there"
    )


def test_a_seed_is_no_other_definition(here):
    write(here.parent / "there", splits={
        **SPLITS, "random-hull-sketch": {**SPLITS["random-hull-sketch"], "seed": 7},
    })  # fmt: skip
    found = replicate.compared(replicate.read(""), replicate.read("../there"))
    assert len(found.pairs) == 2
    assert not found.left_out


def test_claims_of_one_side_alone_are_counted(here, capsys):
    write(here.parent / "there", tests={"sketch": LEAF})
    assert "Only this study has 1 claim, of hull-sketch." in said(capsys, "../there")


def test_a_folder_or_revision_without_claims_is_one_line(here, capsys):
    (here.parent / "empty").mkdir()
    with pytest.raises(SystemExit) as stopped:
        commands(["replicate", "../empty"])
    assert stopped.value.code == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "../empty/metrics/claims.json: not found" in error
    # `make repro` goes on
    assert replicate.main("--short").startswith("Nothing to compare this study with:")
    (here / "metrics/claims.json").write_text("{}")
    with pytest.raises(ValueError, match=r"metrics/claims.json: no claims"):
        replicate.read("")


def git(*words):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, *words], check=True, capture_output=True)


def test_a_study_that_is_not_committed_says_so_in_one_line(here, monkeypatch):
    folder = here / "studies/new"
    write(folder)
    git("init", "-q", "-b", "main")
    monkeypatch.chdir(folder)
    subprocess.run(["dvc", "init", "-q", "--subdir"], check=True)
    nothing = "Nothing to compare this study with: HEAD:"
    assert " ".join(replicate.main("--short").split()) == (
        f"{nothing} nothing is committed yet; commit this study first."
    )
    git("reset", "-q")
    git("commit", "-qm", "another", "--allow-empty")
    assert " ".join(replicate.main("--short").split()) == (
        f"{nothing} this study (studies/new) is not in it; commit the study first, or name a "
        "revision that has it."
    )
    assert "unknown Git revision 'other'" in replicate.main("--short", "other")


def test_a_revision_is_read_and_one_without_claims_says_so(here):
    git("init", "-q", "-b", "main")
    subprocess.run(["dvc", "init", "-q"], check=True)
    git("add", "params.yaml", ".dvc")
    git("commit", "-qm", "before")
    with pytest.raises(FileNotFoundError, match="name a revision whose study was run"):
        replicate.read("HEAD")
    git("add", "metrics")
    git("commit", "-qm", "after")
    assert replicate.read("HEAD").claims == replicate.read("").claims
    assert replicate.main("--short") == "This study's claims are those of HEAD to the last digit."


def test_machines_are_added_and_their_table_says_what_they_agree_on(here):
    assert "one of 1" in machines.main("first")
    table = machines.FOLDER / machines.TABLE
    assert "Claims rest on one machine, first, until a second is added." in table.read_text()
    stated = json.loads((machines.FOLDER / "first" / machines.MACHINE).read_bytes())
    assert set(stated) == {"processor", "date", "commit", "versions"}
    assert "torch" in stated["versions"]
    shutil.copytree(machines.FOLDER / "first", machines.FOLDER / "second")
    assert "one of 2" in machines.main("second")
    row = table.read_text().splitlines()[-3]
    assert row.startswith("| second | ")
    assert " | 2 | 1 | 1 | 1 | 0 | 0 | " in row
    with pytest.raises(ValueError, match="letters, digits"):
        machines.main("../other")
    (here / "metrics/claims.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"metrics/claims.json: not found"):
        machines.main("third")
