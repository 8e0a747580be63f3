// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/io/hdf5_file.hpp>
#include <partita/metrics/table.hpp>

namespace partita::io {

/// Writes a table as a group: its scales, its columns with their scales attached, all attributes.
///
/// A dimension is looked up in the group, then at the root. A scale of the root gets a second name (hard link) in the
/// group, so that a reader that opens one group (xarray.open_dataset(file, group=...)) sees its coordinates. A column
/// without data is reserved: created, allocated and filled. Group "/" is the root.
/// Throws   ShapeError naming the column, when a dimension is unknown or the data do not fit.
void write_table(File& file, const metrics::Table& table);

}  // namespace partita::io
