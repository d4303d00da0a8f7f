"""A pass over a pool's images: seeking by the member index, and parsing tar headers.

    python -m benchmarks.member_index --write benchmarks/member_index.md

Tars as img2dataset writes them (JPEG of 256 pixels, txt, json) are read by one process, from disk
and from an object store: a file system of fsspec's whose every request takes 20 ms, and a second
for each 100 MB of its answer. Nothing is decoded; every image's hash is compared.

* `first pass`: the SHA-256 of each shard is compared as well, so that every byte is read.
* `later pass`: of the images alone, as every epoch after the first reads them.
* `10 images`: of rows all over the pool, as the report's album asks for them.

Beside the index: the parser that `prepare` reads tars with, which skips what is no image, and
webdataset's reader, which reads all of it and hashes nothing. Of an object store, a pass by the
index reads ahead (`clipcause.data.ahead`), and so does `prepare` (`headers, ahead`); `index, in
turn` and `headers` ask for the next part when the one before it is used up.

Seconds are those of the clock less those for which the reading thread was ready and had no core
(Linux's `schedstat`), so that other processes of the machine change little.
"""

import argparse
import dataclasses
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import fsspec
import numpy as np
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem
from webdataset.tariterators import group_by_keys, tar_file_iterator

from benchmarks import audit
from benchmarks.machine import describe, show
from clipcause.config.datasets import Limits
from clipcause.data import in_place, manifest, place, tar
from clipcause.data.manifest import Manifest
from clipcause.data.shards import IMAGES, split_name
from clipcause.data.sources import webdataset
from clipcause.data.sources.members import Texts
from clipcause.data.stream import Reader

LATENCY = 0.02  # seconds of a request
BANDWIDTH = 1e8  # bytes a second
SAMPLES = 2_000  # of a tar
FEW = (10, 200)


class DelayedFile(AbstractBufferedFile):
    """A file of the store: what its cache lacks is a request."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self.fs.cat_file(self.path, start, end)


class Delayed(AbstractFileSystem):
    """Files of this machine behind the delays of an object store; counts requests and bytes."""

    protocol = "delayed"
    requests = 0
    sent = 0
    counting = threading.Lock()

    @classmethod
    def request(cls, size: int = 0) -> None:
        with cls.counting:
            cls.requests += 1
            cls.sent += size
        time.sleep(LATENCY + size / BANDWIDTH)

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        self.request()
        status = Path(path).stat()
        return {
            "name": path, "size": status.st_size, "type": "file", "mtime": status.st_mtime_ns
        }  # fmt: skip

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **_: Any
    ) -> bytes:
        with Path(path).open("rb") as stream:
            stream.seek(start or 0)
            content = stream.read(-1 if end is None else end - (start or 0))
        self.request(len(content))
        return content

    def _open(self, path: str, *arguments: Any, **options: Any) -> DelayedFile:
        return DelayedFile(self, path, *arguments, **options)


def made(folder: Path, tars: int) -> Manifest:
    """A pool of tars that are read in place."""
    for number in range(tars):
        audit.write(folder / f"{number:05d}.tar", SAMPLES, 0)
    task = webdataset.Audit(str(folder), Limits(), Texts())
    parts = (webdataset.read_tar(task, item) for item in webdataset.tars(str(folder), "*.tar"))
    in_place.write(folder / "pool", str(folder), parts, max_drop_fraction=0.0)
    return manifest.read(folder / "pool")


def fresh(pool: Manifest) -> Manifest:
    """The pool as a stage opens it: no shard of it has been read."""
    return Manifest(pool.folder, pool.sha256, pool.shards, pool.source)


def seeking(pool: Manifest) -> Iterator[tuple[int, bytes]]:
    return pool.images()


def in_turn(pool: Manifest) -> list[tuple[int, bytes]]:
    """The same, and nothing is read ahead."""
    opened = place.opened
    with mock.patch.object(place, "opened", lambda path, *_: opened(path)):
        return list(pool.images())


def parsing(pool: Manifest, *, hashed: bool, ahead: bool = False) -> Iterator[tuple[int, bytes]]:
    """Rows and images by tar headers, as they were read before there was an index."""
    for position in range(len(pool.shards)):
        uids = pool.shard_table(position, ["uid"])["uid"].to_pylist()
        row = 0
        size = pool.shards[position].bytes if ahead else None
        with place.opened(pool.place(position), size) as stream:
            reader = Reader(stream, hashed=hashed)
            for member in tar.members(reader, lambda name, _: split_name(name)[1] in IMAGES):
                if member.content is not None:
                    assert manifest.uid(member.content) == uids[row]
                    yield pool.starts[position] + row, member.content
                    row += 1
            if hashed:
                assert reader.finish()[0] == pool.shards[position].sha256


def by_webdataset(pool: Manifest) -> Iterator[tuple[int, bytes]]:
    """The same by webdataset's reader."""
    for position in range(len(pool.shards)):
        with place.opened(pool.place(position)) as stream:
            opened: Any = stream  # the annotation there is wrong
            members = (member | {"__url__": ""} for member in tar_file_iterator(opened))
            for row, sample in enumerate(group_by_keys(members), pool.starts[position]):
                yield row, sample["jpg"]


