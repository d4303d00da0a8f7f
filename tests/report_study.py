"""A whole small study, written through the artifact modules, for the tests of the report."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml
from PIL import Image, ImageDraw

from clipcause.config import layout, section
from clipcause.config.report import Report
from clipcause.data import dataset, duplicates, manifest
from clipcause.embed import checkpoint, embeddings
from clipcause.evaluate import predictions
from clipcause.prune import split
from clipcause.prune.rules.hull import hull
from clipcause.prune.sampling import sample
from clipcause.report import content, study
from clipcause.report.inputs import Inputs
from clipcause.runtime import atomic
from clipcause.search import density, gap, scores
from stages import analyse, report

CLASSES = ("cat", "key", "sun")
TESTS = ("val", "sketch")
SPLITS = {
    "full": {"rule": "none", "base": "dedup", "of": "none", "with": "none"},
    "hull-sketch": {
        "rule": "hull", "base": "dedup", "tests": ["sketch"], "of": "none", "with": "none",
    },
    "random-hull-sketch": {
        "rule": "random", "base": "dedup", "of": "hull-sketch", "with": "none", "seed": 0,
    },
}  # fmt: skip
RUNS = {
    "full-0": {"split": "full", "objective": "clip", "seed": 0},
    "hull-sketch-0": {"split": "hull-sketch", "objective": "clip", "seed": 0},
    "random-hull-sketch-0": {"split": "random-hull-sketch", "objective": "clip", "seed": 0},
    "supervised": {"split": "none", "objective": "supervised", "seed": 0},
}
REPORT = {
    "resamples": 200,
    "seed": 0,
    "bin_width": 0.1,
    "least_per_bin": 3,
    "histogram_width": 0.1,
    "removed": 3,
    "neighbours": 2,
    "duplicates": 2,
}
SIZES = {"pool": 120, "reference": 24, "val": 30, "sketch": 30}
ENCODER = "e" * 64
BANDS = [0.02, 0.1]


def inputs():
    """What tables of the study below the current folder are made from."""
    return Inputs(study.load(), section("report", Report))


def collected():
    """Analyse that study; what its page and figures show."""
    analyse.main()
    return content.load()


def reported():
    """Analyse it and write its report."""
    analyse.main()
    return report.main()


def icon(label: int, shade: int) -> bytes:
    """A small PNG: one shape a class."""
    picture = Image.new("RGB", (16, 16), "white")
    draw = ImageDraw.Draw(picture)
    ink = (shade, 90, 200 - shade // 2)
    shapes = (draw.ellipse, draw.rectangle, draw.rounded_rectangle)
    shapes[label]((3, 3, 12, 8 + label), fill=ink)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def make_role(role: str, count: int, dim: int = 12):
    """Images, captions, labels and unit vectors that scatter about their class's centre."""
    rng = np.random.default_rng([len(role), count])
    centre_CD = np.random.default_rng(1).standard_normal((len(CLASSES), dim))
    label_N = rng.integers(0, len(CLASSES), count)
    drift = {"sketch": 0.5, "reference": 0.2}.get(role, 0.4)
    vectors = centre_CD[label_N] + drift * rng.standard_normal((count, dim))
    vectors += {"sketch": 0.8, "pool": 0.4}.get(role, 0.0) * np.ones(dim)
    images = [icon(int(label), int(rng.integers(0, 255))) for label in label_N]
    labels = [CLASSES[label] for label in label_N]
    captions = [f"{label} & <{role}> {row}" for row, label in enumerate(labels)]
    return images, captions, labels, vectors


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def write_study(
    *,
    splits=None,
    runs=None,
    report=None,
    tests=TESTS,
    roles=None,
    has_duplicates=True,
    add_reference=True,
    chosen=None,
    facts=None,
    encoder="full-0",
):
    """Write a study below the current folder. ``roles`` replaces the images of a role, ``chosen``
    the rows of splits by rules that are not made here: a function of entry, base and labels;
    ``facts``, a function of the same, is what their cards have beside; ``encoder`` is a run."""
    splits, runs = splits or SPLITS, runs or RUNS
    params = {
        "pool": "pool",
        "reference": "reference",
        "encoder": {"name": "clip", "run": encoder},
        "tests": {test: {} for test in tests},
        "splits": splits,
        "runs": runs,
        "report": REPORT | (report or {}),
    }
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    names = {"pool": "pool", "reference": "reference", **{test: f"tests/{test}" for test in tests}}
    vectors, manifests = {}, {}
    for role, name in names.items():
        made = roles[role] if roles else make_role(role, SIZES.get(role, 20))
        vectors[role], manifests[role] = _dataset(role, name, *made)
    _scores(vectors, manifests, tests)
    stored = _splits(splits, manifests["pool"], has_duplicates, chosen, facts)
    _densities(vectors, manifests, tests)
    gaps = _gaps(stored, vectors, tests)
    _runs(runs, manifests, tests, gaps, vectors, add_reference)


def _dataset(role, name, images, captions, labels, vectors):
    samples = [
        dataset.Sample(f"{role}{row}", image, "png", caption, label, 16, 16, f"{role}:{row}")
        for row, (image, caption, label) in enumerate(zip(images, captions, labels, strict=True))
    ]
    dataset.write(layout.dataset(name), samples, shard_size=100_000, max_drop_fraction=0.0)
    stored = manifest.read(layout.dataset(name))
    unit_ND = unit(vectors)
    embeddings.write(layout.embeddings("clip", name), [unit_ND], stored, ENCODER)
    return unit_ND.astype(np.float64), stored


