"""What a study of the large scale costs: operations, hours, bytes; the tables of docs/runbook.md.

    python -m benchmarks.costs            # print
    python -m benchmarks.costs --write    # put into docs/runbook.md, which a test compares

Counted from the study's parameters, the models' shapes and the facts below; nothing is measured
here. A product of two numbers and its sum are two operations. What is assumed is a field of
`Assumed`.
"""

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipcause.config import parse, read
from clipcause.config.train import Architecture, Train

RUNBOOK = Path("docs/runbook.md")
TESTS = {
    "val": 50_000,
    "v2": 10_000,
    "sketch": 50_889,
    "r": 30_000,
    "a": 7_500,
    "objectnet": 18_574,
}
REFERENCE = 1_281_167
# rows that hull pruning took from 200 M, by test set (arXiv 2310.09562); combined: about their
# union, from a secondary text
REMOVED = {
    "val": 377_340, "v2": 274_325, "sketch": 8_342_783, "r": 5_735_749, "a": 138_852,
    "objectnet": 266_025, "combined": 12_400_000,
}  # fmt: skip
STUDIED = 200_000_000
JOINED = 262_144  # rows of a search whose neighbours `similarity` and `gap` keep


@dataclass(frozen=True)
class Pool:
    """A pool as it is published; ``base`` rows are left by de-duplication."""

    pairs: int
    base: int
    stored: float  # bytes of its tars
    gpus: int
    slower: float = 1.0  # to decode than pictures of 256 pixels, which the assumed rate is of


POOLS = {
    "laion400m": Pool(413_000_000, 200_000_000, 10e12, 8),
    "datacomp-small": Pool(12_800_000, 6_200_000, 450e9, 1),
    # as clipcause.data.hub_sets has them, their shorter side up to 512 pixels; no duplicates are
    # assumed, which makes splits largest
    "cc3m": Pool(2_905_954, 2_905_954, 268e9, 1, 4.0),
    "cc12m": Pool(10_968_539, 10_968_539, 1.12e12, 1, 4.0),
}


@dataclass(frozen=True)
class Assumed:
    """Speeds that the tables assume. Measure yours: `python -m benchmarks.gpu`."""

    peaks: tuple[tuple[str, float], ...] = (("A100", 312e12), ("H100", 989e12))  # dense bfloat16
    model: float = 0.4  # share of the peak that models reach
    search: float = 0.3  # share of the peak that the search reaches
    core: float = 1e11  # float32 operations a second of a CPU core with AVX-512
    decoded: int = 600  # JPEGs of 256 pixels decoded and resized a second and core
    audited: int = 1200  # of the same read, hashed and looked at (benchmarks/audit.md)


ASSUMED = Assumed()


@dataclass(frozen=True)
class Cost:
    """One line: operations on a GPU at some share of its peak, core-seconds, bytes."""

    stage: str
    gpu: float = 0.0
    share: float = ASSUMED.model
    cores: float = 0.0
    read: float = 0.0
    written: float = 0.0


def transformer(tokens: int, width: int, layers: int) -> float:
    """Operations of a forward pass: 12 width² a token and layer, and attention's two products."""
    return 2.0 * layers * (12 * width**2 * tokens + 2 * tokens**2 * width)


