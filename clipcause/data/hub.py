"""Files of data sets on the Hugging Face hub, as files of this machine.

``hf://datasets/OWNER/NAME@COMMIT/FOLDER``: a commit, all 40 digits of it, for a branch moves. What
lies there the hub tells by size and hash; a file is fetched whole when it is first read, its hash
compared, and kept under that hash in a folder of its own, so that a name, a revision or a token is
no part of it. The client is `huggingface_hub`.

The folder is ``CLIPCAUSE_HUB`` (`~/.cache/clipcause/hub`) and holds at most ``CLIPCAUSE_HUB_GB``
(500) of 10**9 bytes: what was not read for longest goes first. A fetch that broke off goes on where
it was, in the same process and in the next. Failures of the way there are tried again, later and
later; too many requests (429) when the hub says so.

A token is taken from ``HF_TOKEN``, only for data sets that the hub does not give without, and goes
to the hub's host alone: where it redirects to another, the client takes the token off.
"""

import difflib
import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TypeVar

from clipcause.runtime import atomic

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

PREFIX = "hf://datasets/"
FOLDER, LIMIT, TOKEN = "CLIPCAUSE_HUB", "CLIPCAUSE_HUB_GB", "HF_TOKEN"
GIGABYTES = 500.0
ENDPOINT = "https://huggingface.co"
ADDRESS = re.compile(r"([^/@]+/[^/@]+)@([^/@]+)(?:/(.*))?")
COMMIT = re.compile(r"[0-9a-f]{40}")
HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
SHA256 = 64  # hexadecimal digits; a file that is no LFS object has a git blob's SHA-1, 40
BLOCK = 1 << 22
TRIES, WAIT = 5, 1.0  # how often a way is tried; seconds before the second try, doubled each time
SERVER = range(500, 600)
OWNED = 500  # data sets of an owner that are looked at for the nearest name

Answer = TypeVar("Answer")

_trees: dict[tuple[str, str, str], dict[str, "File"]] = {}
_gated: set[str] = set()  # data sets that this process needed the token for


class File(NamedTuple):
    """What the hub says of a file: its size, and the hash of its content (SHA-256 of an LFS
    object, else the id of the git blob)."""

    bytes: int
    hash: str


class Address(NamedTuple):
    """Where something lies: ``OWNER/NAME``, the commit, and a path in it, empty for all."""

    repo: str
    commit: str
    path: str


def is_hub(place: str) -> bool:
    """Whether a URL is of a data set of the hub."""
    return place.startswith(PREFIX)


def is_pinned(place: str) -> bool:
    """Whether the URL of a data set of the hub names a commit."""
    found = ADDRESS.fullmatch(place.removeprefix(PREFIX))
    return found is not None and COMMIT.fullmatch(found[2]) is not None


def repo(url: str) -> str:
    """``OWNER/NAME`` of a URL, whatever revision it names."""
    owner, _, rest = url.removeprefix(PREFIX).partition("/")
    return f"{owner}/{re.split('[@/]', rest, maxsplit=1)[0]}"


def address(url: str) -> Address:
    """The parts of a URL. Raises ``ValueError`` where it names no commit."""
    found = ADDRESS.fullmatch(url.removeprefix(PREFIX))
    if found is None or not COMMIT.fullmatch(found[2]):
        raise ValueError(
            f"{url}: a data set of the hub is read at a commit, all 40 digits of it, for what a "
            f"branch has changes: {PREFIX}OWNER/NAME@COMMIT/…; `python -m clipcause hub pin "
            "STUDY` writes the newest into a study"
        )
    return Address(found[1], found[2], (found[3] or "").strip("/"))


