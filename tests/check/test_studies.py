"""studies: a folder each that DVC takes for a project of its own; what it shares is the root's."""

import shutil
from pathlib import Path

import pytest
import yaml

from clipcause.check import command, studies
from tests.repository import Repository

ROOT = Path(__file__).parents[2]
PIPELINE = """\
stages:
  count:
    foreach: ${splits}
    do:
      cmd: python -m stages.count ${key} ${item.size}
      deps:
        - code/count
        - data/classes/words.yaml
      params:
        - "splits.${key}"
      outs:
        - splits/${key}
      metrics:
        - metrics/${key}.json:
            cache: false
"""
COUNT = """\
import pathlib, sys

key, size = sys.argv[1:]
word = pathlib.Path("data/classes/words.yaml").read_text().strip()
texts = {f"splits/{key}": word * int(size), f"metrics/{key}.json": '{"n": %s}' % size}
for name, text in texts.items():
    pathlib.Path(name).parent.mkdir(exist_ok=True)
    pathlib.Path(name).write_text(text)
"""
PARAMS = """\
# Numbers of words.
splits:
  full: {size: 2} # all
place: DATA/pool
"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with a pipeline of a moment."""
    root = tmp_path / "repository"
    for name, text in {
        "dvc.yaml": PIPELINE,
        "params.yaml": PARAMS,
        "stages/__init__.py": "",
        "stages/count.py": COUNT,
        "clipcause/__init__.py": "",
        "data/classes/words.yaml": "cat\n",
        "data/icons/sets.yaml": "",
        ".gitignore": "splits/\n.dvc/plots/*\n",
        "studies/note.txt": "no study",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "code/count").mkdir(parents=True)
    (root / "code/count/stages.count.py").symlink_to("../../stages/count.py")
    made = Repository(root)
    made.init()
    made.dvc("config", "core.autostage", "true")
    monkeypatch.chdir(root)
    return root


def test_a_new_study_names_its_parent_below_the_head_and_keeps_comments(repository):
    made = studies.create("mine", "default")
    text = (made / "params.yaml").read_text()
    assert text.startswith(
        "# Numbers of words.\nparent: default\nsplits:\n  full: {size: 2} # all\n"
    )
    studies.create("yours", "mine")
    assert (repository / "studies/yours/params.yaml").read_text() == text.replace("default", "mine")
    assert studies.names() == ["default", "mine", "yours"]


@pytest.mark.parametrize("name", ["a b", "a/b", "../x", "", "default", "none", ".x", "a.b"])
def test_names_that_no_folder_should_have_are_refused(repository, name):
    with pytest.raises(ValueError, match="a study's name has"):
        studies.create(name, "default")


@pytest.mark.parametrize("name", ["2024", "no", "1e3"])
def test_a_name_that_yaml_takes_for_something_else_is_refused(repository, name):
    with pytest.raises(ValueError, match="YAML takes this name for another thing"):
        studies.create(name, "default")


def test_an_unknown_parent_names_the_nearest(repository):
    with pytest.raises(ValueError, match="unknown study 'defualt'; did you mean 'default'"):
        studies.create("mine", "defualt")
    assert not Path("studies/mine").exists()


@pytest.mark.parametrize(
    ("main", "words"),
    [(studies.main, ["mine"]), (command.reproduce, ["--scale", "0.01"])],
    ids=["study", "rehearsal"],
)
def test_of_a_study_with_a_fault_none_is_made(repository, main, words):
    Path("params.yaml").write_text(PARAMS.replace("splits", "spilts"))
    message = r"study default: params\.yaml: unknown section 'spilts'; did you mean 'splits'\?"
    with pytest.raises(ValueError, match=message):
        main(*words)
    assert studies.names() == ["default"]
    assert Path.cwd() == repository


def test_from_a_folder_that_is_none_of_a_study_it_is_said(repository, monkeypatch):
    (repository / "docs").mkdir()
    monkeypatch.chdir("docs")
    with pytest.raises(FileNotFoundError, match="run from the root of the repository"):
        studies.main("mine", "--from", "own")


def test_a_study_is_not_written_over(repository):
    studies.create("mine", "default")
    with pytest.raises(FileExistsError, match="studies/mine: it exists"):
        studies.create("mine", "default")


def test_data_outside_is_named_by_its_whole_path_and_inside_from_the_study(repository):
    outside = repository.parent / "pictures and more"
    outside.mkdir()
    Path("own").mkdir()
    first = studies.create("first", "default", Path("../pictures and more"))
    second = studies.create("second", "default", Path("own"))
    read = [yaml.safe_load((made / "params.yaml").read_text())["place"] for made in (first, second)]
    assert read == [f"{outside}/pool", "../../own/pool"]
    with pytest.raises(ValueError, match=r"nowhere: no such folder; DATA is"):
        studies.create("third", "default", Path("nowhere"))
    with pytest.raises(ValueError, match="study 'first' has no place for data"):
        studies.create("third", "first", Path("own"))


