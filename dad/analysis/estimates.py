"""A mean over trainings and images with its error, and what it would take to see a difference.

The model. A score is its row's mean plus an effect of the training (its seed), an effect of the image, and a rest;
all seeds are scored on the same images, so seeds and images are crossed (the two-way random model without
replication, Searle, Casella and McCulloch, "Variance Components", 1992, chapter 4). The variance of a mean over S
seeds and I images is then estimated by MS_seed / (S I) + MS_image / (S I) - MS_rest / (S I); a component that comes
out negative counts as zero. A sum of mean squares has no exact distribution: the quantile is the mean of Student's
for S - 1 and for I - 1 degrees of freedom, weighted by the parts of the variance that seeds and images have (Cochran
1964, for the Behrens-Fisher problem; Satterthwaite's degrees of freedom cover 92 % where few seeds meet many images).
Several data sets are averaged with equal weights; images are independent between them, a seed is the same training in
all. An interval and its p value come from this one model, so that they cannot contradict each other.

What an interval covers. Several seeds: other trainings and other images of the same kind. One seed: other images
only, and nothing about another training. A model that is scored as is has no seeds; it counts as one. In simulation
the intervals keep 93 to 97 % for 3, 5 and 8 seeds whatever the ratio of the seeds' variance to the images'
(`tests/analysis/test_estimates.py`; 92 % at worst where the rest has nine times the images' variance); two seeds, where
one difference has to stand for a spread, are fewer than they need.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

CONFIDENCE = 0.95
POWER = 0.8
"""With which probability a difference that is said to be visible is found."""

Values = NDArray[np.float64]
"""(seeds, images): one metric of one row on one data set; images in the same order for all rows."""


class Interval(NamedTuple):
    """A mean and the ends of its interval; the ends are NaN where there is no spread to learn from (one image)."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error, which is NaN where there is no spread to learn from.

    share: the seeds' part of the variance; freedom: degrees of freedom of the seeds' part and of the images'. seeds:
    how many trainings. seed, image, rest: the mean's variance taken apart; with S trainings it would be `seed / S +
    image + rest / S`.
    """

    mean: float
    error: float
    share: float
    freedom: tuple[float, float]
    seeds: int
    seed: float
    image: float
    rest: float

    def interval(self) -> Interval:
        """The two-sided 95 % interval."""
        half = self._quantile((1 + CONFIDENCE) / 2) * self.error if self.error else self.error
        return Interval(self.mean, self.mean - half, self.mean + half)

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return self.interval().low

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return self.interval().high

    @property
    def p(self) -> float:
        """Of a mean of zero, two-sided: below 0.05 exactly where the 95 % interval leaves out zero."""
        return 2 * min(self.above(0.0), self.below(0.0)) if self.error or self.mean else 1.0

    def above(self, border: float) -> float:
        """p, one-sided, of a mean at or below `border`: small where the evidence is that the mean is above it."""
        if math.isnan(self.error):
            return math.nan
        if self.error == 0:
            return 0.0 if self.mean > border else 1.0
        return self._tail((self.mean - border) / self.error)

    def below(self, border: float) -> float:
        """p, one-sided, of a mean at or above `border`."""
        return replace(self, mean=-self.mean).above(-border)

    @property
    def visible(self) -> float:
        """The smallest true difference that this design finds with probability `POWER` at the 5 % level."""
        return (self._quantile((1 + CONFIDENCE) / 2) + self._quantile(POWER)) * self.error

    def error_with(self, seeds: int, images: float) -> float:
        """The standard error to expect from this many trainings and `images` times as many images."""
        return math.sqrt(self.seed / seeds + (self.image + self.rest / seeds) / images)

    def _quantile(self, probability: float) -> float:
        return _quantile(probability, self.share, self.freedom)

    def _tail(self, value: float) -> float:
        """The probability above `value` of the distribution whose quantiles `_quantile` gives."""
        if value < 0:
            return 1 - self._tail(-value)
        # between the two distributions that it is mixed of, since quantiles are mixed, not probabilities
        ends = sorted(float(stats.t.sf(value, freedom)) for freedom in self.freedom)
        if self.share in (0.0, 1.0) or ends[0] == ends[1] or ends[0] == 0:
            return float(stats.t.sf(value, self.freedom[0 if self.share == 1.0 else 1]))
        log = optimize.brentq(lambda log_p: self._quantile(-math.expm1(log_p)) - value, *np.log(ends), xtol=1e-12)
        return math.exp(log)


def _quantile(probability: float, share: float, freedom: tuple[float, float]) -> float:
    """Student's quantiles for seeds and images, weighted by the seeds' share of the variance."""
    of_seeds, of_images = (float(stats.t.ppf(probability, degrees)) for degrees in freedom)
    return share * of_seeds + (1 - share) * of_images


@dataclass(frozen=True)
class Design:
    """What finding a difference takes: so many trainings, `images` times as many images. None: not within `LARGEST`."""

    seeds: int
    images: float


LARGEST = (20, 20)
"""The largest number of seeds, and of times as many images, that are worth proposing."""


def design(estimate: Estimate, difference: float) -> Design | None:
    """The smallest design that finds a true `difference` with probability `POWER`: more seeds alone where that is
    enough, else more images too. None where even `LARGEST` is not enough, or there is nothing to learn from.
    """
    if not math.isfinite(estimate.error) or difference == 0:
        return None

    def enough(seeds: int, images: float) -> bool:
        error = estimate.error_with(seeds, images)
        share = estimate.seed / seeds / error**2
        freedom = (max(seeds - 1, 1), estimate.freedom[1] * images)
        needed = _quantile((1 + CONFIDENCE) / 2, share, freedom) + _quantile(POWER, share, freedom)
        return needed * error <= abs(difference)

    most_seeds, most_images = LARGEST
    # a single training tells nothing about others: without a known spread only images can be proposed
    proposals = range(estimate.seeds, most_seeds + 1) if estimate.seeds > 1 else (1,)
    for images in (1.0, 2.0, 5.0, float(most_images)):
        for seeds in proposals:
            if enough(seeds, images):
                return Design(seeds, images)
    return None


def mean_of(values: Values) -> Estimate:
    """The mean of (seeds, images) values, all weighing the same. NaN or infinity anywhere leaves no error."""
    return average_of([values])


def average_of(parts: Sequence[Values]) -> Estimate:
    """The mean over data sets of their means, each data set weighing the same.

    parts: (seeds, images) per data set, the same seeds in all.
    """
    parts = [np.asarray(values, dtype=np.float64) for values in parts]
    seeds = len(parts[0])
    if any(len(values) != seeds for values in parts):
        raise ValueError(
            f"data sets have different numbers of seeds: {', '.join(str(len(values)) for values in parts)}"
        )
    mean = float(np.mean([values.mean() for values in parts]))
    if not all(np.isfinite(values).all() for values in parts) or min(values.shape[1] for values in parts) < 2:
        return Estimate(mean, math.nan, 0.0, (1.0, 1.0), seeds, math.nan, math.nan, math.nan)
    by_image = [_image_variance(values) / len(parts) ** 2 for values in parts]
    rest = sum(_rest_variance(values) for values in parts) / len(parts) ** 2
    image = sum(by_image)
    by_seed = (
        float(np.mean([values.mean(axis=1) for values in parts], axis=0).var(ddof=1)) / seeds if seeds > 1 else 0.0
    )
    # `rest` is in both others and counts once; where one is smaller, its own component is negative and counts as zero
    variance = by_seed + image - min(rest, by_seed, image)
    spread = sum(part**2 / (values.shape[1] - 1) for part, values in zip(by_image, parts, strict=True))
    return Estimate(
        mean=mean,
        error=math.sqrt(variance),
        share=max(by_seed - rest, 0.0) / variance if variance else 0.0,
        freedom=(max(seeds - 1, 1), image**2 / spread if spread else math.inf),
        seeds=seeds,
        seed=max(by_seed - rest, 0.0) * seeds,
        image=max(image - rest, 0.0),
        rest=rest * seeds,
    )


def _image_variance(values: Values) -> float:
    """MS_image / (S I): the variance of the mean as the images' means tell it."""
    return float(values.mean(axis=0).var(ddof=1)) / values.shape[1]


def _rest_variance(values: Values) -> float:
    """MS_rest / (S I): what neither seed nor image explains."""
    seeds, images = values.shape
    if seeds == 1:
        return 0.0
    rest = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    return float((rest**2).sum()) / ((seeds - 1) * (images - 1) * seeds * images)
