"""Which of the project's modules a stage imports, transitively: read from the source, not run.

DVC re-runs a stage when one of its `deps` changes. A module that is missing there is a result
that no longer fits its code, so a test compares the lists with this.
"""

import ast
from pathlib import Path

PROJECT = "stages"
DATA = frozenset({".css", ".html", ".js", ".yaml", ".json", ".csv"})


def module_file(name: str, root: Path = Path()) -> Path | None:
    """The file of a dotted module name below ``root``, or None where it is no module."""
    path = root.joinpath(*name.split("."))
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").is_file() else None


def direct(path: Path, root: Path = Path()) -> set[str]:
    """The project modules that the file at ``path`` names in import statements, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}:{node.lineno}: relative import; name the module in full")
            module = node.module or ""
            found.add(module)
            # `from package import module` imports the module as well
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] == PROJECT and module_file(name, root)}


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
