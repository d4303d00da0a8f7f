"""Where finished parts of long work are kept between runs of a stage.

The folder lies beside DVC's cache, so that experiments in temporary folders share it, and outside
every stage's outputs, which DVC deletes before it runs the stage. Its entries are named by a hash
of all that decides them; deleting the folder costs time and nothing else.
"""

import ast
import configparser
import functools
import hashlib
import importlib.util
import os
from pathlib import Path

from stages.artifacts import atomic

ENVIRONMENT = "CLIPCAUSE_SHARDS"


def folder() -> Path:
    """The shard cache: `$CLIPCAUSE_SHARDS`, or `shards` beside DVC's cache directory."""
    if given := os.environ.get(ENVIRONMENT):
        return Path(given)
    parser = configparser.ConfigParser(strict=False)
    # the local file overrides the committed one; DVC writes it into temporary experiment folders
    parser.read([".dvc/config", ".dvc/config.local"])
    directory = parser.get("cache", "dir", fallback="cache").strip('"')
    return (Path(".dvc") / directory).parent / "shards"


def key(*parts: object) -> str:
    """A name for what ``parts`` decide: the hash of their JSON."""
    return hashlib.sha256(atomic.encode_json(list(parts))).hexdigest()


@functools.cache
def code(*modules: str) -> str:
    """What the modules of these dotted names do: the hash of their source.

    Comments, docstrings and layout do not count. The modules are read, not imported. Raises
    ``ValueError`` for a name that is no module with a source.
    """
    return hashlib.sha256("\0".join(_bare(module) for module in modules).encode()).hexdigest()


def _bare(module: str) -> str:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ValueError(f"{module}: no module with a source")
    tree = ast.parse(Path(spec.origin).read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return ast.unparse(tree)
