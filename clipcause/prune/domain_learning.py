"""From the labelled rows of two data sets to a classifier, thresholds, and what is stated of them.

``domain_classifier`` is the method; this is its application to one entry of ``domains``. The pool
is streamed: memory holds the labelled rows and a block.

Shapes: N labelled rows, D dimensions, M pool rows of a block.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Bool, Float16, Float32, Int8

from clipcause.config.domains import Domain
from clipcause.embed.embeddings import Embeddings
from clipcause.prune import domains
from clipcause.prune.domain_classifier import (
    CHOOSE,
    FIT,
    STATE,
    Classifier,
    check_labels,
    check_parts,
    choose,
    described,
    fit,
    parts,
    state,
    weights,
)
from clipcause.runtime import metrics
from clipcause.runtime.progress import progress

BLOCK = 65_536  # pool rows: their float64 vectors are held


def learn_from(
    first: Embeddings, second: Embeddings, wanted: Domain
) -> tuple[Classifier, dict[str, Any]]:
    """``learn`` from the rows of two stores, which are the domains' labelled rows."""
    keys = [identities(first), identities(second)]
    check_labels(*keys, (wanted.first, wanted.second))
    image_ND = np.concatenate([first.all(), second.all()])
    first_N = np.arange(len(image_ND)) < len(first)
    return learn(image_ND, first_N, keys[0] + keys[1], wanted)


def identities(store: Embeddings) -> list[str]:
    """What identifies the image of each row: the hash of its bytes, where the store has one."""
    table = store.metadata()
    places = [f"{store.folder.name}/{row}" for row in range(len(store))]
    columns = [
        table[name].to_pylist() for name in ("uid", "source_id") if name in table.schema.names
    ]
    return [next(filter(None, found)) for found in zip(*columns, places, strict=True)]


def learn(
    image_ND: Float16[np.ndarray, "N D"],
    first_N: Bool[np.ndarray, " N"],
    keys: list[str],
    wanted: Domain,
) -> tuple[Classifier, dict[str, Any]]:
    """The classifier, and for the card: its thresholds, and what labelled rows say of them.

    Raises ``ValueError`` where labelled rows are too few or cannot be told apart so precisely.
    """
    part_N = parts(keys, wanted.seed, wanted.held_out)
    names = (wanted.first, wanted.second)
    counts = check_parts(part_N, first_N, names)
    fitted_N = part_N == FIT
    made = fit(
        image_ND[fitted_N],
        first_N[fitted_N],
        [key for key, is_fitted in zip(keys, fitted_N, strict=True) if is_fitted],
        wanted.regularisation,
        seed=wanted.seed,
        prior=wanted.prior,
    )
    score_N = made.scores(image_ND)
    limits, answers = thresholds(score_N, first_N, part_N, wanted), {}
    called_N = domains.called(score_N, limits["first"], limits["second"])
    stating_N = part_N == STATE
    shares = (wanted.prior, None if wanted.prior is None else 1 - wanted.prior)
    for answer, own_N, share in zip(
        (domains.FIRST, domains.SECOND), (first_N, ~first_N), shares, strict=True
    ):
        found = state((called_N == answer)[stating_N], own_N[stating_N])
        answers[names[answer]] = described(found, share)
    facts = {
        "labelled": counts,
        "thresholds": limits,
        "stated": answers,
        "ambiguous": int(np.count_nonzero(called_N[stating_N] == domains.AMBIGUOUS)),
        "strength": made.strength,
        "losses": {f"{strength:g}": loss for strength, loss in made.losses.items()},
        "unfinished": made.unfinished,
    }
    return made, rounded(facts) | {"thresholds": limits}


def thresholds(
    score_N: Float32[np.ndarray, " N"],
    first_N: Bool[np.ndarray, " N"],
    part_N: Int8[np.ndarray, " N"],
    wanted: Domain,
) -> dict[str, float]:
    """Both thresholds, each the least strict one that is precise enough on the choosing rows."""
    at_N = part_N == CHOOSE
    weight_N = weights(first_N[at_N], wanted.prior)
    found = {}
    for slot, sign, own_N in (("first", 1, first_N), ("second", -1, ~first_N)):
        score_M = np.float32(sign) * score_N[at_N]
        try:
            one = choose(score_M, own_N[at_N], weight_N, wanted.precision)
        except ValueError as error:
            name = getattr(wanted, slot)
            raise ValueError(
                f"{slot} ({name}), on {np.count_nonzero(at_N)} held-out rows: {error}; lower "
                "precision, label more rows, or look for wrong labels"
            ) from None
        found[slot] = sign * one.threshold + 0.0  # no -0
    return found


def scored(pool: Embeddings, made: Classifier) -> Iterator[Float32[np.ndarray, " M"]]:
    """The scores of the pool's rows, block by block."""
    total = -(-len(pool) // BLOCK)
    for _, block_MD in progress(
        pool.blocks(BLOCK), label="domain", unit="rows", total=total, scale=BLOCK
    ):
        yield made.scores(block_MD)


def rounded(value: Any) -> Any:
    """Numbers of a card: six decimals."""
    if isinstance(value, dict):
        return {name: rounded(entry) for name, entry in value.items()}
    return round(value, metrics.DIGITS) if isinstance(value, float) else value
