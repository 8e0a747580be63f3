// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/core/tree.hpp>

namespace partita::nn {

/// How a rank's rows of a global batch are cut: into micro-batches, and these into pieces, whose rows go through a unit
/// in one call. In fast mode a micro-batch is one piece; in deterministic mode pieces are the chunks of the batch, the
/// leaves of the tree in which gradients are summed, and a micro-batch is a whole number of them.
struct Division {
  Slice rows;                        ///< of the batch: mine
  std::vector<Slice> pieces;         ///< of the batch, ascending
  std::vector<Range> micro_batches;  ///< of pieces
  Node chunks;                       ///< deterministic: which leaves my pieces are ...
  index_t leaves = 0;                ///< ... of how many; 0: fast mode

  index_t batch() const { return rows.global; }
  index_t largest_piece() const;
  index_t most_pieces() const;  ///< of a micro-batch
};

/// chunks   0: fast mode; else at most as many leaves as the batch has rows.
/// Throws   UsageError when the rows (fast mode) or the chunks are fewer than ranks x micro-batches, with the least
///          number that would do.
Division divide(index_t batch, index_t ranks, index_t rank, index_t micro_batches, index_t chunks);

/// Fast mode, of ranks whose shares are uneven: rows of a batch, in micro-batches.
/// Throws   UsageError when the rows are fewer than these.
Division divide(Slice rows, index_t micro_batches);

}  // namespace partita::nn
