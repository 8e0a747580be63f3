// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/comm/collectives/segments.hpp>
#include <partita/nn/model.hpp>
#include <partita/nn/ownership.hpp>
#include <partita/parallel/cuts.hpp>

namespace partita::parallel {

/// How a flat buffer of weights is shared by P ranks: cut into groups, each of which is cut into P segments as even as
/// norm cells allow. What a rank owns is its segments of all groups; packed, they lie one after the other.
class Shards {
 public:
  /// groups   from 0 to the table's size.
  /// Throws   UsageError where a group cuts a norm cell.
  Shards(const nn::ParameterTable& table, Cuts groups, int P, int rank);

  const Cuts& groups() const { return groups_; }
  /// Of a group, counted from its first element.
  const comm::Segments& segments(int g) const { return segments_[static_cast<std::size_t>(g)]; }
  /// My segment of a group: in the flat buffer, among what I own, counted from the group's first element.
  Range mine(int g) const { return {groups_[g].offset + in_group(g).offset, in_group(g).extent}; }
  Range packed(int g) const { return {packed_[static_cast<std::size_t>(g)], in_group(g).extent}; }
  Range in_group(int g) const { return segments(g)[rank_]; }

  /// Elements that I own.
  index_t size() const { return packed_.back(); }
  nn::Ownership ownership(nn::Layout gradients, nn::Layout weights) const;

 private:
  int rank_;
  Cuts groups_;
  std::vector<index_t> packed_;
  std::vector<comm::Segments> segments_;
};

/// Groups of about `elements` elements (at least one group), at which no norm cell is cut.
Cuts even_groups(const nn::ParameterTable& table, index_t elements);

/// Groups that hold whole units: each unit's tensors are in one group, units that share a tensor in the same;
/// neighbours are joined until a group has at least `elements` elements.
template <class Scalar>
Cuts unit_groups(const nn::ParameterTable& table, const std::vector<const nn::Unit<Scalar>*>& units, index_t elements);

}  // namespace partita::parallel
