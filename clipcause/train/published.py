"""Runs of objective `pretrained` and `checkpoint`: models that others trained, as they are."""

from pathlib import Path

from clipcause.config.objective import Published
from clipcause.embed import checkpoint, models
from clipcause.embed.models import Clip


def load(entry: Published) -> Clip:
    """The model that the entry names: a folder, or a model of open_clip's with its weights."""
    if entry.objective == "checkpoint":
        return models.load(Path(entry.path))
    return models.pretrained(entry.model, entry.pretrained)


def write(folder: Path, entry: Published) -> str:
    """Write the model as the checkpoint of a run, which learnt from no split; the fingerprint."""
    clip = load(entry)
    named = {name: getattr(entry, name) for name in entry.named}
    return checkpoint.write(
        folder,
        models.weights(clip.model),
        model_config=clip.config,
        preprocess=clip.preprocess,
        training={"objective": entry.objective, **named},
        split={},
        files=clip.files,
    )
