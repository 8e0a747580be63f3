# SPDX-License-Identifier: BSD-3-Clause
"""HDF5 records: the index of a folder, one record read when asked, series of runs."""
