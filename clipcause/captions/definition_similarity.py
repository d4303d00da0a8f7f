"""How similar captions are to the definitions of the classes that they mention.

LAIONet takes an image for a class only where its caption is like the definition of the class's
synset (arXiv 2306.15769, section 2); the imbalance study cuts at several similarities. Here both
texts are encoded by the study's own encoder. A caption is encoded once in a shard, whatever it
mentions and however often it comes. Of a row with several captions every one is compared, whichever
of them mentions the class, and the mean counts (or by ``relevance.captions`` the first, or the
best).

Shapes: M matches of a shard, T captions of its rows, C classes with a definition, U different
captions, P pairs of a match and a caption of its row, D dimensions.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Float64, Int64

from clipcause.captions import classes, frequency, glosses
from clipcause.captions.classes import ClassNames
from clipcause.captions.glosses import Glosses
from clipcause.captions.relevance import Part
from clipcause.config import versions
from clipcause.config.engine import Engine
from clipcause.config.relevance import Relevance
from clipcause.data import every_caption, manifest
from clipcause.data.manifest import Manifest
from clipcause.embed import checkpoint
from clipcause.embed.checkpoint import Checkpoint
from clipcause.runtime import shard_cache as cache
from clipcause.runtime.engine import shardwise
from clipcause.runtime.notices import notice

AT_ONCE = 65_536  # products of matches: their vectors are held
BINS = 2_000  # of the similarities from -1 to 1, for the quantiles of the metrics
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class Similarities:
    """The scores of one shard of the pool: a task of the engine."""

    pool: Path
    matches: frequency.Matches
    encoder: Path
    fingerprint: str
    texts: Mapping[str, str]  # of the classes with a definition
    settings: Relevance

    def start(self) -> None:
        """Load the encoder and encode the definitions."""
        _ = self._definitions

    def __call__(self, position: int, /) -> dict[str, np.ndarray]:
        """Pool rows, positions among the classes with a definition, cosines; sorted."""
        row_M, class_M = self.matches.between(*self._manifest.starts[position : position + 2])
        place_M = self._place[class_M]
        row_M, place_M = row_M[place_M >= 0], place_M[place_M >= 0]
        similarity_M = np.empty(0, np.float32)
        if len(row_M):
            similarity_M = self._compared(position, row_M, place_M)
        return {"row": row_M, "class": place_M, "similarity": similarity_M, "cut": self._cut}

    def _compared(
        self, position: int, row_M: Int64[np.ndarray, " M"], class_M: Int64[np.ndarray, " M"]
    ) -> Float32[np.ndarray, " M"]:
        """The cosines of matches, each of all captions of its row."""
        found = every_caption.of_shard(self._manifest, position)
        asked_T = np.isin(found.row_T, row_M)
        if self.settings.captions == "first":
            asked_T &= found.index_T == 0
        row_T = found.row_T[asked_T]
        captions = found.texts.filter(pa.array(asked_T)).to_pylist()
        different, code_T = np.unique(np.array(captions, object), return_inverse=True)
        caption_UD = self._encoded(different.tolist())
        # captions of a row follow one another, and so do the pairs of a match
        first_M, last_M = (np.searchsorted(row_T, row_M, side) for side in ("left", "right"))
        count_M = last_M - first_M
        match_P = np.repeat(np.arange(len(row_M)), count_M)
        start_M = np.cumsum(count_M) - count_M
        caption_P = first_M[match_P] + np.arange(len(match_P)) - start_M[match_P]
        cosine_P = cosines(caption_UD, code_T[caption_P], self._definitions, class_M[match_P])
        if self.settings.captions == "best":
            return np.maximum.reduceat(cosine_P, start_M).astype(np.float32)
        return (np.add.reduceat(cosine_P, start_M) / count_M).astype(np.float32)

    def name(self, position: int, /) -> str:
        """The shard's file."""
        return self._manifest.place(position)

    def _encoded(self, texts: list[str]) -> Float32[np.ndarray, "_ D"]:
        from clipcause.embed import models

        return models.encode_texts(
            self._clip,
            texts,
            batch_size=self.settings.batch_size,
            precision=self.settings.precision,
            device=models.settle(self.settings.threads, self.settings.device),
        )

    @cached_property
    def _clip(self) -> Any:
        # torch only here: without definitions the stage is done in a second
        from clipcause.embed import models

        clip = models.restore(checkpoint.read(self.encoder, self.fingerprint))
        clip.model.to(models.settle(self.settings.threads, self.settings.device))
        return clip

    @cached_property
    def _definitions(self) -> Float32[np.ndarray, "C D"]:
        return self._encoded(list(self.texts.values()))

    @cached_property
    def _cut(self) -> Int64[np.ndarray, " 1"]:
        """How many definitions fill the model's context, beyond which words are cut off."""
        from clipcause.embed import tokens

        ids_CL = tokens.encode(self._clip.tokenizer, ["", *self.texts.values()])
        return np.array([np.count_nonzero(ids_CL[1:, -1] != ids_CL[0, -1])])

    @cached_property
    def _place(self) -> Int64[np.ndarray, " _"]:
        """By class of the matches: its position among those with a definition, -1 without."""
        place = {key: at for at, key in enumerate(self.texts)}
        return np.array([place.get(key, -1) for key in self.matches.classes], np.int64)

    @cached_property
    def _manifest(self) -> Manifest:
        return manifest.read(self.pool, shards=False)


