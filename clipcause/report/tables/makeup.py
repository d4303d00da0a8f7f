"""What the splits that models learnt from are made up of, beside the accuracy after each.

Everything is of the split's rows alone but similarity, which is to what models saw. What is known
of rows is read in one pass over captions, one over mentions and one over embeddings.

Shapes: N pool rows, M rows of a shard, R rows of a signal's base, K test sets.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Int32

from clipcause.captions import frequency
from clipcause.config import FILE, layout, read
from clipcause.config.runs import NONE
from clipcause.embed import embeddings
from clipcause.prune import columns, split
from clipcause.prune.split import Split
from clipcause.report import corpora
from clipcause.report.inputs import Inputs
from clipcause.report.study import Sources, needed
from clipcause.report.tables import accuracy, table
from clipcause.search import diversity
from clipcause.search.diversity import Diversity
from clipcause.signals import artifact

CLUSTER = "cluster"  # array of a signal that puts rows into clusters: that of every row of its base
DIGITS = 6


@dataclass(frozen=True)
class Row:
    """A split, a draw of one that is drawn several times being a line of its own."""

    split: table.Split
    draw: Annotated[str, "the split itself, which may be one of several draws"]
    model: table.Model
    runs: Annotated[int, "runs on it"]
    accuracy: Annotated[float, "top-1 in %, mean over test sets, which count the same, and runs"]
    rows: Annotated[int, "rows of the pool in it"]
    similarity: Annotated[
        float, "nearest similarity of test images to what was learnt from, mean over test sets"
    ]
    row_similarity: Annotated[float, "mean similarity of its rows to their nearest test image"]
    mentions: Annotated[float | None, "mentions of the study's classes by a row's caption"]
    words: Annotated[float, "words of a row's caption, mean"]
    distance: Annotated[float | None, "mean cosine distance of two different rows"]
    vendi: Annotated[float | None, "Vendi score of its rows under cosine similarity"]
    clusters: Annotated[
        float | None, "effective number of clusters, where a signal of the study has clusters"
    ]
    copied: Annotated[
        float | None, "share of its rows that another is a near copy of (report.copy_threshold)"
    ]


def rows(inputs: Inputs) -> list[Row]:
    """A line for every split, and kind of model, that was learnt from; draws one by one."""
    study, made = inputs.study, []
    conditions = [one for one in study.conditions.values() if one.split != NONE]
    names = dict.fromkeys(name for one in conditions for name in one.splits)
    splits = {name: study.sources.splits[name] for name in names}
    if not splits or not study.tests:  # a study of retrieval alone has no accuracy
        return []
    mentions, words = _mentions(splits), _word_means(study.sources, splits)
    near, spread = _row_similarity(study.sources, splits), _diversity(inputs, splits)
    clusters = _clusters(splits, study.pool.sha256)
    for one in conditions:
        accuracy_SK = accuracy.run_means(inputs, one)
        of_run = np.array(one.draws or one.splits * len(one.runs))
        for name in one.splits:
            nearest = [float(study.nearest(one, name, test).mean()) for test in study.tests]
            mine, found = of_run == name, spread[name]
            spreads = found.distance, found.vendi, clusters.get(name), found.copied
            made.append(
                Row(
                    *(one.name, name, study.models[one.name], int(mine.sum())),
                    table.rounded(100 * float(accuracy_SK[mine].mean())),
                    len(splits[name]),
                    table.rounded(float(np.mean(nearest)), DIGITS),
                    table.rounded(near[name], DIGITS),
                    _rounded(mentions.get(name)),
                    table.rounded(words[name], DIGITS),
                    *map(_rounded, spreads),
                )
            )
    return made


def _rounded(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else table.rounded(value, DIGITS)


def _mentions(splits: Mapping[str, Split]) -> dict[str, float]:
    """Mentions a row; empty where captions were never counted."""
    name = read(FILE).get("classes")
    folder = layout.frequency(str(name))
    if name is None or not (folder / frequency.COUNTS).exists():
        return {}
    found = corpora.by_mention(folder, frequency.read(folder), splits)
    return {name: int(one.count_C.sum()) / max(len(splits[name]), 1) for name, one in found.items()}


def _word_means(study: Sources, splits: Mapping[str, Split]) -> dict[str, float]:
    """Mean number of words, which are what blanks part; shard by shard."""
    pool, total = study.pool, dict.fromkeys(splits, 0)
    for shard in range(len(pool.shards)):
        caption_M = pool.shard_table(shard, ["caption"])["caption"].combine_chunks()
        count_M = columns.caption_words(caption_M).fill_null(0).to_numpy()
        start, stop = pool.starts[shard : shard + 2]
        for name, one in splits.items():
            total[name] += int(count_M[one.within(start, stop)].sum())
    return {name: count / max(len(splits[name]), 1) for name, count in total.items()}


def _row_similarity(study: Sources, splits: Mapping[str, Split]) -> dict[str, float]:
    largest_N = np.full(len(study.pool), -np.inf, np.float32)
    for one in study.scores.values():
        np.maximum(largest_N, one.pool.max_sim, out=largest_N)
    return {
        name: float(largest_N[one.rows].mean(dtype=np.float64)) if len(one) else float("nan")
        for name, one in splits.items()
    }


def _diversity(inputs: Inputs, splits: Mapping[str, Split]) -> dict[str, Diversity]:
    study = inputs.study
    folder = needed(layout.embeddings(study.encoder, layout.POOL), f"embed@{layout.POOL}")
    store = embeddings.read(folder, encoder=study.fingerprints[0], dataset=study.pool.sha256)
    return diversity.measure(store, splits, threshold=inputs.parameters.copy_threshold)


def _clusters(splits: Mapping[str, Split], pool: str) -> dict[str, float]:
    """Effective numbers of clusters by the first signal that has some; rows outside of its base are
    in none. Empty where no signal has any."""
    for name in read(FILE).get("signals") or {}:
        folder = layout.signal(name)
        if not (folder / f"{CLUSTER}.npy").exists():
            continue
        found = artifact.read(folder, pool=pool)
        cluster_R: Int32[np.ndarray, " R"] = found.array(CLUSTER)
        base = split.read_for(layout.split(found.card["parameters"]["base"]), pool)
        if len(base) != len(cluster_R):
            raise ValueError(
                f"{folder}: clusters of {len(cluster_R)} rows, its base has "
                f"{len(base)}; `dvc repro signal@{name}` makes it again"
            )
        return {
            name: diversity.effective_number(np.bincount(cluster_R[np.isin(base.rows, one.rows)]))
            for name, one in splits.items()
        }
    return {}


TABLES = (table.Table("makeup", Row, rows),)
