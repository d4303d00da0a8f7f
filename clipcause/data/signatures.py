"""What a file is that lies in another's place, by its first bytes.

Downloads that failed leave an error page under the file's name, a clone without Git LFS leaves
pointers, and archives are renamed. "No tar header at byte 0" says none of this.
"""

FIRST = 512  # bytes that are looked at
PAGE = "an HTML page, as a server sends where a file is gone or needs a login; fetch it again"
# what a file begins with, and what to call it
BEGINNINGS = (
    (b"version https://git-lfs.github.com/spec/", "a pointer of Git LFS; `git lfs pull` gets it"),
    (b"\x1f\x8b", "compressed by gzip; a tar so made is called .tar.gz"),
    (b"PK\x03\x04", "a zip archive; unpack it and read its pictures with source: folder"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\xfd7zXZ\0", "compressed by xz; unpack it first"),
    (b"BZh", "compressed by bzip2; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"Rar!\x1a\x07", "a rar archive; unpack it first"),
    (b"PAR1", "a Parquet file"),
    (b"\x93NUMPY", "a NumPy array"),
)
TAR = b"ustar"  # at byte 257
PARQUET, NUMPY, GZIP = b"PAR1", b"\x93NUMPY", b"\x1f\x8b"


def called(first: bytes, expected: bytes = b"") -> str:
    """What begins with these bytes, in words for an error; empty where that is not known, or where
    it begins as ``expected``."""
    if not first:
        return "empty"
    if expected and first.startswith(expected):
        return ""
    for beginning, name in BEGINNINGS:
        if first.startswith(beginning):
            return name
    if first[257:262] == TAR:
        return "a tar that nothing compressed; call it .tar"
    text = first.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:9].lower() == b"<!doctype" or text[:5].lower() in (b"<html", b"<head"):
        return PAGE
    if text.startswith(b"<?xml"):
        return "XML, as an object store answers where it refuses; fetch it again"
    if text.startswith((b'{"', b"{\n")):
        return "JSON, as a server answers where it refuses; fetch it again"
    return ""
