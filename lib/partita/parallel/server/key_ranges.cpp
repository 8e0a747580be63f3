// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/key_ranges.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/nn/ownership.hpp>

namespace partita::parallel::server {

KeyLoads::KeyLoads(const SparseTable& table, index_t gradients, std::span<const index_t> touches)
    : table_(table), gradients_(gradients) {
  for (const index_t of_row : touches) below_.push_back(below_.back() + of_row);
}

index_t KeyLoads::below(index_t key) const {
  if (key >= table_.size()) return below_.back() * table_.width + (key - table_.size()) * gradients_;
  return below_[static_cast<std::size_t>(key / table_.width)] * table_.width;
}

template <class Scalar>
KeyLoads measure_loads(Learner<Scalar>& learner, int workers) {
  constexpr index_t most_of_each = 20, most = 2048;
  const SparseTable table = learner.table();
  if (table.rows == 0) return {};
  const index_t of_each = std::clamp<index_t>(most / workers, 1, most_of_each);
  std::vector<index_t> touches(static_cast<std::size_t>(table.rows));
  for (int w = 0; w < workers; ++w)
    for (index_t clock = 0; clock < of_each; ++clock)
      for (const std::int32_t row : learner.touched(w, clock)) ++touches[static_cast<std::size_t>(row)];
  return {table, of_each * workers, touches};
}

std::vector<index_t> even_cuts(std::span<const index_t> below, int parts) {
  const index_t blocks = std::ssize(below) - 1, whole = below.back() - below.front();
  const auto at = [&](index_t block) { return below[static_cast<std::size_t>(block)] - below.front(); };
  // As far as a part of at most so much load gets from here.
  const auto reach = [&](index_t from, index_t load) {
    return std::upper_bound(below.begin() + from, below.end(), below[static_cast<std::size_t>(from)] + load) -
           below.begin() - 1;
  };
  const auto enough = [&](index_t load) {
    index_t block = 0;
    for (int k = 0; k < parts; ++k) block = reach(block, load);
    return block == blocks;
  };
  index_t least = 0, largest = whole;  // the largest load is in (least - 1, largest]
  while (least < largest) {
    const index_t middle = least + (largest - least) / 2;
    if (enough(middle))
      largest = middle;
    else
      least = middle + 1;
  }
  // The first block at which a part may begin so that those behind it suffice.
  std::vector<index_t> first(static_cast<std::size_t>(parts) + 1, blocks);
  for (auto k = static_cast<std::size_t>(parts); k-- > 1;)
    first[k] = std::lower_bound(below.begin(), below.end(), below[static_cast<std::size_t>(first[k + 1])] - largest) -
               below.begin();
  std::vector<index_t> cuts = {0};
  for (index_t k = 1; k < parts; ++k) {
    const index_t share = at(cuts.back()) + (whole - at(cuts.back())) / (parts - k + 1);
    index_t near = std::lower_bound(below.begin(), below.end(), below.front() + share) - below.begin();
    if (near > 0 && share - at(near - 1) < at(near) - share) --near;
    cuts.push_back(std::clamp(near, std::max(first[static_cast<std::size_t>(k)], cuts.back() + 1),
                              std::min(reach(cuts.back(), largest), blocks - (parts - k))));
  }
  cuts.push_back(blocks);
  return cuts;
}

std::vector<Range> key_ranges(const nn::ParameterTable& table, int servers, Balance balance, const KeyLoads& loads) {
  std::vector<index_t> bounds = nn::cell_bounds(table, {0, table.size()});
  const SparseTable& sparse = loads.table();
  std::erase_if(bounds, [&](index_t key) { return key < sparse.size() && key % sparse.width != 0; });
  if (std::ssize(bounds) <= servers)
    refuse<UsageError>("server.count", fmt::format("{} servers for {} weights", servers, table.size()),
                       fmt::format("at most {}: a server has whole rows of a table, and whole blocks of up to 4096 "
                                   "weights of a tensor",
                                   bounds.size() - 1));
  std::vector<index_t> below = bounds;
  if (balance == Balance::load)
    for (index_t& key : below) key = loads.below(key);
  const std::vector<index_t> cuts = even_cuts(below, servers);
  std::vector<Range> ranges;
  for (std::size_t s = 1; s < cuts.size(); ++s) {
    const index_t from = bounds[static_cast<std::size_t>(cuts[s - 1])], end = bounds[static_cast<std::size_t>(cuts[s])];
    ranges.push_back({from, end - from});
  }
  return ranges;
}

template KeyLoads measure_loads(Learner<float>&, int);
template KeyLoads measure_loads(Learner<double>&, int);

}  // namespace partita::parallel::server
