"""Faults in mid-run: an error with a name, and what was there before is there still."""

import os
import resource
import shutil
from contextlib import contextmanager

import pytest

from clipcause.config import layout
from clipcause.embed import embedding
from clipcause.runtime import shard_cache as cache
from stages import embed, train
from tests import learning_study
from tests.artifacts_samples import contents

FOLDER = layout.embeddings("clip", "pool")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    with learning_study.made(root):
        train.main("full-0")
        embed.main("pool")
    return root


@pytest.fixture
def here(study, tmp_path, monkeypatch):
    """A study of its own, embedded once; the shard cache is empty."""
    root = shutil.copytree(study, tmp_path / "study")
    monkeypatch.chdir(root)
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "empty"))
    return root


@pytest.fixture
def after_first(monkeypatch):
    """Do something when the first shard has been embedded; the positions of those that were."""
    done = []
    part = embedding.part

    def use(action):
        def acting(*args):
            out = part(*args)
            if not done:
                action()
            done.append(args[2])
            return out

        monkeypatch.setattr(embedding, "part", acting)
        return done

    return use


def flip(path):
    """Change one bit in the middle of a file, and neither its size nor its time."""
    whole, found = bytearray(path.read_bytes()), path.stat()
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


FAULTS = {
    "gone": (lambda path: path.unlink(), FileNotFoundError, r"data/pool/00001\.tar: not found"),
    "cut": (
        lambda path: path.write_bytes(path.read_bytes()[:-512]),
        ValueError,
        r"data/pool/00001\.tar: \d+ bytes, the manifest says \d+ \(16 samples\)",
    ),
    "bit": (flip, ValueError, r"data/pool/00001\.tar: .*prepare the data set again"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_shard_that_vanishes_or_changes_in_mid_run_is_named(here, after_first, fault):
    damage, kind, message = FAULTS[fault]
    before, path = contents(FOLDER), layout.dataset("pool") / "00001.tar"
    whole = path.read_bytes()
    done = after_first(lambda: damage(path))
    with pytest.raises(kind, match=message):
        embed.main("pool")
    assert contents(FOLDER) == before
    assert len(list(cache.folder().rglob(f"*{cache.ARRAYS.suffix}"))) == 1
    # the shard is brought back: only what is missing is done
    path.write_bytes(whole)
    done.clear()
    embed.main("pool")
    assert done == [1, 2]
    assert contents(FOLDER) == before


def test_an_encoder_that_vanishes_is_named(here):
    before = contents(FOLDER)
    (layout.model("full-0") / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"models/full-0/model\.safetensors: not found"):
        embed.main("pool")
    assert contents(FOLDER) == before


@contextmanager
def largest_file(size):
    """No file may grow beyond ``size`` bytes: to a program, a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_while_shards_are_kept(here):
    before = contents(FOLDER)
    # the first shards' pixels do not fit
    message = r"empty/[0-9a-f]{64}\.npy: .*what was there before is untouched.* free some"
    with largest_file(4096), pytest.raises(OSError, match=message):
        embed.main("pool")
    assert contents(FOLDER) == before
    assert contents(cache.folder()) == {}
    embed.main("pool")
    assert contents(FOLDER) == before


def test_a_disk_that_fills_while_the_store_is_written(here):
    embed.main("pool")
    before, kept = contents(FOLDER), contents(cache.folder())
    message = r"embeddings/clip/pool: .*what was there before is untouched.* free some"
    with largest_file(600), pytest.raises(OSError, match=message):
        embed.main("pool")
    assert contents(FOLDER) == before
    assert contents(cache.folder()) == kept
    assert [path.name for path in FOLDER.parent.iterdir()] == ["pool"]
