# SPDX-License-Identifier: BSD-3-Clause
"""Laws of scaling through measured points: what they imply, and how far off they are.

    Amdahl      T(p) = T1 (s + (1 - s) / p)                        s serial share; speed-up never beyond 1 / s
    USL         T(p) = T1 (1 + c (p - 1) + k p (p - 1)) / p        c contention, k coherency; least T, the peak of
                                                                   throughput, at p = sqrt((1 - c) / k)
    alpha-beta  t(b) = alpha + beta b                              of a message of b bytes; replay.fit_link

Sources: Amdahl, AFIPS 1967; USL, the universal scalability law: Gunther, Guerrilla Capacity Planning, 2007, section 5.
Both are for strong scaling: the same work at every p.

All three are sums of fixed functions of p with factors that are not negative,

    T = A / p + D + K (p - 1)       A = T1 (1 - s),  D = T1 s,  K = 0
                                    A = T1 (1 - c),  D = T1 c,  K = T1 k

so that least squares of the relative residuals T_fit / T - 1 with bounds are a convex problem: one best fit, found
without a first guess. Fewer than five points are not fitted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from partita.analysis.replay import fit_link

MIN_POINTS = 5
_ONE = {"numbers of ranks": "number of ranks", "sizes": "size"}


@dataclass(frozen=True)
class Fit:
    """A law with its parameters, what it implies, and its relative residuals."""

    name: str
    parameters: dict[str, float]
    implied: dict[str, float]  # Infinite: no bound, no peak.
    residuals: tuple[float, ...]  # T_fit / T - 1 of each point, in the order given.
    predict: Callable[[float], float]

    @property
    def rms(self) -> float:
        """Root of the mean square of the relative residuals."""
        return math.sqrt(sum(r * r for r in self.residuals) / len(self.residuals))

    @property
    def largest(self) -> float:
        """The relative residual that is farthest from nothing."""
        return max(map(abs, self.residuals))

    @property
    def words(self) -> str:
        """`serial share 5.0 %: speed-up never beyond 20; residuals 0.8 % (rms), 1.3 % (largest)`."""
        return f"{_WORDS[self.name](self)}; residuals {_percent(self.rms)} (rms), {_percent(self.largest)} (largest)"


def amdahl(ranks: Sequence[float], seconds: Sequence[float]) -> Fit | str:
    """The serial share behind times of the same work; a text that says why there is none."""
    if (why := _unfit(ranks, seconds, "numbers of ranks")) is not None:
        return why
    p, t = np.asarray(ranks, float), np.asarray(seconds, float)
    parallel, serial = _least_squares([1 / p, np.ones_like(p)], t)
    first = parallel + serial
    share = serial / first

    def predict(at: float) -> float:
        return parallel / at + serial

    return Fit("Amdahl", {"T1": first, "serial": share}, {"bound": 1 / share if share > 0 else math.inf},
               _residuals(predict, p, t), predict)  # fmt: skip


def usl(ranks: Sequence[float], seconds: Sequence[float]) -> Fit | str:
    """Contention and coherency behind times of the same work; a text that says why there are none."""
    if (why := _unfit(ranks, seconds, "numbers of ranks")) is not None:
        return why
    p, t = np.asarray(ranks, float), np.asarray(seconds, float)
    parallel, serial, crossed = _least_squares([1 / p, np.ones_like(p), p - 1], t)
    first = parallel + serial
    if first <= 1e-9 * crossed:
        return "its times only grow with the number of ranks"

    def predict(at: float) -> float:
        return parallel / at + serial + crossed * (at - 1)

    peak = math.sqrt(parallel / crossed) if crossed > 0 else math.inf
    return Fit("USL", {"T1": first, "contention": serial / first, "coherency": crossed / first}, {"peak": peak},
               _residuals(predict, p, t), predict)  # fmt: skip


def alpha_beta(sizes: Sequence[float], seconds: Sequence[float]) -> Fit | str:
    """Latency and seconds per byte behind the times of messages; a text that says why there are none."""
    if (why := _unfit(sizes, seconds, "sizes")) is not None:
        return why
    link = fit_link(sizes, seconds)
    if link.beta <= 0:
        return "its times do not grow with the size of a message"
    residuals = _residuals(link.seconds, np.asarray(sizes, float), np.asarray(seconds, float))
    return Fit("alpha-beta", {"alpha": link.alpha, "beta": link.beta},
               {"bandwidth": 1 / link.beta, "half": link.alpha / link.beta}, residuals, link.seconds)  # fmt: skip


def _unfit(at: Sequence[float], seconds: Sequence[float], what: str) -> str | None:
    """Why these points are not fitted; None: they can be."""
    if len(at) != len(seconds):
        raise ValueError(f"{len(at)} {what} and {len(seconds)} times")
    if not all(math.isfinite(v) and v > 0 for v in (*at, *seconds)):
        return "a value is not above zero"
    if (n := len(set(at))) < MIN_POINTS:
        return f"{n} {what if n > 1 else _ONE[what]}: fits from {MIN_POINTS} on"
    return None


def _least_squares(functions: list[np.ndarray], t: np.ndarray) -> list[float]:
    """Factors, none below zero, of the sum of functions with the least squares of relative residuals."""
    from scipy.optimize import nnls

    return [float(x) for x in nnls(np.stack(functions, axis=1) / t[:, None], np.ones_like(t))[0]]


def _residuals(predict: Callable[[float], float], at: np.ndarray, t: np.ndarray) -> tuple[float, ...]:
    return tuple(float(predict(x) / y - 1) for x, y in zip(at, t, strict=True))


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


def _peak(fit: Fit) -> str:
    at = fit.implied["peak"]
    return "no peak" if math.isinf(at) else f"fastest at {at:.3g} ranks"


def _bound(fit: Fit) -> str:
    at = fit.implied["bound"]
    return "no bound" if math.isinf(at) else f"speed-up never beyond {at:.3g}"


_WORDS: Mapping[str, Callable[[Fit], str]] = {
    "Amdahl": lambda f: f"serial share {_percent(f.parameters['serial'])}: {_bound(f)}",
    "USL": lambda f: (
        f"contention {_percent(f.parameters['contention'])}, coherency {f.parameters['coherency']:.2g}: {_peak(f)}"
    ),
    "alpha-beta": lambda f: (
        f"latency {1e6 * f.parameters['alpha']:.3g} us, {1e-9 * f.implied['bandwidth']:.3g} GB/s, half of it at "
        f"{f.implied['half']:,.0f} bytes"
    ),
}
