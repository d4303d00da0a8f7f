"""Listings of places: every file, what a change of one is, and what is said where there is none."""

import json
import os
from pathlib import Path
from typing import Any

import fsspec
import pytest
import yaml
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from clipcause.config import layout, places
from clipcause.data import listing
from clipcause.data.listing import Change

NAME = "pool"


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a study with one place, the folder ``web`` beside it."""
    root = tmp_path / "study"
    root.mkdir()
    monkeypatch.chdir(root)
    monkeypatch.delenv(listing.LISTED, raising=False)
    name(str(tmp_path / "web"))
    return tmp_path / "web"


def name(where: str) -> None:
    Path("params.yaml").write_text(yaml.safe_dump({places.SECTION: {NAME: where}}))


def put(path: Path, content: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def lines() -> list[Any]:
    return [json.loads(line) for line in layout.place(NAME).read_text().splitlines()]


def test_a_line_a_file_by_size_and_time(study: Path):
    for each in ("b/1.tar", "b/0.tar", "a.json"):
        put(study / each, each)
    assert listing.write(NAME) == f"{study}: 3 files: 3 new, 0 gone, 0 changed"
    expected = [
        [one, len(one), str((study / one).stat().st_mtime_ns)]
        for one in ("a.json", "b/0.tar", "b/1.tar")
    ]
    assert lines() == [[str(study)], *expected]


def test_what_counts_as_a_change(study: Path):
    def change(step: Any) -> str:
        assert listing.holds(NAME)
        step()
        assert not listing.holds(NAME)
        said = listing.write(NAME)
        assert listing.holds(NAME)
        return said.removeprefix(f"{study}: ")

    first = put(study / "0.tar")
    listing.write(NAME)
    assert change(lambda: put(study / "1.tar")) == "2 files: 1 new, 0 gone, 0 changed"
    assert change(first.unlink) == "1 files: 0 new, 1 gone, 0 changed"
    other = study / "1.tar"
    assert change(lambda: put(other, "xx")) == "1 files: 0 new, 0 gone, 1 changed"
    # nobody looks into a file: one that was touched may be another
    assert change(lambda: os.utime(other, ns=(1, 1))) == "1 files: 0 new, 0 gone, 1 changed"
    # what is hidden is a line of a ledger, and so it counts
    assert change(lambda: put(study / ".part")) == "2 files: 1 new, 0 gone, 0 changed"


def test_a_listing_that_holds_stays_as_it_is(study: Path):
    put(study / "0.tar")
    listing.write(NAME)
    before = layout.place(NAME).stat()
    assert listing.write(NAME) == f"{study}: 1 files, as they were"
    assert layout.place(NAME).stat() == before


def test_a_place_that_has_moved_is_another_though_its_files_are_the_same(study: Path):
    put(study / "0.tar")
    listing.write(NAME)
    moved = study.rename(study.with_name("moved"))
    name(str(moved))
    assert not listing.holds(NAME)
    assert listing.write(NAME) == f"{moved}: 1 files, as they were"
    assert lines()[0] == [str(moved)]


def test_links_are_followed_and_their_ends_are_told(study: Path, tmp_path: Path):
    put(tmp_path / "disk/1.tar")
    put(study / "0.tar")
    (study / "more").symlink_to(tmp_path / "disk")
    (study / "more/round").symlink_to(study)
    (study / "gone.tar").symlink_to(tmp_path / "nowhere.tar")
    listing.write(NAME)
    assert [line[:2] for line in lines()[1:]] == [
        ["0.tar", 1], ["gone.tar", 0], ["more/1.tar", 1], ["more/round", 0]
    ]  # fmt: skip
    put(tmp_path / "disk/2.tar")
    assert listing.write(NAME) == f"{study}: 5 files: 1 new, 0 gone, 0 changed"
    put(tmp_path / "nowhere.tar")
    assert listing.write(NAME) == f"{study}: 5 files: 0 new, 0 gone, 1 changed"


@given(st.sets(st.binary(min_size=1, max_size=20), max_size=5))
def test_any_name_that_a_file_can_have(tmp_path_factory: pytest.TempPathFactory, names: set[bytes]):
    root = tmp_path_factory.mktemp("any")
    legal = {one for one in names if not {b"/"[0], 0} & set(one) and one not in (b".", b"..")}
    for one in legal:
        Path(root, os.fsdecode(one)).touch()
    text = listing._text(str(root), Path("pool"))
    assert {os.fsencode(one) for one in listing._entries(text)} == legal
    text.encode()  # also of names that are no UTF-8


def test_one_file_is_a_place_too(study: Path):
    table = put(study / "captions.parquet")
    name(str(table))
    listing.write(NAME)
    assert lines()[1:] == [["captions.parquet", 1, str(table.stat().st_mtime_ns)]]


class Store(MemoryFileSystem):
    """An object store whose objects have an ETag, and a time that says nothing."""

    protocol = "tagged"
    store: dict[str, Any] = {}  # noqa: RUF012 - as that of memory://
    pseudo_dirs = [""]  # noqa: RUF012
    is_down = False

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.replace("tagged://", "memory://"))

    def find(self, *words: Any, **settings: Any) -> Any:
        if Store.is_down:
            raise ConnectionError("Could not connect to the endpoint\nURL")
        found: Any = super().find(*words, **settings)
        tag = {"LastModified": os.urandom(4).hex()}
        return {path: facts | tag | {"ETag": f'"{facts["size"]}"'} for path, facts in found.items()}


@pytest.fixture
def store(study: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    fsspec.register_implementation("tagged", Store, clobber=True)
    monkeypatch.setattr(Store, "store", {})
    monkeypatch.setattr(Store, "is_down", False)
    made = Store()
    made.pipe_file("/bucket/a/0.tar", b"xyz")
    made.pipe_file("/bucket/1.tar", b"x")
    name("tagged://bucket")
    return made


def test_of_an_object_store_the_etag_counts_and_not_the_time(store: Store):
    listing.write(NAME)
    assert lines() == [["tagged://bucket"], ["1.tar", 1, '"1"'], ["a/0.tar", 3, '"3"']]
    assert listing.holds(NAME)
    store.pipe_file("/bucket/2.tar", b"x")
    assert listing.write(NAME) == "tagged://bucket: 3 files: 1 new, 0 gone, 0 changed"
    name("tagged://bucket/a/0.tar")
    listing.write(NAME)
    assert lines() == [["tagged://bucket/a/0.tar"], ["0.tar", 3, '"3"']]


def test_a_store_that_is_not_to_be_reached(
    store: Store, study: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Store, "is_down", True)
    nothing = (
        r"^tagged://bucket cannot be listed: Could not connect to the endpoint URL; nothing was "
        r"listed before; mend places.pool or the way there$"
    )
    monkeypatch.setenv(listing.LISTED, "1")  # of what was never listed it is no help
    for look in (listing.write, listing.holds):
        if look is listing.holds:
            assert not look(NAME)  # so that the stage runs, and says it
        else:
            with pytest.raises(ValueError, match=nothing):
                look(NAME)
    monkeypatch.delenv(listing.LISTED)
    monkeypatch.setattr(Store, "is_down", False)
    listing.write(NAME)
    before = lines()
    monkeypatch.setattr(Store, "is_down", True)
    for look in (listing.write, listing.holds):
        with pytest.raises(ValueError, match=r"URL; to go on from what is listed in data/places"):
            look(NAME)
    monkeypatch.setenv(listing.LISTED, "1")
    assert "is not looked at (CLIPCAUSE_LISTED); what was listed" in listing.write(NAME)
    assert listing.holds(NAME)
    assert lines() == before


def test_a_folder_that_is_not_there(study: Path):
    with pytest.raises(ValueError, match=rf"^{study} cannot be listed: no such file or folder; n"):
        listing.write(NAME)
    name("nope://x")
    with pytest.raises(ValueError, match=r"nope://x cannot be listed: .*nope"):
        listing.write(NAME)


def test_changes_in_words():
    assert str(Change(41_455, 0, 0, 0)) == "41,455 files, as they were"
    assert str(Change(2, 1, 3, 0)) == "2 files: 1 new, 3 gone, 0 changed"
