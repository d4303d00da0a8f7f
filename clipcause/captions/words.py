"""A caption's words as the imbalance study counts them, for many captions at once.

Definition (arXiv 2405.21070): lower case, every character outside a-z and space becomes a space,
then NLTK's word tokeniser. What is left to that tokeniser in such a text is to split at spaces and
to take a few contractions apart (`cannot` is `can not`), so both are done on whole columns here.

Shapes: W words of N captions.
"""

import re
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64

CONTRACTIONS = {  # NLTKWordTokenizer's, as far as they have no apostrophe
    "cannot": ("can", "not"),
    "gimme": ("gim", "me"),
    "gonna": ("gon", "na"),
    "gotta": ("got", "ta"),
    "lemme": ("lem", "me"),
    "wanna": ("wan", "na"),
}
_OTHER = re.compile("[^a-z]")
_ASCII = bytes(
    ord(chr(byte).lower()) if chr(byte).isascii() and chr(byte).isalpha() else ord(" ")
    for byte in range(256)
)


class Words(NamedTuple):
    """The words of a batch of captions."""

    row_W: Int64[np.ndarray, " W"]  # position of the caption in the batch
    code_W: Int64[np.ndarray, " W"]  # position in `different`
    different: list[str]


def cleaned(caption: str) -> str:
    """Lower case, and a space for every character that is not a to z."""
    return _OTHER.sub(" ", caption.lower())


def tokens(caption: str) -> list[str]:
    """The words of one caption, in order."""
    return [part for word in cleaned(caption).split() for part in CONTRACTIONS.get(word, (word,))]


def split(captions: pa.StringArray) -> Words:
    """The words of all captions but for contractions, which stay whole. Null has no words."""
    listed = pc.call_function("ascii_split_whitespace", [_cleaned(captions)])
    flat = listed.flatten()
    row_W = np.repeat(np.arange(len(listed)), _lengths(listed))
    encoded = flat.dictionary_encode()
    code_W = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return Words(row_W, code_W, encoded.dictionary.to_pylist())


def _cleaned(captions: pa.StringArray) -> pa.StringArray:
    captions = pc.call_function("coalesce", [captions, pa.scalar("")])
    if not pc.call_function("all", [pc.call_function("string_is_ascii", [captions])]).as_py():
        # lower case is more than a table of bytes there, and may change the length
        texts = captions.to_pylist()
        texts = [text if text.isascii() else cleaned(text) for text in texts]
        captions = pa.array(texts, pa.string())
    start, stop = captions.offset, captions.offset + len(captions)
    _, offsets, content = captions.buffers()
    translated = (content.to_pybytes() if content else b"").translate(_ASCII)
    whole = pa.StringArray.from_buffers(stop, offsets, pa.py_buffer(translated))
    return whole[start:stop]


def _lengths(listed: pa.ListArray) -> np.ndarray:
    return pc.call_function("list_value_length", [listed]).to_numpy(zero_copy_only=False)
