"""domain NAME: tell the pool's rows of two visual domains apart.

In: the embeddings of the pool and of two data sets, whose rows are labelled by being in them. Out:
``domains/<name>/`` (a score a pool row, the classifier, its card) and
``metrics/domain/<name>.json``. ``prune.domain_classifier`` is the method; prune's rule ``domain``
keeps, drops or mixes what it calls rows. The pool is streamed: memory holds the labelled rows and a
block.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Bool, Float16, Float32, Int8

from clipcause.config import layout, versions
from clipcause.config.domains import Domain, load
from clipcause.embed.embeddings import Embeddings
from clipcause.prune import domain_classifier as telling
from clipcause.prune import domains
from clipcause.prune.domain_classifier import Classifier
from clipcause.runtime import metrics
from clipcause.runtime.entry import run
from clipcause.runtime.notices import notice
from clipcause.runtime.progress import progress
from clipcause.search import stores

BLOCK = 65_536  # pool rows: their float64 vectors are held


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
    part_N = telling.parts(keys, wanted.seed, wanted.held_out)
    names = (wanted.first, wanted.second)
    counts = telling.check_parts(part_N, first_N, names)
    fitted_N = part_N == telling.FIT
    made = telling.fit(
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
    stating_N = part_N == telling.STATE
    shares = (wanted.prior, None if wanted.prior is None else 1 - wanted.prior)
    for answer, own_N, share in zip(
        (domains.FIRST, domains.SECOND), (first_N, ~first_N), shares, strict=True
    ):
        found = telling.state((called_N == answer)[stating_N], own_N[stating_N])
        answers[names[answer]] = telling.described(found, share)
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
    at_N = part_N == telling.CHOOSE
    weight_N = telling.weights(first_N[at_N], wanted.prior)
    found = {}
    for slot, sign, own_N in (("first", 1, first_N), ("second", -1, ~first_N)):
        score_M = np.float32(sign) * score_N[at_N]
        try:
            one = telling.choose(score_M, own_N[at_N], weight_N, wanted.precision)
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


def numbers(card: dict[str, Any]) -> dict[str, Any]:
    """The metrics."""
    return {
        "called": card["called"],
        "labelled": card["labelled"],
        "thresholds": card["thresholds"],
        "stated": card["stated"],
        "strength": card["strength"],
    }


def main(name: str) -> str:
    """Score the pool as the entry ``name`` of the section `domains` says."""
    versions.check("numpy", *versions.PROBES)
    wanted = load(name)
    encoder = stores.encoder_name()
    pool, first, second = stores.load(encoder, layout.POOL, wanted.first, wanted.second)
    keys = [identities(first), identities(second)]
    telling.check_labels(*keys, (wanted.first, wanted.second))
    image_ND = np.concatenate([first.all(), second.all()])
    first_N = np.arange(len(image_ND)) < len(first)
    try:
        made, facts = learn(image_ND, first_N, keys[0] + keys[1], wanted)
    except ValueError as error:
        raise ValueError(f"domains.{name}: {error}") from None
    if made.unfinished:
        notice(f"domain {name}", f"{made.unfinished} fits stopped before they had converged")
    card = {
        "encoder": stores.source(pool, pool.encoder),
        "pool": stores.source(pool, pool.dataset),
        "first": stores.source(first, first.dataset),
        "second": stores.source(second, second.dataset),
        "names": list(wanted.names),
        "parameters": wanted.model_dump(exclude_none=True),
        **facts,
    }
    folder = layout.domains(name)
    found = domains.write(folder, scored(pool, made), made.weight_D, made.offset, card)
    metrics.write(layout.metrics("domain", name), numbers(dict(found.card)))
    told = ", ".join(f"{rows:,} {what}" for what, rows in found.card["called"].items())
    return f"{folder}: {told}, of {found.rows:,} pool rows"


if __name__ == "__main__":
    run(main)
