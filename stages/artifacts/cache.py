"""Where finished parts of long work are kept between runs of a stage.

The folder lies beside DVC's cache, so that experiments in temporary folders share it, and outside
every stage's outputs, which DVC deletes before it runs the stage. Its entries are named by a hash
of all that decides them; deleting the folder costs time and nothing else.
"""

import configparser
import hashlib
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
    cache = parser.get("cache", "dir", fallback="cache").strip('"')
    return (Path(".dvc") / cache).parent / "shards"


def key(*parts: object) -> str:
    """A name for what ``parts`` decide: the hash of their JSON."""
    return hashlib.sha256(atomic.encode_json(list(parts))).hexdigest()
