"""From the members of a tar to samples: who belongs to whom, and what is wrong with it.

A sample is a run of members that share a key, as WebDataset's readers take it; what comes back to a
key later is not part of it. The first image of a run is the sample's. Every sample is a row or a
drop; remarks are about what costs no sample.
"""

import json
from typing import Any, NamedTuple

from clipcause.config import nearest
from clipcause.config.datasets import NONE, Limits
from clipcause.data import dataset, values
from clipcause.data.dataset import Drop
from clipcause.data.member_index import Place
from clipcause.data.shards import IMAGES, split_name
from clipcause.data.sources import audit
from clipcause.data.sources.audit import Fault
from clipcause.data.tar import Member
from clipcause.data.values import Captions, Lines

LONGEST_TEXT = 1 << 20  # bytes of a caption, a class or a JSON member
TEXTS = ("txt", "json", "cls")
USUAL = frozenset({"image", "txt"})
SHOWN = 200  # characters of a name in the ledger
MOST_KEYS = 1000  # of JSON members, to name the nearest one
CAPTIONS = ("caption", "captions")  # keys of img2dataset's JSON, and of ours

NOT_A_FILE = "not a file"
NOT_OF_A_SAMPLE = "not of a sample"
OUT_OF_ORDER = "members out of order"
DUPLICATE = "duplicate key"
UNSAFE = values.UNSAFE
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
    pool_uid: str | None  # the JSON's `uid`, as DataComp's tars have it
    caption: str
    captions: list[str] | None
    label: str | None
    width: int
    height: int
    converted: bool


class Texts(NamedTuple):
    """How captions and classes of samples are read.

    ``label`` is the JSON key of a class, for samples without a ``cls``. ``classes`` are the class
    ids by position, where ``cls`` is a position; empty where it is a class id. ``lines`` says what
    the lines of a ``txt`` are. ``caption`` names the member or the key of the JSON that has the
    caption; ``none`` is ``txt``, or `caption` or `captions` of the JSON. ``columns`` are the keys
    of the JSON whose values are kept. ``names`` are the words for ``classes``, in their order: the
    captions of pictures that have a class alone.
    """

    label: str = NONE
    classes: tuple[str, ...] = ()
    lines: Lines = "join"
    caption: str = NONE
    columns: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def members(self) -> tuple[str, ...]:
        """The extensions of members that are read, in lower case."""
        named = () if self.caption == NONE else (self.caption.lower(),)
        return (*TEXTS, *named)


