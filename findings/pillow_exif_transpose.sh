#!/usr/bin/env bash
# `ImageOps.exif_transpose` turns a picture by one number of its EXIF data, and fails at another one.
#
# Expected: of EXIF data it needs the orientation; a damaged tag beside it costs that tag.
# Seen: it writes all other tags anew, and `struct.error` at the damaged one ends it. The picture
# itself decodes, and the orientation can be read. An upright picture with the damage is fine.
set -euo pipefail
VERSION=13.0.0
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/venv"
"$t/venv/bin/pip" install -q --disable-pip-version-check "pillow==$VERSION" 2> "$t/pip" \
  || { cat "$t/pip" >&2; exit 2; }
cat > "$t/see.py" <<'P'
import io
import struct
import sys

import PIL
from PIL import Image, ImageOps

print("pillow", PIL.__version__)
stream = io.BytesIO()
Image.new("RGB", (40, 30), "red").save(stream, "JPEG")
plain = stream.getvalue()


def with_exif(turn, kind):
    """A picture whose tag of the width has a type that is no number's (2) or is one (4)."""
    exif = Image.Exif()
    exif[0x0100], exif[0x0112] = 40, turn
    block = bytearray(b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0"))
    block[block.index(b"\1\0", 14) + 3] = kind
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + plain[2:]


seen = {}
for turn in (1, 6):
    for kind in (4, 2):
        picture = Image.open(io.BytesIO(with_exif(turn, kind)))
        picture.load()
        stated = picture.getexif().get(0x0112)
        try:
            made = str(ImageOps.exif_transpose(picture).size)
        except struct.error as error:
            made = f"struct.error: {error}"
        seen[turn, kind] = made.partition(":")[0]
        print(f"orientation {stated}, width as type {kind}: {made}")
wanted = {(1, 4): "(40, 30)", (1, 2): "(40, 30)", (6, 4): "(30, 40)", (6, 2): "struct.error"}
sys.exit("the behaviour has changed" if seen != wanted else 0)
P
"$t/venv/bin/python" "$t/see.py"
