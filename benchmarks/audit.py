"""Samples audited a second by `prepare`'s reading of tars, whole ones and ones full of damage.

    python -m benchmarks.audit --write benchmarks/audit.md

Tars of 10,000 samples as img2dataset writes them (JPEG of 256 pixels, txt, json) are read by one
process, in turns: whole; with 1,000 samples that are damaged in four ways; and, for comparison, by
a bare loop of webdataset's own readers that decodes the same images and hashes nothing.
"""

import argparse
import io
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from PIL import Image
from webdataset.tariterators import group_by_keys, tar_file_iterator
from webdataset.writer import TarWriter

from benchmarks.machine import describe, show
from clipcause.config.datasets import Limits
from clipcause.data.sources import audit, webdataset
from clipcause.data.sources.audit import DRAFT
from clipcause.data.sources.members import Texts
from clipcause.icons import catalogue, raster

POOL = catalogue.FOLDER / "pool.parquet"
SIDE = 256
DRAWN = 500


def images() -> list[bytes]:
    """Icons as JPEG files."""
    encoded = []
    for svg in catalogue.read(POOL)["svg"].slice(0, DRAWN).to_pylist():
        stream = io.BytesIO()
        Image.fromarray(raster.on_white(raster.rasterise(svg, SIDE))).save(stream, "JPEG")
        encoded.append(stream.getvalue())
    return encoded


def samples(count: int, damaged: int) -> Iterator[dict[str, Any]]:
    """Samples of which ``damaged``, evenly spread, cannot be used."""
    known = images()
    harms = [
        {"jpg": b"<html>404</html>" * 500},
        {"txt": b"", "json": b"{}"},
        {"txt": b"caf\xe9"},
    ]
    every = count // damaged if damaged else count + 1
    for number in range(count):
        image = known[number % len(known)]
        text = f"icon number {number} on white"
        facts = {"caption": text, "url": f"https://example.com/{number}", "status": "success"}
        sample = {"jpg": image, "txt": text.encode(), "json": json.dumps(facts).encode()}
        if number % every == every - 1:
            harm = number // every % (len(harms) + 1)
            sample |= harms[harm] if harm < len(harms) else {"jpg": image[: len(image) // 2]}
        yield {"__key__": f"{number:09d}", **sample}


def write(path: Path, count: int, damaged: int) -> None:
    with path.open("wb") as stream, TarWriter(stream, mtime=0) as writer:
        for sample in samples(count, damaged):
            writer.write(sample)


def audited(folder: Path, name: str) -> int:
    """Samples that were found, usable or not."""
    task = webdataset.Audit(str(folder), Limits(), Texts())
    (item,) = webdataset.tars(str(folder), name)
    part = webdataset.read_tar(task, item)
    return part.rows.num_rows + len(part.drops)


def bare(folder: Path, name: str) -> int:
    """The same images by webdataset's readers and Pillow."""
    count = 0
    with (folder / name).open("rb") as stream:
        opened: Any = stream
        members = (member | {"__url__": name} for member in tar_file_iterator(opened))
        for count, sample in enumerate(group_by_keys(members), 1):  # noqa: B007
            picture = Image.open(io.BytesIO(sample["jpg"]), formats=audit.OPENED)
            picture.draft(None, (picture.width // DRAFT, picture.height // DRAFT))
            picture.load()
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--damaged", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path, help="write the table here as well")
    arguments = parser.parse_args()
    ways = {
        "audit of a whole tar": ("whole.tar", audited),
        "audit of a damaged tar": ("damaged.tar", audited),
        "bare loop over the whole tar": ("whole.tar", bare),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(folder / "whole.tar", arguments.samples, 0)
        write(folder / "damaged.tar", arguments.samples, arguments.damaged)
        size = (folder / "whole.tar").stat().st_size
        for _ in range(arguments.rounds):
            for name, (tar, read) in ways.items():
                start = time.perf_counter()
                found = read(folder, tar)
                seconds[name].append(time.perf_counter() - start)
                assert found == arguments.samples, (name, found)
    took = {name: median(times) for name, times in seconds.items()}
    whole = took["audit of a whole tar"]
    rows = "".join(
        f"| {name} | {arguments.samples / s:,.0f} | {s / whole:.2f} |\n" for name, s in took.items()
    )
    text = (
        "# Auditing tars\n\n"
        f"`python -m benchmarks.audit` on {describe('pillow', 'webdataset', 'pyarrow')}. Medians "
        f"of {arguments.rounds} rounds in turns, one process, {arguments.samples:,} samples a tar "
        f"({size / 1e6:,.0f} MB), {arguments.damaged:,} of them damaged in the second.\n\n"
        "| reading | samples a second | time, of the first |\n|---|---:|---:|\n"
        f"{rows}"
    )
    show(text, arguments.write)


if __name__ == "__main__":
    main()
