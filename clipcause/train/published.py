"""Runs of objective `pretrained` and `checkpoint`: models that others trained, as they are."""

from pathlib import Path

from clipcause.config import weights
from clipcause.config.objective import Published
from clipcause.config.objectives.pretrained import Pretrained
from clipcause.config.runs import NONE
from clipcause.data import shards
from clipcause.embed import checkpoint, models, weight_hashes
from clipcause.embed.models import Clip

STATED = ("like", "text_from")  # what the card says beside which model it is


def load(entry: Published) -> Clip:
    """The model that the entry names: a folder, or a model of open_clip's with its weights.

    Raises ``ValueError`` for a model that is not as it says, with what is wrong.
    """
    noted = weights.named(entry.text_from)
    place = NONE if noted is None else weights.load(noted)
    if isinstance(entry, Pretrained):
        given = entry.pretrained if noted is None else place
        return models.pretrained(entry.model, given, entry.like)
    return models.load(Path(entry.path if noted is None else place))


def write(folder: Path, entry: Published) -> str:
    """Write the model as the checkpoint of a run, which learnt from no split; the fingerprint.

    Its card has the SHA-256 of the file of its weights. Raises ``ValueError`` where that is not the
    one of the entry of `weights`: DVC would take the model for one of other weights.
    """
    clip = load(entry)
    _ = clip.view  # images that it cannot be shown are told before anything is embedded
    read = {} if clip.source is None else {clip.source.name: shards.digest(clip.source)}
    if (noted := weights.named(entry.text_from)) is not None:
        weight_hashes.check_noted(noted, read)
    named = {name: getattr(entry, name, NONE) for name in (*entry.named, *STATED)}
    return checkpoint.write(
        folder,
        models.weights(clip.model),
        model_config=clip.config,
        preprocess=clip.preprocess,
        training={
            "objective": entry.objective,
            **{name: value for name, value in named.items() if value != NONE},
        },
        split={},
        files=clip.files,
        read=read,
    )
