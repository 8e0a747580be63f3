# SPDX-License-Identifier: BSD-3-Clause
"""How often to leave a checkpoint, from what one costs and how often something fails.

Failures are a Poisson process: C seconds are one checkpoint, M the mean time between failures of the whole job, R the
time to begin anew and read a checkpoint, tau the computing between two checkpoints (without C), T all of it.

    Young    tau = sqrt(2 C M)                                         J. W. Young, A first order approximation to the
                                                                       optimum checkpoint interval, CACM 17 (9), 1974
    Daly     tau = sqrt(2 C M) (1 + x/3 + x^2/9) - C, x = sqrt(C/2M)   J. T. Daly, A higher order estimate of the
             for C < 2 M, else M                                       optimum checkpoint interval for restart dumps,
                                                                       FGCS 22 (3), 2006, eq. 37
    expected M exp(R/M) (exp((tau + C)/M) - 1) T / tau                 the same, eq. 20: wall time until T is done

All in seconds; ValueError where a cost, an interval or a mean time is not above 0.
"""

import math
from dataclasses import dataclass

DAY_S = 86_400.0
MTBF_S = (3600.0, DAY_S, 7 * DAY_S)  # Where nobody says how often something fails.


@dataclass(frozen=True)
class Interval:
    """Of checkpoints: computing between two of them."""

    seconds: float
    steps: int  # At least 1.


def young_s(cost_s: float, mtbf_s: float) -> float:
    """The first-order optimum; good where C is far below M."""
    _above_0(cost_s=cost_s, mtbf_s=mtbf_s)
    return math.sqrt(2 * cost_s * mtbf_s)


def daly_s(cost_s: float, mtbf_s: float) -> float:
    """The higher-order optimum."""
    first = young_s(cost_s, mtbf_s)
    if cost_s >= 2 * mtbf_s:
        return mtbf_s
    x = math.sqrt(cost_s / (2 * mtbf_s))
    return first * (1 + x / 3 + x * x / 9) - cost_s


def expected_s(work_s: float, interval_s: float, cost_s: float, restart_s: float, mtbf_s: float) -> float:
    """Mean wall time until the work is done, failures while starting anew included; after each interval a checkpoint.

    restart_s may be 0; infinite where no interval would ever end.
    """
    _above_0(work_s=work_s, interval_s=interval_s, cost_s=cost_s, mtbf_s=mtbf_s)
    if restart_s < 0:
        raise ValueError(f"restart_s is {restart_s:g}, not 0 or more")
    try:
        return mtbf_s * math.exp(restart_s / mtbf_s) * math.expm1((interval_s + cost_s) / mtbf_s) * work_s / interval_s
    except OverflowError:
        return math.inf


def in_steps(seconds: float, step_s: float) -> Interval:
    """The interval as the nearest whole number of steps, at least one."""
    _above_0(seconds=seconds, step_s=step_s)
    return Interval(seconds, max(1, round(seconds / step_s)))


def in_words(seconds: float) -> str:
    """`90 s`, `30 min`, `1 h`, `2.5 days`: a mean time between failures."""
    for unit, name in ((DAY_S, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= unit:
            return "1 day" if seconds == DAY_S else f"{seconds / unit:.3g} {name}"
    return f"{seconds:g} s"


def _above_0(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} is {value:g}, not above 0")
