"""Stages that are killed again and again: a process of its own, run by tests/test_kill.py.

`python -m tests.killing FOLDER SEED KILLS` runs the stages in FOLDER once undisturbed, puts the
results aside, and runs them again with an empty shard cache, killing them KILLS times at seeded
moments. It prints, as JSON, a line for every attempt.

Each attempt is a forked process, so that what the stages import is imported once.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from clipcause.runtime import shard_cache as cache
from clipcause.runtime.engine import local
from clipcause.runtime.engine.task import attempted
from stages import embed, frequency, prepare, similarity

OUTPUTS = ("data/pool", "embeddings/clip/pool", "similarity", "frequency", "metrics")
LOG = Path("computed.log")
SHARDS = Path("shards")
MOST_BETWEEN = 8  # computations between two kills
LONGEST_WAIT_S = 60


def run_stages():
    """What `dvc repro` would run."""
    prepare.main("pool")
    embed.main("pool")
    similarity.main("val")
    frequency.main()


def noted(task, item):
    """Note a computation before it begins: one that was under way when it was killed counts."""
    with LOG.open("a") as stream:
        stream.write(f"{type(task).__name__} {task.name(item)}\n")
    return attempted(task, item)


def computed():
    return LOG.read_text().splitlines() if LOG.exists() else []


def kept():
    """The finished shards of all stages."""
    names = (cache.ARRAYS.suffix, cache.TABLE.suffix)
    return sorted(path.name for path in SHARDS.rglob("*") if path.suffix in names)


def attempt(after):
    """Run the stages; SIGKILL them when ``after`` more computations have begun (None: never)."""
    before = {"computed": len(computed()), "kept": len(kept())}
    child = os.fork()
    if child == 0:
        try:
            run_stages()
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    ended = status = 0
    if after is not None:
        started = time.monotonic()
        while not ended and len(computed()) < before["computed"] + after[0]:
            time.sleep(0.001)
            ended, status = os.waitpid(child, os.WNOHANG)
            if time.monotonic() > started + LONGEST_WAIT_S:
                break
        time.sleep(after[1])
        if not ended:
            os.kill(child, signal.SIGKILL)
    if not ended:
        _, status = os.waitpid(child, 0)
    found = {"computed": len(computed()), "kept": len(kept())}
    said = {name: found[name] - before[name] for name in found}
    said["status"] = os.waitstatus_to_exitcode(status)
    print(json.dumps(said), flush=True)


def main(folder, seed, kills):
    os.chdir(folder)
    os.environ[cache.ENVIRONMENT] = str(SHARDS)
    vars(local)["attempted"] = noted
    attempt(None)
    for name in OUTPUTS:
        target = Path("undisturbed") / name
        target.parent.mkdir(parents=True, exist_ok=True)
        Path(name).rename(target)
    shutil.rmtree(SHARDS)
    LOG.unlink()
    draw = random.Random(seed)
    for _ in range(kills):
        attempt((draw.randint(1, MOST_BETWEEN), draw.uniform(0, 0.02)))
    attempt(None)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
