"""SHA-256 of files in a folder or behind a URL."""

import hashlib

from clipcause.data import place

BLOCK = 1 << 22


def sha256(path: str, size: int | None = None) -> str:
    """The hash of a file, hexadecimal, read in blocks; ahead, where its ``size`` is known."""
    found = hashlib.sha256()
    with place.opened(path, size) as stream:
        while block := stream.read(BLOCK):
            found.update(block)
    return found.hexdigest()
