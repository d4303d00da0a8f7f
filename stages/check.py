"""check: `params.yaml` comes in; nothing goes out but the word that it is valid.

Every parameter of every stage is checked before any work, and so is every name that one entry uses
of another: a typing error in a split must not be found after an hour of training. The output never
changes, so a change of parameters re-runs this stage and those that use what changed. The empty
split, model and file that the DAG's slots `none` point at are made here too, and copies of the
class lists that `evaluate.again` names, so that no other list re-runs a stage.

`python -m clipcause check STUDY` checks any study, and lists the paths that are missing here.
"""

import shutil
from pathlib import Path

from clipcause.check import leftovers, parameters, paths
from clipcause.config import FILE, layout, section
from clipcause.config.evaluate import Evaluate
from clipcause.prune import split
from clipcause.runtime import atomic
from clipcause.runtime.entry import run
from clipcause.runtime.notices import notice

OUTPUT = Path("data/checked")
EMPTY = Path("data/none")  # the raw source of data that is read in place and not looked at again


def main() -> str:
    """Check the parameters, and make what the slots `none` point at."""
    content = parameters.check(FILE)
    paths.check_pinned(content, FILE)
    for folder in leftovers.find(content):
        notice("check", f"{folder} is not in {FILE}; remove it, or it counts as data")
    split.write(layout.split(layout.NONE), [])
    named = (layout.model, layout.domains, layout.scores, layout.embeddings_by, layout.signal)
    for folder in (*(kind(layout.NONE) for kind in named), layout.TEXTS / layout.NONE):
        atomic.write_json(folder / "card.json", {})
    with atomic.file(EMPTY) as temporary:
        temporary.touch()
    with atomic.folder(layout.ASKED) as out:
        (out / "card.json").write_bytes(atomic.encode_json({}))
        for name in section("evaluate", Evaluate).lists:
            shutil.copyfile(layout.classes(name), out / layout.asked(name).name)
    atomic.write_json(layout.place(layout.NONE), {})
    with atomic.file(OUTPUT) as temporary:
        temporary.write_text("parameters are valid\n")
    return ", ".join(f"{len(content[name])} {name}" for name in ("tests", "splits", "runs"))


if __name__ == "__main__":
    run(main)