def endpoint() -> str:
    """The hub's own address, ``HF_ENDPOINT`` or the public one."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or ENDPOINT


def folder() -> Path:
    """Where what was fetched is kept."""
    if named := os.environ.get(FOLDER):
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "clipcause" / "hub"


def limit() -> int:
    """Bytes that the folder holds at most. Raises ``ValueError`` where no number is said."""
    said = os.environ.get(LIMIT) or str(GIGABYTES)
    try:
        number = float(said)
    except ValueError:
        number = 0.0
    if not number > 0:
        raise ValueError(f"{LIMIT}={said}: how many gigabytes to keep is a number above 0")
    return int(number * 1e9)


def listing(url: str, *, again: bool = False) -> dict[str, File]:
    """All files below a folder by their names below it, in their order; of a file itself, "".

    What a commit has is kept, and asked for ``again`` where it is wanted. Raises
    ``FileNotFoundError`` where nothing is there.
    """
    where = address(url)
    tree, path = _tree(where, url, again=again), where.path
    if path in tree:
        return {"": tree[path]}
    start = f"{path}/" if path else ""
    found = {n.removeprefix(start): file for n, file in tree.items() if n.startswith(start)}
    if not found:
        raise _absent(url, where, tree)
    return dict(sorted(found.items()))


def file(url: str) -> File:
    """Size and hash of one file; ``FileNotFoundError`` where it is not there."""
    where = address(url)
    tree = _tree(where, url)
    if where.path not in tree:
        raise _absent(url, where, tree)
    return tree[where.path]


def opened(url: str, buffering: int = -1) -> BinaryIO:
    """A file to read, fetched where it is not here."""
    for _ in range(TRIES):
        kept = fetched(url)
        with suppress(FileNotFoundError):  # another process made room meanwhile
            return kept.open("rb", buffering=buffering)
    raise OSError(f"{url}: is removed as soon as it is fetched: {LIMIT} is too small for all")


def fetched(url: str) -> Path:
    """The file on this machine, fetched where it is not here: its content is what the hub said.

    Raises ``OSError`` where it cannot be had, ``ValueError`` where its content is another.
    """
    said = file(url)
    kept = _kept(said)
    if _touched(kept):
        return kept
    from huggingface_hub.utils import WeakFileLock

    locks = folder() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(locks / f"{said.hash}.lock"):
        if not _touched(kept):
            _make_room(said.bytes, url)
            _fetch(url, said, kept)
    return kept


def have(said: File) -> bool:
    """Whether a file is on this machine."""
    return _kept(said).exists()


def newest(repo: str) -> str:
    """The commit that the main branch of a data set has now."""
    from huggingface_hub import HfApi

    where = f"{PREFIX}{repo}"

    def ask(token: str | bool) -> str:
        info = HfApi(endpoint(), token=token).dataset_info(repo, revision="main")
        return str(info.sha)

    return _answer(repo, where, ask)


def check_access(url: str) -> None:
    """Raise ``OSError`` where the files of a data set are not given to this user."""
    from huggingface_hub import HfApi

    name = repo(url)

    def ask(token: str | bool) -> None:
        HfApi(endpoint(), token=token).auth_check(name, repo_type="dataset")

    _answer(name, url, ask)


def _tree(where: Address, url: str, *, again: bool = False) -> dict[str, File]:
    """All files of a commit, as they were told first, here or in an earlier process."""
    key = (endpoint(), where.repo, where.commit)
    told = folder() / "trees" / f"{where.repo.replace('/', '--')}@{where.commit}.json"
    if not again and key not in _trees and told.exists():
        with suppress(ValueError, TypeError):  # damaged: asked for anew
            _trees[key] = {name: File(*rest) for name, *rest in json.loads(told.read_bytes())}
    if again or key not in _trees:
        _trees[key] = found = _answer(where.repo, url, lambda token: _ask(where, token))
        told.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_json(told, [[name, *said] for name, said in found.items()])
    return _trees[key]


def _ask(where: Address, token: str | bool) -> dict[str, File]:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    entries = HfApi(endpoint(), token=token).list_repo_tree(
        where.repo, recursive=True, revision=where.commit, repo_type="dataset"
    )
    files = [one for one in entries if isinstance(one, RepoFile)]
    found = {one.path: File(one.size, one.lfs.sha256 if one.lfs else one.blob_id) for one in files}
    for name, said in found.items():
        if not HASH.fullmatch(said.hash):  # it names a file of this machine
            raise ValueError(f"{PREFIX}{where.repo}: {name}: {said.hash!r} is no hash")
    return found


def _fetch(url: str, said: File, kept: Path) -> None:
    """Fetch a file to ``kept``, going on from what is there of it."""
    where = address(url)
    part = folder() / "parts" / said.hash
    for folder_of in (part.parent, kept.parent):
        folder_of.mkdir(parents=True, exist_ok=True)
    while True:
        before = part.stat().st_size if part.exists() else 0
        if before > said.bytes:
            part.unlink()
            before = 0
        _answer(where.repo, url, lambda token: _bring(where, said, part, token))
        if (got := _hash(part, said)) == said.hash:
            break
        part.unlink()
        if not before:  # else the part from before may be of anything
            raise ValueError(
                f"{url}: changed under its commit, or damaged on the way: the hub says "
                f"{said.bytes:,} bytes of hash {said.hash}, and what it sent has {got}; nothing "
                "of it is kept"
            )
    part.replace(kept)


def _bring(where: Address, said: File, part: Path, token: str | bool) -> None:
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers, disable_progress_bars

    disable_progress_bars("huggingface_hub.http_get")  # a stage has one of its own
    address_of = hf_hub_url(
        where.repo, where.path, repo_type="dataset", revision=where.commit, endpoint=endpoint()
    )
    part.touch()
    with part.open("r+b") as stream:
        start = stream.seek(0, os.SEEK_END)
        http_get(
            address_of,
            stream,
            resume_size=start,
            expected_size=said.bytes,
            headers=build_hf_headers(token=token),
        )


def _answer(repo: str, url: str, ask: Callable[[str | bool], Answer]) -> Answer:
    """What ``ask`` gives, without a token where that is enough; failures in this project's words.

    Raises ``FileNotFoundError`` (404), ``PermissionError`` (401, 403), ``ConnectionError``.
    """
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    token = os.environ.get(TOKEN, "").strip()
    wait = WAIT
    for left in reversed(range(TRIES)):
        try:
            return ask(token if token and repo in _gated else False)
        except RepositoryNotFoundError as error:  # of a gated one, too
            if not token or repo in _gated:
                raise _refused(repo, url, error, token) from None
            _gated.add(repo)
            continue
        except HfHubHTTPError as error:
            status = error.response.status_code
            if status in (401, 403) and token and repo not in _gated:
                _gated.add(repo)
                continue
            if status not in SERVER or not left:
                raise _refused(repo, url, error, token) from None
        except (httpx2.TransportError, OSError) as error:
            if isinstance(error, OSError) and error.errno:  # of this machine's disk
                raise
            if not left:
                said = " ".join(str(error).split()) or type(error).__name__
                raise ConnectionError(
                    f"{url}: {endpoint()} cannot be reached, or breaks off: {said}; what was "
                    "fetched is kept, and the same command goes on"
                ) from None
        time.sleep(wait)
        wait *= 2
    raise ConnectionError(f"{url}: {endpoint()} did not answer in {TRIES} tries")


def _refused(repo: str, url: str, error: "HfHubHTTPError", token: str) -> OSError:
    """What the hub's answer means, and what to do."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
    from huggingface_hub.errors import RevisionNotFoundError as NoRevision

    status, page = error.response.status_code, f"{endpoint()}/datasets/{repo}"
    if isinstance(error, GatedRepoError):
        first = f"accept its terms at {page}, with the account that the token is of"
        then = "" if token else f", and put a token of yours into {TOKEN}"
        return PermissionError(f"{url}: gated ({status}): {first}{then}")
    if isinstance(error, NoRevision):
        with suppress(OSError):
            return FileNotFoundError(
                f"{url}: the data set has no such commit (404); the newest is {newest(repo)}"
            )
        return FileNotFoundError(f"{url}: the data set has no such commit (404); see {page}")
    if isinstance(error, RepositoryNotFoundError):
        near = difflib.get_close_matches(repo, _of_owner(repo), n=1, cutoff=0.6)
        tip = f"did you mean {near[0]!r}?" if near and near[0] != repo else f"see {page}"
        private = "" if token else f"; a private one needs a token in {TOKEN}"
        return FileNotFoundError(f"{url}: the hub has no such data set ({status}); {tip}{private}")
    if status == 401:
        return PermissionError(
            f"{url}: the hub does not take the token of {TOKEN} (401): expired, or mistyped?"
            if token
            else f"{url}: only with a token (401): put one of yours into {TOKEN}"
        )
    if status == 403:
        return PermissionError(f"{url}: forbidden (403); what your account may see: {page}")
    if status == 404:
        return FileNotFoundError(f"{url}: not found (404); see {page}")
    if status == 429:
        more = "" if token else "; those with an account may ask more often"
        return ConnectionError(f"{url}: too many requests (429); try again later{more}")
    return ConnectionError(f"{url}: the hub fails ({status}); try again later")


