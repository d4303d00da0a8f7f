#!/usr/bin/env bash
# Hugging Face's `imagefolder` reads other words from `metadata.csv` than from `metadata.jsonl`.
#
# Expected: the same captions and class ids in both files are the same columns.
# Seen: of the CSV, captions that are `None`, `NA`, `null` or `nan` are missing, without a word, and
# class ids `01`, `02` are the numbers 1, 2; of the JSON lines everything is text as it stands.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/venv"
"$t/venv/bin/pip" install -q --disable-pip-version-check datasets==5.2.0 pandas==3.1.1 pillow==13.0.0 \
  2> "$t/pip" || { cat "$t/pip" >&2; exit 2; }
cat > "$t/see.py" <<'P'
import csv
import json
import sys
from pathlib import Path

import datasets
import pandas
from PIL import Image

print("datasets", datasets.__version__, "pandas", pandas.__version__)
datasets.disable_progress_bars()
captions = ["a bell", "None", "NA", "null", "nan"]
labels = ["01", "02", "01", "02", "01"]
rows = [
    {"file_name": f"{number}.png", "text": text, "label": label}
    for number, (text, label) in enumerate(zip(captions, labels))
]
seen = {}
for kind in ("csv", "jsonl"):
    folder = Path(sys.argv[1], kind)
    folder.mkdir()
    for number in range(len(rows)):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number}.png")
    with open(folder / f"metadata.{kind}", "w", newline="") as file:
        if kind == "csv":
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        else:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    made = datasets.load_dataset("imagefolder", data_dir=str(folder), split="train")
    seen[kind] = list(made["text"]), list(made["label"])
    print(f"metadata.{kind}: text {seen[kind][0]}, label {seen[kind][1]}")
wanted = {
    "csv": (["a bell", None, None, None, None], [1, 2, 1, 2, 1]),
    "jsonl": (captions, labels),
}
sys.exit("the behaviour has changed" if seen != wanted else 0)
P
HF_HOME="$t/hf" HF_HUB_OFFLINE=1 "$t/venv/bin/python" "$t/see.py" "$t"
