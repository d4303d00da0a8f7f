"""fetch: what arrives is what was asked for, or a sentence says why not."""

import shutil
from pathlib import Path

import pytest
import yaml

from clipcause.config.layout import RAW_ICONS
from clipcause.data import npm_package
from stages import fetch

FIXTURE = Path(__file__).parent / "fixtures" / "icons.tgz"
INTEGRITY = (
    "sha512-SlxYtK4wwIbaqYd/D4cNqSCCFQmXi1+twu9LYHHfuT7c"
    "Q0uL10naWoJQRtYVqvr8fpi6uCUwFWrBW4d719OI8A=="
)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLIPCAUSE_SHARDS", str(tmp_path / "shards"))
    return tmp_path


def write(folder: Path, **changes: str) -> None:
    stated = {"package": "icons", "version": "1.0.0", "integrity": INTEGRITY, "archive": "none"}
    (folder / "params.yaml").write_text(yaml.safe_dump({"fetch": {"icons": stated | changes}}))


def fake_npm(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program `npm` alone on the PATH (with the shell's own tools)."""
    (folder / "bin").mkdir(exist_ok=True)
    npm = folder / "bin" / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")


def test_the_fixture_is_what_the_tests_state():
    assert npm_package.integrity(FIXTURE) == INTEGRITY


def test_a_tarball_that_is_here_is_checked_and_taken(repository):
    write(repository, archive=str(FIXTURE))
    assert "394,985 bytes" in fetch.main("icons")
    assert RAW_ICONS.read_bytes() == FIXTURE.read_bytes()


def test_a_tarball_of_another_version_is_refused(repository):
    other = repository / "other.tgz"
    other.write_bytes(b"something else")
    write(repository, archive=str(other))
    with pytest.raises(ValueError, match=r"other\.tgz: its hash is sha512-.* of another version"):
        fetch.main("icons")
    assert not RAW_ICONS.exists()


def test_a_study_without_icons_fetches_nothing(repository):
    (repository / "params.yaml").write_text("fetch: {icons: {package: none}}\n")
    assert fetch.main("icons") == "no package is asked for"
    assert RAW_ICONS.read_bytes() == b""


def test_a_package_without_its_hash_is_refused(repository):
    (repository / "params.yaml").write_text("fetch: {icons: {package: icons, version: 1.0.0}}\n")
    with pytest.raises(ValueError, match=r"fetch\.icons: .*needs its version and its integrity"):
        fetch.main("icons")


def test_a_missing_tarball_is_named(repository):
    write(repository, archive="nowhere.tgz")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.tgz: not found \(fetch\.icons\.archive"):
        fetch.main("icons")


def test_npm_is_asked_once_and_the_cache_afterwards(repository, monkeypatch):
    # called as: npm pack icons@1.0.0 --silent --pack-destination FOLDER
    fake_npm(repository, f'echo called >> "{repository}/calls"; cp "{FIXTURE}" "$5/"', monkeypatch)
    write(repository)
    assert fetch.main("icons").endswith("from npm")
    shutil.rmtree("data")
    assert fetch.main("icons").endswith("from the cache")
    assert (repository / "calls").read_text() == "called\n"


def test_no_network_is_one_clear_sentence(repository, monkeypatch):
    fake_npm(repository, "echo 'npm error code ENOTFOUND' >&2; exit 1", monkeypatch)
    write(repository)
    with pytest.raises(
        OSError, match=r"icons@1\.0\.0 \(npm error code ENOTFOUND\); is there a net"
    ):
        fetch.main("icons")
    assert not RAW_ICONS.exists()


def test_no_npm_is_one_clear_sentence(repository, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(npm_package.importlib.util, "find_spec", lambda _: None)
    write(repository)
    with pytest.raises(FileNotFoundError, match=r"npm is not installed.*set its archive"):
        fetch.main("icons")
