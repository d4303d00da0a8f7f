"""Everything that is measured on a GPU, by one command:

    python -m benchmarks.gpu --write benchmarks/gpu.md
    python -m benchmarks.gpu --device cpu --small        # a trial of the command, not a measurement

* Embedding, images a second of models with random weights (speed does not depend on them) in
  bfloat16: decoded images through our `encode_images` against a bare loop over open_clip's model,
  and tars of JPEGs through our `embed` against open_clip's own transform in torch's DataLoader.
* Similarity: the products of the search, with all that finds margins and neighbours, as a share of
  the rate of a 4096³ float16 matrix product that is measured in the same run.
* Training, samples a second: our loop against `open_clip_train.train.train_one_epoch` over batches
  that lie ready in memory, so that no loader is measured.
* Equality: thresholds, margins and neighbours in pool, reference and a split, of the device and of
  the CPU, byte for byte. Where they differ, the command fails.

Rounds are interleaved, and medians are taken; the first round of each is not counted.
"""

import argparse
import datetime
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.gpu_models import SMALL, Sizes, embedding, in_turns, training
from benchmarks.machine import describe, show
from benchmarks.score_pool import world
from benchmarks.similarity import World
from clipcause.embed import models
from clipcause.runtime.parallel import cores
from clipcause.search import device as on_device
from clipcause.search.neighbour import Nearest
from clipcause.search.pool import score_pool

Scores = tuple[np.ndarray, np.ndarray, np.ndarray]


class Study(NamedTuple):
    """Vectors that are searched on both devices; ``kept_N`` is a split of the pool."""

    query_QD: np.ndarray
    reference_ND: np.ndarray
    pool_ND: np.ndarray
    kept_N: np.ndarray


def similarity(sizes: Sizes, where: torch.device) -> Iterator[str]:
    """Rows of the table: the measured matrix rate, and the share of it that the search reaches."""
    kind = torch.float16 if where.type == "cuda" else torch.float32
    a, b = (torch.randn(sizes.product, sizes.product, device=where).to(kind) for _ in range(2))
    query_QD, threshold_Q = world(sizes.queries, sizes.dim, 2), np.full(sizes.queries, 0.9)
    pool_ND = world(sizes.rows, sizes.dim, 1)
    times = 20
    works = {
        "product": lambda: [a @ b for _ in range(times)],
        "search": lambda: scores(pool_ND, query_QD, threshold_Q, where),
    }
    seconds = in_turns(works, sizes.rounds, where)
    peak = times * 2 * sizes.product**3 / seconds["product"]
    reached = 2 * sizes.rows * sizes.queries * sizes.dim / seconds["search"]
    name = str(kind).removeprefix("torch.")
    yield f"| {name} product of {sizes.product}³, TFLOP/s | {peak / 1e12:.2f} | | |"
    yield (
        f"| similarity, {sizes.rows:,} x {sizes.queries:,} x {sizes.dim}, TFLOP/s "
        f"| {reached / 1e12:.2f} | | {reached / peak:.2f} of the product |"
    )


def scores(
    pool_ND: np.ndarray, query_QD: np.ndarray, threshold_Q: np.ndarray, where: torch.device
) -> Scores:
    """``max_sim``, ``nearest`` and ``margin``, found by the device's search."""
    scan = on_device.Scan(on_device.queries(query_QD, threshold_Q, str(where)), len(pool_ND))
    scan.update(pool_ND)
    return scan.max_sim_N, scan.nearest_N, scan.margin_N


