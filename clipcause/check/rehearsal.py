"""A rehearsal of a study: the same stages on a part of its data, as a study of its own.

``studies/NAME-rehearsal-0_01/`` is made of ``studies/NAME/params.yaml`` whenever it is asked for.
DVC stages nothing of it for git (which may not ignore it, for DVC reads no ``dvc.yaml`` that is
ignored): keep it or remove it. How much is taken stands in its parameters, which DVC compares as it
does in any study, and its lock, outputs and report are its own: neither study's results can stand
for the other's. What both read alike, the parts of tars, comes from the shard cache.

Of pool and reference the first tars are taken, of a test set as large a part of every class (its
tars are read whole). Training sees that share of the samples, at least one batch, in no more
streams than there are tars; numbers of rows and clusters are that share too.
"""

import io
import math
from pathlib import Path
from typing import Any

import braceexpand
from ruamel.yaml import YAML

from clipcause.check import studies
from clipcause.config import FILE, layout
from clipcause.runtime import atomic

SOURCE = "webdataset"


def write(study: str, said: str, root: Path) -> str:
    """Make the rehearsal of a study at a scale, or bring it up to the study's; its name."""
    scale = _scale(said)
    name = f"{study}-rehearsal-{said.replace('.', '_')}"
    whole = YAML()  # keeps comments and layout
    whole.width, whole.preserve_quotes = 4096, True
    content = whole.load((studies.folder(study, root) / FILE).read_text())
    shrink(content, scale, f"{studies.FOLDER / study / FILE}")
    stream = io.StringIO()
    whole.dump(content, stream)
    head = f"# A rehearsal of {study}, made from its parameters each time: change those.\n"
    target = root / studies.FOLDER / name
    text = head + studies.with_parent(stream.getvalue(), study)
    if not (target / FILE).exists() or (target / FILE).read_text() != text:
        target.mkdir(parents=True, exist_ok=True)
        with atomic.file(target / FILE) as temporary:
            temporary.write_text(text)
    config = target / ".dvc/config"
    if not config.exists():
        config.parent.mkdir(exist_ok=True)
        config.write_text(studies.CONFIG.replace("autostage = true", "autostage = false"))
    studies.renew(target)
    return name


def shrink(content: Any, scale: float, where: str) -> None:
    """Change the parameters of a study to those of its rehearsal.

    Raises ``ValueError`` for a data set that is not read from tars, which has no parts to take.
    """
    for name, entry in content["datasets"].items():
        if entry["source"] != SOURCE:
            raise ValueError(
                f"{where}: datasets.{name}: source {entry['source']}: a rehearsal takes parts of "
                f"tars ({SOURCE}), and of nothing else"
            )
        key = "each" if layout.is_test(name) else "part"
        entry[key] = entry.get(key, 1.0) * scale
    _share_streams(content)
    for settings in content["train"].values():
        if isinstance(settings, dict) and "samples_seen" in settings:
            least = settings["batch_size"]
            settings["samples_seen"] = max(least, round(settings["samples_seen"] * scale))
    clusters = content["deduplicate"]["clusters"]
    content["deduplicate"]["clusters"] = max(1, round(clusters * scale))
    for split in content["splits"].values():
        if isinstance(keep := split.get("keep"), int):  # rows; a float is a share
            split["keep"] = max(1, round(keep * scale))


def _share_streams(content: Any) -> None:
    """As many streams as there are tars to share out, and loaders that share out the streams."""
    train, engine = content["train"], content.get("engine", {})
    trained = [layout.POOL, *([content["reference"]] if train.get("add_reference") else [])]
    tars = sum(_tars(content["datasets"][name]) for name in trained)
    streams = train.get("streams", 1)
    fewer = max(n for n in range(1, streams + 1) if streams % n == 0 and n <= max(1, tars))
    if fewer < streams:
        train["streams"] = fewer
        if "loaders" in engine:
            engine["loaders"] = math.gcd(engine["loaders"], fewer)


def _tars(entry: Any) -> int:
    """How many tars a data set takes, at least: what a pattern finds is not known here."""
    given = entry.get("shards", "*")
    patterns = [given] if isinstance(given, str) else given
    names = [name for pattern in patterns for name in braceexpand.braceexpand(pattern)]
    return max(1, math.ceil(entry["part"] * len(names)))


def _scale(said: str) -> float:
    try:
        scale = float(said)
    except ValueError:
        scale = 0.0
    if not 0 < scale < 1:
        raise ValueError(f"--scale {said}: a rehearsal takes a share between 0 and 1, such as 0.01")
    return scale