def image_tower(config: Mapping[str, Any]) -> float:
    """Operations of one image through a vision transformer."""
    tower = config["vision_cfg"]
    patch, width = tower["patch_size"], tower["width"]
    patches = (tower["image_size"] // patch) ** 2
    return transformer(patches + 1, width, tower["layers"]) + 2 * patches * 3 * patch**2 * width


def text_tower(config: Mapping[str, Any]) -> float:
    """Operations of one caption."""
    tower = config["text_cfg"]
    return transformer(tower.get("context_length", 77), tower["width"], tower["layers"])


def kept(name: str, splits: Mapping[str, Any], base: int) -> float:
    """How many rows a split has: stated, or what the study's hulls left of as many rows."""
    entry = splits[name]
    if entry["rule"] == "none":
        return base
    if entry["rule"] == "hull":
        (test, *more) = entry["tests"]
        return base * (1 - REMOVED["combined" if more else test] / STUDIED)
    if entry["rule"] in ("random", "quota") and entry["of"] != "none":
        return kept(entry["of"], splits, base)
    return entry["keep"] if entry["keep"] >= 1 else base * entry["keep"]


def samples(name: str, content: Mapping[str, Any], base: int) -> float:
    """How many samples a run sees."""
    entry = content["runs"][name]
    if "epochs" not in entry:
        return content["train"]["clip"]["samples_seen"]
    return entry["epochs"] * (kept(entry["split"], content["splits"], base) + REFERENCE)


def costs(name: str, content: Mapping[str, Any]) -> list[Cost]:
    """The lines of a study's table, in the order in which stages run."""
    pool, queries = POOLS[name], sum(TESTS.values())
    pairs, base = pool.pairs, pool.base
    entry = content["runs"][content["encoder"]["run"]]
    encoder = Architecture(name=entry["model"]).config()
    dim = encoder["embed_dim"]
    vectors = 2.0 * dim  # bytes of a row
    images = pairs + REFERENCE + queries
    clusters = content["deduplicate"]["clusters"]
    learnt = min(pairs, 256 * clusters) * content["deduplicate"]["iterations"]
    centred = 2.0 * clusters * dim * (learnt + pairs)
    inside = pairs**2 / clusters * dim  # half of all pairs of a cluster
    sizes = {split: kept(split, content["splits"], base) for split in content["splits"]}
    settings = parse(content["train"], Train, "train")
    model = settings.model.config()
    passes = 4 if settings.gradient_checkpointing else 3  # backward is two forward passes
    sample = passes * (image_tower(model) + text_tower(model))
    # the published encoder is a run too, and learns nothing
    runs = [run for run, one in content["runs"].items() if one["split"] in sizes]
    seen = {run: samples(run, content, base) for run in runs}
    longest = max(seen, key=lambda run: seen[run])
    # a pass over a split reads all of every tar, for its hash is compared
    through = {
        run: pool.stored * seen[run] / (sizes[content["runs"][run]["split"]] + REFERENCE)
        for run in seen
    }
    nearest = 16.0 * queries * pairs / JOINED  # a similarity and a row of each, in 64 bits
    pixels = 3.0 * settings.image_size**2 * queries  # of the test sets, decoded once for all runs
    search = ASSUMED.search
    return [
        Cost(
            "prepare", cores=pool.slower * pairs / ASSUMED.audited,
            read=pool.stored, written=150.0 * pairs,
        ),
        Cost(
            "embed", gpu=images * image_tower(encoder),
            cores=pool.slower * images / ASSUMED.decoded,
            read=pool.stored, written=2 * vectors * images,
        ),
        Cost(
            "deduplicate", cores=(centred + inside) / ASSUMED.core,
            read=2 * vectors * pairs, written=base / 8,
        ),
        Cost(
            "similarity, six test sets", gpu=2.0 * dim * pairs * queries, share=search,
            read=len(TESTS) * vectors * pairs, written=2 * 12.0 * len(TESTS) * pairs + nearest,
        ),
        Cost(
            f"gap, {len(sizes)} splits", gpu=2.0 * dim * sum(sizes.values()) * queries,
            share=search, read=len(sizes) * vectors * pairs, written=len(sizes) * nearest,
        ),
        Cost(
            f"train {longest.removesuffix('-0')}", gpu=seen[longest] * sample,
            cores=pool.slower * seen[longest] / ASSUMED.decoded, read=through[longest],
            written=0.6e9,
        ),
        Cost(
            f"train, all {len(seen)} runs", gpu=sum(seen.values()) * sample,
            cores=pool.slower * sum(seen.values()) / ASSUMED.decoded,
            read=sum(through.values()), written=0.6e9 * len(seen),
        ),
        Cost(
            f"evaluate, {len(seen)} runs", gpu=len(seen) * queries * image_tower(model),
            cores=len(seen) * queries / ASSUMED.decoded, read=pixels * len(seen), written=pixels,
        ),
    ]  # fmt: skip


def table(name: str, content: Mapping[str, Any] | None = None) -> str:
    """The Markdown table of a study."""
    content = content or read(Path(f"studies/{name}/params.yaml"))
    names = [peak for peak, _ in ASSUMED.peaks]
    heads = ["stage", "operations", *(f"{peak} hours" for peak in names), "core hours"]
    lines = [
        "| " + " | ".join([*heads, "read", "written"]) + " |",
        "|---|" + "---:|" * (len(heads) + 1),
    ]
    for cost in costs(name, content):
        hours = [cost.gpu / (peak * cost.share) / 3600 for _, peak in ASSUMED.peaks]
        cells = [
            cost.stage,
            f"{cost.gpu:.1e}" if cost.gpu else "",
            *(number(each) for each in hours),
            number(cost.cores / 3600),
            size(cost.read),
            size(cost.written),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def number(value: float) -> str:
    """Two digits; nothing for nothing."""
    if not value:
        return ""
    return f"{float(f'{value:.2g}'):,.0f}" if value >= 10 else f"{value:.2g}"


def size(value: float) -> str:
    """Bytes in decimal units."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            return f"{number(value)} {unit}" if value else ""
        value /= 1000
    raise AssertionError


def filled(text: str) -> str:
    """A document with each table between its marks."""
    for name in POOLS:
        mark = re.compile(rf"(<!-- costs: {name} -->\n).*?(\n<!-- end -->)", re.DOTALL)
        if not mark.search(text):
            raise ValueError(f"{RUNBOOK}: no place for the table of {name}")
        text = mark.sub(lambda found, name=name: found[1] + table(name) + found[2], text)
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"put the tables into {RUNBOOK}")
    if parser.parse_args().write:
        RUNBOOK.write_text(filled(RUNBOOK.read_text()))
        return
    for name in POOLS:
        print(f"{name}\n\n{table(name)}\n")


if __name__ == "__main__":
    main()
