"""Text towers and tokenizers of Hugging Face's: what a published model has beside its weights.

open_clip takes them from `transformers`, an extra of this project: the tokenizers of SigLIP, CLIPA,
MetaCLIP 2 and others, and the whole text tower of roberta and nllb models. A checkpoint of ours has
their files, so that it can be read without a network.
"""

import json
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGE = EXTRA = "transformers"
TOWER, TOKENIZER = "hf_model_name", "hf_tokenizer_name"  # keys of a text tower
CONFIG = "config.json"  # of a tower, as `transformers` calls it
# what of their files says where and by what they were written, and nothing of the model
WRITTEN = ("name_or_path", "_name_or_path", "transformers_version")


def check(config: Mapping[str, Any], name: str) -> None:
    """Raise ``ValueError`` where a model's texts need `transformers`, and it is not there."""
    text = config.get("text_cfg", {})
    if (text.get(TOWER) or text.get(TOKENIZER)) and find_spec(PACKAGE) is None:
        raise ValueError(
            f"{name}: its texts are read by {PACKAGE}, which is not installed; it comes with the "
            f"extra {EXTRA}: `pip install -c constraints.txt -e '.[{EXTRA}]'`"
        )


def files(model: Any, tokenizer: Any) -> dict[str, bytes]:
    """The files by which tokenizer and text tower are made again; none where open_clip has them."""
    with tempfile.TemporaryDirectory() as folder:
        if hasattr(tokenizer, "save_pretrained"):
            tokenizer.save_pretrained(folder)
        if (tower := getattr(getattr(model, "text", None), "config", None)) is not None:
            Path(folder, CONFIG).write_text(tower.to_json_string())
        found = {one.name: one.read_bytes() for one in sorted(Path(folder).iterdir())}
    return {name: _plain(name, content) for name, content in found.items()}


def located(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A model's configuration with its text tower's own in ``folder``, where that has it."""
    text = config.get("text_cfg", {})
    if not text.get(TOWER) or not (folder / CONFIG).exists():
        return dict(config)
    return {**config, "text_cfg": {**text, TOWER: str(folder.resolve())}}


def _plain(name: str, content: bytes) -> bytes:
    """A file without the traces of its writing; the tokenizer's own, which has none, as it is."""
    if name not in (CONFIG, "tokenizer_config.json"):
        return content
    values = {key: one for key, one in json.loads(content).items() if key not in WRITTEN}
    return json.dumps(values, indent=2, sort_keys=True).encode()
