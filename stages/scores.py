"""scores@NAME: the scores of all test sets by another encoder, another reference, or both.

In: pool, the entry's reference and the test sets, and what its encoder needs: the main
embeddings, or the checkpoint of a run. Out: ``scores/<name>/<test>/``, scores as `similarity`
writes them; ``embeddings/by/<name>/``, the stores that they were made from and a card that says
how, which is alone there where the encoder is the main one; ``metrics/scores/<name>.json``.

Hull, near, far and core rules read these scores where they name the entry. What `gap`,
`density` and the report's plots over similarity show stays measured by the main encoder.
"""

from typing import Any

from clipcause.config import engine, layout, other_scores, section, study, versions
from clipcause.config.embed import Embed
from clipcause.config.similarity import Similarity
from clipcause.runtime import metrics
from clipcause.runtime.entry import run
from clipcause.search import other_stores, scoring


def main(name: str) -> str:
    """Score the pool against every test set as the entry ``name`` says."""
    one, rows = other_scores.load(name), section("similarity", Similarity).block_rows
    versions.check(*versions.LEARNING)
    where, tests, folder = engine.current(), study.suite(), layout.scores(name)
    made = other_stores.write(
        layout.embeddings_by(name), one, tests, section("embed", Embed), where
    )
    pool, reference = made.stores[layout.POOL], made.stores[one.reference]
    of_tests = {test: made.stores[layout.test(test)] for test in tests}
    inside = {
        test: scoring.write(folder / test, pool, reference, store, rows, where)
        for test, store in of_tests.items()
    }
    stated: dict[str, Any] = {"in_hull": inside}
    if without := made.without_direction:
        stated["without_direction"] = without
    metrics.write(layout.metrics("scores", name), stated)
    told = ", ".join(f"{test} {count:,}" for test, count in inside.items())
    alike = sum(without.values())
    more = f"; {alike:,} images equal the mean image and have no direction" if alike else ""
    return f"{folder}, of {len(pool):,} pool rows in the hulls: {told}{more}"


if __name__ == "__main__":
    run(main)
