"""Text in YAML 1.2, read as DVC reads it (ruamel.yaml's safe types).

PyYAML reads YAML 1.1, in which ``5e-5`` is text, ``no`` a truth, ``012`` ten and ``1:30`` ninety.
DVC writes and compares 1.2: by two readers `dvc params diff` would show other values than a stage
takes, and what `dvc exp run -S` writes (``5e-05``) would not be a number.
"""

import io
import sys
from typing import Any

from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError


def load(text: str | bytes, where: str) -> Any:
    """The plain values that ``text`` states; None where it states nothing.

    Raises ``ValueError`` that begins with ``where`` for what is no YAML or no UTF-8, and for a key
    that comes twice in one mapping.
    """
    try:
        text = text.decode() if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: not UTF-8, which YAML is written in: {error}") from None
    try:
        return YAML(typ="safe").load(text)
    except DuplicateKeyError as error:  # its own words end with how to switch the check off
        key = (
            str(error.problem)
            .removeprefix("found duplicate key ")
            .partition(" with value")[0]
            .strip('"')
        )
        line = error.problem_mark.line + 1
        raise ValueError(f"{where}: line {line}: {key!r} comes twice") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.context, error.problem) if part)
        at = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{where}: not valid YAML: {at}{said}") from None
    except YAMLError as error:
        said = " ".join(str(error).split())
        raise ValueError(f"{where}: not valid YAML: {said}") from None


def line(value: Any) -> str:
    """A plain value as YAML 1.2 has it, on one line: what reads as another type stands in quotes,
    and a number is spelt as DVC spells it."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.width, yaml.allow_unicode = True, sys.maxsize, True
    yaml.sort_base_mapping_type_on_output = False
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue().removesuffix("\n").removesuffix("\n...")


def is_text(word: str) -> bool:
    """Whether a word that stands without quotes is read as the text that it is."""
    try:
        return load(word, "") == word
    except ValueError:
        return False
