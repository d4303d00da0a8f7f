"""prepare@DATASET: a raw source comes in; WebDataset shards, manifest and drop ledger go out.

Sources: `icons` (a file of the catalogue, drawn here) and `folder` (images of a person's own).
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages import versions
from stages.artifacts import catalogue, dataset, layout, metrics
from stages.artifacts.dataset import Drop, Sample
from stages.entry import run
from stages.icons import raster
from stages.parallel import ordered_map
from stages.parameters import item, section
from stages.parameters.datasets import Dataset, Prepare
from stages.progress import progress
from stages.sources.folder import read_folder

TESTS = "tests"  # the section, and the folder, of test sets


def draw(work: tuple[str, int]) -> bytes | str:
    """PNG of an SVG at a size, or (str) why there is none. Module level: it runs in processes."""
    svg, size = work
    try:
        return raster.png(raster.on_white(raster.rasterise(svg, size)))
    except raster.BrokenIconError as error:
        return str(error)


def from_icons(path: Path, size: int, label: str) -> Iterator[Sample | Drop]:
    """Draw the icons of one role in the catalogue's order."""
    table = catalogue.read(path)
    rows: list[dict[str, Any]] = table.drop_columns(["svg"]).to_pylist()
    work = [(svg, size) for svg in table["svg"].to_pylist()]
    drawn = progress(ordered_map(draw, work), label=label, unit="icons", total=len(work))
    for row, image in zip(rows, drawn, strict=True):
        # set prefixes have no underscore, so the two parts can be told apart again
        key = f"{row['prefix']}_{row['name']}"
        if isinstance(image, str):
            yield Drop(path.stem, key, "broken", image)
            continue
        yield Sample(
            key=key,
            image=image,
            extension="png",
            caption=row["caption"],
            label=row["label"],
            width=size,
            height=size,
            source=f"{row['prefix']}:{row['name']}",
            extra={k: row[k] for k in ("title", "author", "licence", "category", "tags", "style")},
        )


def main(name: str) -> str:
    parameters = section("prepare", Prepare)
    kind, _, key = name.rpartition("/")
    source = item(kind or "datasets", key, Dataset)
    raw = Path(source.raw)
    if not raw.exists():
        raise FileNotFoundError(f"{raw}: not found ({kind or 'datasets'}.{key}.raw in params.yaml)")
    if source.source == "icons":
        versions.check("resvg-py", "pillow")
        samples = from_icons(raw, parameters.image_size, name)
    else:
        samples = read_folder(raw, parameters.image_size)
    target = layout.dataset(name)
    counts = dataset.write(
        target,
        samples,
        shard_size=parameters.shard_size,
        max_drop_fraction=parameters.max_drop_fraction,
    )
    if kind == TESTS and None in (labels := dataset.read(target).labels):
        shutil.rmtree(target)
        raise ValueError(
            f"{target}: {labels.count(None):,} of {len(labels):,} images have no class, and a test "
            f"set has one for each; name it by a sub-folder a class in {raw}"
        )
    numbers = {"samples": counts.samples, "dropped": counts.dropped, "shards": counts.shards}
    reasons = {reason.replace(" ", "_"): count for reason, count in counts.reasons.items()}
    metrics.write(layout.metrics("prepare", name), {**numbers, "reasons": reasons})
    return f"{counts.samples:,} samples in {counts.shards} shards, {counts.dropped:,} dropped"


if __name__ == "__main__":
    run(main)
