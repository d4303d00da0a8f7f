"""The shard cache's place, and its sharing with a group as DVC's cache is shared."""

import errno
import os
import stat
from pathlib import Path

import pytest

from clipcause.runtime import cache_folder, entry


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A DVC project, with a mask that shuts others out."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(cache_folder.ENVIRONMENT, raising=False)
    (tmp_path / ".dvc").mkdir()
    before = os.umask(0o077)
    yield tmp_path
    os.umask(before)


def configure(text, name="config"):
    Path(".dvc", name).write_text(text)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("config", ["", "[cache]\n    dir = ../stored\n"])
def test_without_a_group_nothing_is_shared(here, config):
    configure(config)
    cache_folder.share()
    assert not cache_folder.folder().exists()
    (here / "file").touch()
    assert mode(here / "file") == 0o600


@pytest.mark.parametrize("name", ["config", "config.local"])
def test_with_a_group_what_is_made_in_it_is_for_the_group(here, name):
    configure("[cache]\n    dir = ../stored/cache\n    shared = group\n", name)
    cache_folder.share()
    place = here / "stored/shards"
    assert cache_folder.folder().resolve() == place
    assert mode(place) == 0o2775  # as of the folders of DVC's shared cache
    (place / "ab").mkdir()
    (place / "ab/entry").touch()
    assert mode(place / "ab") == 0o2770
    assert mode(place / "ab/entry") == 0o660


def test_a_cache_of_another_user_is_told_with_what_to_do(here, capsys):
    denied = PermissionError(errno.EACCES, "Permission denied", ".dvc/shards/ab/entry")
    with pytest.raises(SystemExit), entry.one_line("embed pool"):
        raise denied
    said = capsys.readouterr().err
    assert said.startswith(
        "embed pool: error: [Errno 13] Permission denied: '.dvc/shards/ab/entry'"
    )
    assert cache_folder.ENVIRONMENT in said
    assert "cache.shared group" in said
    assert cache_folder.advice(PermissionError(errno.EACCES, "no", str(here / "data"))) == ""
    assert cache_folder.advice(PermissionError(errno.EACCES, "no")) == ""
