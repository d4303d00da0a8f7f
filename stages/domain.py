"""domain NAME: tell the pool's rows of two visual domains apart.

In: the embeddings of the pool and of two data sets, whose rows are labelled by being in them. Out:
``domains/<name>/`` (a score a pool row, the classifier, its card) and
``metrics/domain/<name>.json``. ``prune.domain_classifier`` is the method; prune's rule ``domain``
keeps, drops or mixes what it calls rows.
"""

from clipcause.config import layout, versions
from clipcause.config.domains import load
from clipcause.prune import domains
from clipcause.prune.domain_learning import learn_from, scored
from clipcause.runtime import metrics
from clipcause.runtime.entry import run
from clipcause.runtime.notices import notice
from clipcause.search import stores

NUMBERS = ("called", "labelled", "thresholds", "stated", "strength")  # of the card, as metrics


def main(name: str) -> str:
    """Score the pool as the entry ``name`` of the section `domains` says."""
    versions.check("numpy", *versions.PROBES)
    wanted = load(name)
    encoder = stores.encoder_name()
    pool, first, second = stores.load(encoder, layout.POOL, wanted.first, wanted.second)
    try:
        made, facts = learn_from(first, second, wanted)
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
    metrics.write(layout.metrics("domain", name), {key: found.card[key] for key in NUMBERS})
    told = ", ".join(f"{rows:,} {what}" for what, rows in found.card["called"].items())
    return f"{folder}: {told}, of {found.rows:,} pool rows"


if __name__ == "__main__":
    run(main)
