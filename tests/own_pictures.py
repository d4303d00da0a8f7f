"""Pictures for the tutorial: pool, reference and test images, of the icons that the tests carry.

``python -m tests.own_pictures FOLDER`` writes ``FOLDER/pool`` (a picture and a text file with its
caption each), ``FOLDER/reference`` and ``FOLDER/test`` (a sub-folder a class). The reference are
filled drawings; the test images are outlines of some sets, of which the pool has other ones.
"""

import sys
from collections import defaultdict
from pathlib import Path

from PIL import Image

from clipcause.icons import package, raster

ARCHIVE = Path(__file__).parent / "fixtures/icons.tgz"
SIDE = 64
CLASSES = ("bell", "bug", "camera", "car", "cloud", "gift", "heart", "key", "moon", "star")
SOLID = ("fill", "filled", "solid", "sharp")
HELD_OUT = {"mingcute", "mynaui", "teenyicons"}  # sets whose drawings are test images
SETS = {"bi", "boxicons", "ion", "keyline-icons", "mdi", "ph", "ri", "tabler"} | HELD_OUT
EVERY = 3  # of the other drawings, for the pool


def part(prefix: str, name: str) -> str | None:
    """Which part an icon plays: a folder, or none where it has no part."""
    words = name.split("-")
    is_solid = words[-1] in SOLID
    plain = words[0] in CLASSES and len(words) <= 2
    if plain and prefix in HELD_OUT:
        return None if is_solid else f"test/{words[0]}"
    if plain and is_solid and prefix != "ph":
        return f"reference/{words[0]}"
    return None if prefix in HELD_OUT else "pool"


def write(folder: Path) -> dict[str, int]:
    """Write all pictures below ``folder``; how many each part has."""
    counts: dict[str, int] = defaultdict(int)
    for prefix, icons in package.icons(ARCHIVE, SETS):
        for position, icon in enumerate(icons):
            where = part(prefix, icon.name)
            other = icon.name.split("-")[0] not in CLASSES
            if where is None or (other and position % EVERY):
                continue
            path = folder / where / f"{prefix}-{icon.name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(raster.on_white(raster.rasterise(icon.svg, SIDE))).save(path)
            if where == "pool":
                path.with_suffix(".txt").write_text(f"an icon of {icon.name.replace('-', ' ')}\n")
            counts[where.split("/")[0]] += 1
    return dict(sorted(counts.items()))


def main(words: list[str]) -> None:
    if len(words) != 1:
        raise SystemExit("usage: python -m tests.own_pictures FOLDER")
    counts = write(Path(words[0]))
    print(", ".join(f"{count} of {name}" for name, count in counts.items()))


if __name__ == "__main__":
    main(sys.argv[1:])
