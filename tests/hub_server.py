"""A server of this machine that speaks the hub's API for files of data sets: what the real client
asks of it while it lists and fetches, with failures where a test wants them.

Two servers: the hub, and the storage that it redirects files in LFS to, as the real one does.
"""

import hashlib
import json
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "46f3d69f840e59d77d52e8decfe5baec97e94c7f"
PAGE = 1000  # files that one answer lists, as the hub does


@dataclass
class Repo:
    """A data set: its files, its commit, who may read them, and what it does to requests."""

    files: dict[str, bytes]
    commit: str = COMMIT
    gated: str = ""  # the token that may read it
    private: bool = False  # without the token it does not exist
    # answers of the next requests of files, before they are served: a status, or "cut"
    fail: list[int | str] = field(default_factory=list)
    fail_lists: list[int] = field(default_factory=list)
    told: dict[str, bytes] = field(default_factory=dict)  # what is listed in place of files
    page: int = PAGE

    def entry(self, name: str) -> dict[str, object]:
        """What the hub lists of a file: tars are in LFS, with a pointer's id of their own."""
        content = self.told.get(name, self.files[name])
        blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
        entry: dict[str, object] = {"type": "file", "path": name, "size": len(content), "oid": blob}
        if is_lfs(name):
            digest = hashlib.sha256(content).hexdigest()
            entry |= {"oid": digest[:40], "xetHash": digest}
            entry |= {"lfs": {"oid": digest, "size": len(content), "pointerSize": 134}}
        return entry


@dataclass
class Hub:
    """The two servers' address, what they have, and what they were asked."""

    url: str = ""
    storage: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    # of every request: the server, the path, its token and range
    asked: list[tuple[str, str, str, str]] = field(default_factory=list)

    def files(self) -> list[str]:
        """The paths of the files that were asked for, of both servers."""
        return [path for _, path, _, _ in self.asked if "/resolve/" in path or "/lfs/" in path]


def is_lfs(name: str) -> bool:
    return name.endswith((".tar", ".parquet"))


@contextmanager
def serving(repos: Mapping[str, Repo]) -> Generator[Hub]:
    """The hub with these data sets, while the context lasts."""
    hub = Hub(repos=dict(repos))
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub, name)) for name in ("hub", "s")]
    hub.url, hub.storage = (f"http://127.0.0.1:{one.server_address[1]}" for one in servers)
    threads = [threading.Thread(target=one.serve_forever, args=(0.01,)) for one in servers]
    for thread in threads:
        thread.start()
    try:
        yield hub
    finally:
        for one, thread in zip(servers, threads, strict=True):
            one.shutdown()
            one.server_close()
            thread.join()


def _handler(hub: Hub, which: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

        def do_GET(self) -> None:
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            path, query = unquote(urlsplit(self.path).path), parse_qs(urlsplit(self.path).query)
            hub.asked.append((which, path, token, self.headers.get("Range", "")))
            if which == "s":
                _, _, owner, name, file = path.split("/", 4)
                self._serve(hub.repos[f"{owner}/{name}"], file)
                return
            if path == "/api/datasets":
                owned = [{"id": name, "tags": []} for name in hub.repos]
                self._answer(200, json.dumps(owned).encode(), {})
                return
            parts = path.removeprefix("/api").removeprefix("/datasets/").split("/")
            repo = hub.repos.get("/".join(parts[:2]))
            if repo is None or (repo.private and token != repo.gated):
                self._refuse(404 if token else 401, "RepoNotFound", "Repository not found")
                return
            rest = parts[2:]
            if path.startswith("/api"):
                self._api(repo, rest, int(query.get("cursor", ["0"])[0]))
                return
            commit, file = rest[1], "/".join(rest[2:])
            if commit != repo.commit:
                self._refuse(404, "RevisionNotFound", "Invalid rev id")
            elif repo.gated and token != repo.gated:
                self._refuse(403 if token else 401, "GatedRepo", "Access is restricted")
            elif file not in repo.files:
                self._refuse(404, "EntryNotFound", "Entry not found")
            elif is_lfs(file):
                where = f"{hub.storage}/lfs/{'/'.join(parts[:2])}/{file}"
                self._answer(302, b"", {"Location": where})
            else:
                self._serve(repo, file)

        do_HEAD = do_GET

        def _api(self, repo: Repo, rest: list[str], start: int) -> None:
            if rest == ["auth-check"]:
                token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                if repo.gated and token != repo.gated:
                    self._refuse(403 if token else 401, "GatedRepo", "Access is restricted")
                else:
                    self._answer(200, b"{}", {})
                return
            if rest and rest[0] == "tree":
                if repo.fail_lists:
                    self._refuse(repo.fail_lists.pop(0), "", "failed")
                    return
                if rest[1] != repo.commit:
                    self._refuse(404, "RevisionNotFound", "Invalid rev id")
                    return
                names = sorted(repo.files)
                page = [repo.entry(name) for name in names[start : start + repo.page]]
                headers = {}
                if start + repo.page < len(names):
                    next_page = f"{hub.url}{self.path.split('?')[0]}?cursor={start + repo.page}"
                    headers["Link"] = f'<{next_page}>; rel="next"'
                self._answer(200, json.dumps(page).encode(), headers)
                return
            facts = {"id": "a/b", "sha": repo.commit, "private": False, "tags": [], "siblings": []}
            self._answer(200, json.dumps(facts).encode(), {"Content-Type": "application/json"})

        def _serve(self, repo: Repo, file: str) -> None:
            content = repo.files[file]
            first = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0]
            body = content[int(first) :]
            failure = repo.fail.pop(0) if repo.fail else None
            if isinstance(failure, int):
                self._refuse(failure, "", "failed")
                return
            status = 206 if "Range" in self.headers else 200
            headers = {"Content-Length": str(len(body))}
            self._answer(status, body[: len(body) // 2] if failure else body, headers)

        def _refuse(self, status: int, code: str, message: str) -> None:
            headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
            headers |= {"Retry-After": "0"} if status == 429 else {}
            self._answer(status, json.dumps({"error": message}).encode(), headers)

        def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            headers = {"Content-Length": str(len(body))} | dict(headers)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            if int(headers["Content-Length"]) != len(body):  # cut off
                self.close_connection = True

    return Handler
