"""Text to token ids: a byte-pair vocabulary learnt from the pool's captions, read by open_clip.

Captions of a small pool are short and their words few. With the merges learnt on them (Sennrich et
al. 2016, "Neural machine translation of rare words with subword units", algorithm 1) nearly every
word is one token, where the first merges of CLIP's own list spell it out. The file has the format
of open_clip's, so that its ``SimpleTokenizer`` does the rest.

Shapes: N texts, L context length.
"""

import gzip
import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from open_clip.tokenizer import SimpleTokenizer, bytes_to_unicode, get_clean_fn

from clipcause.runtime.notices import notice

MERGES = "merges.txt.gz"
HEADER = "#version: 0.2"
RAREST = 2  # occurrences of a pair that is still joined
MOST_WORDS = 4_000_000  # held while captions are counted shard by shard

Pair = tuple[str, str]
Symbols = tuple[str, ...]


def learn(captions: Iterable[str], count: int) -> list[Pair]:
    """Learn at most ``count`` merges: each joins the most frequent pair of neighbouring symbols.

    Equal counts are decided by the alphabet, so that the order of the captions does not matter; a
    pair that occurs once is not joined.
    """
    return learn_from(_words(captions), count)


def learn_shardwise(shards: Iterable[Iterable[str]], count: int) -> list[Pair]:
    """``learn`` from captions that come shard by shard, in bounded memory.

    Words are counted and captions forgotten. When more than ``MOST_WORDS`` different words are
    held, the rarest half is dropped, which is said: a word of the web that has been rare so far
    decides no merge. Equal to ``learn`` where there are fewer.
    """
    words: Counter[str] = Counter()
    for captions in shards:
        words.update(_words(captions))
        if len(words) > MOST_WORDS:
            # by count, then by the alphabet: not by the order in which they came
            kept = sorted(words.items(), key=lambda item: (-item[1], item[0]))[: MOST_WORDS // 2]
            least = f"those seen less than {kept[-1][1]} times are dropped"
            notice("vocabulary", f"over {MOST_WORDS:,} words, {least}")
            words = Counter(dict(kept))
    return learn_from(words, count)


def learn_from(words: Counter[str], count: int) -> list[Pair]:
    """``learn`` from words in the tokenizer's byte alphabet, with their frequency."""
    symbols: dict[str, Symbols] = {word: (*word[:-1], word[-1] + "</w>") for word in words}
    frequency: Counter[Pair] = Counter()
    holders: defaultdict[Pair, set[str]] = defaultdict(set)
    for word, times in words.items():
        for pair in _pairs(symbols[word]):
            frequency[pair] += times
            holders[pair].add(word)
    queue = [(-times, pair) for pair, times in frequency.items()]
    heapq.heapify(queue)
    merges: list[Pair] = []
    while queue and len(merges) < count:
        times, best = heapq.heappop(queue)
        if -times != frequency[best]:
            continue  # an entry from before the count changed
        if -times < RAREST:
            break
        merges.append(best)
        changed: set[Pair] = set()
        for word in holders.pop(best):
            for pair in _pairs(symbols[word]):
                frequency[pair] -= words[word]
                changed.add(pair)
            symbols[word] = _joined(symbols[word], best)
            for pair in _pairs(symbols[word]):
                frequency[pair] += words[word]
                holders[pair].add(word)
                changed.add(pair)
        for pair in changed:
            heapq.heappush(queue, (-frequency[pair], pair))
    return merges


def write(path: Path, merges: Sequence[Pair]) -> None:
    """Write merges as open_clip reads them; the same merges give the same bytes."""
    text = "\n".join([HEADER, *(" ".join(pair) for pair in merges)])
    # the name and time in a gzip header would be those of the writing
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def tokenizer(path: Path | None, context: int) -> SimpleTokenizer:
    """open_clip's tokenizer over the merges in ``path``, cutting texts at ``context`` tokens.

    Without a path it is that of the published models, of 49,408 words.
    """
    if path is None:
        return SimpleTokenizer(context_length=context)
    if not path.exists():
        raise FileNotFoundError(f"{path}: the vocabulary is missing; train the model again")
    return SimpleTokenizer(bpe_path=str(path), context_length=context)


def encode(tokenizer: Any, texts: Sequence[str]) -> Int64[np.ndarray, "N L"]:
    """Token ids of every text, padded with zeros; each different text is encoded once."""
    different = {text: index for index, text in enumerate(dict.fromkeys(texts))}
    ids = tokenizer(list(different)).numpy()
    return ids[[different[text] for text in texts]]


def _words(captions: Iterable[str]) -> Counter[str]:
    """Words as the tokenizer cuts them, in its byte alphabet, with their frequency."""
    letters = bytes_to_unicode()
    clean = get_clean_fn("lower")
    pattern = _pattern()
    words: Counter[str] = Counter()
    for caption, times in Counter(captions).items():
        for word in pattern.findall(clean(caption)):
            words["".join(letters[byte] for byte in word.encode())] += times
    return words


def _pattern() -> Any:
    """The tokenizer's own pattern: a second one could cut words elsewhere."""
    return SimpleTokenizer().pat


def _pairs(symbols: Symbols) -> Iterable[Pair]:
    return pairwise(symbols)


def _joined(symbols: Symbols, pair: Pair) -> Symbols:
    joined: list[str] = []
    position = 0
    while position < len(symbols):
        if symbols[position : position + 2] == pair:
            joined.append(pair[0] + pair[1])
            position += 2
        else:
            joined.append(symbols[position])
            position += 1
    return tuple(joined)
