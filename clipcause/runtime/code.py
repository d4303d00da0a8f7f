"""Which of the project's modules a stage imports, transitively: read from the source, not run.

DVC re-runs a stage when one of its `deps` changes. The code of a stage is one of them: the list
that `check` writes, a line a module, so that a stage that gains an import needs no line in
`dvc.yaml`, and a change of comments and docstrings re-runs nothing. (Listed one by one there, a
hundred modules a stage made `dvc.lock` so long that DVC took five seconds a stage to rewrite it.)
"""

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROJECT = "stages"
PACKAGES = (PROJECT, "clipcause")
ENTRY = "clipcause.runtime.entry"  # how a stage starts
DOCUMENTED = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
DATA = frozenset({".css", ".html", ".js", ".yaml", ".json", ".csv"})


def module_file(name: str, root: Path = Path()) -> Path | None:
    """The file of a dotted module name below ``root``, or None where it is no module."""
    path = root.joinpath(*name.split("."))
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").is_file() else None


def direct(path: Path, root: Path = Path()) -> set[str]:
    """The project modules that the file at ``path`` names in import statements, anywhere in it
    but where only type checkers look: what is under `if TYPE_CHECKING` is never run."""
    found: set[str] = set()
    for node in _run_nodes(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}:{node.lineno}: relative import; name the module in full")
            module = node.module or ""
            found.add(module)
            # `from package import module` imports the module as well
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] in PACKAGES and module_file(name, root)}


def _run_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """A tree's nodes without those of a body that type checkers alone read."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            for other in child.orelse:
                yield other
                yield from _run_nodes(other)
        else:
            yield child
            yield from _run_nodes(child)


def transitive(module: str, root: Path = Path()) -> set[Path]:
    """The files of ``module`` and of all it imports, packages' `__init__` included.

    Empty `__init__` files are left out: they can only become a dependency by gaining content, and
    then they appear here. Files of other kinds beside a module (a style sheet, a table) are read
    by it, so they belong to it.
    """
    waiting, seen, files = [module], set[str](), set[Path]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        parts = name.split(".")
        waiting += [".".join(parts[:depth]) for depth in range(1, len(parts))]
        path = module_file(name, root)
        if path is None:
            raise ValueError(f"{name}: no such module in {PROJECT}/")
        if path.name == "__init__.py" and name == module:
            # `python -m package` runs its __main__
            main = module_file(f"{name}.__main__", root)
            if main is not None:
                waiting.append(f"{name}.__main__")
        if path.stat().st_size:
            files.add(path.relative_to(root))
        waiting += direct(path, root)
        files |= {
            other.relative_to(root)
            for other in path.parent.iterdir()
            if other.suffix in DATA and other.is_file()
        }
    return files


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


def code(module: str, root: Path = Path()) -> str:
    """The code that ``module`` runs: a line a file, its fingerprint and its path."""
    return "".join(
        f"{fingerprint(root / path)}  {path.as_posix()}\n"
        for path in sorted(transitive(module, root), key=Path.as_posix)
    )


def fingerprint(path: Path) -> str:
    """SHA-256 of what a file means: of Python its syntax tree without docstrings, else its bytes.

    The same for every version of Python that the project supports: fields without content, of
    which later versions have more, are left out.
    """
    content = path.read_bytes()
    if path.suffix == ".py":
        content = "\n".join(_tokens(ast.parse(content))).encode()
    return hashlib.sha256(content).hexdigest()


def _tokens(node: Any) -> Iterator[str]:
    """The tree in one fixed order, with its nesting."""
    if isinstance(node, ast.Constant):
        yield f"{type(node.value).__name__} {node.value!r}"
    elif isinstance(node, ast.AST):
        yield f"({type(node).__name__}"
        for name, value in ast.iter_fields(node):
            if name == "body" and isinstance(node, DOCUMENTED) and ast.get_docstring(node, False):
                value = value[1:]
            if value is not None and value != []:
                yield f".{name}"
                yield from _tokens(value)
        yield ")"
    elif isinstance(node, list):
        yield "["
        for one in node:
            yield from _tokens(one)
        yield "]"
    else:  # a name, or a number of an f-string's conversion
        yield repr(node)
