# SPDX-License-Identifier: BSD-3-Clause
"""What people read: one record on a page, a folder as a report."""
