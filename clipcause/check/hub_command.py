"""``python -m clipcause hub check|pin|terms [STUDY]``: the data sets of the hub that a study reads.

`check` asks the hub, without fetching a file: whether the commits, every file and the access are
there, and how much is to be fetched. `pin` writes today's commit into a study where a branch
stands. `terms` shows licences and gating, without a network.
"""

import argparse
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from clipcause.check import paths
from clipcause.check.command import where
from clipcause.config import FILE, places, read
from clipcause.data import hub, hub_sets, place
from clipcause.data.sources import union
from clipcause.data.sources.webdataset import WebDataset, tars
from clipcause.runtime import atomic

URL = re.compile(r"(hf://datasets/[^/@\s\"']+/[^/@\s\"',}]+)(@[^/\s\"',}]+)?")


class Needed(NamedTuple):
    """The files of a data set of a study, of a place of the hub."""

    dataset: str
    place: str
    files: dict[str, hub.File]


def main(*words: str) -> str:
    """Look at the data sets of the hub that a study reads."""
    parser = argparse.ArgumentParser(prog="python -m clipcause hub", description=__doc__)
    parser.add_argument("what", choices=("check", "pin", "terms"))
    parser.add_argument("study", nargs="?", default="", help="by name or file; of this folder")
    said = parser.parse_args(words)
    path = (where(said.study) if said.study else Path()) / FILE
    content = read(path)
    if said.what == "pin":
        return pin(path)
    if said.what == "terms":
        return "\n  ".join([f"{path}", *terms(content)])
    return "\n  ".join([f"{path}", *checked(content, str(path))])


def repos(content: Mapping[str, Any]) -> list[str]:
    """The data sets of the hub that a study's paths name."""
    named = (one for _, one in paths.named(content) if hub.is_hub(one))
    return list(dict.fromkeys(hub.repo(one) for one in named))


def terms(content: Mapping[str, Any]) -> list[str]:
    """Licence, gating and size of each, and where that was read."""
    return [
        line
        for name in repos(content)
        for line in (
            hub_sets.row(name),
            f"  {hub_sets.SETS[name].what}; read: {hub_sets.SETS[name].read}"
            if name in hub_sets.SETS
            else "",
        )
        if line
    ]


def pin(path: Path) -> str:
    """Write the newest commit where a branch, or nothing, stands; what was written."""
    text, found = path.read_text(), {}
    for match in URL.finditer(text):
        if not hub.is_pinned(match[0]):
            found[match[0]] = f"{match[1]}@{hub.newest(hub.repo(match[1]))}"
    if not found:
        return f"{path}: all are at a commit"
    pinned = URL.sub(lambda one: found.get(one[0], one[0]), text)
    with atomic.file(path) as temporary:
        temporary.write_text(pinned)
    return "\n  ".join([f"{path}", *found.values()])


def checked(content: Mapping[str, Any], where: str) -> Iterator[str]:
    """What the hub says of all that a study reads there. Raises as ``hub`` does."""
    asked: set[str] = set()
    files: dict[str, hub.File] = {}
    for one in needed(content, where):
        name = hub.repo(one.place)
        if name not in asked:
            hub.check_access(one.place)
            asked.add(name)
            yield hub_sets.row(name)
        size = sum(file.bytes for file in one.files.values())
        yield f"  {one.dataset}: {len(one.files):,} files, {size:,} bytes, at {one.place}"
        files |= {file.hash: file for file in one.files.values()}
    total = sum(file.bytes for file in files.values())
    absent = sum(file.bytes for file in files.values() if not hub.have(file))
    yield f"{total:,} bytes in all, {absent:,} of them to be fetched to {hub.folder()}"
    if total > hub.limit():
        yield (
            f"{hub.LIMIT} allows {hub.limit():,} bytes: every pass over the pool would fetch it "
            "again; allow more, if there is room"
        )


def needed(content: Mapping[str, Any], where: str) -> Iterator[Needed]:
    """The files that each data set of a study reads at the hub, as they are listed now.

    A branch is looked at as it is now.
    """
    for name, entry in content["datasets"].items():
        source = union.parse(places.resolved(entry, content, where), f"{where}: datasets.{name}")
        url = source.place
        if not hub.is_hub(url):
            continue
        if not hub.is_pinned(url):
            name_of = hub.repo(url)
            url = URL.sub(f"{hub.PREFIX}{name_of}@{hub.newest(name_of)}", url, count=1)
        listed = hub.listing(url, again=True)
        names = list(listed)
        if isinstance(source, WebDataset):
            names = [one.name for one in tars(url, source.shards, source.part)]
            if source.classnames != "none":
                place.facts(place.join(url, source.classnames))
                names.append(source.classnames)
        yield Needed(name, url, {one: listed[one] for one in names})
