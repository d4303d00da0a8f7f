"""`prepare` of 10,000 JPEG pictures: tars beside Parquet, and the version before beside this one.

    python -m benchmarks.prepare --write benchmarks/prepare.md

The same samples (photograph-like JPEG of 256 pixels, caption, URL) lie in one tar as img2dataset
writes it, in Parquet as Hugging Face's `datasets` does (a struct of bytes and path, row groups of
1,000), and in Parquet as img2dataset does (a column of bytes, groups of 100, Snappy). The whole
stage runs in turns, in a process of its own with an empty shard cache and one worker; imports are
not counted. The last line is one file of four times as many rows, once, for the memory.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image
from webdataset.writer import TarWriter

from benchmarks.machine import describe, show
from clipcause.runtime.code import ROOT

BASE = "6d7dfaf"
LARGER = "Parquet of the hub, four times the rows"
SIDE, DRAWN = 256, 500
# runs the stage and says what it took; the peak is Linux's word for this program alone, for that of
# getrusage begins with the memory of whoever started it
STAGE = """
import json, pathlib, re, runpy, sys, time
import stages.prepare
sys.argv = ["prepare", "pool"]
wall, cpu = time.perf_counter(), time.process_time()
runpy.run_path(stages.prepare.__file__, run_name="__main__")
peak = re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]
took = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps([*took, int(peak) / 1024]))
"""
IMG2DATASET = {"image": "jpg", "caption": "caption", "key": "key", "url": "url"}
TAR, HUB = {"source": "webdataset"}, {"source": "parquet"}


class Took(NamedTuple):
    """What a run of the stage took."""

    seconds: float
    cpu: float
    mebibytes: float


def pictures() -> list[bytes]:
    """JPEG files with the frequencies of photographs, about 20 kB each."""
    random = np.random.default_rng(0)
    encoded = []
    for _ in range(DRAWN):
        whole = np.zeros((SIDE, SIDE, 3))
        for cells in (4, 16, 64, SIDE):
            coarse = random.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
            whole += np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE))) / cells**0.5
        stream = io.BytesIO()
        scaled = (255 * (whole - whole.min()) / np.ptp(whole)).astype(np.uint8)
        Image.fromarray(scaled).save(stream, "JPEG", quality=90)
        encoded.append(stream.getvalue())
    return encoded


def write(folder: Path, count: int, known: list[bytes]) -> None:
    """The samples in every form, each in a folder."""
    rows = range(count)
    images = [known[row % DRAWN] for row in rows]
    texts = [f"picture number {row}" for row in rows]
    urls = [f"https://example.com/{row}" for row in rows]
    keys = [f"{row:09d}" for row in rows]
    for name in ("tar", "hub", "img2dataset"):
        (folder / name).mkdir(parents=True)
    with (folder / "tar/00000.tar").open("wb") as stream, TarWriter(stream, mtime=0) as writer:
        for key, image, text, url in zip(keys, images, texts, urls, strict=True):
            facts = json.dumps({"caption": text, "url": url, "key": key}).encode()
            writer.write({"__key__": key, "jpg": image, "txt": text.encode(), "json": facts})
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = pa.array([{"bytes": one, "path": None} for one in images], struct)
    hub, plain = pa.table({"image": cells, "text": texts, "url": urls}), {"key": keys, "url": urls}
    pq.write_table(
        hub, folder / "hub/train.parquet", 1000, use_dictionary=["text"], write_batch_size=16,
        compression={"image.bytes": "NONE", "text": "SNAPPY"},
    )  # fmt: skip
    own = pa.table({"jpg": images, "caption": texts, **plain})
    pq.write_table(own, folder / "img2dataset/00000.parquet", 100)


def base(folder: Path) -> Path:
    """The tree of the version before."""
    for words in (["clone", "-q", str(ROOT), str(folder)], ["checkout", "-q", BASE]):
        where = ROOT if words[0] == "clone" else folder
        subprocess.run(["git", *words], cwd=where, check=True)
    return folder


def study(folder: Path) -> Path:
    """A folder to run this version's stage in."""
    (folder / "data/classes").mkdir(parents=True)
    (folder / "data/none").touch()
    parameters = yaml.safe_load((ROOT / "studies/own/params.yaml").read_text())
    (folder / "params.yaml").write_text(yaml.safe_dump(parameters))
    return folder


def run(tree: Path, code: Path, entry: dict[str, Any], place: Path) -> Took:
    """The stage once in ``tree``, by the code of a version."""
    path = tree / "params.yaml"
    parameters = yaml.safe_load(path.read_text())
    entry = {"raw": "data/none", "place": str(place), "embeddings": "none", **entry}
    parameters["datasets"]["pool"] = entry
    path.write_text(yaml.safe_dump(parameters))
    with tempfile.TemporaryDirectory() as kept:
        environment = os.environ | {
            "PYTHONPATH": str(code), "CLIPCAUSE_SHARDS": kept, "OMP_NUM_THREADS": "1"
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", STAGE], cwd=tree, env=environment, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{code}: {entry}: exit status {done.returncode}\n{done.stderr[-2000:]}")
    return Took(*json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure them; print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path, help="write the table here as well")
    arguments = parser.parse_args()
    count, known = arguments.samples, pictures()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        before, now = base(folder / "base"), study(folder / "study")
        for times in (1, 4):
            write(folder / f"{times}", times * count, known)
        one, took = folder / "1", defaultdict[str, list[Took]](list)
        for _ in range(arguments.rounds):
            took[f"tar, commit {BASE}"].append(run(before, before, TAR, one / "tar"))
            took["tar"].append(run(now, ROOT, TAR, one / "tar"))
            took["Parquet of the hub"].append(run(now, ROOT, HUB, one / "hub"))
            other = run(now, ROOT, HUB | IMG2DATASET, one / "img2dataset")
            took["Parquet of img2dataset"].append(other)
        took[LARGER].append(run(now, ROOT, HUB, folder / "4/hub"))
        size = (one / "tar/00000.tar").stat().st_size / 1e6
    rows = ""
    tar = [median(times) for times in zip(*took["tar"], strict=True)]
    for name, runs in took.items():
        samples = 4 * count if name == LARGER else count
        wall, cpu, _ = (median(times) for times in zip(*runs, strict=True))
        rate, of_cpu = samples / wall, samples / cpu
        rows += (
            f"| {name} | {rate:,.0f} | {rate * tar[0] / count:.2f} | {of_cpu:,.0f} | "
            f"{of_cpu * tar[1] / count:.2f} | {max(one.mebibytes for one in runs):,.0f} |\n"
        )
    text = (
        "# Preparing tars and Parquet\n\n"
        f"`python -m benchmarks.prepare` on {describe('pillow', 'pyarrow', 'webdataset')}. Medians "
        f"of {arguments.rounds} rounds in turns, one worker, {count:,} pictures ({size:,.0f} MB as "
        "a tar). Where other work shares the cores, CPU seconds are what can be compared.\n\n"
        "| read | samples a second | of the tar's | samples a CPU second | of the tar's | most "
        f"memory, MiB |\n|---|---:|---:|---:|---:|---:|\n{rows}"
    )
    show(text, arguments.write)


if __name__ == "__main__":
    main()
