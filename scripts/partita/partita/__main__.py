# SPDX-License-Identifier: BSD-3-Clause
"""`python -m partita`."""

from partita.cli import entry

entry()
