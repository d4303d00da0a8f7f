#!/usr/bin/env bash
# `torch.sqrt` on a CPU is not the square root of IEEE 754, and MKL's mode for the same bits on all
# processors is where it is never so.
#
# Expected: a square root is rounded correctly wherever it is computed, so that it is the one
# function that can not differ between processors; the more so with MKL_CBWR=COMPATIBLE.
# Seen: torch takes MKL's, which in this mode (on AMD in every mode) begins with the processor's
# estimate of 1/sqrt(x), so that about a fifth of the results are off by one in the last digit, and
# which ones depends on the maker of the processor: with instruction sets pinned the roots of AMD
# EPYC are not those of the same processor in an emulator, and nothing else of a training differs.
# AdamW takes these roots, unless it is `fused`.
set -euo pipefail
VERSION=2.15.0
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/venv"
"$t/venv/bin/pip" install -q --disable-pip-version-check "torch==$VERSION" "numpy==2.4.6" 2> "$t/pip" \
  || { cat "$t/pip" >&2; exit 2; }
cat > "$t/see.py" <<'P'
import platform
import sys

import numpy as np
import torch

print("torch", torch.__version__, platform.machine())
torch.set_num_threads(1)
draw = torch.Generator().manual_seed(0)
x = torch.randint(1, 1 << 24, (100_000,), generator=draw).float() / (1 << 20)
off = int((torch.sqrt(x).numpy() != np.sqrt(x.numpy())).sum())
print(f"torch.sqrt of {len(x):,} float32: {off:,} are not numpy's, which are IEEE 754's")

root = torch._foreach_sqrt([x])[0]  # as AdamW takes it of its running squares
same = torch.equal(root, torch.sqrt(x))
print(f"the root that AdamW takes, unless it is fused, is {'the same' if same else 'another'}")
sys.exit("the behaviour has changed" if off < 1000 or not same else 0)
P
MKL_CBWR=COMPATIBLE "$t/venv/bin/python" "$t/see.py"
