"""`imagefolder`: a folder a class, as ImageNet, -V2, -Sketch, -R, -A and ObjectNet are distributed.

An image is stored with its own bytes, which are read through once to see that they decode: nothing
is recoded unless a border is cut off or a size is asked for. The caption is the class's name.

Layouts: `wnid`, folders named by class ids (ImageNet sorted into folders, -Sketch, -R, -A);
`index`, by the position of the class in the list (ImageNet-V2: 0 … 999); `objectnet`, the root of
`objectnet-1.0` with `images/<folder>` and `mappings/`. ObjectNet names its folders itself. Its 113
labels that overlap ImageNet are classes of the test set in the class list; the images of the other
200 are in the ledger as outside the class list, which is no damage.

ObjectNet's images have a red line one pixel wide around them, which its terms ask everybody to keep
where the images are shown, and which tells a model that it is being tested: it is cut off, one
pixel on every side (the authors' own loader cuts two).
"""

import io
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, NamedTuple
from urllib.parse import quote

from PIL import Image
from pydantic import Field

from clipcause.captions import classes
from clipcause.captions.classes import ClassNames
from clipcause.config import layout, nearest, study, versions
from clipcause.config.datasets import Limits, Prepare
from clipcause.data import tree
from clipcause.data.dataset import OUTSIDE, Drop, Sample, uid
from clipcause.data.picture import rgb
from clipcause.data.shards import IMAGES
from clipcause.data.source import Copied
from clipcause.data.sources import audit
from clipcause.runtime.parallel import cores
from clipcause.runtime.progress import progress
from clipcause.runtime.threads import ahead

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".webp"})
NO_IMAGE = "not an image"
OBJECTNET = "objectnet"
RED_LINE = 1  # pixels
AHEAD = 4  # images under way for each core
SHOWN = 3


class ClassFolder(NamedTuple):
    """A folder of images; ``label`` is None where its class is not in the list."""

    path: Path
    label: str | None


class Picture(NamedTuple):
    """What is stored of an image."""

    content: bytes
    extension: str
    width: int
    height: int
    uid: str | None = None  # of the file's bytes, where ``content`` is not these


class ImageFolder(Copied):
    """A folder a class, as ImageNet and its test sets are distributed."""

    source: Literal["imagefolder"]
    # what the folders are named by: the class's id, its position in the class list (ImageNet-V2),
    # or ObjectNet's own names, with its `mappings` beside `images`
    layout: Literal["wnid", "index", "objectnet"] = "wnid"
    # pixels that are cut off on every side; null: the red line around ObjectNet's images, else none
    border: Annotated[int, Field(ge=0, le=16)] | None = None
    # the shorter side where the image is larger, stored as JPEG; 0: the original bytes
    resize: Annotated[int, Field(ge=0, le=4096)] = 0
    # what must be there, for a class that is missing would go unnoticed; 0: not checked
    classes: Annotated[int, Field(ge=0)] = 0
    images: Annotated[int, Field(ge=0)] = 0

    def samples(self, raw: Path, settings: Prepare, name: str) -> Iterator[Sample | Drop]:
        """Images class by class in the order of the study's list, then by file name."""
        versions.check("pillow")
        known = classes.read(layout.classes(study.name("classes")))
        found = read_imagefolder(raw, known, self, settings)
        return progress(found, label=f"prepare {name}", unit="images")


def read_imagefolder(
    root: Path, known: Mapping[str, ClassNames], options: ImageFolder, limits: Limits
) -> Iterator[Sample | Drop]:
    """Every image below ``root``, class by class in the order of the list, then by file name.

    What cannot be used is a Drop. Raises ``ValueError`` for a folder that names no class, and for
    fewer or more classes (now) or images (at the end) than ``options`` states.
    """
    folders = class_folders(root, known, options.layout)
    found = len({folder.label for folder in folders} - {None})
    if options.classes and found != options.classes:
        raise ValueError(
            f"{root}: folders of {found} classes, the parameters say {options.classes}; is the "
            "download complete?"
        )
    return _read(root, folders, known, options, limits)