def _scores(vectors, manifests, tests):
    for test in tests:
        to_reference = vectors[test] @ vectors["reference"].T
        to_pool = vectors[test] @ vectors["pool"].T
        reference_sim = to_reference.max(1)
        pool = scores.PoolScores(
            to_pool.max(0).astype(np.float32),
            to_pool.argmax(0).astype(np.int32),
            (to_pool - reference_sim[:, None]).max(0).astype(np.float32),
        )
        of_test = scores.TestScores(
            np.arange(len(to_pool)), reference_sim, to_reference.argmax(1),
            to_pool.max(1), to_pool.argmax(1),
        )  # fmt: skip
        hashes = {role: manifests[role].sha256 for role in ("pool", "reference")}
        card = {"encoder": ENCODER, "test": manifests[test].sha256, **hashes}
        scores.write(layout.similarity("clip", "reference", test), pool, of_test, card)


def _densities(vectors, manifests, tests):
    kept = split.read(layout.split("dedup")).rows
    for test in tests:
        sim = vectors[test] @ vectors["pool"].T
        threshold = (vectors[test] @ vectors["reference"].T).max(1)[:, None]
        counts = []
        for part in (sim, sim[:, kept]):
            inside = [(part > threshold - band) & (part <= threshold) for band in BANDS]
            columns = [part > threshold, *inside]
            names = density.columns(BANDS)
            counts.append({n: one.sum(1) for n, one in zip(names, columns, strict=True)})
        sources = scores.read(layout.similarity("clip", "reference", test)).card
        card = {source: sources[source] for source in density.SOURCES}
        card |= {"bands": BANDS, "base": "dedup", "pool_rows": len(manifests["pool"])}
        folder = layout.density("clip", "reference", test)
        density.write(folder, *counts, card | {"base_rows": len(kept)})


def _splits(entries, pool, has_duplicates, chosen, facts):
    gone = np.array([5, 9, 17]) if has_duplicates else np.array([], np.int64)
    everything = np.arange(len(pool))
    rows = {"all": everything, "dedup": np.setdiff1d(everything, gone)}
    if has_duplicates:
        table = pa.table([gone, gone - 3, [0.91, 0.95, 1.0]], schema=duplicates.SCHEMA)
        duplicates.write(layout.deduplicate(), table, np.zeros((0, 12), np.float16))
    for name, entry in entries.items():
        base = rows[entry["base"]]
        rows[name] = base
        if entry["rule"] == "hull":
            root = layout.similarities("clip", "reference")
            found = scores.read_all(root, entry["tests"])
            margins = {test: [(0, one.pool.margin)] for test, one in found.items()}
            kept_N, _ = hull(np.isin(everything, base), margins, entry.get("delta", 0.0))
            rows[name] = np.flatnonzero(kept_N)
        elif entry["rule"] == "random":
            keep = len(rows[entry["of"]]) if "keep" not in entry else entry["keep"]
            chosen_N = sample(np.isin(everything, base), keep, entry["seed"])
            rows[name] = np.flatnonzero(chosen_N)
        elif entry["rule"] != "none":
            # of any other rule, all that matters is the size
            rows[name] = chosen(entry, base, pool.labels) if chosen else base[::2]
    for name, kept in rows.items():
        card = {"pool": pool.sha256, "pool_rows": len(pool), "rule": "any"}
        if facts and name in entries:
            card |= facts(entries[name], rows[entries[name]["base"]], pool.labels)
        split.write(layout.split(name), kept, card=card)
    return {name: rows[name] for name in entries}


def _gaps(stored, vectors, tests):
    gaps = {}
    for name, rows in stored.items():
        tables = {}
        for test in tests:
            to_split = vectors[test] @ vectors["pool"][rows].T
            both = np.maximum(to_split.max(1), (vectors[test] @ vectors["reference"].T).max(1))
            gaps[name, test] = both
            columns = [np.arange(len(both)), both, to_split.max(1), rows[to_split.argmax(1)]]
            tables[test] = pa.table(columns, schema=gap.SCHEMA)
        gap.write(layout.gap(name), tables)
    return gaps


def _runs(entries, manifests, tests, gaps, vectors, add_reference):
    for number, (run, entry) in enumerate(entries.items()):
        for test in tests:
            alone = (vectors[test] @ vectors["reference"].T).max(1)
            similarity = gaps.get((entry["split"], test), alone)
            predictions.write(
                layout.predictions(run), test, _answers(similarity, manifests[test], number)
            )
        own = split.read(layout.split(entry["split"])) if entry["split"] != "none" else None
        is_added = entry.get("add_reference", add_reference) or entry["split"] == "none"
        card = {
            "fingerprint": f"{number:064x}",
            "files": [],
            "split": dict(own.card) if own else {},
            "training": {
                "objective": entry["objective"],
                "seed": entry.get("seed", 0),
                "reference": manifests["reference"].sha256 if is_added else "none",
            },
        }
        atomic.write_json(layout.model(run) / checkpoint.CARD, card)


def _answers(similarity, source, number):
    """Right where the image is similar enough to the training data, by a noisy margin."""
    labels = source.labels
    known = sorted(set(labels))
    rng = np.random.default_rng(number)
    # the noise is shared by all runs, so that runs differ by their similarity above all
    noise = np.random.default_rng(7).uniform(-0.15, 0.15, len(labels))
    right = similarity + noise + rng.uniform(-0.02, 0.02, len(labels)) > 0.85
    predicted = [
        label if hit else known[(known.index(label) + 1) % len(known)]
        for label, hit in zip(labels, right, strict=True)
    ]
    rank = np.where(right, 1, 2).astype(np.int32)
    chance = np.where(right, 0.8, 0.1).astype(np.float32)
    columns = [np.arange(len(labels)), labels, predicted, chance, rank]
    return pa.table(columns, schema=predictions.SCHEMA)
