# SPDX-License-Identifier: BSD-3-Clause
"""What other programs read: tables, xarray, Extra-P, Thicket, Perfetto."""