def class_folders(root: Path, known: Mapping[str, ClassNames], layout: str) -> list[ClassFolder]:
    """The folders in the order of the class list, those of other classes last.

    Raises ``FileNotFoundError`` where there are none, ``ValueError`` for one that names no class.
    """
    base = root / "images" if layout == OBJECTNET else root
    if not base.is_dir():
        raise FileNotFoundError(f"{base}: no such folder")
    names = sorted(
        entry.name for entry in os.scandir(base) if entry.is_dir() and not tree.is_tools(entry.name)
    )
    if not names:
        raise FileNotFoundError(f"{base}: no folders in it; {layout} has a folder for every class")
    own = list(classes.own(known))
    labels: Mapping[str, str | None]
    if layout == "index":
        labels = {str(index): label for index, label in enumerate(own)}
    elif layout == "wnid":
        labels = {label: label for label in own}
    else:
        labels = _objectnet(root / "mappings", known)
    _check_folders(base, names, labels, layout)
    place = {label: index for index, label in enumerate(known)}
    folders = [ClassFolder(base / name, labels[name]) for name in names]
    return sorted(folders, key=lambda f: len(place) if f.label is None else place[f.label])


def _check_folders(
    base: Path, names: list[str], labels: Mapping[str, str | None], layout: str
) -> None:
    strange = [name for name in names if name not in labels]
    if not strange:
        return
    shown = "; ".join(f"{name!r}, {nearest(name, labels)}" for name in strange[:SHOWN])
    numbers = layout == "wnid" and all(name.isdigit() for name in names)
    hint = "; folders named by numbers are layout: index" if numbers else ""
    raise ValueError(
        f"{base}: {len(strange)} of {len(names)} folders name no class of the list: {shown}{hint}"
    )


def _objectnet(mappings: Path, known: Mapping[str, ClassNames]) -> dict[str, str | None]:
    """ObjectNet's folders to class ids, None for classes outside the list."""
    label_of = _mapping(mappings / "folder_to_objectnet_label.json")
    overlap = _mapping(mappings / "objectnet_to_imagenet_1k.json")
    ids = {entry.name: key for key, entry in known.items() if entry.test_set == OBJECTNET}
    if not ids:
        raise ValueError(
            f"{mappings}: the class list has no classes of the test set {OBJECTNET!r}; "
            "use data/classes/imagenet.yaml"
        )
    said = {label.lower(): len(glosses.split("; ")) for label, glosses in overlap.items()}
    listed = {name: len(known[key].covers) for name, key in ids.items()}
    if said != listed:
        differ = sorted({name for name, _ in said.items() ^ listed.items()})
        raise ValueError(
            f"{mappings / 'objectnet_to_imagenet_1k.json'}: not the mapping that the class list "
            f"has: {', '.join(map(repr, differ[:SHOWN]))} differ"
        )
    return {folder: ids.get(label.lower()) for folder, label in label_of.items()}


def _mapping(path: Path) -> dict[str, str]:
    if not path.exists():
        raise FileNotFoundError(f"{path}: not found; it is part of ObjectNet's archive")
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(content, dict) or not all(isinstance(v, str) for v in content.values()):
        raise ValueError(f"{path}: expected names to names")
    return content


def _read(
    root: Path,
    folders: list[ClassFolder],
    known: Mapping[str, ClassNames],
    options: ImageFolder,
    limits: Limits,
) -> Iterator[Sample | Drop]:
    one = partial(_one, root, known, options, limits)
    images, workers = 0, cores()
    # threads, for Pillow frees the interpreter; those that put warnings aside put back each other's
    # filters: ours come back at the end
    with (
        warnings.catch_warnings(),
        ThreadPoolExecutor(workers) as pool,
        closing(ahead(pool, one, _files(folders), AHEAD * workers)) as results,
    ):
        for result in results:
            images += isinstance(result, Sample) or (result.counted and result.reason != NO_IMAGE)
            yield result
    if options.images and images != options.images:
        raise ValueError(
            f"{root}: {images:,} images, the parameters say {options.images:,}; is the download "
            "complete?"
        )


def _files(folders: list[ClassFolder]) -> Iterator[tuple[os.DirEntry[str], str | None]]:
    base = folders[0].path.parent
    for entry in sorted(os.scandir(base), key=lambda entry: entry.name):
        if not entry.is_dir() or tree.is_tools(entry.name):
            yield entry, None
    for folder in folders:
        for entry in sorted(os.scandir(folder.path), key=lambda entry: entry.name):
            yield entry, folder.label


