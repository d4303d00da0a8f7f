"""How cheap may a run be? Accuracy on held-out icons and one core's seconds, by configuration.

Held out are the labelled rows of the default pool whose icon family a hash draws, a tenth of the
families: they are in no test set, and no row of these families is trained on, so that no relative
of theirs is learnt. Every configuration learns from the rest of the pool and from the reference,
on one thread, by the training loop of the study, and is asked zero-shot. A configuration is a list
of changes to the section `train` of params.yaml; `own` changes nothing. From a finished study:

    python -m benchmarks.cheaper own image_size=32,clip.samples_seen=100000 …

adds a line a configuration to `benchmarks/cheaper.csv`; cheaper.md says what was chosen, and why.
"""

import argparse
import copy
import csv
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from clipcause.captions import classes
from clipcause.config import FILE, layout, parse, read, yaml12
from clipcause.config.evaluate import Evaluate
from clipcause.config.train import Train
from clipcause.data import dataset
from clipcause.embed import models, pixels
from clipcause.evaluate import class_vectors, zeroshot
from clipcause.icons.roles import fraction
from clipcause.icons.sets import read_sets
from clipcause.prune import split
from clipcause.runtime import processor
from clipcause.train import loop, training_set
from clipcause.train.objectives import clip as contrastive
from clipcause.train.training_set import Plan, Sources

OUTPUT = Path("benchmarks/cheaper.csv")
OWN = "own"
HELD_OUT = 0.1  # of the families
COLUMNS = ("processor", "configuration", "seed", "images", "right", "top1", "core_s", "samples_s")


def changed(section: dict[str, Any], configuration: str) -> Train:
    """The section `train` with the changes of a configuration, and one thread."""
    section = copy.deepcopy(section) | {"threads": 1}
    for change in configuration.split(",") if configuration != OWN else ():
        name, _, value = change.partition("=")
        *path, last = name.split(".")
        place = section
        for key in path:
            place = place[key]
        place[last] = yaml12.load(value, change)
    return parse(section, Train, configuration)


def held_out(pool: dataset.Manifest, sets: Path) -> np.ndarray:
    """Which rows of the pool are of the families that are held out."""
    family = read_sets(sets).family
    prefixes = [key.partition("_")[0] for key in pool.table["key"].to_pylist()]
    drawn = {
        prefix: fraction("held out", family.get(prefix, prefix)) < HELD_OUT
        for prefix in set(prefixes)
    }
    return np.array([drawn[prefix] for prefix in prefixes])


def measure(sources: Sources, train: Train, seed: int, sets: Path) -> tuple[int, int, float, float]:
    """Images held out, those that a new model gets right, seconds of training, samples a second."""
    out_N = held_out(sources.pool, sets)
    device = models.settle(train.threads, "cpu")
    plan = Plan(split.from_mask(~out_N), True, "clip", seed, train)
    clip = training_set.model(sources, plan)
    data = training_set.feed(sources, plan, clip)
    objective = contrastive.Contrastive(clip.model)
    began = time.process_time()
    loop.train(objective, clip, data, loop.Regime(plan.optimiser, seed, train.precision, device))
    seconds = time.process_time() - began

    labels = sources.pool.labels
    rows = [row for row in np.flatnonzero(out_N) if labels[row] in sources.reference_classes]
    names = sources.reference_classes
    settings = Evaluate(
        templates=["{name}"], batch_size=256, precision="fp32", threads=1, frequency="mention"
    )
    found = class_vectors.from_prompts(clip, names, sources.classes, settings, "pool", device)
    images = np.empty((len(rows), train.image_size, train.image_size, 3), np.uint8)
    pixels.gather(sources.pool, clip.view, np.array(rows), images, label="held out")
    image_QD = models.encode_images(
        clip, images, batch_size=256, precision="fp32", device=torch.device("cpu")
    )
    true_Q = np.array([names.index(str(labels[row])) for row in rows])
    said = zeroshot.classify(image_QD, found.class_ED, true_Q, 1.0)
    right = int((said.rank == 1).sum())
    return len(rows), right, seconds, train.clip.samples_seen / seconds


def main() -> None:
    """Measure every configuration in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configurations", nargs="+")
    parser.add_argument("--study", type=Path, default=Path(), help="the folder of a finished study")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    content = read(FILE)
    names = classes.read(layout.classes(content["classes"]))
    pool, reference = (
        dataset.read(options.study / layout.dataset(name)) for name in ("pool", "reference")
    )
    sources = Sources(pool, reference, names)
    new = not options.output.exists()
    with options.output.open("a", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        if new:
            writer.writerow(COLUMNS)
        for configuration in options.configurations:
            train = changed(content["train"], configuration)
            images, right, seconds, rate = measure(
                sources, train, options.seed, Path(content["icons"]["sets"])
            )
            row = (processor.name(), configuration, options.seed, images, right)
            writer.writerow((*row, f"{right / images:.4f}", f"{seconds:.1f}", f"{rate:.0f}"))
            stream.flush()


if __name__ == "__main__":
    main()
