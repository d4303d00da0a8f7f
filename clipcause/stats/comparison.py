"""Two conditions on the same test images: how they differ, how sure that is, what could be seen.

A condition is one or several runs that differ in nothing but their seed; a run's value on an image
is 1 where its model is right and 0 where it is wrong. What is estimated is the difference of the
mean accuracy, A minus B.

**One run each.** The 95 % interval is a percentile bootstrap over test images, both values of an
image staying together (Efron and Tibshirani 1993, chapters 13 and 16). The test is McNemar's (1947)
in its exact form. Both are about these two models: another seed of the same condition is another
model, and that noise is in neither.

**Several runs on both sides.** Images and runs are both samples. Images are drawn jointly for all
runs, runs within their condition (the multi-bootstrap of Sellam et al., ICLR 2022). Drawing both
counts what is peculiar to one run on one image up to three times (Owen, Annals of Applied
Statistics 2007), and few runs spread too little about their mean. So the draws are of effects:
run means, scaled to their unbiased variance, and images' differences, scaled to the variance that
is left when the images' share of that interaction is taken out, as in the analysis of several
readers of the same cases (Hillis, Statistics in Medicine 2007); the interaction is then counted
once, among the runs. Draws are spread by t / z with Satterthwaite's degrees of freedom, which
depend on the number of runs (the expanded percentile interval of Hesterberg, The American
Statistician 2015). In McNemar's place is the t test with the same variance and degrees of freedom.

**Several conditions of a study.** Runs of one kind of model on splits of one pool are taken to be
equally noisy: the mean square of run means about their condition's mean, pooled over conditions
(as the error of a one-way analysis of variance; Scheffé 1959, chapter 3), stands in for the two
conditions' own, and its degrees of freedom, the number of runs less that of conditions, for theirs.
Draws of run effects are then from all conditions' effects. ``Noise.bartlett`` tests what is taken.

Simulated with 400 images, 400 studies each, runs alike or noisy, intervals held the truth in 92 to
97 of 100 cases with two to five runs a side, in 91 to 95 with two against five; those of single
runs in 94 to 96 where runs were alike, in 43 where noise between runs was large.

Runs are not paired by seed. The same seed gives two runs the same initial weights and, on other
data, nothing else; taken as independent the interval is right, or too wide where they do go
together, and for two conditions alone it has about twice the degrees of freedom. They do: in the
studies of icons a fifth to two fifths of the variance of a run's mean accuracy goes with the seed.

**Several runs on one side only.** Noise between runs is not known for the other side: images alone
are drawn. In McNemar's place is its counterpart for several answers to an image (Durkalski et al.,
Statistics in Medicine 2003), which for one run each is McNemar's without correction.

**Several test sets.** Their mean difference counts every test set the same, whatever its number of
images (``average``). Test sets are strata, not a sample: images are drawn within each, runs once
for all of them, since a run is the same model everywhere.

**Either way round.** B minus A is minus A minus B, to the last digit: draws are made one way round,
whichever was asked for, and where the values are the same both ways, the interval is symmetric.

Shapes: S runs of A, T of B, Q test images, R resamples, M hypotheses.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float64
from scipy import optimize, stats

LEVEL = 0.95
ALPHA = 0.05  # two-sided
POWER = 0.8
Z_ALPHA = float(stats.norm.ppf(1 - ALPHA / 2))
Z_POWER = float(stats.norm.ppf(POWER))
PARTS = 200  # of a distribution that is integrated
BLOCK = 1 << 21  # numbers that a block of resamples may hold
MCNEMAR, DURKALSKI, T_TEST = "exact McNemar", "McNemar over several runs", "t over runs and images"


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def is_distinguishable(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0

    def reversed(self) -> "Interval":
        """The same of B minus A."""
        # 0 - x, for zero has no sign
        return Interval(0.0 - self.value, 0.0 - self.high, 0.0 - self.low)


@dataclass(frozen=True)
class Comparison:
    """A minus B in accuracy, as shares, with everything that says how sure it is."""

    difference: Interval
    p: float  # of no difference, not corrected for other comparisons
    detectable: float | None  # smallest true difference found with power 0.8; None: none is
    test: str  # what p is of
    covers_runs: bool  # whether the noise between runs is in interval, p and detectable
    images: int
    runs: tuple[int, int]

    def reversed(self) -> "Comparison":
        """The same of B minus A."""
        return replace(self, difference=self.difference.reversed(), runs=self.runs[::-1])

    def scaled(self, factor: float) -> "Comparison":
        """The same of values that are ``factor`` times as large."""
        ends = self.difference.value, self.difference.low, self.difference.high
        return replace(
            self,
            difference=Interval(*(factor * end for end in ends)),
            detectable=None if self.detectable is None else factor * self.detectable,
        )


@dataclass(frozen=True)
class Noise:
    """How much runs of a condition differ on a test set, pooled over the conditions of a study."""

    effects_P: Float64[np.ndarray, " P"]  # of all runs, their mean square being the variance
    variance: float  # of a run's accuracy about its condition's mean
    freedom: int
    bartlett: float | None  # p that all conditions are equally noisy; None: it is not defined


@dataclass(frozen=True)
class Spread:
    """The variance of a difference of mean accuracies by its parts, and its degrees of freedom."""

    runs: float  # of both conditions' means, with what is peculiar to a run on an image
    images: float  # what is left for the choice of test images
    all_images: float  # of the images' mean differences, nothing taken out
    freedom: float

    @property
    def variance(self) -> float:
        """Of the difference."""
        return self.runs + self.images


def compare(
    a_SQ: Float[np.ndarray, "S Q"] | Bool[np.ndarray, "S Q"],
    # a Q that does not fit is an error with words, of `_check`
    b_TQ: Float[np.ndarray, "T _"] | Bool[np.ndarray, "T _"],
    *,
    resamples: int,
    seed: int,
    noise: Noise | None = None,
) -> Comparison:
    """Compare two conditions on the same images; which way is said at the top of this module.

    Values are shares: 1 right, 0 wrong, a fraction for a mean over several runs. The same seed
    gives the same interval. With ``noise`` the variance between runs is that of a study, not of
    these two; where a side has one run, it is not used. Raises ``ValueError`` for other images, no
    image, no run, and values that are not between 0 and 1.
    """
    _check(a_SQ, b_TQ)
    counts = len(a_SQ), len(b_TQ)
    a_Q, b_Q = _means(a_SQ), _means(b_TQ)
    images = len(a_Q)
    if min(*counts, images) > 1:
        return _over_runs([(a_SQ, b_TQ)], resamples, seed, noise)
    interval = paired_bootstrap(a_Q, b_Q, resamples=resamples, seed=seed)
    difference_Q = a_Q - b_Q
    if counts == (1, 1) and np.isin(difference_Q, (-1.0, 0.0, 1.0)).all():
        only_a, only_b = int((difference_Q == 1).sum()), int((difference_Q == -1).sum())
        seen = detectable_mcnemar((only_a + only_b) / images, images)
        return Comparison(
            interval, mcnemar(only_a, only_b), seen, MCNEMAR, False, images, counts
        )  # fmt: skip
    error = float(np.std(difference_Q, ddof=1)) / math.sqrt(images) if images > 1 else 0.0
    seen = (Z_ALPHA + Z_POWER) * error or detectable_mcnemar(0.0, images)
    return Comparison(
        interval, durkalski(difference_Q), _possible(seen), DURKALSKI, False, images, counts
    )  # fmt: skip


def average(
    sides: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    resamples: int,
    seed: int,
    noise: Noise | None = None,
) -> Comparison:
    """Compare two conditions on several test sets, each of which counts the same.

    ``sides`` has the values of both on every test set, as ``compare`` takes them, by the same runs
    in the same order; ``noise`` is of the runs' means over the test sets. Of one test set it is
    ``compare``, but for single runs, whose p is that of ``durkalski`` with an image's difference
    weighted by the number of images of its test set. Raises ``ValueError`` as ``compare`` does, and
    where the numbers of runs differ between test sets.
    """
    for a_SQ, b_TQ in sides:
        _check(a_SQ, b_TQ)
    runs = {(len(a_SQ), len(b_TQ)) for a_SQ, b_TQ in sides}
    if len(runs) != 1:
        raise ValueError(f"runs on both sides of {len(sides)} test sets: {sorted(runs)}")
    (counts,), images = runs, [a_SQ.shape[1] for a_SQ, _ in sides]
    if min(*counts, *images) > 1:
        return _over_runs(sides, resamples, seed, noise)
    way = _way(sides)
    differences = [_means(a_SQ) - _means(b_TQ) for a_SQ, b_TQ in sides]
    value, off_R = _stratified([-one if way < 0 else one for one in differences], resamples, seed)
    low, high = _ends(off_R, symmetric=not way)
    value = value if way else 0.0
    interval = Interval(value, value + low, value + high)
    interval = interval.reversed() if way < 0 else interval
    weighted = np.concatenate([one / len(one) for one in differences])
    error = math.sqrt(sum(float(np.var(one)) / len(one) for one in differences)) / len(sides)
    seen = _possible((Z_ALPHA + Z_POWER) * error or None)
    total = sum(images)
    return Comparison(interval, durkalski(weighted), seen, DURKALSKI, False, total, counts)


def paired_bootstrap(
    a_Q: Float64[np.ndarray, " Q"], b_Q: Float64[np.ndarray, " Q"], *, resamples: int, seed: int
) -> Interval:
    """Mean of ``a - b`` over the same test images with its 95 % percentile bootstrap interval.

    A mean depends only on how often each value of ``a - b`` was drawn, and those numbers are
    multinomial: drawing them is the bootstrap over images, in memory that does not grow with Q
    times the number of resamples. The same seed gives the same interval, and that of ``b - a`` is
    its mirror image.
    """
    if len(a_Q) != len(b_Q) or not len(a_Q):
        raise ValueError(f"paired values of {len(a_Q)} and {len(b_Q)} images")
    way = _way([(a_Q[None], b_Q[None])])
    difference_Q = b_Q - a_Q if way < 0 else a_Q - b_Q
    value, means_R = _image_means(difference_Q, resamples, np.random.default_rng(seed))
    low, high = _ends(means_R - value, symmetric=not way)
    value = value if way else 0.0  # which a sum of floats may miss
    interval = Interval(value, value + low, value + high)
    return interval.reversed() if way < 0 else interval


def pooled(conditions: Sequence[np.ndarray]) -> Noise | None:
    """The noise between runs of all ``conditions``, each of shape (runs, images); None where no
    condition has two runs, or where no two runs differ."""
    means = [one.mean(axis=1, dtype=np.float64) for one in conditions if len(one) > 1]
    freedom = sum(len(one) - 1 for one in means)
    variance = sum(float(np.var(one)) * len(one) for one in means) / freedom if freedom else 0.0
    if not variance:
        return None
    effects_P = np.concatenate([_effects(one) for one in means])
    effects_P *= math.sqrt(variance / float(np.mean(effects_P**2)))
    varying = all(float(np.var(one)) > 0 for one in means) and len(means) > 1
    p = float(stats.bartlett(*means).pvalue) if varying else None
    return Noise(np.sort(effects_P), variance, freedom, p)


def analyse(
    a_SQ: Float64[np.ndarray, "S Q"],
    b_TQ: Float64[np.ndarray, "T Q"],
    noise: Noise | None = None,
) -> Spread:
    """The variance of the difference of means where runs and images are both drawn at random.

    Run s of a condition on image q is mean + run_s + image_q + rest_sq. The mean square of the
    rest, which no run and no image explains, is in the variance of the runs' means and in that of
    the images' differences; it is taken out of the latter. Satterthwaite's (1946) degrees of
    freedom are those of the runs' part, for images are many. Needs two runs a side and two images.
    """
    return _spread([(a_SQ, b_TQ)], noise)


def _spread(sides: Sequence[tuple[np.ndarray, np.ndarray]], noise: Noise | None) -> Spread:
    """That of the mean over test sets: images are drawn within each, and runs are the same."""
    own_images, all_images = (
        sum(parts) / len(sides) ** 2
        for parts in zip(*(_of_images(a_SQ, b_TQ) for a_SQ, b_TQ in sides), strict=True)
    )
    runs_of = [_run_means(one) for one in zip(*sides, strict=True)]
    if noise is None:
        of_runs = [float(np.var(means, ddof=1)) / len(means) for means in runs_of]
        runs = sum(of_runs)
        parts = sum(
            part * part / (len(means) - 1) for part, means in zip(of_runs, runs_of, strict=True)
        )
    else:
        runs = noise.variance * sum(1 / len(means) for means in runs_of)
        parts = runs * runs / noise.freedom
    freedom = (runs + own_images) ** 2 / parts if parts > 0 else math.inf
    return Spread(runs, own_images, all_images, freedom)


def _of_images(a_SQ: np.ndarray, b_TQ: np.ndarray) -> tuple[float, float]:
    """The images' variance of the difference of means on a test set: what is left when the images'
    share of the rest is taken out, and all of it."""
    if min(len(a_SQ), len(b_TQ), a_SQ.shape[1]) < 2:
        raise ValueError(
            f"{len(a_SQ)} and {len(b_TQ)} runs on {a_SQ.shape[1]} images: not two each"
        )
    images, rest = a_SQ.shape[1], 0.0
    for one in (a_SQ, b_TQ):
        left = one - one.mean(axis=1)[:, None] - one.mean(axis=0) + one.mean()
        square = float((left * left).sum()) / ((len(one) - 1) * (images - 1))
        rest += square / len(one) / images
    all_images = float(np.var(a_SQ.mean(axis=0) - b_TQ.mean(axis=0), ddof=1)) / images
    return max(all_images - rest, 0.0), all_images


def _run_means(of_tests: Sequence[np.ndarray]) -> Float64[np.ndarray, " S"]:
    """The accuracy of every run of a side, averaged over the test sets."""
    return np.mean([one.mean(axis=1, dtype=np.float64) for one in of_tests], axis=0)


def mcnemar(only_a: int, only_b: int) -> float:
    """McNemar's test (Psychometrika 1947), exact: the two-sided binomial p of the images that only
    one of two models has right. Without such images it is 1."""
    return float(stats.binomtest(only_a, only_a + only_b, 0.5).pvalue) if only_a + only_b else 1.0


def durkalski(difference_Q: Float64[np.ndarray, " Q"]) -> float:
    """The two-sided p that images' mean differences are about zero, images being independent.

    Their sum over the root of the sum of their squares is normal for many images (Durkalski et al.
    2003; its square is McNemar's statistic where the differences are -1, 0 and 1)."""
    squares = float(difference_Q @ difference_Q)
    if not squares:
        return 1.0
    return float(2 * stats.norm.sf(abs(difference_Q.sum()) / math.sqrt(squares)))


def detectable_mcnemar(discordance: float, images: int) -> float | None:
    """The smallest true difference that McNemar's test would find: level 0.05, power 0.8.

    Connor's (Biometrics 1987) formula for the number of images, solved for the difference x at a
    share of discordant images d: x √Q = z(α/2) √d + z(power) √(d - x²). Models cannot differ by
    more than they disagree: where x would be larger than d, d is taken as x (all that differ are in
    favour of one). ``None`` where no difference would be found with so few images. The exact test
    is a little more careful than the formula, so that its power is a little less.
    """
    square = images + Z_POWER**2
    root = images - Z_ALPHA**2 + Z_POWER**2
    if root <= 0:
        return None
    x = math.sqrt(discordance) * (Z_ALPHA * math.sqrt(images) + Z_POWER * math.sqrt(root)) / square
    if 0 < x <= discordance:
        return x
    # d = x: √(x Q) = z(α/2) + z(power) √(1 - x), a quadratic in √(1 - x)
    part = (Z_ALPHA * Z_POWER, square, images - Z_ALPHA**2)
    inner = part[0] ** 2 + part[1] * part[2]
    if part[2] <= 0:
        return None
    half = (math.sqrt(inner) - part[0]) / part[1]
    return 1 - half * half


def detectable_errors(freedom: float, level: float = ALPHA) -> float:
    """The smallest true difference that a two-sided t test at this ``level`` would find, in
    standard errors: power 0.8, ``freedom`` >= 1 (infinite: the normal test).

    The error is estimated, so that difference over error is noncentral t, whose power equation is
    solved: with the estimate u times the error, u² = χ²/freedom, the power at x is the mean of
    Φ(x - t u) + Φ(-x - t u) over u. The sum of two quantiles of t, which is often given, is too
    small for few degrees of freedom: its power is 0.73 for one.
    """
    edge = _t(1 - level / 2, freedom)
    shares = (np.arange(PARTS) + 0.5) / PARTS
    # of equally likely parts of the distribution of u the middles
    scale = stats.chi.ppf(shares, freedom) / math.sqrt(freedom) if freedom < math.inf else 1.0

    def excess(x: float) -> float:
        found = stats.norm.cdf(x - edge * scale) + stats.norm.cdf(-x - edge * scale)
        return float(np.mean(found)) - POWER

    return float(optimize.brentq(excess, 0.0, 2 * (edge + Z_POWER)))


def holm(p_M: Float64[np.ndarray, " M"]) -> Float64[np.ndarray, " M"]:
    """p values corrected for being a family of M (Holm, Scandinavian Journal of Statistics 1979).

    The k-th smallest is multiplied by M - k + 1, is at least the one before it and at most 1. Where
    all that are below 0.05 are called differences, the chance of one or more wrong calls is at most
    0.05, however the comparisons depend on each other.
    """
    if not ((p_M >= 0) & (p_M <= 1)).all():
        raise ValueError("a p value is not between 0 and 1")
    order = np.argsort(p_M, kind="stable")
    corrected_M = np.empty_like(p_M)
    stepped = p_M[order] * np.arange(len(p_M), 0, -1)
    corrected_M[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return corrected_M


def _over_runs(
    sides: Sequence[tuple[np.ndarray, np.ndarray]], resamples: int, seed: int, noise: Noise | None
) -> Comparison:
    """The comparison of conditions that have several runs each."""
    counts, images = tuple(map(len, sides[0])), [a_SQ.shape[1] for a_SQ, _ in sides]
    exact = [(a_SQ.astype(np.float64), b_TQ.astype(np.float64)) for a_SQ, b_TQ in sides]
    spread, way = _spread(exact, noise), _way(sides)
    turned = [(b_TQ, a_SQ) if way < 0 else (a_SQ, b_TQ) for a_SQ, b_TQ in exact]
    interval = _crossed_bootstrap(turned, spread, noise, resamples, seed, symmetric=not way)
    interval = interval.reversed() if way < 0 else interval
    error = math.sqrt(spread.variance)
    p = _two_sided(interval.value, error, spread.freedom, sum(images))
    seen = detectable_errors(spread.freedom) * error
    # where nothing varied, what images could show is still limited by their number
    seen = seen or detectable_mcnemar(0.0, sum(images))
    return Comparison(
        interval, p, _possible(seen), T_TEST, True, sum(images), (counts[0], counts[1])
    )


def _crossed_bootstrap(
    sides: Sequence[tuple[np.ndarray, np.ndarray]],
    spread: Spread,
    noise: Noise | None,
    resamples: int,
    seed: int,
    *,
    symmetric: bool,
) -> Interval:
    """The interval over images and runs: draws of scaled effects, spread by t / z."""
    rng = np.random.default_rng(seed)
    differences, shrunk = [], []
    for a_SQ, b_TQ in sides:
        own, every = _of_images(a_SQ, b_TQ)
        differences.append(_means(a_SQ) - _means(b_TQ))
        shrunk.append(math.sqrt(own / every) if every else 0.0)
    value, off_R = _stratified(differences, resamples, rng, shrunk)
    for one, sign in zip(zip(*sides, strict=True), (1, -1), strict=True):
        count = len(one[0])
        # in order, so that runs that have changed places or sides are the same draws
        effect_S = _effects(np.sort(_run_means(one))) if noise is None else noise.effects_P
        drawn = rng.multinomial(count, np.full(len(effect_S), 1 / len(effect_S)), size=resamples)
        off_R += sign * (drawn @ effect_S) / count
    wider = _t(1 - ALPHA / 2, spread.freedom) / Z_ALPHA
    low, high = _ends(off_R * wider, symmetric=symmetric)
    value = 0.0 if symmetric else value
    return Interval(value, value + low, value + high)


def _stratified(
    differences: Sequence[Float64[np.ndarray, " _"]],
    resamples: int,
    seed: int | np.random.Generator,
    shrunk: Sequence[float] = (),
) -> tuple[float, Float64[np.ndarray, " R"]]:
    """The mean over test sets of the images' mean differences, and how far draws of images within
    each are from it, every test set's ``shrunk`` by its factor."""
    rng = np.random.default_rng(seed)
    drawn = [_image_means(one, resamples, rng) for one in differences]
    factors = shrunk or [1.0] * len(drawn)
    parts = [
        (means_R - value) * factor for (value, means_R), factor in zip(drawn, factors, strict=True)
    ]
    return sum(value for value, _ in drawn) / len(drawn), np.sum(parts, axis=0) / len(drawn)


def _effects(means_S: np.ndarray) -> Float64[np.ndarray, " S"]:
    """What runs are beside their condition's mean, which is too near to them by (S - 1) / S."""
    return (means_S - means_S.mean()) * math.sqrt(len(means_S) / (len(means_S) - 1))


def _way(sides: Sequence[tuple[np.ndarray, np.ndarray]]) -> int:
    """1 where draws are of A minus B, -1 where of B minus A, 0 where both are the same values.

    It depends on the values alone, neither on the order of the images nor on which side is A.
    """
    there, back = [], []
    for a_SQ, b_TQ in sides:
        values, counts = np.unique(_means(a_SQ) - _means(b_TQ), return_counts=True)
        there += [*values.tolist(), *counts.tolist()]
        back += [*(-values[::-1]).tolist(), *counts[::-1].tolist()]
    if there == back:
        # sums without rounding, so that the order of images is no matter
        there, back = (
            [sorted(map(math.fsum, one.tolist())) for one in side]
            for side in zip(*sides, strict=True)
        )
    return (there > back) - (there < back)


def _ends(off_R: np.ndarray, *, symmetric: bool) -> tuple[float, float]:
    """The ends of the middle 95 % of draws about zero."""
    if symmetric:
        half = float(np.quantile(np.abs(off_R), LEVEL))
        return -half, half
    low, high = np.quantile(off_R, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _means(one_SQ: np.ndarray) -> Float64[np.ndarray, " Q"]:
    """The mean of every image over the runs."""
    return np.asarray(one_SQ.mean(axis=0, dtype=np.float64))


def _image_means(
    difference_Q: np.ndarray, resamples: int, rng: np.random.Generator
) -> tuple[float, Float64[np.ndarray, " R"]]:
    """The mean of the differences, and of each of the resamples of the images."""
    values, counts = np.unique(difference_Q, return_counts=True)
    shares = counts / counts.sum()
    means = [
        rng.multinomial(len(difference_Q), shares, size=size) @ values / len(difference_Q)
        for size in _blocks(resamples, len(values))
    ]
    return float(counts @ values / len(difference_Q)), np.concatenate(means)


def _blocks(resamples: int, width: int) -> Iterator[int]:
    """Numbers of resamples that are drawn at once: the draws do not depend on them."""
    most = max(BLOCK // width, 1)
    for start in range(0, resamples, most):
        yield min(most, resamples - start)


def _two_sided(value: float, error: float, freedom: float, images: int) -> float:
    least = 2.0 ** max(1 - images, -1000)  # no test on so few images gives less
    if not error:
        return least if value else 1.0
    return max(least, float(2 * stats.t.sf(abs(value) / error, freedom)))


def _t(share: float, freedom: float) -> float:
    return float(stats.t.ppf(share, freedom))


def _possible(difference: float | None) -> float | None:
    return difference if difference is not None and difference <= 1 else None


def _check(a_SQ: np.ndarray, b_TQ: np.ndarray) -> None:
    if a_SQ.shape[1] != b_TQ.shape[1] or not a_SQ.size or not b_TQ.size:
        raise ValueError(
            f"{a_SQ.shape[0]} runs on {a_SQ.shape[1]} images against {b_TQ.shape[0]} on "
            f"{b_TQ.shape[1]}: a comparison needs runs on both sides and the same images"
        )
    for one in (a_SQ, b_TQ):
        if not ((one >= 0) & (one <= 1)).all():
            raise ValueError("a value is not between 0 (wrong) and 1 (right)")
