# SPDX-License-Identifier: BSD-3-Clause
"""A study file -> points -> attempts: planned, run here or handed to a scheduler, watched from files alone."""
