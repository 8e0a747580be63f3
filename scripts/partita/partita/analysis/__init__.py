# SPDX-License-Identifier: BSD-3-Clause
"""Numbers from records: the one table of metrics, intervals, splits, fits, verdicts."""
