"""Writing a subset of a pool as shards: `export` beside DataComp's resharder.

    python -m benchmarks.export                                             # ours alone
    python -m benchmarks.export --datacomp FOLDER --python PYTHON --write benchmarks/export.md

Both read the same tars, as img2dataset writes them for DataComp (photograph-like JPEG of 256
pixels, txt, json with `uid`), and write the same half of the pool, rows at random by a seed, in
turns, with one worker and the same number of samples a shard. The resharder's subset is what
`python -m clipcause subset` writes; ours is the split. What was written is compared every time: the
samples by their uid, every picture, caption and JSON, byte for byte and against the pool.

What each reads differs. The resharder reads and parses all members of all tars, and hashes nothing.
Ours reads manifest and member index beside the tars, and all of the tars too, for it compares the
SHA-256 of each with the manifest's, and of every picture the BLAKE2b; it writes the SHA-256 of its
shards, and waits until the disk has them. The manifest is made once, by `prepare`, and not counted.

``FOLDER`` is a clone of https://github.com/mlfoundations/datacomp, ``PYTHON`` an interpreter that
has what its `resharder.py` imports (this one if not given). Each runs in a process of its own, from
its function `main`; what it imports is imported before, and counted in the last column alone. The
last lines are of a pool four times as large, once: what a start costs weighs less there.
``TMPDIR=/dev/shm`` leaves the disk out, which the resharder does not wait for.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import yaml
from webdataset.writer import TarWriter

from benchmarks.machine import describe, show
from benchmarks.prepare import DRAWN, SIDE, pictures
from clipcause.config import layout
from clipcause.config.datasets import Limits
from clipcause.data import in_place, manifest
from clipcause.data.shards import split_name
from clipcause.data.sources import webdataset
from clipcause.data.sources.members import Texts
from clipcause.prune import listed, split
from clipcause.runtime.code import ROOT

SHARD = 1_000  # samples of a tar, read and written
SEED = 0
LARGER = 4  # times the samples, once
NAME = "half"
OURS, THEIRS = "export", "DataComp's resharder"
TARS, SUBSET = "tars", f"{NAME}.npy"
# what both programs end with: seconds of `main`, its CPU seconds, those of the whole process
CLOCK = """
import gc, json, os, sys, time
def spent():
    return sum(os.times()[:4])  # with the processes that it started and waited for
def timed(main):
    before, start = spent(), time.perf_counter()
    main()
    seconds = time.perf_counter() - start
    gc.collect()  # the resharder's manager is a process that ends with its last name
    print(json.dumps([seconds, spent() - before, spent()]))
"""
# imported by ours when it is needed: by the writer of shards, and by pyarrow for a NumPy array
EXPORT = f"""{CLOCK}
import pandas, webdataset.writer
from stages import export
timed(lambda: export.main(sys.argv[1]))
"""
RESHARD = f"""{CLOCK}
sys.path.insert(0, sys.argv.pop(1))
import resharder
timed(lambda: resharder.main(resharder.parser.parse_args()))
"""
FORMATS = ("--shard-format", "{:05d}.tar", "--shard-stats-format", "{:05d}_stats.json")
PACKAGES = ("webdataset", "pysimdjson", "numpy")
VERSIONS = f"""
from importlib.metadata import version
print(", ".join(f"{{name}} {{version(name)}}" for name in {PACKAGES}))
"""


class Took(NamedTuple):
    """What a run took: wall and CPU seconds without imports, CPU seconds with them."""

    seconds: float
    cpu: float
    whole: float


class Sample(NamedTuple):
    """What a sample of a tar has; ``facts`` without what an export adds to the pool's JSON."""

    image: str  # its SHA-256
    caption: bytes
    facts: str


