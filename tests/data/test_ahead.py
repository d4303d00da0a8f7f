"""Objects are read ahead by a few threads: the same bytes in the same order, no more of them than
before and a window, failures where they are due, and nothing left behind."""

import dataclasses
import gzip
import hashlib
import multiprocessing
import os
import re
import threading
import time
from collections.abc import Generator
from contextlib import closing
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import numpy as np
import pytest
from fsspec.spec import AbstractFileSystem

from clipcause.config.datasets import Limits
from clipcause.data import ahead, in_place, manifest, place, samples
from clipcause.data.manifest import Manifest
from clipcause.data.sources import hashing, webdataset
from clipcause.data.sources.members import Texts
from clipcause.data.stream import Reader
from tests import web_tars

BLOCK, WINDOW = 1 << 12, 1 << 14  # of the tests, whose tars have 92,160 bytes
SMALL = (
    (ahead, "BLOCK", BLOCK),
    (ahead, "WINDOW", WINDOW),
    (place, "READ_AHEAD", WINDOW),
    (place, "GAP", 700),
)


class Store(AbstractFileSystem):
    """An object store of this process: what it was asked for, by whom, and what it refuses."""

    protocol = "store"
    files: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[tuple[str, int, int]]] = []
    threads: ClassVar[set[str]] = set()
    refused: ClassVar[set[tuple[str, int]]] = set()  # bytes of files that are not given

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "size": len(self.files[path]), "type": "file", "mtime": 1}

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        found = [self.info(name) for name in self.files if name.startswith(path)]
        return found if detail else [one["name"] for one in found]

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **_: Any
    ) -> bytes:
        assert start is not None
        assert end is not None
        self.asked.append((path, start, end))
        self.threads.add(threading.current_thread().name)
        if any(path == name and start <= at < end for name, at in self.refused):
            raise ConnectionError(f"{path}: bytes {start} to {end} are refused")
        return self.files[path][start:end]

    def _open(self, path: str, *arguments: Any, **options: Any) -> Any:
        return fsspec.spec.AbstractBufferedFile(self, path, *arguments, **options)


@pytest.fixture
def store(monkeypatch) -> type[Store]:
    """The store, empty, and readings in parts that are small beside the tests' tars."""
    fsspec.register_implementation("store", Store, clobber=True)
    for name in ("files", "asked", "threads", "refused"):
        monkeypatch.setattr(Store, name, type(getattr(Store, name))())
    for where, name, size in SMALL:
        monkeypatch.setattr(where, name, size)
    return Store


@pytest.fixture
def pools(tmp_path, store) -> tuple[Manifest, Manifest]:
    """A pool of two tars in a folder, and the same in the store."""
    tars = {f"{n}.tar": web_tars.tar_of(web_tars.samples(24, n)) for n in (0, 1)}
    where = web_tars.put(str(tmp_path / "laion"), tars)
    task = webdataset.Audit(where, Limits(), Texts())
    parts = (webdataset.read_tar(task, item) for item in webdataset.tars(where, "*.tar"))
    in_place.write(tmp_path / "pool", where, parts, max_drop_fraction=0.0)
    local = manifest.read(tmp_path / "pool")
    store.files.update({f"laion/{name}": content for name, content in tars.items()})
    assert min(len(content) for content in tars.values()) > 2 * WINDOW
    return local, dataclasses.replace(local, source="store://laion")


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Generator[None]:
    yield
    assert not [one.name for one in threading.enumerate() if one.name.startswith("read-ahead")]


def once(asked: list[tuple[str, int, int]]) -> int:
    """How many bytes were asked for, of which none may have been asked for twice."""
    ordered = sorted(asked)
    for (path, _, end), (other, start, _) in pairwise(ordered):
        assert path != other or end <= start, "bytes were fetched twice"
    return sum(end - start for _, start, end in asked)


