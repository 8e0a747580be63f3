# SPDX-License-Identifier: BSD-3-Clause
"""Partita's tool: run studies, show records, plot how each parallel strategy scales.

Modules, lowest first; each uses only those above it:

    errors      one-line errors and the exit codes of DESIGN.md section 8
    table       columns by name, written as CSV
    statistics  order statistics: medians and their intervals
    study       one study file -> Points, in the order they run
    record      one HDF5 record -> Record
    family      all processes that a study started, ended with it
    plan        one study -> what runs, where, and what is finished
    launch      one process group: start, wait, time out, stop
    progress    what `partita run` says while it runs
    validate    each deck, read by the app before the first point
    folder      a folder of records -> series that differ in one strategy
    pipeline    idle time of pipeline stages, from /strategy
    spatial     shared image rows and their halos, from /strategy and /traffic
    events      /events on the clock of rank 0
    perfetto    events -> a trace that Perfetto opens
    replay      times of a step's units -> what overlap could reach
    scaling     series -> time per step, speed-up, efficiency
    execute     Points -> records
    style       colours, fonts and sizes of every picture
    figures     pictures of scaling and phases
    bars        horizontal bars side by side
    strategies  picture of strategies side by side
    bubble      picture of the idle time of pipeline stages
    surface     picture of halos: their time, surface to volume, bytes
    timeline    picture of one step
    curves      pictures of loss and accuracy
    roofline    picture of the kernels of kernel_bench
    collectives pictures of the collectives of comm_bench
    summary     the text of `partita show`
    cli         the command
"""

__version__ = "0.1.0"
