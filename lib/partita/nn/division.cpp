// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/division.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>

namespace partita::nn {

index_t Division::largest_piece() const {
  index_t most = 0;
  for (const Slice& piece : pieces) most = std::max(most, piece.extent);
  return most;
}

index_t Division::most_pieces() const {
  index_t most = 0;
  for (const Range& micro_batch : micro_batches) most = std::max(most, micro_batch.extent);
  return most;
}

Division divide(index_t batch, index_t ranks, index_t rank, index_t micro_batches, index_t chunks) {
  const bool fast = chunks == 0;
  const index_t leaves = std::min(chunks, batch), shares = ranks * micro_batches;
  if (batch < 1 || micro_batches < 1 || batch < shares)
    refuse<UsageError>("divide",
                       fmt::format("a global batch of {} cannot be shared by {} ranks in {} micro-batches", batch,
                                   ranks, micro_batches),
                       fmt::format("at least {}, or fewer ranks", std::max<index_t>(shares, 1)));
  if (!fast && leaves < shares)
    refuse<UsageError>("divide",
                       fmt::format("{} chunks of a batch of {} cannot be shared by {} ranks in {} micro-batches",
                                   chunks, batch, ranks, micro_batches),
                       fmt::format("at least {} of both, or fewer ranks", shares));

  // Ranks share rows or chunks; a rank's micro-batches share its own.
  Division division;
  division.leaves = leaves;
  const Slice mine = partition(fast ? batch : leaves, ranks, rank);
  if (fast) return divide(mine, micro_batches);
  division.chunks = {mine.offset, mine.end()};
  for (index_t c = mine.offset; c < mine.end(); ++c) division.pieces.push_back(partition(batch, leaves, c));
  for (index_t m = 0; m < micro_batches; ++m) {
    const Slice part = partition(mine.extent, micro_batches, m);
    division.micro_batches.push_back({part.offset, part.extent});
  }
  const index_t first = division.pieces.front().offset;
  division.rows = {first, division.pieces.back().end() - first, batch};
  return division;
}

Division divide(Slice rows, index_t micro_batches) {
  if (micro_batches < 1 || rows.extent < micro_batches)
    refuse<UsageError>("divide", fmt::format("{} rows in {} micro-batches", rows.extent, micro_batches),
                       "at least a row in each");
  Division division;
  division.rows = rows;
  for (index_t m = 0; m < micro_batches; ++m) {
    const Slice part = partition(rows.extent, micro_batches, m);
    division.pieces.push_back({rows.offset + part.offset, part.extent, rows.global});
    division.micro_batches.push_back({m, 1});
  }
  return division;
}

}  // namespace partita::nn
