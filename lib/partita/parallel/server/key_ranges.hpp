// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <vector>

#include <partita/core/named.hpp>
#include <partita/nn/parameter_table.hpp>
#include <partita/parallel/server/learner.hpp>

namespace partita::parallel::server {

/// What servers have equally much of: weights, or weights that gradients touch.
enum class Balance { equal, load };
inline constexpr Named<Balance> balances[] = {{"equal", Balance::equal}, {"load", Balance::load}};

/// How many weights gradients touch, as counted over some of them: those of a sparse table that they ask for, and all
/// that are behind it.
class KeyLoads {
 public:
  /// Of a dense model: every gradient touches every weight.
  KeyLoads() = default;
  /// touches   (table.rows): gradients that touch a row, out of so many.
  KeyLoads(const SparseTable& table, index_t gradients, std::span<const index_t> touches);

  const SparseTable& table() const { return table_; }
  /// Of the first so many weights, which cut no row: summed up over the gradients.
  index_t below(index_t key) const;
  index_t of(Range keys) const { return below(keys.end()) - below(keys.offset); }

 private:
  SparseTable table_;
  index_t gradients_ = 1;
  std::vector<index_t> below_ = {0};  // touches of the rows before each
};

/// Counts the first gradients of each worker, 20 or as many as are 2,048 in all, without computing them. Every rank
/// that asks a learner of the same data gets the same.
template <class Scalar>
KeyLoads measure_loads(Learner<Scalar>& learner, int workers);

/// Where a list of blocks is cut into so many parts of one block or more, that the largest load is as small as it can
/// be. Of such cuts, one after the other is as near as can be to an even share of what is left.
///
/// below    Ascending: loads of the blocks before each, and of all of them.
/// Returns  parts + 1 indices into it, the first and the last one among them.
/// Needs    1 <= parts < size of `below`.
/// Cost     O(parts log(blocks) log(load)).
std::vector<index_t> even_cuts(std::span<const index_t> below, int parts);

/// Keys of each server: the flat weights in as many ranges, cut where no norm cell and no row of a sparse table is. Of
/// all such cuts the largest range, or the largest load, is as small as it can be.
/// Throws   UsageError for more servers than there are ranges between places to cut.
std::vector<Range> key_ranges(const nn::ParameterTable& table, int servers, Balance balance = Balance::equal,
                              const KeyLoads& loads = {});

}  // namespace partita::parallel::server
