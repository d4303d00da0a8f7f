"""Which code a stage runs, and the folder of links by which DVC watches it.

A stage's code is the file that is run and all of ours that it imports, transitively: read from the
source, not run. `code/<stage>` has a relative symbolic link to each of these files and is one of
the stage's `deps`, so that `dvc status` and `dvc repro`, of one stage too, see every edit at once:
DVC hashes what a link leads to. `python -m clipcause code` writes the folders; a stage whose folder
is out of date stops at its start (`clipcause.runtime.unchanged`).

(Listed one by one in `dvc.yaml`, a hundred modules a stage made `dvc.lock` so long that DVC took
five seconds a stage to rewrite it. A list with fingerprints that another stage writes re-runs
nothing for a comment, but is stale until that stage has run.)
"""

import ast
import functools
import hashlib
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = "stages"
PACKAGES = (PROJECT, "clipcause")
FOLDER = Path("code")
ENTRY = "clipcause.runtime.entry"  # how a stage starts
COMMAND = "python -m clipcause code"
ROOT = Path(__file__).parents[2]
DOCUMENTED = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")  # where statements stand
# that a module finds files beside itself, and that it imports all modules of its folder
FINDS = re.compile(r"\b(__file__|__path__|PackageLoader|importlib\.resources)\b")
LISTS = re.compile(r"\b(iter_modules|walk_packages)\b")
# These decide no value, so that an edit of theirs loses no finished shard. All others count, new
# ones too. They are a stage's code as all are.
SILENT = frozenset(
    f"clipcause.runtime.{name}" for name in ("atomic", "code", "entry", "notices", "progress", "unchanged")
)


@dataclass(frozen=True)
class Source:
    """What one file imports of ours, and what others may import from it.

    ``late`` are the names that it offers when they are asked for: their modules by name.
    """

    text: str
    imports: frozenset[str]
    bound: frozenset[str]
    late: dict[str, str]
    is_late: bool


def module_file(name: str, root: Path = Path()) -> Path | None:
    """The file of a dotted module name below ``root``, or None where it is no module."""
    path = root.joinpath(*name.split("."))
    # in this order Python looks
    for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
        if file.is_file():
            return file
    return None


def direct(path: Path, root: Path = Path()) -> set[str]:
    """The modules of ours that the file at ``path`` imports, anywhere in it.

    What stands under `if TYPE_CHECKING:` is not imported. Of a package that offers names when they
    are asked for (`__getattr__`), the module that has the name is imported as well. Raises
    ``ValueError`` for a relative import, and for such a name that no `if TYPE_CHECKING:` of the
    package traces to its module.
    """
    return _direct(path, root, {})


def _direct(path: Path, root: Path, known: dict[Path, Source]) -> set[str]:
    found = {name for name in _source(path, known).imports if name.split(".")[0] in PACKAGES}
    modules = {name for name in found if module_file(name, root)}
    for name in found - modules:
        package, _, last = name.rpartition(".")
        file = module_file(package, root)
        if file is None:
            continue
        source = _source(file, known)
        if last in source.late:
            modules.add(source.late[last])
        elif source.is_late and last not in source.bound:
            raise ValueError(f"{path}: {last} comes late from {package}; name the module it is in")
    return modules


def _source(path: Path, known: dict[Path, Source]) -> Source:
    if path not in known:
        known[path] = _read(path)
    return known[path]


def _read(path: Path) -> Source:
    text = path.read_text()
    tree = ast.parse(text)
    imports, bound, late = set[str](), set[str](), dict[str, str]()
    for node, checked in _statements(tree.body):
        if isinstance(node, ast.Import) and not checked:
            imports |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}:{node.lineno}: relative import; name the module in full")
            module = node.module or ""
            if checked:
                late |= {alias.asname or alias.name: module for alias in node.names}
            else:
                # `from package import module` imports the module as well
                imports |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    for node in tree.body:
        bound |= set(_binds(node))
    is_late = "__getattr__" in bound
    return Source(
        text, frozenset(imports), frozenset(bound), late if is_late else {}, is_late=is_late
    )


