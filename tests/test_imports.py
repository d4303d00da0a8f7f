"""The lists of modules that DVC watches are those that the stages import."""

from pathlib import Path

import pytest

from stages.imports import direct, transitive


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "stages/__init__.py": "",
        "stages/a.py": "import json\nfrom stages.deep import c\n",
        "stages/deep/__init__.py": "X = 1\n",
        "stages/deep/c.py": "def f():\n    import stages.late\n",
        "stages/late.py": "",
        "stages/unrelated.py": "",
        "stages/room/__init__.py": "from stages.late import y\n",
        "stages/room/__main__.py": "import stages.room\nfrom stages.deep.c import f\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text or "\n" if name != "stages/__init__.py" else "")
    return tmp_path


def test_imports_are_followed_into_packages_and_functions(project):
    found = {str(path) for path in transitive("stages.a", project)}
    assert found == {"stages/a.py", "stages/deep/__init__.py", "stages/deep/c.py", "stages/late.py"}


def test_running_a_package_runs_its_main(project):
    assert Path("stages/room/__main__.py") in transitive("stages.room", project)
    assert Path("stages/deep/c.py") in transitive("stages.room", project)


def test_relative_imports_are_refused(project):
    path = project / "stages/relative.py"
    path.write_text("from . import a\n")
    with pytest.raises(ValueError, match=r"relative\.py:1: relative import"):
        direct(path, project)


def test_a_module_that_does_not_exist(project):
    with pytest.raises(ValueError, match=r"stages\.nothing: no such module"):
        transitive("stages.nothing", project)