def by_device(study: Study, where: torch.device) -> dict[str, np.ndarray]:
    """What the stages compute with ``engine.device``: thresholds, scores, neighbours, gaps."""

    def neighbours(base_ND: np.ndarray, kept_N: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        ready = on_device.queries(study.query_QD, np.zeros(len(study.query_QD)), str(where))
        scan = on_device.Scan(ready, len(base_ND), margins=False)
        scan.update(base_ND, kept_N)
        return scan.result()

    threshold_Q, reference_row_Q = neighbours(study.reference_ND, None)
    scan = on_device.Scan(
        on_device.queries(study.query_QD, threshold_Q, str(where)), len(study.pool_ND)
    )
    scan.update(study.pool_ND)
    columns = (scan.max_sim_N, scan.nearest_N, scan.margin_N)
    gap = neighbours(study.pool_ND, study.kept_N)
    return answers(threshold_Q, reference_row_Q, columns, scan.result(), gap)


def by_cpu(study: Study) -> dict[str, np.ndarray]:
    """The same, by the search on the CPU."""

    def neighbours(base_ND: np.ndarray, kept_N: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        search = Nearest(study.query_QD)
        search.update(base_ND, kept_N)
        return search.result()

    threshold_Q, reference_row_Q = neighbours(study.reference_ND, None)
    columns = score_pool(study.pool_ND, study.query_QD, threshold_Q)
    gap = neighbours(study.pool_ND, study.kept_N)
    return answers(threshold_Q, reference_row_Q, columns, neighbours(study.pool_ND, None), gap)


def answers(
    threshold_Q: np.ndarray,
    reference_row_Q: np.ndarray,
    columns: Scores,
    to_pool: tuple[np.ndarray, np.ndarray],
    to_split: tuple[np.ndarray, np.ndarray],
) -> dict[str, np.ndarray]:
    """Everything that is compared, by name."""
    names = ("max_sim", "nearest", "margin")
    return {
        "thresholds": threshold_Q,
        "rows of the reference": reference_row_Q,
        **dict(zip(names, columns, strict=True)),
        "similarities to the pool": to_pool[0],
        "rows of the pool": to_pool[1],
        "similarities to a split": to_split[0],
        "rows of a split": to_split[1],
    }


def equality(sizes: Sizes, where: torch.device) -> str:
    """The row of the table for equal bytes; ``AssertionError`` where they are not.

    The pool has copies of test images and of its own rows, so that ties are among what is compared.
    """
    rows, queries = sizes.equal
    made = World(sizes.dim, queries)
    study = Study(
        made.query_QD,
        made.block(rows // 10, [2, 0]),
        made.pool(rows, [3, 0]),
        np.arange(rows) % 3 > 0,
    )
    found, expected = by_device(study, where), by_cpu(study)
    for name, one in found.items():
        assert one.tobytes() == expected[name].tobytes(), f"{name}: {where} and CPU differ"
    kept = int((found["margin"] <= 0).sum())
    return (
        f"| {len(found)} results of {rows:,} x {queries:,} and a reference, {where.type} and CPU "
        f"| equal | equal | the hull split keeps {kept:,} rows |"
    )


def hardware(where: torch.device) -> str:
    """The device, and the machine around it."""
    if where.type != "cuda":
        return describe("torch", "open_clip_torch", "numpy")
    facts = torch.cuda.get_device_properties(where)
    memory = f"{facts.total_memory / 2**30:.0f} GiB"
    return f"{facts.name} ({memory}, CUDA {torch.version.cuda}); {describe('torch', 'numpy')}"


def main() -> None:
    """Measure, print, and write where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--small", action="store_true", help="a trial: nothing is measured")
    parser.add_argument("--write", type=Path, help="write the table here as well")
    arguments = parser.parse_args()
    sizes = SMALL if arguments.small else Sizes()
    where = models.settle(cores(), arguments.device)
    words = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
    command = " ".join(["python -m benchmarks.gpu", *sys.argv[1:]])
    head = [
        "# On the GPU" if where.type == "cuda" else "# On the CPU, by the GPU's command",
        "",
        f"`{command}` on {datetime.datetime.now(datetime.UTC):%Y-%m-%d}, commit {commit}: "
        f"{hardware(where)}. Medians of {sizes.rounds} interleaved rounds; the other side is "
        "open_clip: a bare loop for embedding, its own trainer for training.",
        "",
        "| what | ours | open_clip | ratio |",
        "|---|---:|---:|---:|",
    ]
    rows = [equality(sizes, where), *similarity(sizes, where)]
    for name in sizes.embedded:
        rows += embedding(name, sizes, where)
    rows.append(training(sizes, where))
    text = "\n".join([*head, *rows]) + "\n"
    show(text, arguments.write)


if __name__ == "__main__":
    main()