@pytest.mark.parametrize("name", ["a, b", "a #b", "a: b", "a}b", "it's", 'q"q', "b\\1", "Größe"])
def test_a_folder_with_characters_of_yaml_is_quoted(repository, name):
    outside = repository.parent / name
    outside.mkdir()
    Path("params.yaml").write_text("datasets:\n  pool: {raw: DATA/pool, source: folder}\n")
    made = studies.create("mine", "default", outside)
    content = yaml.safe_load((made / "params.yaml").read_text())
    assert content["datasets"] == {"pool": {"raw": f"{outside}/pool", "source": "folder"}}
    assert studies.told(made / "params.yaml")[0].startswith("datasets.pool.raw: ")


def test_what_differs_from_the_parent(repository, monkeypatch):
    made = studies.create("mine", "default")
    content = yaml.safe_load((made / "params.yaml").read_text())
    content["splits"] = {"full": {"size": 3}, "half": {"size": 1}}
    del content["place"]
    (made / "params.yaml").write_text(yaml.safe_dump(content))
    assert studies.told() == []
    monkeypatch.chdir(made)
    assert studies.told() == [
        "splits.full.size: 3 (parent: 2)",
        "splits.half: {size: 1} (parent: not there)",
        "place: not there (parent: DATA/pool)",
    ]
    content["parent"] = "min"
    Path("params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ValueError, match=r"parent: unknown study 'min'; did you mean 'mine'"):
        studies.told()


def test_renewing_writes_what_is_shared_and_leaves_what_is_the_studys(repository):
    made = studies.create("mine", "default")
    assert studies.renew(made) == []
    (made / ".dvc/config").write_text("[core]\n    remote = mine\n")
    (made / "code").unlink()
    (repository / "dvc.yaml").write_text(PIPELINE + "# more\n")
    assert studies.renew(made) == ["dvc.yaml", "code"]
    assert (made / "dvc.yaml").read_text().endswith("# more\n")
    assert "mine" in (made / ".dvc/config").read_text()
    (made / "stages").unlink()
    (made / "stages").mkdir()
    with pytest.raises(ValueError, match="stages: a folder where a link to"):
        studies.renew(made)


def test_dvc_takes_a_study_for_a_project_of_its_own(repository):
    """Runs are shared, files are not; revisions can be read; an invalid study stops no other."""
    root = Repository(repository)
    root.dvc("repro")
    made = studies.create("mine", "default")
    mine = Repository(made)
    root.commit("a study")
    assert "is cached" in mine.dvc("repro")  # what the root has run
    root.commit("run")
    # a change of code is seen through the link
    count = repository / "stages/count.py"
    count.write_text(COUNT + "# a comment\n")
    assert "code/count" in mine.dvc("status", "count@full")
    assert "code/count" in root.dvc("--cd", "studies/mine", "status", "count@full")
    count.write_text(COUNT)
    done = mine.dvc("exp", "run", "-n", "three", "-S", "splits.full.size=3")
    assert "three" in done
    assert (made / "splits/full").read_text() == "cat" * 3
    assert (repository / "splits/full").read_text() == "cat" * 2
    assert "| 2 " in mine.dvc("params", "diff", "--md")
    changed = mine.dvc("metrics", "diff", "--md")
    assert [cell.strip() for cell in changed.splitlines()[2].split("|")[1:-1]] == [
        "metrics/full.json", "n", "2", "3", "1",
    ]  # fmt: skip
    assert root.dvc("metrics", "diff") == ""
    mine.dvc("exp", "run", "--temp", "-n", "four", "-S", "splits.full.size=4")
    mine.dvc("exp", "apply", "four")
    assert (made / "splits/full").read_text() == "cat" * 4
    (made / "params.yaml").write_text("splits: [\n")
    assert "up to date" in root.dvc("repro")
    mine.dvc("repro", fails=True)


def test_all_committed_studies_share_what_the_repository_has():
    """Else: `python -m clipcause study --renew`."""
    for name in studies.names(ROOT)[1:]:
        made = studies.folder(name, ROOT)
        assert (made / "dvc.yaml").read_text() == (ROOT / "dvc.yaml").read_text(), name
        assert not (made / "dvc.yaml").is_symlink(), name
        for path in studies.SHARED:
            assert (made / path).is_symlink(), f"{name}: {path}"
            assert (made / path).resolve() == (ROOT / path).resolve(), f"{name}: {path}"
        content = yaml.safe_load((made / "params.yaml").read_text())
        assert studies.parent(content, name, ROOT) != "none", name


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
def test_make_study_takes_data_from_where_the_user_stands(monkeypatch, tmp_path):
    """Only the recipe's words: the environment is not made. A shell keeps PWD."""
    monkeypatch.setenv("PWD", str(tmp_path))
    words = ("make", "-n", "-C", str(ROOT), "-o", ".venv/.main", "study", "NAME=a", "DATA=pictures")
    said = Repository(tmp_path).run(*words)
    assert '--data "pictures"' in said
    assert f'--stand "{tmp_path}"' in said
