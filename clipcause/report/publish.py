"""``python -m clipcause publish``: what a fresh clone needs to compare, to diff and to read.

Splits, predictions and the page of the study in the current folder go from DVC's cache to the
remote `published`, a folder of the repository that git keeps, so that `dvc pull -r published` needs
no network. Pictures, embeddings and weights do not: they are large, and `make repro` makes them.
"""

import argparse
from pathlib import Path

REMOTE = "published"
PULL = f"`dvc pull -r {REMOTE} --allow-missing`"
WHOLE = ("report/index.html",)
FOLDERS = ("splits", "predictions")


def main(*words: str) -> str:
    """Push what is to be published; the line that says so."""
    parser = argparse.ArgumentParser(prog="python -m clipcause publish", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.parse_args(words)
    from dvc.repo import Repo

    with Repo() as repo:
        if REMOTE not in repo.config["remote"]:
            raise ValueError(
                f"no remote {REMOTE}: `dvc remote add {REMOTE} {REMOTE}` in the study's folder"
            )
        outs = [out for stage in repo.index.stages for out in stage.outs]
        chosen = [out for out in outs if is_published(str(out))]
        # `Repo.push` collects the graph once for every target: minutes for hundreds of outputs
        files = [found for out in chosen for found in out.get_used_objs().values()]
        with repo.lock:
            pushed = repo.cloud.push(set().union(*files), remote=REMOTE)
    if pushed.failed:
        raise ValueError(
            f"{len(pushed.failed)} files could not be copied to {REMOTE}/; is the disk full?"
        )
    return f"{len(chosen)} outputs are in {REMOTE}/, {len(pushed.transferred)} files of them new"


def is_published(path: str) -> bool:
    """Whether an output of this path is small and says what a study found."""
    return path in WHOLE or Path(path).parts[0] in FOLDERS


def is_served() -> bool:
    """Whether the repository serves outputs of the study in the current folder."""
    config = Path(".dvc/config")  # read as text: a study need not be valid to say what is missing
    return config.exists() and f'remote "{REMOTE}"' in config.read_text()
