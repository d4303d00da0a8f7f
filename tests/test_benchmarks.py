"""The benchmarks' commands work; what they measure is not looked at."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_gpu_command_on_a_cpu(tmp_path):
    words = [
        "-m",
        "benchmarks.gpu",
        "--device",
        "cpu",
        "--small",
        "--write",
        str(tmp_path / "x.md"),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    table = (tmp_path / "x.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 6
    assert "| equal | equal |" in table
    for words in ("product of", "similarity", "decoded images", "JPEGs", "train tiny"):
        assert sum(words in row for row in rows) >= 1, words
    assert "commit" in table
