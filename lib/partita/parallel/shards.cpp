// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/shards.hpp>

#include <algorithm>
#include <utility>

#include <partita/core/float16.hpp>

namespace partita::parallel {

Shards::Shards(const nn::ParameterTable& table, Cuts groups, int P, int rank)
    : rank_(rank), groups_(std::move(groups)), packed_{0} {
  for (int g = 0; g < groups_.size(); ++g) {
    std::vector<index_t> cuts = nn::cell_cuts(table, groups_[g], P);
    for (index_t& cut : cuts) cut -= groups_[g].offset;
    segments_.emplace_back(std::move(cuts));
    packed_.push_back(packed_.back() + segments_.back()[rank].extent);
  }
}

nn::Ownership Shards::ownership(nn::Layout gradients, nn::Layout weights) const {
  nn::Ownership own{{}, gradients, weights};
  for (int g = 0; g < groups_.size(); ++g)
    if (const Range range = mine(g); range.extent > 0) own.ranges.push_back(range);
  return own;
}

Cuts even_groups(const nn::ParameterTable& table, index_t elements) {
  const index_t n = table.size();
  std::vector<index_t> bounds = nn::cell_cuts(table, {0, n}, std::max<index_t>(1, n / std::max<index_t>(1, elements)));
  bounds.erase(std::unique(bounds.begin() + 1, bounds.end()), bounds.end());
  return Cuts(std::move(bounds));
}

template <class Scalar>
Cuts unit_groups(const nn::ParameterTable& table, const std::vector<const nn::Unit<Scalar>*>& units, index_t elements) {
  // From the first to the last tensor of a unit nothing may be cut.
  std::vector<std::pair<index_t, index_t>> spans;
  for (const nn::Unit<Scalar>* unit : units) {
    if (unit->reads().empty()) continue;
    index_t begin = table.size(), end = 0;
    for (const Range& range : unit->reads()) {
      if (range.extent == 0) continue;
      begin = std::min(begin, range.offset);
      end = std::max(end, range.end());
    }
    if (begin < end) spans.emplace_back(begin, end);
  }
  std::sort(spans.begin(), spans.end());
  std::vector<index_t> bounds = {0};
  index_t reached = 0;
  for (const auto& [begin, end] : spans) {
    if (begin >= reached && begin - bounds.back() >= std::max<index_t>(1, elements)) bounds.push_back(begin);
    reached = std::max(reached, end);
  }
  bounds.push_back(table.size());
  return Cuts(std::move(bounds));
}

#define PARTITA_SHARDS(Scalar) \
  template Cuts unit_groups(const nn::ParameterTable&, const std::vector<const nn::Unit<Scalar>*>&, index_t);
PARTITA_SHARDS(float)
PARTITA_SHARDS(double)
PARTITA_SHARDS(bfloat16)
PARTITA_SHARDS(float16)
#undef PARTITA_SHARDS

}  // namespace partita::parallel