def write_tars(folder: Path, count: int) -> None:
    """The pool's tars and their statistics, as img2dataset writes them of DataComp's metadata."""
    folder.mkdir()
    known, random = pictures(), np.random.default_rng(SEED)
    for shard, start in enumerate(range(0, count, SHARD)):
        rows = range(start, min(start + SHARD, count))
        path = folder / f"{shard:05d}.tar"
        with path.open("wb") as stream, TarWriter(stream, mtime=0) as writer:
            for row in rows:
                key, caption = f"{shard:05d}{row - start:04d}", f"picture number {row}"
                facts = {
                    "uid": random.bytes(16).hex(),
                    "url": f"https://example.com/pictures/{row}.jpg",
                    "key": key,
                    "caption": caption,
                    "status": "success",
                    "error_message": None,
                    "width": SIDE,
                    "height": SIDE,
                    "original_width": 2 * SIDE,
                    "original_height": 2 * SIDE,
                    "exif": "{}",
                    "sha256": hashlib.sha256(known[row % DRAWN]).hexdigest(),
                }
                texts = {"txt": caption.encode(), "json": json.dumps(facts, indent=4).encode()}
                writer.write({"__key__": key, "jpg": known[row % DRAWN], **texts})
        stats = {"count": len(rows), "successes": len(rows)}
        path.with_name(f"{path.stem}_stats.json").write_text(json.dumps(stats))


