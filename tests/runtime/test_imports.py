"""The files that DVC watches are those that a stage imports, and no others."""

from pathlib import Path

import pytest

from clipcause.runtime import imports
from clipcause.runtime.imports import data, direct, files, module_file, transitive

ROOT = Path(__file__).parents[2]


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
    assert found == {
        "stages/__init__.py",
        "stages/a.py",
        "stages/deep/__init__.py",
        "stages/deep/c.py",
        "stages/late.py",
    }


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


def write(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def names(module: str, root: Path) -> set[str]:
    return files(module, root).keys() - {"stages.__init__.py", "stages.a.py"}


def test_a_link_is_named_by_the_path_with_dots(project):
    assert files("stages.a", project)["stages.deep.c.py"] == Path("stages/deep/c.py")


def test_a_package_goes_before_a_module_of_its_name(project):
    """As Python finds them."""
    write(project, "stages/late/__init__.py", "")
    assert module_file("stages.late", project) == project / "stages/late/__init__.py"


def test_what_only_type_checkers_read_is_not_imported(project):
    text = "if typing.TYPE_CHECKING:\n    import stages.late\nelse:\n    import stages.deep\n"
    path = write(project, "stages/typed.py", f"import typing\n{text}")
    assert direct(path, project) == {"stages.deep"}


LATE = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from stages.deep.c import f
KNOWN = 1
def __getattr__(name): ...
"""


def test_a_name_that_comes_late_brings_the_module_that_has_it(project):
    write(project, "clipcause/__init__.py", LATE)
    path = write(project, "stages/a.py", "from clipcause import KNOWN, f\n")
    assert direct(path, project) == {"clipcause", "stages.deep.c"}
    assert "stages.late.py" in names("stages.a", project)
    path.write_text("from clipcause import g\n")
    with pytest.raises(ValueError, match=r"a\.py: g comes late from clipcause; name the module"):
        transitive("stages.a", project)


def test_a_package_whose_modules_are_listed_brings_all(project):
    write(
        project, "stages/deep/__init__.py", "import pkgutil\nf = pkgutil.iter_modules(__path__)\n"
    )
    write(project, "stages/deep/other.py", "import stages.unrelated\n")
    write(project, "stages/deep/inner/__init__.py", "")
    found = names("stages.a", project)
    assert {"stages.deep.other.py", "stages.unrelated.py", "stages.deep.inner.__init__.py"} <= found


@pytest.mark.parametrize(
    ("module", "brought"),
    [
        ("X = 'page.css'\n", set()),
        ("HERE = __file__, 'page.css'\n", {"stages.deep.page.css"}),
        ("HERE = __file__\n", set()),
        ("HERE = __file__, 'parts'\n", {"stages.deep.parts.head.html"}),
        ("HERE = __file__, 'parts/head.html'\n", {"stages.deep.parts.head.html"}),
        ("HERE = __file__, 'inner'\n", set()),
    ],
)
def test_files_of_other_kinds_belong_to_modules_that_find_and_name_them(project, module, brought):
    for name in ("page.css", "page.js", "parts/head.html", "inner/x.css"):
        write(project, f"stages/deep/{name}", "")
    write(project, "stages/deep/inner/__init__.py", "")
    write(project, "stages/deep/c.py", module)
    found = names("stages.a", project)
    assert {name for name in found if not name.endswith(".py")} == brought


def test_every_file_of_the_library_that_is_no_code_is_some_modules():
    """One that no module names is read by none, or by a name that is put together: then DVC would
    not see an edit of it."""
    modules = (ROOT / "clipcause").rglob("*.py")
    sources = {path: imports._read(path) for path in modules}
    there = {path for module in sources for path in data(module.parent)}
    assert there == set(imports._beside(sources))


def test_the_repositorys_files_are_read_once(monkeypatch):
    read = []
    whole = imports._read
    monkeypatch.setattr(imports, "_read", lambda path: read.append(path) or whole(path))
    files("stages.train", ROOT)
    assert len(read) == len(set(read))
