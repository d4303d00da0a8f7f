"""`icons`: a file of the catalogue, drawn here: the embedded world of the default study."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

from clipcause.config import versions
from clipcause.config.datasets import Prepare
from clipcause.data.dataset import Drop, Sample
from clipcause.data.source import Copied
from clipcause.icons import catalogue, raster
from clipcause.runtime.parallel import ordered_map
from clipcause.runtime.progress import progress


class Icons(Copied):
    """A file of the catalogue."""

    source: Literal["icons"]
    captioned: ClassVar = True

    def samples(self, raw: Path, settings: Prepare, name: str) -> Iterator[Sample | Drop]:
        """Icons in the catalogue's order."""
        versions.check("resvg-py", "pillow")
        return read_icons(raw, settings.image_size, name)


def draw(work: tuple[str, int]) -> bytes | str:
    """PNG of an SVG at a size, or (str) why there is none. Module level: it runs in processes."""
    svg, size = work
    try:
        return raster.png(raster.on_white(raster.rasterise(svg, size)))
    except raster.BrokenIconError as error:
        return str(error)


def read_icons(path: Path, size: int, label: str) -> Iterator[Sample | Drop]:
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
            published=True,  # the name of a set and its icon is the same everywhere
            extra={k: row[k] for k in ("title", "author", "licence", "category", "tags", "style")},
        )
