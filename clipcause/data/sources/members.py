"""From the members of a tar to samples: who belongs to whom, and what is wrong with it.

A sample is a run of members that share a key, as WebDataset's readers take it; what comes back to a
key later is not part of it. The first image of a run is the sample's. Every sample is a row or a
drop; remarks are about what costs no sample.
"""

import json
from typing import Any, NamedTuple
from unicodedata import category

from clipcause.config.datasets import NONE, Limits
from clipcause.data import dataset
from clipcause.data.dataset import Drop
from clipcause.data.member_index import Place
from clipcause.data.shards import IMAGES, split_name
from clipcause.data.sources import audit
from clipcause.data.sources.audit import Fault
from clipcause.data.tar import Member

LONGEST_TEXT = 1 << 20  # bytes of a caption, a class or a JSON member
TEXTS = ("txt", "json", "cls")
USUAL = frozenset({"image", "txt"})
SHOWN = 200  # characters of a name in the ledger

NOT_A_FILE = "not a file"
NOT_OF_A_SAMPLE = "not of a sample"
OUT_OF_ORDER = "members out of order"
DUPLICATE = "duplicate key"
UNSAFE = "unsafe name"
NO_IMAGE = "no image"
NO_CAPTION = "no caption"
EMPTY_CAPTION = "empty caption"
UNREADABLE_CAPTION = "unreadable caption"
UNREADABLE_CLASS = "unreadable class"
UNREADABLE_JSON = "unreadable json"
WRONG_EXTENSION = "wrong extension"
CUT_OFF = "cut off"


class Row(NamedTuple):
    """A usable sample: a row of the manifest, without its place in it."""

    key: str
    uid: str
    source_id: str | None  # None where the JSON has no URL
    caption: str
    label: str | None
    width: int
    height: int


class Reading:
    """The samples of one tar, while its members are read.

    ``rows`` with their ``places``, ``drops`` and ``remarks`` are in its order; ``images`` counts
    the samples with an image, usable or not. ``label`` is the JSON key of a class, for samples
    without a ``cls``.
    """

    def __init__(self, shard: str, limits: Limits, label: str) -> None:
        self.rows: list[Row] = []
        self.places: list[Place] = []
        self.drops: list[Drop] = []
        self.remarks: list[Drop] = []
        self.images = 0
        self._shard, self._limits, self._label = shard, limits, label
        self._seen: dict[str, frozenset[str]] = {}
        self._key = ""
        self._run: dict[str, Member] = {}  # the sample being read, by extension
        self._before: frozenset[str] = frozenset()  # what the one before it has

    def is_read(self, name: str, size: int) -> bool:
        """Whether a member's content is needed, and small enough to be held."""
        key, extension = split_name(name)
        if extension.lower() in IMAGES:
            # the first image of the first run of a key is the sample's, others are names alone
            another = key == self._key and _image(self._run) is not None
            return size <= self._limits.most_bytes and not another and key not in self._seen
        return extension.lower() in TEXTS and size <= LONGEST_TEXT

    def add(self, member: Member) -> None:
        """Take the next member."""
        key, extension = split_name(member.name)
        if member.kind == "folder":
            return
        if member.kind == "other":
            self._remark(member.name, NOT_A_FILE, f"{member.what}, which is not followed")
        elif not extension or not key.rpartition("/")[2]:
            self._remark(member.name, NOT_OF_A_SAMPLE, "a name without key or extension")
        else:
            # as WebDataset's readers; of images the first counts, however it is written
            extension = extension.lower() if extension.lower() in TEXTS else extension
            if key != self._key or extension in self._run:
                self._close()
                self._key = key
            self._run[extension] = member

    def end(self, *, damaged: bool) -> None:
        """No member follows. In a damaged tar the last sample counts only where it has all that
        the one before it has: the rest of it may be what is missing."""
        lacking = (self._before or USUAL) - _kinds(self._run)
        if damaged and self._run and lacking:
            self.images += _image(self._run) is not None
            missing = ", ".join(sorted(lacking))
            self._drop(Fault(CUT_OFF, f"the tar is damaged before its {missing}"))
            return
        self._close()

    def _close(self) -> None:
        """The sample is complete."""
        run, self._run = self._run, {}
        if not run:
            return
        extensions, self._before = frozenset(run), _kinds(run)
        image = _image(run)
        self.images += image is not None
        earlier = self._seen.get(self._key)
        self._seen[self._key] = extensions | (earlier or frozenset())
        if earlier is not None:
            if image is not None and earlier & extensions:
                self._drop(Fault(DUPLICATE, "the first sample of this key in the tar counts"))
            else:
                found = ", ".join(sorted(extensions))
                self._remark(self._key, OUT_OF_ORDER, f"its {found} does not follow the rest")
            return
        made = self._sample(run)
        if isinstance(made, Fault):
            self._drop(made)
        else:
            self.rows.append(made)
            self.places.append(_place(run))

    def _sample(self, run: dict[str, Member]) -> Row | Fault:
        if unsafe := _unsafe(self._key):
            return Fault(UNSAFE, unsafe)
        image = _image(run)
        if image is None:
            return Fault(NO_IMAGE, f"only {', '.join(sorted(run))}")
        name, member = image
        facts = self._json(run.get("json"))
        texts = {name: _text(run[name]) for name in ("txt", "cls") if name in run}
        label = texts.get("cls", facts.get(self._label) if self._label != NONE else None)
        if isinstance(label, int) and not isinstance(label, bool):
            label = str(label)
        if isinstance(label, Fault):
            return Fault(UNREADABLE_CLASS, label.detail)
        label = printable(label.strip()) or None if isinstance(label, str) else None
        caption = _caption(texts.get("txt"), facts.get("caption"), label)
        if isinstance(caption, Fault):
            return caption
        if member.content is None:
            most = self._limits.most_bytes
            return Fault(audit.TOO_LARGE, f"{member.size:,} bytes are more than {most:,}")
        seen = audit.look(member.content, self._limits)
        if isinstance(seen, Fault):
            return seen
        if name.lower().replace("jpeg", "jpg") != seen.extension:
            self._remark(self._key, WRONG_EXTENSION, f"a {seen.extension} called {name}; it stays")
        return Row(
            key=self._key,
            uid=dataset.uid(member.content),
            source_id=_source_id(facts.get("url"), caption),
            caption=caption,
            label=label,
            width=seen.width,
            height=seen.height,
        )

    def _json(self, member: Member | None) -> dict[str, Any]:
        """What a sample's JSON says; where it cannot be read, nothing and a remark."""
        if member is None:
            return {}
        if member.content is None:
            self._remark(self._key, UNREADABLE_JSON, f"{member.size:,} bytes; it is not used")
            return {}
        try:
            content = json.loads(member.content)
        except (ValueError, RecursionError) as error:
            self._remark(self._key, UNREADABLE_JSON, f"{error}"[:SHOWN] + "; it is not used")
            return {}
        if not isinstance(content, dict):
            self._remark(self._key, UNREADABLE_JSON, "not an object; it is not used")
            return {}
        return content

    def _drop(self, fault: Fault) -> None:
        self.drops.append(self._entry(self._key, fault.reason, fault.detail))

    def _remark(self, name: str, reason: str, detail: str) -> None:
        self.remarks.append(self._entry(name, reason, detail))

    def _entry(self, name: str, reason: str, detail: str) -> Drop:
        return Drop(self._shard, printable(name[:SHOWN]), reason, printable(detail[:SHOWN]))


