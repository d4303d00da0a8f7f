"""Tars as img2dataset writes them, with real images: for the tests of what reads them."""

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import fsspec
from webdataset.writer import TarWriter

from clipcause.data import place
from tests.real_images import drawings, encoded

KINDS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}

Sample = Mapping[str, bytes]  # the members of a sample by extension


def images(count: int, extension: str = "jpg") -> list[bytes]:
    """Real images of a format."""
    return [encoded(pixels, KINDS[extension]) for _, pixels in drawings(count)]


def sample(number: int, extension: str = "jpg", **changes: bytes | None) -> dict[str, bytes]:
    """A sample as img2dataset has it; a change of None leaves a member out."""
    name, pixels = drawings(number % 30 + 1)[-1]
    caption = f"{name.replace('-', ' ')}, number {number}"
    facts = {
        "caption": caption,
        "url": f"https://example.com/{number}.{extension}",
        "key": f"{number:09d}",
        "status": "success",
        "error_message": None,
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "exif": "{}",
    }
    members: dict[str, bytes | None] = {
        extension: encoded(pixels, KINDS[extension]),
        "json": json.dumps(facts, indent=4).encode(),
        "txt": caption.encode(),
        **changes,
    }
    return {name: content for name, content in members.items() if content is not None}


def samples(count: int, start: int = 0) -> dict[str, dict[str, bytes]]:
    """Samples in all three formats; the keys begin at 0 in every tar, whatever ``start`` is."""
    kinds = list(KINDS)
    return {f"{number:09d}": sample(start + number, kinds[number % 3]) for number in range(count)}


def tar_of(content: Mapping[str, Sample]) -> bytes:
    """A tar of samples, by the writer that img2dataset uses."""
    stream = io.BytesIO()
    with TarWriter(stream, mtime=0) as writer:
        for key, members in content.items():
            writer.write({"__key__": key, **members})
    return stream.getvalue()


def members_tar(members: Iterable[tuple[str, bytes]], **settings: Any) -> bytes:
    """A tar of members in any order and under any name."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", **settings) as tar:
        for name, content in members:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return stream.getvalue()


def flat(content: Mapping[str, Sample]) -> list[tuple[str, bytes]]:
    """Samples as members."""
    return [
        (f"{key}.{extension}", part)
        for key, members in content.items()
        for extension, part in sorted(members.items())
    ]


def stats(successes: int, count: int | None = None) -> bytes:
    """`00000_stats.json`."""
    facts = {
        "count": successes if count is None else count,
        "successes": successes,
        "failed_to_download": 0,
        "failed_to_resize": 0,
        "duration": 12.5,
        "start_time": 1.0,
        "end_time": 13.5,
        "status_dict": {"success": successes},
    }
    return json.dumps(facts, indent=4).encode()


def put(source: str, files: Mapping[str, bytes]) -> str:
    """Write files below a path or URL; the place."""
    for name, content in files.items():
        path = place.join(source, name)
        if not place.is_url(path):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        with fsspec.open(path, "wb") as stream:
            stream.write(content)
    return source


def pool(source: str, sizes: Mapping[str, int]) -> str:
    """A pool of whole tars with their statistics: names and numbers of samples."""
    start = 0
    for name, size in sizes.items():
        files = {name: tar_of(samples(size, start)), name[:-4] + "_stats.json": stats(size)}
        put(source, files | {name[:-4] + ".parquet": b"not read"})
        start += size
    return source
