# SPDX-License-Identifier: BSD-3-Clause
"""The commands, a module each."""
