"""How often intervals of the study's comparisons hold the truth, in simulated studies.

    python -m benchmarks.coverage                    # 2,000 studies a line
    python -m benchmarks.coverage --write            # the table

A study has nine conditions, of 3 or 5 runs each, on the same images and of the same seeds. Answers
are right where a latent normal value is above zero: what the image is worth to all (sd 1), what is
peculiar to the condition on that image, to the seed in all conditions, to the run (its noise), and
to the run on that image. The truth of a difference is that over all images and runs that could be
drawn, by 400 times as many of both. `within seeds` is what `analyse` takes for conditions of the
same seeds: the noise that is left beside these, pooled over all nine. `pooled` is all of the noise,
for conditions of other seeds; `own` takes that of the two compared.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe
from clipcause.stats.comparison import ALPHA, Noise, compare, left, pooled

TABLE = Path(__file__).with_suffix(".md")
CONDITIONS = 9
RESAMPLES = 2000
MANY = 20_000  # images and runs by which a truth is found


@dataclass(frozen=True)
class World:
    """Where simulated studies come from; standard deviations of the latent value."""

    words: str
    runs: int
    images: int = 400
    between_runs: float = 0.1
    between_seeds: float = 0.0  # the same in all conditions
    of_run_on_image: float = 0.7
    of_condition_on_image: float = 0.5
    effect: float = 0.2  # of the first condition
    is_binary: bool = True


WORLDS = [
    World(f"{words}, {runs} runs", runs, **options)
    for words, options in dict[str, dict[str, Any]](
        {
            "answers": {},
            "answers, runs alike": {"between_runs": 0.0},
            "answers, noisy runs": {"between_runs": 0.3},
            "answers, 150 images": {"images": 150},
            "answers, no effect": {"effect": 0.0},
            "answers, seeds together": {"between_seeds": 0.1},
            "answers, seeds together, no effect": {"between_seeds": 0.1, "effect": 0.0},
            "normal values": {"is_binary": False},
        }
    ).items()
    for runs in (3, 5)
]
Pool = Callable[[Sequence[np.ndarray], Sequence[Sequence[int]]], Noise | None]
WAYS: dict[str, Pool | None] = {"within seeds": left, "pooled": pooled, "own": None}


def study(world: World, rng: np.random.Generator) -> list[np.ndarray]:
    """What every run of every condition has right, (runs, images) each."""
    image_Q = rng.standard_normal(world.images)
    seed_S = world.between_seeds * rng.standard_normal((world.runs, 1))
    made = []
    for condition in range(CONDITIONS):
        own_Q = image_Q + world.of_condition_on_image * rng.standard_normal(world.images)
        run_S = world.between_runs * rng.standard_normal((world.runs, 1))
        rest_SQ = world.of_run_on_image * rng.standard_normal((world.runs, world.images))
        made.append(seen(own_Q + seed_S + run_S + rest_SQ + world.effect * (condition == 0), world))
    return made


def seen(latent: np.ndarray, world: World) -> np.ndarray:
    """Answers, or shares in the middle of 0 to 1."""
    if world.is_binary:
        return (latent > 0).astype(np.float64)
    return np.clip(0.5 + latent / 20, 0, 1)


def truth(world: World) -> float:
    """The difference of the first two conditions over everything that could be drawn."""
    rng = np.random.default_rng(1)
    parts = 1, world.of_condition_on_image, world.between_seeds, world.between_runs
    sd = np.hypot(np.linalg.norm(parts), world.of_run_on_image)
    latent = sd * rng.standard_normal((200, MANY))
    return float(np.mean(seen(latent + world.effect, world) - seen(latent, world)))


def measure(world: World, studies: int, pool: Pool | None) -> tuple[float, float]:
    """Shares of studies whose interval holds the truth, and whose p is below 0.05."""
    rng, true, held, called = np.random.default_rng(0), truth(world), 0, 0
    seeds = [range(world.runs)] * CONDITIONS
    for _ in range(studies):
        made = study(world, rng)
        noise = pool(made, seeds) if pool else None
        found = compare(made[0], made[1], resamples=RESAMPLES, seed=0, noise=noise)
        held += found.difference.low <= true <= found.difference.high
        called += found.p < ALPHA
    return held / studies, called / studies


def main() -> None:
    """Measure all worlds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage")
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--write", action="store_true", help="write the table")
    given = parser.parse_args()
    lines = []
    for world in WORLDS:
        found = [measure(world, given.studies, one) for one in WAYS.values()]
        shares = [*(held for held, _ in found), *(called for _, called in found)]
        lines.append(f"| {world.words} | {' | '.join(f'{100 * share:.1f}' for share in shares)} |")
        print(lines[-1], flush=True)
    if given.write:
        heads = [f"{of}, {way}" for of in ("held", "p < .05") for way in WAYS]
        TABLE.write_text(
            "# How often an interval over images and runs holds the truth\n\n"
            f"`python -m benchmarks.coverage --studies {given.studies}` on {describe('scipy')}. "
            "Per cent of simulated studies; nominal 95. The script says what is simulated.\n\n"
            f"| world | {' | '.join(heads)} |\n"
            "|---|---:|---:|---:|---:|---:|---:|\n" + "\n".join(lines) + "\n"
        )


if __name__ == "__main__":
    main()
