"""What DVC says of a wrong `params.yaml`, before our code runs, is what docs/tutorial.md lists."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.exceptions import DvcException
from dvc.repo import Repo

# pygtrie's, of which DVC makes use
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/tutorial.md").read_text()
MESSAGES = re.findall(r"^\| `(.+?)` \|", PAGE.split("| DVC's message |")[1], re.MULTILINE)
Content = dict[str, Any]


def without(*path: str) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return change


def circle(content: Content) -> None:
    content["splits"]["hull-sketch"]["base"] = "random-hull-sketch-0"


CHANGES: list[Callable[[Content], None]] = [
    without("splits"),
    without("places"),
    lambda content: content.update(splits=None),
    without("splits", "full", "of"),
    without("encoder", "run"),
    lambda content: content["splits"]["full"].update(of=["core"]),
    circle,
]


def told(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield str(error)
        error = error.__cause__


def said() -> str:
    with pytest.raises(DvcException) as error:
        _ = Repo().index.graph
    return " ".join(" ".join(told(error.value)).split())


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    Repo.init(no_scm=True).close()
    Path("dvc.yaml").write_text((ROOT / "dvc.yaml").read_text())
    return yaml.safe_load((ROOT / "params.yaml").read_text())


@pytest.mark.parametrize(("message", "change"), list(zip(MESSAGES[:7], CHANGES, strict=True)))
def test_the_graph_cannot_be_made(project, message, change):
    change(project)
    Path("params.yaml").write_text(yaml.safe_dump(project))
    assert message.removesuffix("…") in said()


@pytest.mark.parametrize("text", ["splits: [\n", "a: 1\na: 2\n"])
def test_the_file_cannot_be_read(project, text):
    Path("params.yaml").write_text(text)
    assert MESSAGES[7] in said()


def test_data_are_not_there(project):
    Path("dvc.yaml").write_text("stages: {one: {cmd: touch b, deps: [a], outs: [b]}}")
    stage, missing, _ = re.split(r"'prepare@pool': |…", MESSAGES[8])
    with pytest.raises(DvcException) as error:
        Repo().reproduce()
    first, cause, *_ = told(error.value)
    assert first == f"{stage}'one'"
    assert cause.startswith(missing)


def test_a_study_is_named_as_a_part_of_the_root(project):
    Path("params.yaml").write_text(yaml.safe_dump(project))
    study = Path("studies/mine")
    (study / ".dvc").mkdir(parents=True)  # what makes it a project of its own
    (study / "dvc.yaml").write_text("stages: {one: {cmd: touch b, outs: [b]}}")
    with pytest.raises(DvcException) as error:
        Repo().reproduce(["studies/mine/dvc.yaml"])
    assert MESSAGES[9].removeprefix("'…") in str(error.value)