def cosines(
    caption_UD: Float32[np.ndarray, "U D"],
    caption_P: Int64[np.ndarray, " P"],
    definition_CD: Float32[np.ndarray, "C D"],
    class_P: Int64[np.ndarray, " P"],
) -> Float64[np.ndarray, " P"]:
    """The products of pairs of vectors of length one, in float64."""
    found_P = np.empty(len(caption_P), np.float64)
    for start in range(0, len(caption_P), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        left = caption_UD[caption_P[part]].astype(np.float64)
        found_P[part] = np.einsum("pd,pd->p", left, definition_CD[class_P[part]])
    return found_P


@dataclass
class Spread:
    """The numbers of the metrics, part by part: memory does not grow with the matches."""

    matches: int = 0
    rows: int = 0
    cut: int = 0
    total: float = 0.0
    histogram_B: Int64[np.ndarray, " B"] = field(default_factory=lambda: np.zeros(BINS, np.int64))

    def seen(self, parts: Iterable[dict[str, np.ndarray]]) -> Iterator[Part]:
        """The same scores, counted."""
        for part in parts:
            similarity_M = part["similarity"]
            self.cut = int(part["cut"][0])
            self.matches += len(similarity_M)
            self.total += float(similarity_M.sum(dtype=np.float64))
            row_R, first_R = np.unique(part["row"], return_index=True)
            if len(row_R):
                best_R = np.maximum.reduceat(similarity_M, first_R).astype(np.float64)
                bin_R = np.floor((best_R + 1) / 2 * BINS).astype(np.int64)
                self.histogram_B += np.bincount(bin_R.clip(0, BINS - 1), minlength=BINS)
            self.rows += len(row_R)
            yield Part(part["row"], part["class"], similarity_M)

    def numbers(self) -> dict[str, Any]:
        """Counts; the mean over matches; quantiles of the rows' largest, to a thousandth."""
        stated: dict[str, Any] = {
            "matches": self.matches,
            "rows": self.rows,
            "definitions_cut": self.cut,
        }
        if self.matches:
            stated["similarity"] = self.total / self.matches
            share_B = np.cumsum(self.histogram_B) / self.rows
            edge_Q = (np.searchsorted(share_B, QUANTILES) + 1) / BINS * 2 - 1
            named = (f"p{round(100 * share):02d}" for share in QUANTILES)
            stated["best_of_row"] = dict(zip(named, edge_Q.tolist(), strict=True))
        return stated


def class_texts(
    listed: Mapping[str, ClassNames], where: Path, known: Glosses, settings: Relevance
) -> dict[str, str]:
    """What is encoded of each class; those without a definition are named and left out.

    Raises ``ValueError`` where no class of the list, which lies in ``where``, has one.
    """
    own = classes.own(listed)
    found = glosses.definitions(own, known)
    lacking = [key for key in own if key not in found]
    if not found:
        raise ValueError(
            f"{where}: no class has a synset or a definition to compare captions with; give them "
            "some, or set relevance.definitions to none"
        )
    if lacking:
        message = (
            f"{len(lacking):,} of {len(own):,} classes have neither synset nor definition, "
            "their matches are left out"
        )
        notice("relevance", message, lacking)
    return {
        key: settings.text.format(name=own[key].name, definition=definition)
        for key, definition in found.items()
    }


def scored(
    folder: Path,
    pool: Manifest,
    texts: Mapping[str, str],
    stored: Checkpoint,
    settings: Relevance,
    where: Engine,
) -> Iterator[dict[str, np.ndarray]]:
    """The scores of every shard in order, from the shard cache where they are in it.

    ``folder`` has the pool's matches. Raises ``ValueError`` where they are another pool's.
    """
    matches = frequency.matches(folder)
    if (made_of := frequency.read_card(folder).get("pool")) != pool.sha256:
        raise ValueError(f"{folder}: made from another pool ({made_of}); run the stage frequency")
    task = Similarities(pool.folder, matches, stored.folder, stored.fingerprint, texts, settings)
    used = versions.used(*versions.LEARNING)
    settled = settings.model_dump(exclude={"definitions", "text"})
    made_by = (used, settled, stored.fingerprint, texts, matches.sha256())
    return shardwise(
        task,
        range(len(pool.shards)),
        key=lambda position: cache.key(*made_by, pool.sha256, position),
        store=cache.ARRAYS,
        where=where,
        label="relevance",
    )