def test_ranges_come_in_order_and_a_window_of_bytes_is_ahead(store):
    content = bytes(range(256)) * 400
    known, begun, most = threading.Lock(), 0, 0

    def fetch(start: int, end: int) -> bytes:
        nonlocal begun, most
        with known:
            begun += end - start
            most = max(most, begun - used)
        time.sleep(0.002 * (start // BLOCK % 3))  # the later ones are there first
        return content[start:end]

    used, found = 0, b""
    for start, part in ahead.fetched(fetch, ahead.blocks(len(content))):
        assert start == len(found)
        found += part
        used = len(found)  # it is done with
    assert found == content
    assert begun == len(content)
    assert BLOCK < most <= WINDOW


def test_a_range_larger_than_the_window_is_fetched_alone(store):
    ranges = [(0, 10), (10, 10 + 2 * WINDOW), (10 + 2 * WINDOW, 20 + 2 * WINDOW)]
    asked: list[int] = []

    def fetch(start: int, end: int) -> bytes:
        asked.append(start)
        return bytes(end - start)

    with closing(ahead.fetched(fetch, ranges)) as parts:
        assert [next(parts)[0], asked] == [0, [0]]
        assert [next(parts)[0], asked] == [10, [0, 10]]
        assert next(parts)[0] == 10 + 2 * WINDOW


def test_a_failure_is_raised_when_its_range_is_due(store):
    def fetch(start: int, end: int) -> bytes:
        if start == 3 * BLOCK:
            raise ConnectionError("cut")
        return bytes(end - start)

    found = []
    with pytest.raises(ConnectionError, match="cut"):
        found.extend(start for start, _ in ahead.fetched(fetch, ahead.blocks(9 * BLOCK)))
    assert found == [0, BLOCK, 2 * BLOCK]


def test_a_file_is_read_and_passed_over_forwards(store):
    content = bytes(range(256)) * 100
    parts = ((start, content[start:end]) for start, end in [(0, 5000), (5000, 9000), (9500, 9600)])
    with ahead.Ahead(parts) as stream:
        assert (stream.readable(), stream.seekable(), stream.tell()) == (True, True, 0)
        assert stream.read(0) == b""
        assert stream.read(10) == content[:10]
        assert stream.seek(4000, os.SEEK_CUR) == 4010
        assert stream.read(2000) == content[4010:6010]  # of two parts
        assert stream.read() == content[6010:9000]
        assert stream.read(5) == b""  # that was not fetched
        assert stream.seek(9550) == 9550
        assert stream.read(100) == content[9550:9600]
        assert stream.read(1) == b""
        with pytest.raises(OSError, match="forwards"):
            stream.seek(3)
        with pytest.raises(OSError, match="forwards"):
            stream.seek(0, os.SEEK_END)


def test_a_pool_is_the_same_and_no_byte_of_it_is_fetched_twice(pools, store):
    local, remote = pools
    assert list(remote.images()) == list(local.images())
    assert once(store.asked) == sum(shard.bytes for shard in remote.shards)  # all is hashed
    assert all(name.startswith("read-ahead") for name in store.threads)
    store.asked.clear()
    assert list(remote.images()) == list(local.images())
    wanted = sum(one["size"] for position in (0, 1) for one in remote.members(position).to_pylist())
    assert wanted < once(store.asked) <= sum(shard.bytes for shard in remote.shards)
    assert max(end - start for _, start, end in store.asked) <= max(
        BLOCK, *(one["size"] for one in remote.members(0).to_pylist())
    )


def test_the_requests_of_a_window_are_under_way_at_once(store):
    together = threading.Barrier(WINDOW // BLOCK, timeout=60)

    def fetch(start: int, end: int) -> bytes:
        together.wait()  # none is answered before all are asked
        return bytes(end - start)

    sizes = [len(part) for _, part in ahead.fetched(fetch, ahead.blocks(WINDOW))]
    assert sizes == [BLOCK] * (WINDOW // BLOCK)


def test_other_readers_find_what_they_found(pools, store):
    local, remote = pools
    wanted_M = np.arange(24) % 3 == 0
    for position in (0, 1):
        found, known = (list(samples.originals(one, position, wanted_M)) for one in (remote, local))
        assert found == known
    assert once(store.asked) == sum(shard.bytes for shard in remote.shards)
    store.asked.clear()
    task = webdataset.Audit("store://laion", Limits(), Texts())
    read, again = (
        [webdataset.read_tar(one, item) for item in webdataset.tars(one.source, "*.tar")]
        for one in (task, dataclasses.replace(task, source=str(local.source)))
    )
    assert [one.rows for one in read] == [one.rows for one in again]
    assert [one.shard.sha256 for one in read] == [one.shard.sha256 for one in again]
    assert once(store.asked) == sum(shard.bytes for shard in remote.shards)
    assert all(name.startswith("read-ahead") for name in store.threads)


def test_a_table_is_hashed_ahead(store):
    """Its hash takes the time of its bytes and not of as many answers as it has blocks."""
    content = np.random.default_rng(0).bytes(3 * WINDOW)
    store.files["/a.parquet"] = content
    assert hashing.sha256("store:///a.parquet", len(content)) == hashlib.sha256(content).hexdigest()
    assert once(store.asked) == len(content)
    assert any(name.startswith("read-ahead") for name in store.threads)


def test_a_compressed_tar_is_read_ahead_as_it_lies(pools, store):
    content = store.files["laion/0.tar"]
    packed = gzip.compress(content, compresslevel=0)
    store.files["laion/0.tar.gz"] = packed
    for spans in (None, [(5, 9)]):
        store.asked.clear()
        with place.opened("store://laion/0.tar.gz", len(packed), spans) as stream:
            assert stream.read() == content
        assert once(store.asked) == len(packed)


def test_a_few_images_are_the_requests_that_they_were(pools, store):
    local, remote = pools
    rows = [0, 1, 23, 30]
    assert remote.image(rows) == local.image(rows)
    first, second = (remote.members(position).to_pylist() for position in (0, 1))
    ends = [(one["offset"], one["offset"] + one["size"]) for one in (*first, *second)]
    together = [(ends[0][0], ends[1][1]), ends[23], ends[30]]
    apart = [ends[0], ends[1], ends[23], ends[30]]
    asked = [(start, end) for _, start, end in store.asked]
    assert asked in (together, apart)
    assert not any(name.startswith("read-ahead") for name in store.threads)


@pytest.mark.parametrize("taken", [1, 7])
def test_a_reading_that_stops_early_has_fetched_a_window_more(pools, store, taken):
    local, remote = pools
    members = remote.members(0).to_pylist()
    for _ in ("first", "later"):
        with closing(remote.images([0])) as images:
            assert list(islice(images, taken)) == list(islice(local.images([0]), taken))
        used = members[taken - 1]["offset"] + members[taken - 1]["size"]
        assert once(store.asked) <= used + WINDOW
        assert not any(one.name.startswith("read-ahead") for one in threading.enumerate())
        list(remote.images([0]))  # its hash is known from here on
        store.asked.clear()


def test_a_consumer_that_fails_ends_the_threads(pools, store):
    _, remote = pools

    def learn() -> None:
        for row, _ in remote.images():
            if row == 3:
                raise FloatingPointError

    with pytest.raises(FloatingPointError):
        learn()
    assert not any(one.name.startswith("read-ahead") for one in threading.enumerate())


@pytest.mark.parametrize("later", [False, True])
def test_what_fails_is_raised_at_the_image_that_needs_it(pools, store, later):
    local, remote = pools
    if later:
        list(remote.images())
    member = remote.members(1).to_pylist()[11]
    store.asked.clear()
    store.refused.add(("laion/1.tar", member["offset"]))
    found = []
    with pytest.raises(ConnectionError, match=r"laion/1\.tar: bytes \d+ to \d+ are refused"):
        found.extend(remote.images())
    assert found == list(local.images())[: len(found)]
    (start,) = {
        start
        for path, start, end in store.asked
        if path == "laion/1.tar" and start <= member["offset"] < end
    }
    ends = [one["offset"] + one["size"] for one in remote.members(1).to_pylist()]
    assert len(found) == 24 + sum(end <= start for end in ends)
    store.refused.clear()
    assert list(remote.images()) == list(local.images())


def test_shard_and_key_of_a_damage_are_named(pools, store):
    local, remote = pools
    member = local.members(1).to_pylist()[11]
    content = store.files["laion/1.tar"]
    damaged = bytearray(content)
    damaged[member["offset"] + 5] ^= 1
    store.files["laion/1.tar"] = bytes(damaged)
    for _ in ("first", "later"):
        with pytest.raises(ValueError, match=r"store://laion/1\.tar: 000000011: the image is not"):
            list(remote.images())
        store.files["laion/1.tar"] = content
        list(remote.images())
        store.files["laion/1.tar"] = bytes(damaged)
    real = Store.cat_file

    class Cut(Store):
        """Its answers end early."""

        def cat_file(self, path, start=None, end=None, **options):
            return real(self, path, start, end, **options)[: max(0, member["offset"] + 9 - start)]

    fsspec.register_implementation("store", Cut, clobber=True)
    store.files["laion/1.tar"] = content
    cut = r"1\.tar: 0000000\d\d: cut off, \d+ of \d+ bytes"
    for again in (remote, dataclasses.replace(remote)):
        with pytest.raises(ValueError, match=cut):
            list(again.images([1]))


def test_files_of_this_machine_are_read_by_no_thread(pools, monkeypatch):
    local, _ = pools
    monkeypatch.setattr(ahead, "fetched", None)  # whoever calls it fails
    by_url = dataclasses.replace(local, source=f"file://{local.source}")
    for _ in ("first", "later"):
        assert list(local.images()) == list(by_url.images())


def test_a_driver_that_fetches_more_than_it_is_asked_for_is_not_read_ahead(pools, store):
    local, remote = pools

    class Plain(Store):
        """What a driver without a way to parts inherits: it opens the file, which reads ahead."""

        cat_file = AbstractFileSystem.cat_file

        def _open(self, path, *arguments, **options):
            inner = Store()
            opened = fsspec.spec.AbstractBufferedFile(inner, path, *arguments, **options)
            opened.fs = inner
            return opened

    fsspec.register_implementation("store", Plain, clobber=True)
    assert list(remote.images()) == list(local.images())
    assert not any(name.startswith("read-ahead") for name in store.threads)


class Handler(SimpleHTTPRequestHandler):
    """Files of a folder: parts of them where ``ranges``, else all of a file whatever is asked."""

    protocol_version = "HTTP/1.1"
    ranges = True
    said: ClassVar[dict[str, str]] = {}

    def do_GET(self) -> None:
        content = Path(self.translate_path(self.path)).read_bytes()
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if found and self.ranges:
            start, end = int(found[1]), min(int(found[2]) + 1, len(content))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
            content = content[start:end]
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def end_headers(self) -> None:
        for name, value in self.said.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *_: Any) -> None:  # noqa: A002 - the base's name
        """Nothing."""


@pytest.fixture
def served(pools, monkeypatch) -> Generator[Manifest]:
    """The pool behind a web server of this machine."""
    local, _ = pools

    def handler(*arguments: Any) -> Handler:
        return Handler(*arguments, directory=local.source)

    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield dataclasses.replace(local, source=f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
        thread.join()


def digest(pool: Manifest, small: bool = False) -> str:
    """Of all images of a pool; in another process, of ``small`` parts there as well."""
    if small:
        for where, name, size in SMALL:
            setattr(where, name, size)
    found = hashlib.sha256()
    for _ in ("first", "later"):
        for row, image in pool.images():
            found.update(b"%d" % row + image)
    return found.hexdigest()


@pytest.mark.parametrize("start", ["forkserver", "spawn"])
def test_workers_read_ahead_however_they_start(pools, served, start):
    """Not by fork, by which this repository starts none: a copy of a process has what its threads
    held, and waits for it for ever."""
    local, _ = pools
    images = served.images()
    assert next(images) == next(local.images())  # threads and the driver's loop run here meanwhile
    with multiprocessing.get_context(start).Pool(2) as workers:
        found = workers.starmap_async(digest, [(served, True)] * 2).get(600)
    assert found == [digest(local)] * 2
    assert [first for first, _ in images] == list(range(1, len(local)))


def test_a_server_that_sends_no_parts_is_read_as_before_or_named(pools, served, monkeypatch):
    local, _ = pools
    monkeypatch.setattr(Handler, "ranges", False)
    with pytest.raises(
        OSError, match=r"0\.tar: [\d,]+ bytes where 4,096 were asked for: its server"
    ):
        list(served.images())
    monkeypatch.setattr(Handler, "said", {"Accept-Ranges": "none"})
    assert list(served.images()) == list(local.images())


def test_memory_does_not_grow_with_the_object(store):
    size = 1 << 22
    store.files["large"] = bytes(size)
    held = 0
    with place.opened("store://large", size) as stream:
        reader = Reader(stream, hashed=True)
        assert reader.read(10) == bytes(10)
        time.sleep(0.05)
        held = once(store.asked)
        assert reader.finish()[0] == hashlib.sha256(bytes(size)).hexdigest()
    assert held <= WINDOW
    assert once(store.asked) == size
