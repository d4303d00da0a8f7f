#!/usr/bin/env bash
# webdataset's TarWriter has an argument `format`, documented as the tar format, and chooses ustar
# where none is given. One would guess that the tar is ustar then, or what was asked for: the value
# is worked out and never used, so that every tar has Python's default, pax, whose extended headers
# (here for a key that is not ASCII) are members of their own to readers that know ustar alone.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/venv"; "$t/venv/bin/pip" install -q --no-deps 'webdataset==1.0.2' 'braceexpand==0.1.7'
"$t/venv/bin/pip" install -q 'numpy==2.2.6' 'pyyaml==6.0.2'
cd "$t"; venv/bin/python - <<'P'
import io, sys, tarfile, types
from importlib.metadata import version

# the package's start imports torch, which this writer does not use: the module alone is loaded
import importlib.util, pathlib
folder = pathlib.Path(importlib.util.find_spec("webdataset").origin).parent
package = types.ModuleType("webdataset"); package.__path__ = [str(folder)]
sys.modules["webdataset"] = package
from webdataset.writer import TarWriter

print("webdataset", version("webdataset"))
found = {}
for asked in (None, "USTAR_FORMAT", "GNU_FORMAT", "PAX_FORMAT"):
    stream = io.BytesIO()
    writer = TarWriter(stream, mtime=0, encoder=False, format=asked)
    writer.write({"__key__": "größe", "txt": b"x"})
    writer.close()
    first = stream.getvalue()[:512]
    kind = {b"x": "pax", b"0": "ustar or GNU"}.get(first[156:157], repr(first[156:157]))
    found[asked] = kind
    print(f"format={asked}: {kind} header, magic {first[257:265]!r}")
sys.exit(set(found.values()) != {"pax"})
P
echo "as found: the argument does nothing"
