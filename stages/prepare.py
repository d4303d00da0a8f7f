"""prepare@DATASET: a raw source comes in; shards, manifest and drop ledger go out.

A module of ``clipcause.data.sources`` a kind of source. `icons`, `folder` and `imagefolder` give
samples,
which are written as shards. `webdataset`, `embeddings` and `table` are read where they lie: only
the manifest, the ledger and the metrics are written. Reading them is the audit of the data, before
any work is spent on them: a bad sample costs a line of the ledger, too many fail the stage.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from clipcause.captions import classes
from clipcause.config import engine, layout, section, study
from clipcause.config.datasets import NONE, Dataset, Limits, Prepare, Test, entry
from clipcause.config.sources import Embeddings, ImageFolder, Table, WebDataset
from clipcause.data import dataset, in_place, place
from clipcause.data.dataset import Counts, Drop, Sample
from clipcause.data.in_place import Part
from clipcause.data.sources import (
    icons,
    imagefolder,
    table,
    webdataset,
)
from clipcause.data.sources import (
    published_embeddings as embeddings,
)
from clipcause.data.sources.folder import read_folder
from clipcause.runtime import metrics, versions
from clipcause.runtime.entry import run
from clipcause.runtime.progress import progress

COPIED = ("icons", "folder", "imagefolder")


def samples(
    source: Dataset, parameters: Prepare, raw: Path, name: str
) -> Iterator[Sample | Drop] | None:
    """The samples of a source that is copied into shards, None for one that is read in place.

    ``raw`` is its file or folder.
    """
    options = source.options()
    if source.source == "icons":
        versions.check("resvg-py", "pillow")
        return icons.read_icons(raw, parameters.image_size, name)
    versions.check("pillow")
    if source.source == "folder":
        return read_folder(raw, parameters.image_size, parameters)
    if isinstance(options, ImageFolder):
        known = classes.read(layout.classes(study.name("classes")))
        found = imagefolder.read_imagefolder(raw, known, options, parameters)
        return progress(found, label=f"prepare {name}", unit="images")
    return None


def parts(source: Dataset, parameters: Prepare, name: str) -> tuple[str, Iterator[Part]]:
    """Where a source lies that is read in place, and its shards."""
    options = source.options()
    where = source.raw if source.place == NONE else source.place
    if isinstance(options, WebDataset):
        # of all of `prepare`, what decides a tar's part
        limits = Limits(**parameters.model_dump(include=set(Limits.model_fields)))
        found = webdataset.parts(
            where, options.shards, options.label, limits, engine.current().without_gpu(), name
        )
        return where, found  # shows its own progress
    if isinstance(options, Table):
        where, found = table.read_table(where, options)
    elif isinstance(options, Embeddings):
        found = embeddings.read_embeddings(where, options)
    else:
        raise ValueError(f"source {source.source}: prepare has no reader for it")  # noqa: TRY004
    return where, progress(found, label=f"prepare {name}", unit="parts")


def write(source: Dataset, parameters: Prepare, raw: Path, name: str) -> tuple[Counts, int | None]:
    """Write the data set; its counts, and how many samples in place are missing without a trace."""
    target, most = layout.dataset(name), parameters.max_drop_fraction
    given = samples(source, parameters, raw, name)
    if given is not None:
        size = parameters.shard_size
        return dataset.write(target, given, shard_size=size, max_drop_fraction=most), None
    where, found = parts(source, parameters, name)
    return in_place.write(target, where, found, max_drop_fraction=most)


def main(name: str) -> str:
    parameters = section("prepare", Prepare)
    kind, _, key = name.rpartition("/")
    source = entry(name)
    slot = "raw" if source.place == NONE else "place"
    raw = Path(getattr(source, slot))
    where = f"{kind or 'datasets'}.{key}.{slot} in params.yaml"
    if source.source in COPIED and place.is_url(source.place):
        raise ValueError(
            f"{source.place}: {source.source} reads a folder of this machine ({where})"
        )
    if not place.is_url(source.place) and not raw.exists():
        raise FileNotFoundError(f"{raw}: not found ({where})")
    counts, lost = write(source, parameters, raw, name)
    target = layout.dataset(name)
    is_to_classify = isinstance(source, Test) and source.task == "classify"
    if is_to_classify and None in (labels := dataset.read(target, shards=False).labels):
        shutil.rmtree(target)
        raise ValueError(
            f"{target}: {labels.count(None):,} of {len(labels):,} images have no class, and a test "
            f"set has one for each; name it by a sub-folder a class in {raw}, or set its task to "
            "retrieval"
        )
    numbers = {"samples": counts.samples, "dropped": counts.dropped, "shards": counts.shards}
    if lost is not None:
        numbers["lost"] = lost
    reasons = {reason.replace(" ", "_"): count for reason, count in counts.reasons.items()}
    metrics.write(layout.metrics("prepare", name), {**numbers, "reasons": reasons})
    return f"{counts.samples:,} samples in {counts.shards:,} shards, {counts.dropped:,} dropped"


if __name__ == "__main__":
    run(main)
