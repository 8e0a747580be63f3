// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/io/hdf5_file.hpp>
#include <partita/metrics/table.hpp>

namespace partita::training {

/// Times of a worker's gradient, its samples included, by the work of a row and the number of rows; and of messages
/// between it and a server, one way, by their size. Linear between points, proportional beyond them.
struct ServerProfile {
  std::vector<double> flop_per_row;  ///< of each width, ascending
  std::vector<double> rows;          ///< ascending
  std::vector<double> gradient_s;    ///< (widths, rows)
  std::vector<double> bytes;         ///< ascending
  std::vector<double> message_s;     ///< (bytes)

  double gradient_s_of(double flop, double with_rows) const;
  double message_s_of(double of_bytes) const;
};

/// /profile of a record.
metrics::Table profile_table(const ServerProfile& profile);
/// Throws   Error for a file without it.
ServerProfile read_profile(const io::File& record);

}  // namespace partita::training
