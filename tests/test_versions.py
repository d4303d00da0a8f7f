"""Installed versions against the stated ones."""

import subprocess
import sys

import pytest

from clipcause.config import section, versions
from clipcause.config.versions import Versions

STATED = {name: versions.installed(name) or "0" for name in versions.DISTRIBUTIONS}


def write(tmp_path, **changes):
    path = tmp_path / "params.yaml"
    lines = [f"  {name}: {value!r}" for name, value in {**STATED, **changes}.items()]
    path.write_text("versions:\n" + "\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("version", "expected", "answer"),
    [
        ("2.15.0", "2.15", True),
        ("2.15.0", "2.15.0", True),
        ("2.15.0+cu130", "2.15.0", True),
        ("2.150.0", "2.15", False),
        ("2.1", "2.15", False),
        ("2.15", "2.15.0", False),
    ],
)
def test_a_prefix_is_one_of_whole_numbers(version, expected, answer):
    assert versions.fits(version, expected) is answer


def test_what_is_installed_passes(tmp_path):
    stated = {name: version.partition("+")[0] for name, version in STATED.items()}
    versions.check(path=write(tmp_path, **stated))


def test_what_is_kept_states_versions_in_full(monkeypatch):
    monkeypatch.setattr(versions, "installed", {"torch": "2.15.0+cu130", "faiss": None}.get)
    assert versions.used("torch", "faiss") == {"torch": "2.15.0", "faiss": "none"}


def test_another_version_is_named_with_what_to_do(tmp_path):
    path = write(tmp_path, numpy="1.26")
    with pytest.raises(
        ValueError,
        match=rf"numpy {STATED['numpy']} is installed, .*versions\.numpy: '1\.26'; .*re-runs",
    ):
        versions.check("numpy", path=path)
    versions.check("faiss", path=path)


def test_a_package_that_is_absent_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(versions.DISTRIBUTIONS, "faiss", ("no-such-distribution",))
    with pytest.raises(ValueError, match="faiss is not installed"):
        versions.check("faiss", path=write(tmp_path))


def test_a_version_that_is_a_number_is_an_error(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("versions: {torch: 2.15, open_clip_torch: '3', faiss: '1', resvg-py: '0'}\n")
    with pytest.raises(ValueError, match=r"versions\.torch: .*string.*versions\.numpy: missing"):
        section("versions", Versions, path)


def test_the_check_imports_none_of_the_packages():
    code = (
        "import sys, clipcause.config.versions; "
        "print({'torch', 'faiss', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
