"""A small study of the other kind for the tests of the report: class-wise splits of a labelled
long tail, runs that differ by more than their split, class frequencies, metrics of bias."""

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml

from clipcause.captions import frequency
from clipcause.config import layout
from clipcause.data import manifest
from clipcause.evaluate import predictions
from clipcause.runtime import metrics
from tests.report_study import icon, write_study

CLASSES = tuple(f"c{number:02d}" for number in range(24))
NONE = {"of": "none", "with": "none"}
LABEL = {"by": "label", **NONE, "seed": 0}
SPLITS = {
    "full": {"rule": "none", "base": "all", **NONE},
    "labelled": {"rule": "classes", "base": "all", "by": "label", "take": "any", **NONE},
    "half": {"rule": "scale", "base": "labelled", "share": 0.5, **LABEL},
    "quarter": {"rule": "scale", "base": "labelled", "share": 0.25, **LABEL},
    "trim-4-0": {"rule": "trim_tail", "base": "labelled", "tail": 4, "most": 0, **LABEL},
    "trim-8-0": {"rule": "trim_tail", "base": "labelled", "tail": 8, "most": 0, **LABEL},
    "trim-4-1": {"rule": "trim_tail", "base": "labelled", "tail": 4, "most": 1, **LABEL},
    "trim-8-1": {"rule": "trim_tail", "base": "labelled", "tail": 8, "most": 1, **LABEL},
    "similar": {"rule": "threshold", "base": "all", "above": 0.7, **NONE},
    "as-reference": {"rule": "match", "base": "labelled", "to": "reference", "keep": 48, **LABEL},
}
TEMPLATE = {"captions": {"kind": "template"}}
DRAWN = {"vocabulary": {"size": 8}}
FROZEN = {"text": "frozen", "text_from": "clip-0", **DRAWN}


def _runs():
    runs = {}
    for seed in (0, 1):
        for split, name in (("full", "pool"), ("labelled", "clip"), ("half", "clip-half")):
            runs[f"{name}-{seed}"] = {"split": split, "objective": "clip", "seed": seed}
    for split in SPLITS:
        if split not in ("full", "similar", "as-reference"):
            entry = {"split": split, "objective": "supervised", "seed": 0}
            runs[f"sup-{split}"] = entry
            runs[f"sup-frozen-{split}"] = {**entry, **FROZEN}
        if split not in ("full", "labelled", "half"):
            runs[f"clip-{split}"] = {"split": split, "objective": "clip", "seed": 0}
    at = {"split": "labelled", "seed": 0}
    runs["template"] = {**at, "objective": "clip", **TEMPLATE}
    runs["drawn"] = {**at, "objective": "supervised", **DRAWN}
    runs["dino"] = {**at, "objective": "dino"}
    runs["dino-16"] = {**at, "objective": "dino", "prototypes": 16}
    return runs


RUNS = _runs()
SHOTS = [1, 2]
PROBE = {"data": "reference", "split": "none", "shots": SHOTS, "draws": 2, "regularisation": [0.1]}
PROBES = {run: {"run": run, **PROBE} for run in ("dino", "clip-0")}


def _role(role, counts, unlabelled=0):
    rng = np.random.default_rng(len(role))
    labels = [key for key, count in zip(CLASSES, counts, strict=True) for _ in range(count)]
    centre_CD = np.random.default_rng(1).standard_normal((len(CLASSES), 8))
    label_N = np.array([CLASSES.index(label) for label in labels])
    vectors = centre_CD[label_N] + 0.5 * rng.standard_normal((len(labels), 8))
    vectors = np.concatenate([vectors, rng.standard_normal((unlabelled, 8))])
    images = [icon(int(at) % 3, (int(at) * 37) % 255) for at in label_N]
    images += [icon(0, 9)] * unlabelled
    captions = [f"a {label} of the {role}" for label in labels]
    captions += [f"only mentions {CLASSES[at % 5]}" for at in range(unlabelled)]
    return images, captions, [*labels, *[None] * unlabelled], vectors


