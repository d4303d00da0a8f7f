#!/usr/bin/env bash
# huggingface_hub: a download whose connection is cut goes on where it was, with a Range request, in
# the same call; a process that is started again begins with the first byte.
#
# Expected: what was received lies in the cache under the file's ETag, as `.incomplete`, and the
# next process asks for the rest: it is the same file of the same commit.
# Seen: a call that gives up takes its unfinished file away.
set -euo pipefail
HUB=2.4.0
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/venv"
"$t/venv/bin/pip" install -q --disable-pip-version-check "huggingface_hub==$HUB" 2> "$t/pip" \
  || { cat "$t/pip" >&2; exit 2; }
cat > "$t/fetch.py" <<'P'
import sys
from huggingface_hub import hf_hub_download
hf_hub_download("owner/name", "a.bin", repo_type="dataset", revision="0" * 40, cache_dir=sys.argv[1])
P
cat > "$t/served.py" <<'P'
import os, subprocess, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

CONTENT = bytes(64 << 20)
asked: list[str] = []  # the Range of every GET
cuts: list[int] = []  # after how many bytes the next answers end


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.head(0)

    def do_GET(self):
        wanted = self.headers.get("Range", "")
        if "/resolve/" not in self.path:
            self.send_error(404)
            return
        asked.append(wanted or "all of it")
        start = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted else 0
        self.head(start)
        stop = cuts.pop(0) if cuts else len(CONTENT)
        try:
            for at in range(start, stop, 1 << 20):
                self.wfile.write(CONTENT[at : min(at + (1 << 20), stop)])
        except OSError:
            pass
        if stop < len(CONTENT):
            self.close_connection = True

    def head(self, start):
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("ETag", '"' + "1" * 40 + '"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()

    def log_message(self, *_):
        pass


def fetch(folder):
    here = f"http://127.0.0.1:{server.server_port}"
    env = {**os.environ, "HF_ENDPOINT": here, "HF_HOME": folder, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return subprocess.run([sys.executable, "fetch.py", folder], env=env, capture_output=True)


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("huggingface_hub", version("huggingface_hub"), "Python", sys.version.split()[0])

cuts[:] = [40 << 20]
one = fetch("once")
print("a cut connection, the same call:", asked, "rc", one.returncode)
same_call = one.returncode == 0 and len(asked) == 2 and asked[1].startswith("bytes=")

asked.clear()
cuts[:] = [40 << 20] * 12  # until the call gives up
first = fetch("twice")
tries = len(asked)
left = sorted(path.stat().st_size >> 20 for path in Path("twice").rglob("*.incomplete"))
asked.clear()
cuts.clear()
second = fetch("twice")
print(f"a call that gives up: {tries} tries, rc {first.returncode}; MiB left unfinished {left}")
print("the next process:", asked, "rc", second.returncode)
anew = not left and first.returncode != 0 and second.returncode == 0 and asked == ["all of it"]
sys.exit(0 if same_call and anew else "the behaviour has changed")
P
cd "$t" && "$t/venv/bin/python" served.py
