# SPDX-License-Identifier: BSD-3-Clause
"""Partita's tool: plan and run studies, read their records, say and show what can be trusted.

Folders, lowest first; each uses only those above it:

    errors, table, statistics, console      one-line errors; columns as CSV; intervals; where commands print and save
    studies     study file -> points -> attempts on disk: planned, run here or handed to a scheduler, watched
    records     HDF5 files: the index of a folder, one record, series of runs that differ in one strategy
    analysis    the one table of metrics; scaling, efficiency split, fits, verdicts
    pictures    a figure and the table of its numbers
    reports     what people read: the summary of a record, the report of a folder
    exports     what other programs read
    commands    a module each; cli.py lists them

    Studies and records know of each other (is a point finished? what was intended?), and a study that has run asks
    analysis whether its records hold the work that it promised.
"""

__version__ = "0.1.0"