def natural_counts():
    """A long tail: 60, 30, 20 … and one class without a row."""
    return [60 // rank if rank < len(CLASSES) else 0 for rank in range(1, len(CLASSES) + 1)]


def chosen(entry, base, labels):
    """Rows by about the rule: shares, trimmed tails, labelled rows, half of the base."""
    of = np.array([labels[row] or "" for row in base])
    if entry["rule"] == "classes":
        return base[of != ""]
    if entry["rule"] == "scale":
        return base[:: round(1 / entry["share"])]
    if entry["rule"] == "trim_tail":
        rare = rarest(entry, of)
        first = {np.flatnonzero(of == key)[0] for key in rare} if entry["most"] else set()
        return base[[at in first or of[at] not in rare for at in range(len(base))]]
    return base[::2]


def rarest(entry, of):
    """The classes that are trimmed: later ids are rarer."""
    return [key for key in sorted(CLASSES, reverse=True) if key in of][: entry["tail"]]


def facts(entry, base, labels):
    """What the card of a trimmed tail has beside."""
    if entry["rule"] != "trim_tail":
        return {}
    return {"trimmed": sorted(rarest(entry, np.array([labels[row] or "" for row in base])))}


def write(*, runs=None, splits=None, measured=True, encoder="full-0"):
    """Write the study below the current folder."""
    runs, splits = runs or RUNS, splits or SPLITS
    roles = {
        "pool": _role("pool", natural_counts(), unlabelled=40),
        "reference": _role("reference", [2] * len(CLASSES)),
        "balanced": _role("balanced", [3] * len(CLASSES)),
    }
    write_study(
        splits=splits, runs=runs, tests=("balanced",), roles=roles, has_duplicates=False,
        add_reference=False, chosen=chosen, facts=facts, report={"duplicates": 0}, encoder=encoder,
    )  # fmt: skip
    params = yaml.safe_load(Path("params.yaml").read_text())
    params |= {"classes": "c", "probes": PROBES if measured else {}}
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    for at, name in enumerate(params["probes"]):
        metrics.write(layout.metrics("probe", name), _probed(0.3 + 0.1 * at))
    pool = manifest.read(layout.dataset("pool"))
    found = [
        (row, at)
        for row, caption in enumerate(pool.captions)
        for at, key in enumerate(CLASSES)
        if key in caption
    ]
    row_M, class_M = np.array(found).T
    names = tuple(f"thing {key}" for key in CLASSES)
    card = {"pool": pool.sha256, "classes": "c", "matcher": "bag", "wordnet": "3.0"}
    counts = frequency.Frequency(CLASSES, names, np.bincount(class_M, minlength=len(CLASSES)))
    frequency.write(layout.frequency("c"), counts, [(row_M, class_M)], card)
    for number, (name, run) in enumerate(runs.items() if measured else ()):
        _evaluated(name, run, splits.get(run["split"], {}), number)


def _probed(top1):
    results = {
        f"shots-{shots}": {
            "top1": top1 + 0.05 * shots,
            "deviation": 0.02,
            "draws": {
                "draw-0": top1 + 0.05 * shots - 0.0141,
                "draw-1": top1 + 0.05 * shots + 0.0141,
            },
        }
        for shots in SHOTS
    }
    return {"tests": {"balanced": {**results, "n": 72, "left_out": 0}}}


def _evaluated(name, run, rule, number):
    """Made-up numbers: less bias for CLIP, less accuracy for the less data."""
    if run["objective"] == "dino":
        for path in layout.predictions(name).glob("*"):
            path.unlink()
        numbers = {"neural_collapse": {"nc1": 2.5, "nc2_m": 0.2, "nc2nn_m": 0.7}}
        metrics.write(layout.metrics("evaluate", name), {"balanced": numbers})
        return
    is_clip, share = run["objective"] == "clip", rule.get("share", 1.0)
    bias = (0.3 if is_clip else 0.5) - (0.12 if "vocabulary" in run else 0) + 0.004 * number
    top1 = (0.45 if is_clip else 0.6) + 0.08 * math.log2(share) + 0.003 * number
    group = {
        "corr_acc": bias, "corr_pred": bias - 0.1, "head": top1 + 0.1, "middle": top1,
        "tail": top1 - 0.1, "classes": 24, "classes_without_samples": 0,
    }  # fmt: skip
    if rule.get("rule") == "trim_tail":
        group |= {"trimmed": 0.02 + 0.1 * ("text" in run) + 0.1 * rule["most"], "rest": top1}
    group |= {
        "low": {"corr_acc": bias - 0.08, "corr_pred": bias - 0.2},
        "high": {"corr_acc": bias + 0.08, "corr_pred": bias},
    }
    numbers = {
        "top1": top1, "low": top1 - 0.05, "high": top1 + 0.05, "n": 72, "classes": 24,
        "imbalance": group, "neural_collapse": {"nc1": 1.5 + bias, "nc2_m": 0.2, "nc2_w": 0.3},
    }  # fmt: skip
    metrics.write(layout.metrics("evaluate", name), {"balanced": numbers})
    rng = np.random.default_rng(number)
    lines = []
    for key, count in zip(CLASSES, natural_counts(), strict=True):
        chance = top1 + bias * (math.log10(count + 1) - 1)
        hits = int(rng.binomial(3, min(max(chance, 0.0), 1.0)))
        lines.append([key, f"thing {key}", count, 3, hits / 3, hits, *[None] * 5])
    columns = [list(column) for column in zip(*lines, strict=True)]
    table = pa.table(columns, schema=predictions.CLASSES_SCHEMA)
    predictions.write_classes(layout.predictions(name), "balanced", table)
