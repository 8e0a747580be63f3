// SPDX-License-Identifier: BSD-3-Clause
#include <partita/data/check.hpp>

#include <partita/core/error.hpp>

namespace partita::data::detail {

std::string extents(std::size_t rows, std::size_t columns) {
  return "(" + std::to_string(rows) + ", " + std::to_string(columns) + ")";
}

void check_labels(const char* function, std::size_t x_rows, std::size_t label_rows) {
  if (label_rows != x_rows)
    refuse<ShapeError>(function, "label has " + std::to_string(label_rows) + " rows, x has " + std::to_string(x_rows),
                       "x (B, F) and label (B) with the same B");
}

void check_rows(const char* function, const Sampler& sampler, Slice rows, std::size_t x_rows, std::size_t label_rows) {
  check_labels(function, x_rows, label_rows);
  if (rows.extent != static_cast<index_t>(x_rows))
    refuse<ShapeError>(function,
                       "x has " + std::to_string(x_rows) + " rows, the slice has " + std::to_string(rows.extent),
                       "the same number");
  if (rows.global != sampler.batch() || rows.offset < 0 || rows.extent < 0 || rows.end() > rows.global)
    refuse<ShapeError>(function,
                       "rows are [" + std::to_string(rows.offset) + ", " + std::to_string(rows.end()) + ") of " +
                           std::to_string(rows.global),
                       "a part of the sampler's batch of " + std::to_string(sampler.batch()));
}

void check_list(const char* function, std::size_t samples, std::size_t x_rows, std::size_t label_rows) {
  check_labels(function, x_rows, label_rows);
  if (samples != x_rows)
    refuse<ShapeError>(
        function, "x has " + std::to_string(x_rows) + " rows, the list has " + std::to_string(samples) + " samples",
        "the same number");
}

}  // namespace partita::data::detail
