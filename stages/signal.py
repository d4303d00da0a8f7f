"""signal@NAME: one value for every pool row, by which splits rank them.

In: the pool's manifest, the base, the embeddings of images and captions, the encoder's checkpoint.
Out: ``signals/<name>/`` and ``metrics/signal/<name>.json``. The kinds are
``clipcause.signals.kinds``, a module each; the prune rule `signal` cuts their order.
"""

import numpy as np

from clipcause.config import engine, layout, versions
from clipcause.runtime import metrics
from clipcause.runtime.entry import run
from clipcause.search import stores
from clipcause.signals import artifact, kinds
from clipcause.signals.given import read_given


def main(name: str) -> str:
    """Value the pool's rows as the entry ``name`` of the section `signals` says."""
    signal = kinds.load(name)
    versions.check("torch", "numpy", *signal.packages)
    given = read_given(signal.base, engine.current())
    try:
        made = signal.score(given)
    except ValueError as error:
        raise ValueError(f"signals.{name}: {error}") from None
    value_N = np.full(len(given.pool), np.nan, np.float32)
    value_N[given.rows] = made.value_R
    missing = int(np.count_nonzero(np.isnan(made.value_R)))
    numbers = {"rows": len(given.rows), "missing": missing, **made.numbers}
    card = {
        "pool": given.pool.sha256,
        "encoder": stores.source(given.images, given.images.encoder),
        "kind": signal.kind,
        "parameters": signal.model_dump(mode="json", exclude={"kind"}),
        **numbers,
        **made.facts,
    }
    folder = layout.signal(name)
    artifact.write(folder, value_N, made.arrays, card)
    metrics.write(layout.metrics("signal", name), numbers)
    return f"{folder}: {signal.kind} of {len(given.rows):,} of {len(given.pool):,} pool rows"


if __name__ == "__main__":
    run(main)
