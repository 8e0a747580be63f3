# SPDX-License-Identifier: BSD-3-Clause
"""Pictures: each a figure and the table of the numbers that it shows."""
