"""The benchmarks' commands work; what they measure is not looked at."""

from pathlib import Path

from tests.repository import Repository

ROOT = Path(__file__).parents[1]


def test_the_gpu_command_on_a_cpu(tmp_path):
    words = ("--device", "cpu", "--small", "--write", tmp_path / "x.md")
    Repository(ROOT, OMP_NUM_THREADS="1").python("benchmarks.gpu", *words)
    table = (tmp_path / "x.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 6
    assert "| equal | equal |" in table
    for words in ("product of", "similarity", "decoded images", "JPEGs", "train tiny"):
        assert sum(words in row for row in rows) >= 1, words
    assert "commit" in table