def _statements(body: Sequence[ast.AST], *, checked: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """All statements at any depth, and whether only a type checker reads them."""
    for node in body:
        yield node, checked
        typing = isinstance(node, ast.If) and _is_for_types(node.test)
        for block in BLOCKS:
            inner = checked or (typing and block == "body")
            yield from _statements(getattr(node, block, ()), checked=inner)


def _is_for_types(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


def _binds(node: ast.AST) -> Iterator[str]:
    """The names that a statement at the top of a module gives a value to."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)
    else:
        yield from (one.id for one in ast.walk(node) if isinstance(one, ast.Name))


def transitive(module: str, root: Path = Path()) -> set[Path]:
    """The files of ``module`` and of all it imports, packages' `__init__` included.

    A file of another kind (a template, a table) belongs to it where a module of its folder, or of
    one above, finds files beside itself (`__file__`) and one of the modules states its name.
    """
    return set(files(module, root).values())


def files(
    module: str, root: Path = Path(), without: frozenset[str] = frozenset()
) -> dict[str, Path]:
    """The files of `transitive` by their paths with dots for slashes, the names of links to them.

    Modules of the names ``without``, and what they alone import, are left out.
    """
    waiting, seen = [module], set[str](without)
    known, modules = dict[Path, Source](), dict[str, Path]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        parts = name.split(".")
        waiting += [".".join(parts[:depth]) for depth in range(1, len(parts))]
        path = module_file(name, root)
        if path is None:
            raise ValueError(f"{name}: no such module in {' or '.join(PACKAGES)}")
        modules[name] = path
        if path.name == "__init__.py" and name == module:
            # `python -m package` runs its __main__
            main = module_file(f"{name}.__main__", root)
            if main is not None:
                waiting.append(f"{name}.__main__")
        waiting += _direct(path, root, known)
        if LISTS.search(_source(path, known).text):
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            waiting += _modules_of(package, path.parent)
    texts = {path: _source(path, known).text for path in modules.values()}
    return {
        ".".join(path.relative_to(root).parts): path.relative_to(root)
        for path in (*modules.values(), *_beside(texts))
    }


def _modules_of(package: str, folder: Path) -> Iterator[str]:
    for path in folder.iterdir():
        if path.suffix == ".py" and path.stem not in ("__init__", "__main__"):
            yield f"{package}.{path.stem}"
        elif (path / "__init__.py").is_file():
            yield f"{package}.{path.name}"


def _beside(texts: dict[Path, str]) -> Iterator[Path]:
    """The files of other kinds that modules read, by the modules' texts."""
    whole = "\n".join(texts.values())
    for folder, text in {
        path.parent: text for path, text in texts.items() if FINDS.search(text)
    }.items():
        for path in data(folder):
            above = path.relative_to(folder).parts[:-1]
            if _states(whole, path.name) or any(_states(text, name) for name in above):
                yield path


def data(folder: Path) -> Iterator[Path]:
    """The files below a package's folder that are no code, and in no package of their own."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == "__pycache__":
            continue
        if path.is_dir() and not (path / "__init__.py").exists():
            yield from data(path)
        elif path.is_file() and path.suffix != ".py":
            yield path


def _states(text: str, name: str) -> bool:
    """Whether a text in quotes ends or begins with a file's or folder's name."""
    return re.search(rf"""["'/]{re.escape(name)}["'/]""", text) is not None


def stages(root: Path = Path()) -> list[str]:
    """The modules that are run as stages: those of the project's first level that use the entry."""
    folder = root / PROJECT
    names = [path.stem for path in folder.glob("*.py")]
    names += [path.parent.name for path in folder.glob("*/__main__.py")]
    return sorted(
        f"{PROJECT}.{name}"
        for name in names
        if ENTRY in direct(_run(f"{PROJECT}.{name}", root), root)
    )


def _run(module: str, root: Path) -> Path:
    """The file that ``python -m`` runs."""
    found = module_file(f"{module}.__main__", root) or module_file(module, root)
    assert found is not None
    return found


def folder(module: str) -> Path:
    """Where the links to a stage's code lie."""
    return FOLDER / module.removeprefix(f"{PROJECT}.")


def link(path: Path) -> str:
    """What the link to a file of the repository leads to, seen from a stage's folder."""
    return f"../../{path.as_posix()}"


def outdated(module: str, wanted: Mapping[str, Path], root: Path = Path()) -> str | None:
    """What is wrong with the folder of a stage's code, and what mends it; None where it is right.

    ``wanted`` are the stage's `files`.
    """
    where = folder(module)
    found = _found(root / where)
    for name, path in wanted.items():
        if found.get(name) != link(path):
            return f"{where}: no link to {path}, which {module} imports; run `{COMMAND}`"
    for name in found:
        if name not in wanted:
            return f"{where}: {name} is there, which {module} does not import; run `{COMMAND}`"
    return None


def _found(folder: Path) -> dict[str, str | None]:
    """What the links in a folder lead to; None for what is no link."""
    if not folder.is_dir():
        return {}
    return {
        path.name: path.readlink().as_posix() if path.is_symlink() else None
        for path in sorted(folder.iterdir())
    }


def write(root: Path = Path()) -> list[str]:
    """Bring the folders of all stages up to date; the stages whose folders were not.

    Links that are right stay as they are. What is of no stage is removed.
    """
    known = {root / folder(module): files(module, root) for module in stages(root)}
    changed = []
    for where, paths in known.items():
        found, wanted = _found(where), {name: link(path) for name, path in paths.items()}
        if found == wanted:
            continue
        changed.append(where.name)
        where.mkdir(parents=True, exist_ok=True)
        for name in found:
            if found[name] != wanted.get(name):
                _remove(where / name)
        for name, target in wanted.items():
            if found.get(name) != target:
                (where / name).symlink_to(target)
    for where in sorted((root / FOLDER).iterdir()):
        if where not in known:
            changed.append(where.name)
            _remove(where)
    return changed


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


@functools.cache
def of(module: str) -> str:
    """What the module of this name does, all of ours that it imports included: a hash.

    Comments, docstrings and layout do not count, nor do modules that decide no value (`SILENT`).
    It names kept work (``shard_cache``) and stands in no artifact: moving a function would change
    it. `__name__` is a module's own, `__main__` too. Raises ``ValueError`` for what has no source.
    """
    if module == "__main__" and (spec := sys.modules["__main__"].__spec__):
        module = spec.name
    lines = set[str]()
    waiting = [module]
    if module_file(module, ROOT) is None:  # a notebook's own
        file = getattr(sys.modules.get(module), "__file__", None)
        if file is None:
            raise ValueError(f"{module}: no module with a source")
        lines.add(fingerprint(Path(file)))
        waiting = sorted(direct(Path(file), ROOT))
    for name in waiting:
        found = files(name, ROOT, SILENT).values()
        lines |= {f"{fingerprint(ROOT / path)}  {path.as_posix()}" for path in found}
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def fingerprint(path: Path) -> str:
    """SHA-256 of what a file means: of Python its syntax tree without docstrings, else its bytes.

    The same for every version of Python that the project supports: fields without content, of
    which later versions have more, are left out.
    """
    content = path.read_bytes()
    if path.suffix == ".py":
        tokens: list[str] = []
        _spell(ast.parse(content), tokens.append)
        content = "\n".join(tokens).encode()
    return hashlib.sha256(content).hexdigest()


def _spell(node: Any, put: Callable[[str], None]) -> None:
    """The tree in one fixed order, with its nesting."""
    if isinstance(node, ast.Constant):
        put(f"{type(node.value).__name__} {node.value!r}")
    elif isinstance(node, ast.AST):
        put(f"({type(node).__name__}")
        for name in node._fields:
            value = getattr(node, name, None)
            if name == "body" and isinstance(node, DOCUMENTED) and ast.get_docstring(node, False):
                value = value[1:]
            if value is not None and value != []:
                put(f".{name}")
                _spell(value, put)
        put(")")
    elif isinstance(node, list):
        put("[")
        for one in node:
            _spell(one, put)
        put("]")
    else:  # a name, or a number of an f-string's conversion
        put(repr(node))


def main(words: Sequence[str]) -> None:
    """Write the folders of links; say which stages' were out of date."""
    if words:
        raise ValueError(f"{COMMAND} takes no words, got {' '.join(words)}")
    changed = write()
    print(f"{FOLDER}: {', '.join(changed) or 'nothing'} to change; all are up to date")