def _one(
    root: Path,
    known: Mapping[str, ClassNames],
    options: ImageFolder,
    limits: Limits,
    item: tuple[os.DirEntry[str], str | None],
) -> Sample | Drop:
    entry, label = item
    path = Path(entry.path)
    relative = path.relative_to(root)
    # escaped, for ImageNet-A's names have dots, where WebDataset's extension would begin
    key = quote(os.fsencode(relative.with_suffix("")), safe="/ ").replace(".", "%2E")
    where = os.fsencode(relative.parent).decode("utf-8", "backslashreplace")

    def drop(reason: str, detail: str) -> Drop:
        fine = (OUTSIDE, tree.TOOL, audit.NOT_READ)
        counted = entry.is_dir() if reason == NO_IMAGE else reason not in fine
        return Drop(where, key, reason, detail, counted=counted)

    if tree.is_tools(path.name):
        return drop(tree.TOOL, "")
    if label is None:
        return drop(OUTSIDE, "a class that is not in the list, or a file beside the class folders")
    if entry.is_dir():
        return drop(NO_IMAGE, f"{key}: a folder in that of a class")
    if not path.exists():
        return drop(tree.DEAD, "")
    if not tree.is_picture(path):
        return drop(NO_IMAGE, f"{path.name}: another type of file")
    border = options.border
    if border is None:
        border = RED_LINE if options.layout == OBJECTNET else 0
    try:
        source = os.fsencode(relative).decode()
    except UnicodeDecodeError:
        return drop("name is not UTF-8", where)
    picture = stored(path, border, options.resize, limits)
    if isinstance(picture, audit.Fault):
        return drop(picture.reason, picture.detail)
    return Sample(
        key=key,
        image=picture.content,
        extension=picture.extension,
        caption=known[label].name,
        label=label,
        width=picture.width,
        height=picture.height,
        uid=picture.uid,
        source=source,
    )


def stored(path: Path, border: int, resize: int, limits: Limits) -> Picture | audit.Fault:
    """What is kept of an image file, or why it cannot be used.

    Its own bytes, unless it is cut, turned upright or made opaque, or of a format that shards do
    not hold (then PNG, which loses nothing), or made smaller (JPEG). A border is that of the
    upright picture.
    """
    if (size := path.stat().st_size) > limits.most_bytes:
        return audit.Fault(audit.TOO_LARGE, f"{size:,} bytes are more than {limits.most_bytes:,}")
    content = path.read_bytes()
    formats = audit.OPENED if path.suffix.lower() in EXTENSIONS else audit.available()
    found = audit.look(content, limits, formats)
    if isinstance(found, audit.Fault):
        return audit.not_read(path.name, formats) or found
    width, height, extension, converted = found
    converted = converted or extension not in IMAGES
    if not border and not converted and not 0 < resize < min(width, height):
        return Picture(content, extension, width, height)
    inner = min(width, height) - 2 * border
    if inner < limits.least_side:
        return audit.Fault(
            audit.TOO_SMALL, f"{width} x {height} pixels, {border} cut off each side"
        )
    if fault := audit.too_long(width - 2 * border, height - 2 * border, limits):
        return fault
    try:
        picture = Image.open(io.BytesIO(content), formats=formats)
        picture = rgb(picture) if converted else picture
        cut = picture.crop((border, border, picture.width - border, picture.height - border))
    except (OSError, ValueError, SyntaxError) as error:
        return audit.Fault(audit.UNDECODABLE, str(error))
    if not 0 < resize < inner:
        return _encoded(cut, uid(content), "PNG", "png", compress_level=6)
    sides = [max(1, round(side * resize / inner)) for side in cut.size]
    small = cut.convert("RGB").resize((sides[0], sides[1]), Image.Resampling.BICUBIC)
    return _encoded(small, uid(content), "JPEG", "jpg", quality=95, subsampling=0)


def _encoded(
    picture: Image.Image, came: str, kind: str, extension: str, **settings: int
) -> Picture:
    if kind == "PNG" and picture.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        picture = picture.convert("RGB")
    # what is written along otherwise: resolution, colour profile, EXIF
    picture.info = {k: v for k, v in picture.info.items() if k == "transparency"}
    stream = io.BytesIO()
    picture.save(stream, kind, **settings)
    return Picture(stream.getvalue(), extension, *picture.size, came)