def _of_owner(repo: str) -> list[str]:
    """The data sets that the owner of one has, as far as the hub tells."""
    from huggingface_hub import HfApi

    owner = repo.partition("/")[0]
    try:
        found = HfApi(endpoint(), token=False).list_datasets(author=owner, limit=OWNED)
        return [one.id for one in found]
    except Exception:  # only a tip is lost, whatever the client raises
        return []


def _absent(url: str, where: Address, tree: dict[str, File]) -> FileNotFoundError:
    names = {*tree, *(str(up) for name in tree for up in Path(name).parents if str(up) != ".")}
    near = difflib.get_close_matches(where.path, names, n=1, cutoff=0.5)
    tip = f"did you mean {near[0]!r}?" if near else f"it has {len(tree):,} files"
    return FileNotFoundError(f"{url}: not found in that commit; {tip}")


def _kept(said: File) -> Path:
    return folder() / "files" / said.hash[:2] / said.hash


def _touched(kept: Path) -> bool:
    """Whether a file is here; then it was read now."""
    try:
        os.utime(kept)
    except FileNotFoundError:
        return False
    return True


def _hash(path: Path, said: File) -> str:
    """The hash of a file's content, of the kind that the hub told."""
    if len(said.hash) == SHA256:
        found = hashlib.sha256()
    else:
        found = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            found.update(block)
    return found.hexdigest()


def _make_room(needed: int, url: str) -> None:
    """Remove what was not read for longest, until a file of so many bytes has room."""
    most = limit()
    if needed > most:
        raise ValueError(f"{url}: {needed:,} bytes, and {LIMIT} allows {most:,} for all files")
    found = []
    for path in (folder() / "files").glob("*/*"):
        with suppress(FileNotFoundError):
            status = path.stat()
            found.append((status.st_mtime_ns, status.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total + needed <= most:
            return
        path.unlink(missing_ok=True)
        total -= size
