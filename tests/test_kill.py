"""Stages that are killed at random moments go on where they were, and end with the same bytes."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from stages import embed, train
from tests import killing, learning_study, warm, web_tars
from tests.artifacts_samples import contents

ROOT = Path(__file__).parents[1]
KILLS = 10


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A pool of img2dataset's tars, an encoder, and what the pool is compared with."""
    root = tmp_path_factory.mktemp("study")
    with learning_study.made(root):
        train.main("full-0")
        embed.main("reference")
        embed.main("tests/val")
    sizes = {f"{number:05d}.tar": 3 + number % 3 for number in range(24)}
    web_tars.pool(str(root / "web"), sizes)
    learning_study.change(
        root,
        datasets={"pool": {"source": "webdataset", "raw": "data/none", "place": "web"}},
        prepare={"image_size": 32, "shard_size": 16, "max_drop_fraction": 0.0},
        similarity={"block_rows": 8},
        frequency={"matcher": "substring"},
    )
    return root


def test_ten_kills_in_a_row_change_nothing_and_nothing_is_done_twice(study):
    command = [warm.folder() / "python", "-m", "tests.killing", str(study), "7", str(KILLS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    whole, *killed, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert whole["status"] == last["status"] == 0, done.stderr
    assert [said["status"] for said in killed] == [-signal.SIGKILL] * KILLS
    for said in killed:
        # what was begun is finished and kept, but for the one that was under way
        assert said["computed"] - said["kept"] in (0, 1)
    assert last["computed"] == last["kept"] > 0
    assert sum(said["kept"] for said in (*killed, last)) == whole["kept"] == whole["computed"]
    for name in killing.OUTPUTS:
        expected = contents(study / "undisturbed" / name)
        assert expected
        assert contents(study / name) == expected
    # nobody's half-written files: whoever writes next removes what a killed writer left
    left = [path for path in study.rglob("*.partial") if study / killing.SHARDS not in path.parents]
    assert left == []
