"""From a raw source to a data set, whatever kind of source it is.

A module of ``clipcause.data.sources`` a kind of source. `icons`, `folder` and `imagefolder` give
samples, which are written as shards. `webdataset`, `embeddings` and `table` are read where they
lie: only the manifest and the ledger are written.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from clipcause.captions import classes
from clipcause.config import engine, layout, study, versions
from clipcause.config.datasets import NONE, Dataset, Limits, Prepare
from clipcause.config.sources import Embeddings, ImageFolder, Table, WebDataset
from clipcause.data import dataset, in_place, place
from clipcause.data.dataset import Counts, Drop, Sample
from clipcause.data.in_place import Part
from clipcause.data.manifest import Manifest
from clipcause.data.sources import icons, imagefolder, table, webdataset
from clipcause.data.sources import published_embeddings as embeddings
from clipcause.data.sources.folder import read_folder
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


def find(source: Dataset, name: str) -> Path:
    """The file or folder that a source is read from.

    Raises ``ValueError`` for a URL of what is copied, ``FileNotFoundError`` where nothing is there.
    """
    slot = "raw" if source.place == NONE else "place"
    raw, where = Path(getattr(source, slot)), f"datasets.{name}.{slot} in params.yaml"
    if source.source in COPIED and place.is_url(source.place):
        raise ValueError(
            f"{source.place}: {source.source} reads a folder of this machine ({where})"
        )
    if not place.is_url(source.place) and not raw.exists():
        raise FileNotFoundError(f"{raw}: not found ({where})")
    return raw


def write(source: Dataset, parameters: Prepare, name: str) -> tuple[Counts, int | None]:
    """Write the data set; its counts, and how many samples in place are missing without a trace."""
    target, most = layout.dataset(name), parameters.max_drop_fraction
    raw = find(source, name)
    given = samples(source, parameters, raw, name)
    if given is not None:
        size = parameters.shard_size
        return dataset.write(target, given, shard_size=size, max_drop_fraction=most), None
    where, found = parts(source, parameters, name)
    return in_place.write(target, where, found, max_drop_fraction=most)


def check_labels(made: Manifest, raw: Path) -> None:
    """Raise ``ValueError``, and remove the data set, where an image of a test set has no class."""
    if None not in (labels := made.labels):
        return
    shutil.rmtree(made.folder)
    raise ValueError(
        f"{made.folder}: {labels.count(None):,} of {len(labels):,} images have no class, and a "
        f"test set has one for each; name it by a sub-folder a class in {raw}, or set its task to "
        "retrieval"
    )
