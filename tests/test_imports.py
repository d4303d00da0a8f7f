"""The lists of modules that DVC watches are those that the stages import."""

from pathlib import Path

import pytest

from clipcause.runtime.code import code, direct, fingerprint, stages, transitive


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


def test_what_type_checkers_alone_import_is_no_code_of_a_stage(project):
    path = project / "stages/typed.py"
    path.write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import stages.late\n"
        "else:\n    import stages.deep\n"
    )
    assert direct(path, project) == {"stages.deep"}


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


def test_the_list_of_a_stages_code(project):
    lines = [line.split("  ") for line in code("stages.a", project).splitlines()]
    assert [path for _, path in lines] == [
        "stages/a.py",
        "stages/deep/__init__.py",
        "stages/deep/c.py",
        "stages/late.py",
    ]
    assert [mark for mark, _ in lines] == [fingerprint(project / path) for _, path in lines]


PLAIN = """
class A:
    x: int = 3

    def f(self):
        return f"{self.x!r:>{4}}", None, ""
"""
SAME = '''
"""What it is."""
# why
class A:
    """A thing."""
    x:int=3  # a number
    def f(self):
        """Say it."""
        return (f"{self.x!r:>{4}}", None, \'\')
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("3", "3.0"),
        ("3", "True"),
        ("None", "0"),
        ("!r", "!s"),
        (", None", ""),
        ("x: int = 3", "x = 3"),
        ("class A", "class B"),
        ("return", "yield"),
        ('""', '"None"'),
    ],
)
def test_what_a_file_means_decides_its_fingerprint(tmp_path, old, new):
    first, same, other = (tmp_path / f"{name}.py" for name in ("first", "same", "other"))
    first.write_text(PLAIN)
    same.write_text(SAME)
    other.write_text(PLAIN.replace(old, new, 1))
    assert fingerprint(first) == fingerprint(same) != fingerprint(other)


def test_a_text_that_is_no_docstring_counts(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("x = 'a'\n")
    first = fingerprint(path)
    path.write_text("x = 'b'\n")
    assert fingerprint(path) != first
    page = tmp_path / "page.css"
    page.write_text("/* a */")
    before = fingerprint(page)
    page.write_text("/* b */")
    assert fingerprint(page) != before


def test_stages_are_the_modules_that_use_the_entry(project):
    (project / "clipcause/runtime/entry.py").write_text("def run(): ...\n")
    for name in ("late", "deep/c", "room/__main__"):
        path = project / f"stages/{name}.py"
        path.write_text("from clipcause.runtime.entry import run\n")
    assert stages(project) == ["stages.late", "stages.room"]