def picked(found: Iterator[tuple[int, bytes]], rows: list[int]) -> list[bytes]:
    """The images of a few rows of a pass, which ends with the last of them."""
    chosen = set(rows)
    images: dict[int, bytes] = {}
    for row, image in found:
        if row in chosen:
            images[row] = image
            if len(images) == len(chosen):
                break
    return [images[row] for row in rows]


def passes(pool: Manifest, few: list[list[int]]) -> dict[str, dict[str, Callable[[], Any]]]:
    """What is timed, by what is read and how."""
    first, later = fresh(pool), fresh(pool)
    for _ in seeking(later):
        pass  # from here on its shards' hashes are known
    return {
        "first pass": {
            "index": lambda: list(seeking(fresh(first))),
            "index, in turn": lambda: in_turn(fresh(first)),
            "headers": lambda: list(parsing(first, hashed=True)),
            "headers, ahead": lambda: list(parsing(first, hashed=True, ahead=True)),
            "webdataset": lambda: list(by_webdataset(first)),
        },
        "later pass": {
            "index": lambda: list(seeking(later)),
            "index, in turn": lambda: in_turn(later),
            "headers": lambda: list(parsing(later, hashed=False)),
            "headers, ahead": lambda: list(parsing(later, hashed=False, ahead=True)),
            "webdataset": lambda: list(by_webdataset(later)),
        },
    } | {f"{len(rows)} images": some(pool, rows) for rows in few}


def some(pool: Manifest, rows: list[int]) -> dict[str, Callable[[], Any]]:
    """The ways to a few rows' images."""
    return {
        "index": lambda: fresh(pool).image(rows),
        "headers": lambda: picked(parsing(pool, hashed=False), rows),
        "webdataset": lambda: picked(by_webdataset(pool), rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tars", type=int, default=5, help=f"of {SAMPLES} samples each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path, help="write the table here as well")
    arguments = parser.parse_args()
    fsspec.register_implementation("delayed", Delayed, clobber=True)
    lines = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        local = made(folder, arguments.tars)
        size = sum(shard.bytes for shard in local.shards)
        random = np.random.default_rng(0)
        few = [np.sort(random.choice(len(local), count, replace=False)).tolist() for count in FEW]
        remote = dataclasses.replace(local, source=f"delayed://{folder}")
        for store, pool in (("disk", local), ("object store", remote)):
            for what, ways in passes(pool, few).items():
                if pool is local:  # nothing is read ahead
                    ways = {name: way for name, way in ways.items() if ", " not in name}
                lines += measured(store, what, ways, arguments.rounds)
    text = (
        "# Reading a pool by its member index\n\n"
        f"`python -m benchmarks.member_index --tars {arguments.tars}` on "
        f"{describe('fsspec', 'pyarrow', 'webdataset')}. "
        f"Medians of {arguments.rounds} rounds in turns, without waiting for a core, one process, "
        f"{len(local):,} samples in {arguments.tars} tars ({size / 1e6:,.0f} MB, in the page "
        f"cache). A request to the object store takes {LATENCY * 1000:.0f} ms and a second for "
        f"each {BANDWIDTH / 1e6:.0f} MB, however many there are at once.\n\n"
        "| from | what | by | seconds | CPU seconds | time, of the index | requests | MB |\n"
        "|---|---|---|---:|---:|---:|---:|---:|\n" + "".join(lines)
    )
    show(text, arguments.write)


def clock() -> float:
    """Seconds, without those for which this thread waited for a core."""
    queue = Path("/proc/thread-self/schedstat")
    waited = int(queue.read_text().split()[1]) / 1e9 if queue.exists() else 0.0
    return time.perf_counter() - waited


def measured(
    store: str, what: str, ways: dict[str, Callable[[], Any]], rounds: int
) -> Iterator[str]:
    """The lines of one kind of reading; every way must find the same images."""
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    asked: dict[str, tuple[int, int]] = {}
    for _ in range(rounds):
        expected = None
        for name, read in ways.items():
            Delayed.requests = Delayed.sent = 0
            start, spent = clock(), time.process_time()
            found = read()
            took[name].append((clock() - start, time.process_time() - spent))
            asked[name] = Delayed.requests, Delayed.sent
            expected = found if expected is None else expected
            assert found == expected, f"{store}, {what}: {name} found other images"
    seconds = {
        name: [statistics.median(part) for part in zip(*times, strict=True)]
        for name, times in took.items()
    }
    for name, (wall, cpu) in seconds.items():
        requests, size = asked[name]
        ratio = wall / seconds["index"][0]
        sent = f"{requests} | {size / 1e6:,.1f}" if requests else "| "
        yield f"| {store} | {what} | {name} | {wall:.3f} | {cpu:.3f} | {ratio:.2f} | {sent} |\n"


if __name__ == "__main__":
    main()
