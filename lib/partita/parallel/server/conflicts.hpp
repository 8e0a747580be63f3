// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include <partita/core/index.hpp>
#include <partita/parallel/server/sparse_table.hpp>

namespace partita::parallel::server {

/// Counts what workers hand in to a server (gradients; rows of a sparse model), and what of it updates have changed
/// since its pull. Of a dense model every update changes every key.
class Conflicts {
 public:
  /// rows   Of a sparse model's table; 0: there is none.
  explicit Conflicts(index_t rows) : changed_(static_cast<std::size_t>(rows)) {}

  /// A gradient of this version of the server's weights becomes a part of an update. rows: those of the server that it
  /// touches.
  void hand_in(index_t update, index_t version, std::span<const std::int32_t> rows);
  void updated(index_t update);

  index_t handed_in() const { return handed_in_; }
  index_t conflicts() const { return conflicts_; }

 private:
  std::vector<index_t> changed_;                          // of each row: the version that changed it
  std::map<index_t, std::vector<std::int32_t>> touched_;  // by updates that are under way
  index_t version_ = 0, handed_in_ = 0, conflicts_ = 0;
};

}  // namespace partita::parallel::server
