"""Several processes that train a small study, as torchrun starts them, and are killed."""

import functools
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from clipcause.config import layout
from clipcause.data import dataset
from clipcause.embed import checkpoint
from clipcause.prune import split
from clipcause.runtime import shard_cache as cache
from clipcause.train import curves, loop
from stages import train
from tests import learning_study, warm

ROOT = Path(__file__).parents[1]
STEPS = 20
MEMORY = {"data": "memory"}
STREAM = {"data": "stream", "streams": 2, "shuffle": 8}


def build(root: Path) -> None:
    """A study with a model that is normalised layer by layer, in float32."""
    learning_study.build(root)
    optimiser = {**learning_study.OPTIMISER, "samples_seen": 16 * STEPS}
    objectives = {"clip": optimiser, "supervised": optimiser}
    learning_study.change(
        root,
        train={"model": learning_study.LAYER_NORM, "precision": "fp32", **objectives},
        runs={
            "half": {"split": "half", "objective": "clip", "seed": 0},
            "pairs": {"split": "half", "objective": "siglip", "seed": 0},
            "labels": {"split": "none", "objective": "supervised", "seed": 0},
        },
    )
    pool = dataset.read(root / layout.dataset("pool"))
    card = {"pool": pool.sha256, "pool_rows": len(pool)}
    split.write(root / layout.split("half"), range(1, 40, 2), card=card)


def rank(root, run, number, size, port, killed_at):
    """One of several processes, as torchrun starts them; a state is written after every step."""
    os.chdir(root)
    os.environ |= {"RANK": str(number), "WORLD_SIZE": str(size), "LOCAL_RANK": str(number)}
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        cache.ENVIRONMENT: "shards",
    }
    vars(loop)["train"] = functools.partial(loop.train, save_every_s=0.0)
    if killed_at:
        add = curves.Curves.add

        def killing(self, line):
            add(self, line)
            if line["step"] == killed_at and number == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        curves.Curves.add = killing
    train.main(run)


def started(root, run, size, killed_at=None):
    """Run all ranks; their exit codes. The first kills itself after the step ``killed_at``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [warm.folder() / "python", "-m", __name__, root, run]
    ranks = [
        subprocess.Popen([*words, *map(str, (number, size, port, killed_at or 0))], cwd=ROOT)
        for number in range(size)
    ]
    return [process.wait(120) for process in ranks]


def trained(root, run, size, changes):
    """The checkpoint of a run in ``size`` processes, with other parameters."""
    learning_study.change(root, train={**changes, "processes": size})
    if size == 1:
        train.main(run)
    else:
        assert started(root, run, size) == [0] * size
    return checkpoint.read(root / layout.model(run))


if __name__ == "__main__":
    rank(*sys.argv[1:3], *map(int, sys.argv[3:]))
