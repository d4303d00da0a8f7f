#!/usr/bin/env bash
# vl-convert: the font that it ships to lay charts out, Liberation Sans, is used only where the
# person has no font of that name: any file that calls itself so, in their own folder of fonts,
# changes the letters and the size of the picture, and so the bytes of every PNG and SVG.
#
# Expected: a font in the package, so that a chart is the same on all machines.
# Seen: fonts of the machine come first. What is committed was drawn with one version of the font,
# and Debian's fonts-liberation has another, whose pairs of digits stand closer together.
set -euo pipefail
CONVERT=1.9.0.post1 FONTTOOLS=4.60.1 ROBOTO=0.0.1
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/venv"
"$t/venv/bin/pip" install -q --disable-pip-version-check "vl-convert-python==$CONVERT" \
  "fonttools==$FONTTOOLS" "font-roboto==$ROBOTO" 2> "$t/pip" || { cat "$t/pip" >&2; exit 2; }
mkdir -p "$t/home/.fonts"
cat > "$t/draw.py" <<'P'
import hashlib
import re

import vl_convert

chart = {
    "data": {"values": [{"a": "a label that is somewhat wide"}]},
    "mark": "bar",
    "encoding": {
        "y": {
            "field": "a", "type": "nominal",
            "axis": {"labelFont": "Liberation Sans", "labelFontSize": 30, "labelLimit": 1000},
        }
    },
}  # fmt: skip
width = re.search(r'width="(\d+)"', vl_convert.vegalite_to_svg(chart))[1]
print(width, hashlib.sha256(vl_convert.vegalite_to_png(chart)).hexdigest()[:12])
P
draw() { HOME="$t/home" XDG_DATA_HOME="$t/home/.local/share" "$t/venv/bin/python" "$t/draw.py"; }
echo "vl-convert-python $CONVERT, $("$t/venv/bin/python" --version)"
own=$(draw)
echo "its own font:               width and hash of the PNG: $own"
"$t/venv/bin/python" - "$t/home/.fonts/other.ttf" <<'P'
import sys
from importlib.util import find_spec
from pathlib import Path

from fontTools.ttLib import TTFont

# a font of other letters under that name, as another version of the same font would be
font = TTFont(Path(find_spec("font_roboto").origin).parent / "files/Roboto-Bold.ttf")
names = {1: "Liberation Sans", 2: "Regular", 4: "Liberation Sans", 6: "LiberationSans"}
for record in font["name"].names:
    record.string = names.get(record.nameID, str(record))
font["OS/2"].usWeightClass, font["OS/2"].fsSelection, font["head"].macStyle = 400, 0x40, 0
font.save(sys.argv[1])
P
other=$(draw)
echo "another of the person's:    width and hash of the PNG: $other"
[ "$own" != "$other" ] || { echo "the behaviour has changed" >&2; exit 1; }