class Reading:
    """The samples of one tar, while its members are read.

    ``rows`` with their ``places``, ``drops`` and ``remarks`` are in its order; ``images`` counts
    the samples with an image, usable or not. ``columns`` are the values of each row that are kept,
    ``keys`` are those of all JSON members, as far as they are few.
    """

    def __init__(self, shard: str, limits: Limits, read: Texts) -> None:
        self.rows: list[Row] = []
        self.places: list[Place] = []
        self.drops: list[Drop] = []
        self.remarks: list[Drop] = []
        self.columns: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        self.images = 0
        self._shard, self._limits, self._read = shard, limits, read
        self._texts = frozenset(read.members)  # asked for every member
        self._names: set[str] = set()  # of JSON members, as they are written there
        self._seen: dict[str, frozenset[str]] = {}
        self._key = ""
        self._run: dict[str, Member] = {}  # the sample being read, by extension
        self._before: frozenset[str] = frozenset()  # what the one before it has

    def is_read(self, name: str, size: int) -> bool:
        """Whether a member's content is needed, and small enough to be held."""
        key, extension = split_name(name)
        lower = extension.lower()
        if lower in IMAGES:
            # the first image of the first run of a key is the sample's, others are names alone
            another = key == self._key and _image(self._run) is not None
            return size <= self._limits.most_bytes and not another and key not in self._seen
        return lower in self._texts and size <= LONGEST_TEXT

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
            lower = extension.lower()
            extension = lower if lower in self._texts else extension
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
        facts = self._json(run.get("json"))
        if len(self.keys) < MOST_KEYS and (new := facts.keys() - self._names):
            # most samples have the keys of those before
            self._names |= new
            self.keys.update(printable(name[:SHOWN]) for name in new)
        made = self._sample(run, facts, image)
        if isinstance(made, Fault):
            self._drop(made)
        else:
            self.rows.append(made)
            assert image is not None
            self.places.append(_place(*image, run.get("json")))
            if self._read.columns:
                self.columns.append({name: facts.get(name) for name in self._read.columns})

    def _sample(
        self, run: dict[str, Member], facts: dict[str, Any], image: tuple[str, Member] | None
    ) -> Row | Fault:
        if unsafe := _unsafe(self._key):
            return Fault(UNSAFE, unsafe)
        if image is None:
            return Fault(NO_IMAGE, f"only {', '.join(sorted(run))}")
        name, member = image
        try:
            label = self._class(run.get("cls"), facts)
        except values.NotTextError as error:
            return Fault(UNREADABLE_CLASS, str(error))
        try:
            said = self._captions(run, facts) or values.captions(self._words(label))
        except values.NotTextError as error:
            return Fault(UNREADABLE_CAPTION, str(error))
        if said is None:
            return self._no_caption(run, facts)
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
            source_id=_source_id(facts.get("url"), said.first),
            pool_uid=_pool_uid(facts.get("uid")),
            caption=said.first,
            captions=said.all,
            label=label,
            width=seen.width,
            height=seen.height,
            converted=seen.converted,
        )

    def _class(self, member: Member | None, facts: dict[str, Any]) -> str | None:
        """The class id that a sample's ``cls`` or JSON says; of shards that we wrote, the JSON."""
        ours = facts.get("clipcause")
        if isinstance(ours, dict) and "label" in ours:
            return values.text(ours["label"])
        if member is None:
            return values.text(facts.get(self._read.label)) if self._read.label != NONE else None
        said, classes = values.text(_content(member)), self._read.classes
        if said is None or not classes:
            return said
        if not (said.isascii() and said.isdigit() and int(said) < len(classes)):
            raise values.NotTextError(f"{said!r} is no position among {len(classes)} classes")
        return classes[int(said)]

    def _captions(self, run: dict[str, Member], facts: dict[str, Any]) -> Captions | None:
        """The text; where there is none, what the JSON says."""
        member, keys = self._stated
        if member in run:
            text = values.decoded(_content(run[member]))
            if found := values.of_lines(text, self._read.lines):
                return found
        found = (values.captions(facts.get(key)) for key in keys)
        return next((one for one in found if one), None)

    def _words(self, label: str | None) -> str | None:
        """The caption of a picture that has a class alone."""
        if label in self._read.classes and self._read.names:
            return self._read.names[self._read.classes.index(label)]
        return label and label.replace("_", " ")

    @property
    def _stated(self) -> tuple[str, tuple[str, ...]]:
        """The member, and the keys of the JSON, that have captions."""
        named = self._read.caption
        return ("txt", CAPTIONS) if named == NONE else (named.lower(), (named,))

    def _no_caption(self, run: dict[str, Member], facts: dict[str, Any]) -> Fault:
        member, keys = self._stated
        if member in run or any(facts.get(key) is not None for key in keys):
            return Fault(EMPTY_CAPTION, "neither in txt nor in json")
        there = sorted(_kinds(run) - {"image", *TEXTS}) + [printable(key) for key in sorted(facts)]
        if self._read.caption != NONE:
            return Fault(NO_CAPTION, f"no {self._read.caption!r}; {nearest(member, there)}")
        detail = "neither in txt nor in json"
        if there:
            detail += f"; say which has it by `caption`: {', '.join(there)}"
        return Fault(NO_CAPTION, detail)

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


def _place(name: str, member: Member, facts: Member | None) -> Place:
    """Where a usable sample lies: its image of that name, and its JSON."""
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
    return values.unsafe(key)


def _content(member: Member) -> bytes:
    if member.content is None:
        raise values.NotTextError(f"{member.size:,} bytes are more than {LONGEST_TEXT:,}")
    return member.content


def _pool_uid(stated: Any) -> str | None:
    return printable(stated) if isinstance(stated, str) and stated else None
