"""Reading tars: all that tarfile writes comes back, and every damage is an error with its place."""

import hashlib
import io
import tarfile
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipcause.data import tar
from tests.web_tars import members_tar

FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
# a slash at the end makes a folder of a member
NAMES = st.text("abü.-/ 漢", max_size=180).map(lambda name: f"{name}x")
MEMBERS = st.lists(st.tuples(NAMES, st.binary(max_size=1500)), max_size=6)


def read(content: bytes, *, hashed: bool = True, wanted=lambda name, size: True):
    return list(tar.members(tar.Reader(io.BytesIO(content), hashed=hashed), wanted))


@settings(deadline=None, max_examples=80)
@given(MEMBERS, st.sampled_from(FORMATS), st.booleans())
def test_all_that_tarfile_writes_is_read(members, kind, hashed):
    try:
        content = members_tar(members, format=kind)
    except ValueError:  # a name that this format cannot hold
        return
    found = read(content, hashed=hashed)
    assert [(member.name, member.content) for member in found] == members
    assert {member.kind for member in found} <= {"file"}
    skipped = read(content, hashed=hashed, wanted=lambda name, size: False)
    assert [(m.name, m.size) for m in skipped] == [(m.name, m.size) for m in found]
    assert all(member.content is None for member in skipped)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_a_tar_cut_anywhere_gives_the_members_before_and_an_error(data):
    members = [(f"{n}.jpg", bytes([n]) * 700) for n in range(4)]
    content = members_tar(members, format=data.draw(st.sampled_from(FORMATS)))
    whole = 4 * (512 + 1024)
    cut = data.draw(st.integers(0, whole))
    reader = tar.Reader(io.BytesIO(content[:cut]), hashed=True)
    found = []
    with pytest.raises(tar.TruncatedTarError, match=r"cut off"):
        found.extend((m.name, m.content) for m in tar.members(reader, lambda name, size: True))
    complete = sum(cut >= n * 1536 + 512 + 700 for n in range(4))
    assert found == members[:complete]


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 6 * 1536 - 1), st.integers(1, 255), st.booleans())
def test_a_flipped_byte_is_read_or_is_an_error_of_ours(place, change, hashed):
    """Nothing but TarError comes out, and no size that a damaged header declares is allocated."""
    content = bytearray(members_tar([(f"{'long/' * 30}{n}.jpg", bytes(100)) for n in range(3)]))
    content[place % len(content)] ^= change
    with suppress(tar.TarError):
        found = read(bytes(content), hashed=hashed, wanted=lambda name, size: size < 10_000)
        assert len(found) <= 3


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header("a.jpg", 8 << 30), "cut off"),
        (header("a.jpg", 1 << 70), r"'a\.jpg' at byte 0 has a size of"),
        (header("x", 8 << 30, tarfile.GNUTYPE_LONGNAME), "an extended header of 8589934592 bytes"),
        (header("x", 8 << 30, tarfile.XHDTYPE), "an extended header of 8589934592 bytes"),
        (header("x", 8 << 30, tarfile.XGLTYPE), "cut off"),
        (header("x", 600, tarfile.XHDTYPE) + b"9 a=b\n" + bytes(1018), "a damaged extended header"),
        (header("x", 26, tarfile.XHDTYPE) + b"26 size=99999999999999999\n".ljust(512, b"\0"),
         "an extended header at byte 0 with a size"),
        (header("x", 3, tarfile.GNUTYPE_LONGNAME) + b"abc".ljust(512, b"\0") + bytes(1024),
         "an extended header at the end"),
        (header("a.jpg", 10, tarfile.GNUTYPE_SPARSE) + bytes(1024), "sparse member"),
        (b"x" * 1024, "no tar header at byte 0"),
        (b"", "cut off at byte 0"),
    ],
)  # fmt: skip
def test_what_a_header_declares_is_not_believed(content, message, hashed):
    tracemalloc.start()
    with pytest.raises(tar.TarError, match=message):
        read(content, hashed=hashed, wanted=lambda name, size: size <= 1 << 26)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


def test_what_is_no_file_says_what_it_is():
    kinds = {
        "link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "tty": tarfile.CHRTYPE,
        "disk": tarfile.BLKTYPE, "pipe": tarfile.FIFOTYPE, "folder": tarfile.DIRTYPE, "odd": b"Z",
    }  # fmt: skip
    content = b"".join(header(name, 0, kind) for name, kind in kinds.items()) + bytes(1024)
    assert [(m.name, m.kind, m.what) for m in read(content)] == [
        ("link", "other", "a symbolic link"),
        ("hard", "other", "a hard link"),
        ("tty", "other", "a character device"),
        ("disk", "other", "a block device"),
        ("pipe", "other", "a pipe"),
        ("folder", "folder", ""),
        ("odd", "other", "a member of type b'Z'"),
    ]


def test_the_digest_is_that_of_the_whole_file_whatever_is_behind_the_end():
    content = members_tar([("a.jpg", b"a" * 2000)])
    for tail, more in ((b"", False), (bytes(4096), False), (content, True)):
        reader = tar.Reader(io.BytesIO(content + tail), hashed=True)
        assert [m.name for m in tar.members(reader, lambda name, size: False)] == ["a.jpg"]
        digest, behind = reader.finish()
        assert digest == hashlib.sha256(content + tail).hexdigest()
        assert behind is more
        assert reader.position == len(content + tail)
