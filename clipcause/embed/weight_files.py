"""Files of weights: read into a model, and what is wrong with one that it does not take.

open_clip reads safetensors, files of ``torch.save`` and the arrays of big_vision. No code is run: a
pickle that asks for it is refused, and nothing here says how to let it.
"""

import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import open_clip

from clipcause.data import signatures

CODE = re.compile(r"GLOBAL (\S+)")
KEYS = re.compile(r"(Missing|Unexpected) key\(s\) in state_dict: (.*?)\. *$", re.MULTILINE)
SHAPE = re.compile(
    r"size mismatch for (\S+): .*?torch\.Size\(\[(.*?)\]\).*?torch\.Size\(\[(.*?)\]\)"
)
AGAIN = "fetch it again"
ALONE = "save its state_dict alone, as safetensors, where you trust it"


def into(model: Any, path: Path, name: str) -> None:
    """Put the weights of a file into ``model``, which is called ``name``.

    Raises ``ValueError`` with the file and what is wrong with it.
    """
    try:
        open_clip.factory.load_checkpoint(model, str(path))
    except MemoryError:
        raise
    except Exception as error:  # torch, pickle, zip and arrays: each has kinds of its own
        raise ValueError(f"{path}: {_fault(path, name, error)}") from None
    odd = [key for key, value in model.named_parameters() if not value.isfinite().all()]
    if odd:
        raise ValueError(
            f"{path}: {len(odd)} of its weights hold NaN or infinity ({odd[0]}"
            f"{' …' if len(odd) > 1 else ''}); a training that diverged writes such: take an "
            "earlier checkpoint"
        )


def _fault(path: Path, name: str, error: Exception) -> str:
    """What is wrong with a file that ``name`` does not take, in one line."""
    return _content(path) or _said(str(error), name) or _first(error)


def _content(path: Path) -> str | None:
    """What is wrong with the bytes themselves."""
    if path.is_dir():
        return "it is a folder; name the file of weights in it"
    if not path.is_file():
        return "not found"
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(signatures.FIRST)
    is_safe = path.suffix == ".safetensors"
    if head.startswith(b"PK"):
        if is_safe:
            return "it is a file of torch.save, not safetensors; give it the name x.pt"
        if not zipfile.is_zipfile(path):
            return f"it ends early: {size:,} bytes without the list of contents; {AGAIN}"
        return None
    if len(head) > 8 and head[8:9] == b"{":
        if not is_safe:
            return "it is safetensors under another name; give it the name x.safetensors"
        return _safetensors(path, size, struct.unpack("<Q", head[:8])[0])
    if what := signatures.called(head):
        return f"it is {what}"
    if is_safe:
        return f"it is not safetensors; {AGAIN}"
    return None


def _safetensors(path: Path, size: int, header: int) -> str | None:
    """Whether a file of safetensors has all the bytes that its header speaks of."""
    if 8 + header > size:
        return f"it ends early: {size:,} bytes, and its header alone has {header:,}; {AGAIN}"
    with path.open("rb") as stream:
        text = stream.read(8 + header)[8:]
    ends = [int(one) for one in re.findall(rb'"data_offsets":\s*\[\d+,\s*(\d+)\]', text)]
    if ends and (whole := 8 + header + max(ends)) > size:
        return f"it ends early: {size:,} of {whole:,} bytes; {AGAIN}"
    return None


def _said(error: str, name: str) -> str | None:
    """What torch says, in a line and without its advice."""
    if "TorchScript" in error:
        return (
            "it is a TorchScript archive, a program, which is not run; of a published model give "
            f"the tag (pretrained: openai), or {ALONE}"
        )
    if asked := CODE.search(error):
        return f"beside weights it holds code ({asked.group(1)}), which is not run; {ALONE}"
    if "Weights only load failed" in error:  # a pickle that is none, or is cut
        return f"it is neither safetensors nor a file of torch.save; {AGAIN}"
    if "is invalid for input of size" in error:  # open_clip reshapes a temperature before it looks
        return f"these are not the weights of {name}: one has another shape ({error})"
    found = [*KEYS.finditer(error)]
    shapes = [*SHAPE.finditer(error)]
    if found or shapes:
        told = [_keys(one.group(1), one.group(2).split(", ")) for one in found]
        if shapes:
            key, theirs, own = shapes[0].groups()
            told.append(
                f"{len(shapes)} of another shape ({key}: {theirs.replace(', ', ' x ')}, "
                f"here {own.replace(', ', ' x ')})"
            )
        return f"these are not the weights of {name}: keys {', '.join(told)}"
    return None


def _keys(kind: str, keys: list[str]) -> str:
    more = " …" if len(keys) > 1 else ""
    what = "missing" if kind == "Missing" else "that it lacks"
    return f"{len(keys)} {what} ({keys[0].replace(chr(34), '')}{more})"


def _first(error: Exception) -> str:
    """The first line of an error whose kind is not known here."""
    if isinstance(error, AttributeError | StopIteration | TypeError | KeyError):
        return f"it has no weights by name, or under state_dict ({type(error).__name__}: {error})"
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return f"it cannot be read: {lines[0]}"
