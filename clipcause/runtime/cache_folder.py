"""Where finished parts of long work are kept between runs of a stage, and for whom.

The folder lies beside DVC's cache, so that experiments in temporary folders share it, and outside
every stage's outputs, which DVC deletes before it runs the stage. Who shares DVC's cache with a
group (`dvc config cache.shared group`) shares it too.
"""

import configparser
import errno
import os
from contextlib import suppress
from pathlib import Path

ENVIRONMENT = "CLIPCAUSE_SHARDS"
GROUP_MODE = 0o2775  # DVC's for folders of a shared cache: what is made in them is the group's too
GROUP_BITS = 0o070


def folder() -> Path:
    """The shard cache: `$CLIPCAUSE_SHARDS`, or `shards` beside DVC's cache directory."""
    if given := os.environ.get(ENVIRONMENT):
        return Path(given)
    directory = _configured("dir", "cache")
    return (Path(".dvc") / directory).parent / "shards"


def share() -> None:
    """Let the group write what this process and its workers make, where DVC's cache is a group's.

    By the mask of this process, for libraries write some of the files.
    """
    if _configured("shared", "") != "group":
        return
    os.umask(os.umask(0) & ~GROUP_BITS)
    there = folder()
    with suppress(PermissionError):  # another one's, who made it so
        there.mkdir(parents=True, exist_ok=True)
        there.chmod(GROUP_MODE)


def advice(error: OSError) -> str:
    """What to do about a file of the cache that this user may not read or write; else nothing."""
    path = error.filename
    if error.errno != errno.EACCES or not isinstance(path, str | bytes):
        return ""
    if not Path(os.fsdecode(path)).absolute().is_relative_to(folder().absolute()):
        return ""
    return (
        f"; the shard cache is another user's: share it (`dvc config cache.shared group`, and a "
        f"group that owns {folder()}), or name a folder of yours in {ENVIRONMENT}"
    )


def _configured(option: str, fallback: str) -> str:
    """An option of DVC's section `cache`."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    # the local file overrides the committed one; DVC writes it into temporary experiment folders
    parser.read([".dvc/config", ".dvc/config.local"])
    return parser.get("cache", option, fallback=fallback).strip("\"'")