def make(folder: Path, count: int) -> int:
    """A study of the pool with an export of half of it, and the list of the same rows beside; how
    many these are."""
    source = folder / TARS
    write_tars(source, count)
    # they are whole, which need not be tried
    task = webdataset.Audit(str(source), Limits(decode="header"), Texts())
    found = webdataset.tars(str(source), "*.tar")
    parts = (webdataset.read_tar(task, item) for item in found)
    place = folder / layout.dataset(layout.POOL)
    in_place.write(place, str(source), parts, max_drop_fraction=0.0)
    pool = manifest.read(place)
    rows = np.random.default_rng(SEED).permutation(len(pool))[: len(pool) // 2]
    split.write(folder / layout.split(NAME), rows, card={"pool": pool.sha256})
    listed.write(folder / SUBSET, split.from_rows(rows), pool, "uid")
    parameters = {
        "splits": {NAME: {"rule": "none"}},
        "exports": {NAME: {"split": NAME, "shard_size": SHARD}},
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(parameters))
    return len(rows)


def run(words: list[str], where: Path, **environment: str) -> Took:
    """One of the two programs in a process of its own."""
    done = subprocess.run(
        words, cwd=where, env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{words[0]}: exit status {done.returncode}\n{done.stderr[-2000:]}")
    return Took(*json.loads(done.stdout.splitlines()[-1]))


def export(study: Path, out: Path) -> Took:
    """Our stage, whose export then becomes ``out``."""
    took = run([sys.executable, "-c", EXPORT, NAME], study, PYTHONPATH=str(ROOT))
    (study / layout.export(NAME)).rename(out)
    return took


def reshard(study: Path, out: Path, datacomp: Path, python: Path) -> Took:
    """DataComp's `resharder.py` of the same tars and rows."""
    out.mkdir()
    places = ["--input-dir", TARS, "--output-dir", str(out), "--subset-file", SUBSET]
    sizes = ["--num-workers", "1", "--shard-size", str(SHARD)]
    words = [str(python), "-c", RESHARD, str(datacomp), *places, *sizes, *FORMATS]
    # of its packages one asks the network for a newer version, unless it is told not to
    return run(words, study, PYTHONPATH="", NO_ALBUMENTATIONS_UPDATE="1")


def samples(folder: Path) -> Iterator[tuple[str, Sample]]:
    """The samples of all tars of a folder, by uid."""
    for path in sorted(folder.glob("*.tar")):
        found = defaultdict[str, dict[str, bytes]](dict)
        with tarfile.open(path) as tar:
            for member in tar:
                key, extension = split_name(member.name)
                content = tar.extractfile(member)
                assert content is not None, f"{path}: {member.name}"
                found[key][extension] = content.read()
        for one in found.values():
            facts = json.loads(one["json"])
            facts.pop("clipcause", None)
            image = hashlib.sha256(one["jpg"]).hexdigest()
            yield facts["uid"], Sample(image, one["txt"], json.dumps(facts, sort_keys=True))


def check(out: Path, expected: dict[str, Sample]) -> None:
    """Raise ``ValueError`` where a program wrote anything but the ``expected`` samples, each
    once."""
    found = list(samples(out))
    unlike = [uid for uid, one in found if expected.get(uid) != one]
    if unlike or len(found) != len(expected) or dict(found) != expected:
        raise ValueError(
            f"{out}: {len(found):,} samples, {len(expected):,} are in the subset; "
            f"{len(unlike):,} are not as the pool has them, the first has the uid {unlike[:1]}"
        )


def of_subset(study: Path) -> dict[str, Sample]:
    """The samples of the list, as the pool's tars have them."""
    pairs = np.load(study / SUBSET)
    uids = {f"{high:016x}{low:016x}" for high, low in pairs.tolist()}
    expected = {uid: one for uid, one in samples(study / TARS) if uid in uids}
    assert len(expected) == len(uids), "the list names what the pool does not have"
    return expected


def said(words: list[str], where: Path | None = None) -> str:
    """What a command prints."""
    done = subprocess.run(words, cwd=where, capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Pool(NamedTuple):
    """A pool's size and that of the subset, and what each program took, round by round."""

    samples: int
    megabytes: float
    kept: int
    took: dict[str, list[Took]]


def measured(samples: int, rounds: int, datacomp: Path | None, python: Path) -> Pool:
    """Both programs in turns on one pool; raises where one wrote other samples."""
    took = defaultdict[str, list[Took]](list)
    with tempfile.TemporaryDirectory() as temporary:
        study = Path(temporary)
        kept = make(study, samples)
        size = sum(path.stat().st_size for path in (study / TARS).glob("*.tar")) / 1e6
        expected = of_subset(study)
        for number in range(rounds):
            out = study / f"ours-{number}"
            took[OURS].append(export(study, out))
            check(out, expected)
            shutil.rmtree(out)
            if datacomp is not None:
                out = study / f"theirs-{number}"
                took[THEIRS].append(reshard(study, out, datacomp, python))
                check(out, expected)
                shutil.rmtree(out)
    return Pool(samples, size, kept, took)


def lines(pool: Pool) -> Iterator[str]:
    """The rows of the table that are about a pool."""
    medians = {
        name: Took(*(median(times) for times in zip(*runs, strict=True)))
        for name, runs in pool.took.items()
    }
    base = medians.get(THEIRS)
    for name, (wall, cpu, whole) in medians.items():
        by_wall, by_cpu = (
            ("", "") if base is None else (f"{base.seconds / wall:.2f}", f"{base.cpu / cpu:.2f}")
        )
        yield (
            f"| {name} | {pool.kept:,} of {pool.samples:,} | {pool.kept / wall:,.0f} | {by_wall} | "
            f"{pool.kept / cpu:,.0f} | {by_cpu} | {cpu:.2f} | {whole:.2f} |\n"
        )


def main() -> None:
    """Measure them; print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=10_000, help="of the pool")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--datacomp", type=Path, help="a clone to stand beside")
    parser.add_argument("--python", type=Path, help="with --datacomp, the interpreter that runs it")
    parser.add_argument("--write", type=Path, help="write the table here as well")
    parser.add_argument("--note", default="", help="of what else the machine did, for the table")
    arguments = parser.parse_args()
    datacomp = arguments.datacomp.absolute() if arguments.datacomp else None
    # not resolved: a virtual environment's interpreter is a link
    python = arguments.python.absolute() if arguments.python else Path(sys.executable)
    options = beside = ""
    if datacomp is not None:
        options = " --datacomp FOLDER --python PYTHON"
        commit = said(["git", "rev-parse", "--short=12", "HEAD"], datacomp)
        versions = said([str(python), "-c", VERSIONS])
        beside = (
            f" The resharder is that of DataComp's commit {commit}, with {versions}; it hashes "
            "nothing."
        )
    one = measured(arguments.samples, arguments.rounds, datacomp, python)
    larger = measured(LARGER * arguments.samples, 1, datacomp, python)
    rows = "".join((*lines(one), *lines(larger)))
    text = (
        "# Exporting half of a pool\n\n"
        f"`python -m benchmarks.export{options}` on {describe('pyarrow', 'webdataset')}.{beside} "
        "Ours compares the SHA-256 of every tar and the BLAKE2b of every picture with the "
        "manifest, and waits for the disk. "
        f"Medians of {arguments.rounds} rounds in turns, the larger pool once; one worker, tars of "
        f"{SHARD:,} samples ({one.megabytes:,.0f} MB, in the page cache) and shards of as many; "
        "rates are of samples written. In every round uids, pictures, captions and JSON of all "
        "samples were compared with the pool's. Where other work shares the cores, CPU seconds are "
        f"what can be compared.{arguments.note and ' ' + arguments.note}\n\n"
        "| | samples | a second | of the resharder's | a CPU second | of the resharder's | CPU s | "
        f"CPU s with imports |\n|---|---:|---:|---:|---:|---:|---:|---:|\n{rows}"
    )
    show(text, arguments.write)


if __name__ == "__main__":
    main()
