"""The folders of links by which DVC watches code, and the fingerprint that names kept work."""

import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from clipcause import __main__ as commands
from clipcause.runtime import code
from clipcause.runtime.code import fingerprint, folder, outdated, stages, write
from clipcause.runtime.imports import files

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    contents = {
        "stages/__init__.py": "import clipcause.runtime.entry\n",
        "stages/a.py": "from clipcause.runtime.entry import run\nimport clipcause.b\n",
        "stages/room/__init__.py": "",
        "stages/room/__main__.py": "from clipcause.runtime.entry import run\n",
        "stages/no.py": "import clipcause.b\n",
        "clipcause/__init__.py": "",
        "clipcause/runtime/__init__.py": "",
        "clipcause/b.py": "HERE = __file__, 'c.txt'\n",
        "clipcause/c.txt": "c",
        "clipcause/runtime/entry.py": "def run(): ...\n",
    }
    for name, text in contents.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_stages_are_the_modules_that_use_the_entry(project):
    assert stages(project) == ["stages.a", "stages.room"]


def test_a_stages_folder_has_links_to_its_code(project):
    assert write(project) == ["a", "room"]
    links = {path.name: path for path in (project / "code/a").iterdir()}
    assert {name: (path.is_symlink(), path.read_text()) for name, path in links.items()} == {
        path.as_posix().replace("/", "."): (True, (project / path).read_text())
        for path in files("stages.a", project).values()
    }
    assert {"stages.a.py", "clipcause.b.py", "clipcause.c.txt"} <= links.keys()
    assert links["clipcause.b.py"].readlink() == Path("../../clipcause/b.py")
    assert write(project) == []


def problem(project: Path) -> str | None:
    return outdated("stages.a", files("stages.a", project), project)


@pytest.mark.parametrize("damage", ["imports", "imports less", "copies", "leads elsewhere", "gone"])
def test_a_folder_that_is_out_of_date_says_so_and_is_mended(project, damage):
    write(project)
    before = {path: path.lstat().st_mtime_ns for path in project.glob("code/a/stages.*")}
    b = project / "code/a/clipcause.b.py"
    if damage == "imports":
        (project / "clipcause/b.py").write_text("import clipcause.d\n")
        (project / "clipcause/d.py").write_text("")
        expected = "code/a: no link to clipcause/d.py, which stages.a imports"
    elif damage == "imports less":
        (project / "clipcause/b.py").write_text("")
        expected = "code/a: clipcause.c.txt is there, which stages.a does not import"
    elif damage == "gone":
        shutil.rmtree(project / "code/a")
        expected = "code/a: no link to clipcause/__init__.py, which stages.a imports"
    else:
        b.unlink()
        expected = "code/a: no link to clipcause/b.py, which stages.a imports"
        if damage == "copies":
            b.write_text("HERE = 1\n")
        else:
            b.symlink_to("../../clipcause/c.txt")
    assert problem(project) == f"{expected}; run `python -m clipcause code`"
    assert write(project) == ["a"]
    assert problem(project) is None
    if damage != "gone":  # links that were right are those of before
        assert before == {path: path.lstat().st_mtime_ns for path in before}


def test_what_is_of_no_stage_goes(project):
    write(project)
    shutil.copytree(project / "code/a", project / "code/old", symlinks=True)
    (project / "code/file").write_text("")
    assert write(project) == ["file", "old"]
    assert sorted(path.name for path in (project / "code").iterdir()) == ["a", "room"]


def test_the_repositorys_folders_are_up_to_date():
    every = code.every_stage(ROOT)
    wrong = [outdated(stage, wanted, ROOT) for stage, wanted in every.items()]
    assert [problem for problem in wrong if problem] == []
    there = {path.name for path in (ROOT / code.FOLDER).iterdir()}
    assert there == {folder(stage).name for stage in every}


def test_the_command_says_what_it_wrote(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    commands.main(["code"])
    commands.main(["code"])
    assert capsys.readouterr().out == (
        "code: a, room to change; all are up to date\ncode: nothing to change; all are up to date\n"
    )


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


@pytest.fixture
def of(project, monkeypatch):
    """The hash of a module's code, in the small project."""
    monkeypatch.setattr(code, "ROOT", project)

    def found(module="clipcause.b"):
        code.of.cache_clear()
        return code.of(module)

    yield found
    code.of.cache_clear()


def test_all_that_a_module_imports_decides_its_hash(of, project):
    (project / "clipcause/d.py").write_text("X = 1\n")
    (project / "clipcause/b.py").write_text("import clipcause.d\n")
    first = of()
    assert first == of()
    (project / "clipcause/d.py").write_text('"""What it is."""\nX = 1  # why\n')
    assert of() == first
    (project / "clipcause/d.py").write_text("X = 2\n")
    assert of() != first


def test_a_file_that_it_reads_decides_its_hash(of, project):
    first = of()
    (project / "clipcause/c.txt").write_text("d")
    assert of() != first


def test_what_decides_no_value_is_left_out(of, project):
    entry = project / "clipcause/runtime/entry.py"
    first = of("stages.a")
    entry.write_text("def run(): 1\n")
    assert of("stages.a") == first
    (project / "stages/a.py").write_text("import clipcause.runtime.entry\nX = 1\n")
    assert of("stages.a") != first


def test_silent_modules_are_there():
    for module in code.SILENT:
        assert code.module_file(module, ROOT), module


def test_the_module_that_is_run_has_its_own_name(of, monkeypatch):
    main = SimpleNamespace(__spec__=SimpleNamespace(name="clipcause.b"))
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert of("__main__") == of("clipcause.b")


def test_a_module_of_others_counts_with_what_it_imports(of, project, monkeypatch, tmp_path):
    file = tmp_path / "theirs.py"
    file.write_text("import clipcause.b\n")
    module = ModuleType("theirs")
    module.__file__ = str(file)
    monkeypatch.setitem(sys.modules, "theirs", module)
    first = of("theirs")
    (project / "clipcause/b.py").write_text("HERE = 1\n")
    second = of("theirs")
    file.write_text("import clipcause.b\nX = 1\n")
    assert len({first, second, of("theirs")}) == 3


def test_what_has_no_source_has_no_hash():
    with pytest.raises(ValueError, match=r"stages\.nothing: no module"):
        code.of("stages.nothing")
