"""Writing files and folders so that a target is either the old one or the new one, complete.

A writer works on a temporary name beside the target. Leaving the context flushes everything to the
disk and renames; an exception removes the temporary. A killed writer leaves a temporary behind
(``.<target>.<random>.partial``), which the next writer of that target recognises by its free lock
and removes. Several processes may write one target at once: the last rename stands.
"""

import errno
import fcntl
import glob
import json
import os
import re
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SUFFIX = ".partial"
ROW_GROUP = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, a quota, the size that a file may have
SHORT = re.compile(r"\d+ requested and \d+ written")  # NumPy's words for it, without a number


@contextmanager
def file(target: Path) -> Generator[Path]:
    """Yield a path to write; it becomes ``target`` when the block ends without an exception."""
    with _temporary(target, is_folder=False) as temporary:
        yield temporary
        _sync(temporary)
        temporary.replace(target)
        _sync(target.parent)


@contextmanager
def folder(target: Path) -> Generator[Path]:
    """Yield an empty folder to fill; it becomes ``target``, in place of an older one.

    Replacing an older folder takes two renames: killed between them, neither is there.
    """
    with _temporary(target, is_folder=True) as temporary:
        yield temporary
        for parent, _, names in os.walk(temporary):
            for name in names:
                _sync(Path(parent, name))
            _sync(Path(parent))
        _replace_folder(temporary, target)
        _sync(target.parent)


def encode_json(content: Any) -> bytes:
    """JSON that is the same bytes for the same content; NaN and infinity are errors."""
    text = json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as JSON with sorted keys, atomically."""
    encoded = encode_json(content)
    with file(path) as temporary:
        temporary.write_bytes(encoded)


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a table in place with fixed settings: for use inside ``folder``."""
    pq.write_table(table, path, compression="zstd", row_group_size=ROW_GROUP)


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table as Parquet, atomically."""
    with file(path) as temporary:
        write_parquet(temporary, table)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; a missing or damaged file is an error that names it."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: not found")
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a JSON object")  # noqa: TRY004 - damaged data
    return content


def read_parquet(path: Path, schema: pa.Schema, columns: list[str] | None = None) -> pa.Table:
    """Read a Parquet file whose columns must be those of ``schema``, names and types."""
    check_schema(path, open_parquet(path).schema_arrow, schema)
    return pq.read_table(path, columns=columns, partitioning=None)


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file; a missing or damaged one is an error that names it."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: not found")
    try:
        return pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path}: not a readable Parquet file: {error}") from None


def check_schema(path: Path, found: pa.Schema, expected: pa.Schema) -> None:
    """Raise where names, order or types of the columns differ."""
    if not found.equals(expected):
        have = ", ".join(f"{field.name} {field.type}" for field in found)
        want = ", ".join(f"{field.name} {field.type}" for field in expected)
        raise ValueError(f"{path}: columns are ({have}), expected ({want})")


@contextmanager
def _temporary(target: Path, *, is_folder: bool) -> Generator[Path]:
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target)
    path, lock = _locked(target, is_folder=is_folder)
    try:
        yield path
    except OSError as error:
        if error.errno in FULL or SHORT.search(str(error)):
            raise _full(target, error) from error
        raise
    finally:
        _remove(path)
        os.close(lock)


def _full(target: Path, error: OSError) -> OSError:
    return OSError(
        f"{target}: {error.strerror or 'No space left on device'}; what was there before is "
        "untouched. To free some: `dvc gc --all-branches` removes results that no branch names, "
        "and the folder `shards` beside DVC's cache can be deleted, which costs time and nothing "
        "else; then run again"
    )


def _locked(target: Path, *, is_folder: bool) -> tuple[Path, int]:
    """Make a temporary and lock it; a sweeper that came in between makes us try again."""
    while True:
        path = target.parent / f".{target.name}.{secrets.token_hex(4)}{SUFFIX}"
        if is_folder:
            path.mkdir()
        else:
            path.touch(exist_ok=False)
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if path.exists():
            return path, descriptor
        os.close(descriptor)


def _sweep(target: Path) -> None:
    """Remove what killed writers of ``target`` left behind: temporaries that nobody has locked."""
    for path in target.parent.glob(f".{glob.escape(target.name)}.*{SUFFIX}"):
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path)
        except BlockingIOError:
            pass  # a living writer's
        finally:
            os.close(descriptor)


def _replace_folder(new: Path, target: Path) -> None:
    """Rename ``new`` to ``target``. A full folder cannot be renamed over, so it steps aside."""
    if not target.exists():
        new.rename(target)
        return
    aside = new.with_name(new.name.removesuffix(SUFFIX) + f".old{SUFFIX}")
    target.rename(aside)
    try:
        new.rename(target)
    except OSError:
        aside.rename(target)
        raise
    _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
