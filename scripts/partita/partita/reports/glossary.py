# SPDX-License-Identifier: BSD-3-Clause
"""Where the statistics come from, in plain words: the last section of every report."""

TERMS = (
    ("Step", "One update of the model. Its time is that of the rank that takes longest; warm-up steps and the step "
     "after a write of the record do not count."),
    ("Run, repeat", "One start of the app, with one record. Repeats are runs of the same point; each gives one number, "
     "the median of its steps. Steps of one run are not independent of each other and never make an interval."),
    ("Interval", "The bounds between which the median over runs lies with the probability that is its level. It is "
     "read from the sorted values of the runs (order statistics) and assumes nothing of how they are distributed."),
    ("Level", "The exact probability that such an interval holds the true median. Which of the sorted values are taken "
     "is fixed by the number of runs, before any is looked at: the narrowest interval of at least 95 %. With 7 runs "
     "its level is 98.4 %."),
    ("None below six runs", "With 5 runs even the smallest and the largest value hold the median with only 93.75 %. "
     "So fewer runs are a point without an interval, and nothing is called faster or slower from them."),
    ("Speed-up, efficiency", "S = T(p0) / T(p); E = p0 T(p0) / (p T(p)) at constant work, E = T(p0) / T(p) at constant "
     "work per rank; p0 is the smallest number of ranks. Repeats run in blocks, so the ratio is taken inside each "
     "block, and the interval is that of the median of these ratios."),
    ("Indistinguishable", "The interval of the ratio holds 1: what was measured does not tell which of the two is "
     "faster. It does not say that they are equal."),
    ("Parallel efficiency", "Mean computing time of the ranks over the time of the step. It is load balance (mean over "
     "most) x serialisation (waiting that a network without cost would leave) x transfer (the network)."),
    ("Oversubscribed", "More threads than cores. Such times are shown hollow and are never used for speed-up or "
     "efficiency."),
)  # fmt: skip