def printable(name: str) -> str:
    """A name as text that can be stored: bytes that are not UTF-8 as escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def _source_id(url: Any, caption: str) -> str | None:
    """Of URL and caption; None without a URL, which nothing opens.

    Shard and key are no substitute: every pool has a `00000.tar` with a `000000000`, so they
    would make samples of two unrelated pools one.
    """
    return dataset.source_id(printable(url), caption) if isinstance(url, str) and url else None


def _image(run: dict[str, Member]) -> tuple[str, Member] | None:
    """The first image of a sample and its extension."""
    images = ((name, member) for name, member in run.items() if name.lower() in IMAGES)
    return next(images, None)


def _place(run: dict[str, Member]) -> Place:
    """Where a usable sample lies."""
    image = _image(run)
    assert image is not None
    name, member = image
    facts = run.get("json")
    stated = (facts.offset, facts.size) if facts and facts.content is not None else (None, None)
    return Place(member.offset, member.size, name.lower(), *stated)


def _kinds(run: dict[str, Member]) -> frozenset[str]:
    """What a sample has, whatever the format of its image."""
    return frozenset("image" if name.lower() in IMAGES else name for name in run)


def _unsafe(key: str) -> str:
    """Why a key could do harm, were it used as a path or printed; empty where it could not."""
    if key.startswith("/") or "\\" in key:
        return "an absolute path" if key.startswith("/") else "a backslash"
    if ".." in key.split("/"):
        return "a path out of the folder"
    if any("\ud800" <= letter <= "\udfff" for letter in key):
        return "bytes that are not UTF-8"
    # blanks of other scripts and joiners are letters of names; what steers a terminal is not
    return "control characters" if any(category(letter) == "Cc" for letter in key) else ""


def _text(member: Member) -> str | Fault:
    if member.content is None:
        return Fault("", f"{member.size:,} bytes are more than {LONGEST_TEXT:,}")
    try:
        return member.content.decode("utf-8-sig")  # a mark of the byte order is no text
    except UnicodeDecodeError as error:
        return Fault("", f"not UTF-8: {error}")


def _caption(text: str | Fault | None, stated: Any, label: str | None) -> str | Fault:
    """The text; where there is none, what the JSON says; where it says nothing, the class."""
    if isinstance(text, Fault):
        return Fault(UNREADABLE_CAPTION, text.detail)
    said = [one.strip() for one in (text, stated) if isinstance(one, str)]
    caption = next(filter(None, said), None) or (label or "").replace("_", " ")
    if not caption:
        return Fault(EMPTY_CAPTION if said else NO_CAPTION, "neither in txt nor in json")
    if printable(caption) != caption:
        return Fault(UNREADABLE_CAPTION, "half of a character of two")
    return caption
