"""``python -m clipcause check [STUDY or FILE]``: is a study valid, and is its data here?

``python -m clipcause repro [--jobs N] [STAGE …]`` looks first and runs what is not up to date.
"""

import argparse
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipcause.check import graph, parameters, paths, rehearsal, studies
from clipcause.check.paths import HERE, MISSING, Place
from clipcause.config import FILE, layout, places, read
from clipcause.data import hub, hub_sets, listing
from clipcause.runtime import repro

LIST = "list"  # the stage


def whole(path: Path) -> tuple[dict[str, Any], list[Place]]:
    """Validate a parameter file and the graph that it makes of `dvc.yaml`; the paths it names.

    A study is valid on a machine that has none of its data: what is missing is told, no error.
    """
    content = parameters.check(path, here=False)
    try:
        stages = graph.expand(graph.read(), content)
        graph.check(stages)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    made = (out for stage in stages.values() for out in stage.outs)
    return content, paths.places(content, made)


def main(study: str = "") -> str:
    """Check the study of this folder, or the one that is named, by its name or its file.

    Every path that is not here is told, and what is other than in the study it was made from.
    """
    gone = [str(place) for place in checked(study) if place.state != HERE]
    return "\n  ".join([f"{study or FILE} is valid", *gone, *studies.told()])


def checked(study: str) -> list[Place]:
    """Go to the folder of a study, which may be this one, and check it; the paths it names."""
    if study:
        os.chdir(where(study))
    return whole(FILE)[1]


def where(named: str) -> Path:
    """The folder of a study that is given by its name or by its parameter file."""
    path = Path(named)
    if path.name == FILE.name and path.exists():
        return path.parent
    return studies.folder(named, studies.repository())


def unlisted(content: Mapping[str, Any]) -> list[str]:
    """The terms of the data sets of the hub of which nothing was looked at yet, a line each."""
    new = (one for name, one in content[places.SECTION].items() if not layout.place(name).exists())
    return [hub_sets.row(hub.repo(one)) for one in new if hub.is_hub(one)]


def is_worth_saying(record: logging.LogRecord) -> bool:
    """Not that `data/none` is empty, which stands for data that are elsewhere and is made so."""
    said = record.getMessage()
    return not (said.endswith("is empty.") and f"{layout.NONE}'" in said)


def is_listed(stage: str) -> bool:
    """Whether a stage lists a place at which lies what it listed last."""
    kind, _, name = stage.partition("@")
    return kind == LIST and listing.holds(name)


def reproduce(*words: str) -> str:
    """Check a study and bring it up to date, as `dvc repro` does."""
    parser = argparse.ArgumentParser(
        prog="python -m clipcause repro", description=reproduce.__doc__
    )
    parser.add_argument("targets", nargs="*", metavar="STAGE", help="with what they need; all")
    parser.add_argument("--jobs", default="1", help="how many stages run at a time; 1")
    parser.add_argument("--study", default="", help="by name or file; the one of this folder")
    parser.add_argument("--scale", default="", help="a rehearsal on that share of the data")
    arguments = parser.parse_args(words)
    jobs = arguments.jobs
    if not (jobs.isascii() and jobs.isdigit() and int(jobs) > 0):
        raise ValueError(
            f"--jobs {jobs}: how many stages run at a time is a whole number from 1 on"
        )
    study = arguments.study
    if arguments.scale:
        root, study = studies.repository(), study or studies.DEFAULT
        with studies.inside(study, root):  # what is to be shrunk is valid
            paths.check_pinned(whole(FILE)[0], FILE)
        study = rehearsal.write(study, arguments.scale, root)
        print(f"rehearsal: {studies.FOLDER / study}", flush=True)
    # all else is for `check` to say: where nothing is to be done, that is all there is to read
    named = checked(study)
    paths.check_pinned(read(FILE), FILE)
    gone = [str(place) for place in named if place.state == MISSING]
    if gone:
        print("\n  ".join([f"check: {FILE} is valid; of what it names", *gone]), flush=True)
    if terms := unlisted(read(FILE)):
        print("\n  ".join(["terms of what is fetched from the hub", *terms]), flush=True)
    logging.getLogger("dvc.output").addFilter(is_worth_saying)
    return repro.run(arguments.targets, int(jobs), is_listed)
