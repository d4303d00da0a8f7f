"""Images of a shard as batches, read and decoded ahead of the model that takes them.

One thread reads (and hashes) the shard, others decode; Pillow and the hash free the interpreter.
Memory holds a few batches, however large the shard is.

Shapes: N images of S x S pixels.
"""

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np

from clipcause.data.manifest import Manifest
from clipcause.embed.pixels import UNDECODABLE, Pixels, View, decode, undecodable

AHEAD = 3  # batches: one that is read, one that is decoded, one that is ready


def batches(
    manifest: Manifest, position: int, view: View, *, size: int, decoders: int
) -> Generator[Pixels]:
    """The images of one shard in row order, ``size`` at a time; the last batch may have fewer.

    ``decoders`` is the number of threads that decode. Raises as ``Manifest.images`` does, and
    ``ValueError`` naming shard and key of an image that cannot be decoded.
    """
    images = manifest.images([position])
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(decoders) as pool:

        def read() -> tuple[Pixels, list[Future[None]]]:
            chunk = list(islice(images, size))
            batch = np.empty((len(chunk), view.size, view.size, 3), np.uint8)
            tasks = enumerate(chunk)
            return batch, [pool.submit(fill, batch, at, *image) for at, image in tasks]

        def fill(batch: Pixels, at: int, row: int, image: bytes) -> None:
            batch[at] = _decoded(image, view, manifest, position, row)

        waiting = deque(reader.submit(read) for _ in range(AHEAD))
        while True:
            batch, decoded = waiting.popleft().result()
            if not len(batch):
                return
            waiting.append(reader.submit(read))
            for done in decoded:
                done.result()
            yield batch


def _decoded(image: bytes, view: View, manifest: Manifest, position: int, row: int) -> np.ndarray:
    try:
        return decode(image, view)
    except UNDECODABLE as error:
        index = row - manifest.starts[position]
        raise undecodable(manifest, position, index, error) from None
