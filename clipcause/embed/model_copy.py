"""``python -m clipcause model RUN FOLDER``: a run's model, for tools that take one name for it.

A checkpoint names its vocabulary as a file beside it, and open_clip looks for that file from the
folder in which a program was started. So `local-dir:FOLDER` gives model and tokenizer from
everywhere only where the vocabulary is named by its whole path, which a checkpoint in DVC's cache
cannot have. The fingerprint is not copied: the configuration is another one.
"""

import shutil
from pathlib import Path

from clipcause.config import layout, unknown
from clipcause.embed import checkpoint, tokens
from clipcause.runtime import atomic


def main(run: str, folder: str) -> str:
    """Copy the model of RUN with its tokenizer to FOLDER, which is new: open_clip, and what builds
    on it, then has both by `local-dir:FOLDER`, in whatever folder it is started. A copy that is
    moved has lost its vocabulary: make it anew."""
    source, target = layout.model(run), Path(folder).resolve()
    if not (source / checkpoint.CARD).exists():
        known = sorted(path.parent.name for path in source.parent.glob(f"*/{checkpoint.CARD}"))
        raise unknown("run", run, known, f"{source.parent}, what is trained")
    if target.exists():
        raise ValueError(f"{folder}: is there already; name a new folder")
    stored = checkpoint.read(source)
    write(stored, target)
    return f"{run} is local-dir:{target}"


def write(stored: checkpoint.Checkpoint, target: Path) -> None:
    """Write what open_clip reads of a checkpoint; ``target`` is the folder's whole path."""
    config = dict(stored.model_config)
    if tokens.MERGES in stored.card["files"]:
        named = {"tokenizer_kwargs": {"bpe_path": str(target / tokens.MERGES)}}
        config["text_cfg"] = {**config["text_cfg"], **named}
    settings = {"model_cfg": config, "preprocess_cfg": dict(stored.preprocess)}
    with atomic.folder(target) as out:
        (out / checkpoint.OPEN_CLIP).write_bytes(atomic.encode_json(settings))
        for name in (checkpoint.WEIGHTS, *stored.card["files"]):
            shutil.copyfile(stored.folder / name, out / name)
