// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/comm/collectives/segments.hpp>
#include <partita/nn/model.hpp>
#include <partita/nn/ownership.hpp>

namespace partita::parallel {

/// How a flat buffer of weights is shared by P ranks: cut into groups, each of which is cut into P segments as even as
/// norm cells allow. What a rank owns is its segments of all groups; packed, they lie one after the other.
class Shards {
 public:
  /// groups   bounds of the groups, from 0 to the table's size.
  /// Throws   UsageError where a group cuts a norm cell.
  Shards(const nn::ParameterTable& table, std::vector<index_t> groups, int P, int rank);

  int groups() const { return static_cast<int>(segments_.size()); }
  Range group(int g) const {
    const auto at = static_cast<std::size_t>(g);
    return {bounds_[at], bounds_[at + 1] - bounds_[at]};
  }
  const std::vector<index_t>& bounds() const { return bounds_; }
  /// Of a group, counted from its first element.
  const comm::Segments& segments(int g) const { return segments_[static_cast<std::size_t>(g)]; }
  /// My segment of a group: in the flat buffer, among what I own, counted from the group's first element.
  Range mine(int g) const { return {group(g).offset + in_group(g).offset, in_group(g).extent}; }
  Range packed(int g) const { return {packed_[static_cast<std::size_t>(g)], in_group(g).extent}; }
  Range in_group(int g) const { return segments(g)[rank_]; }

  /// Elements that I own.
  index_t size() const { return packed_.back(); }
  index_t largest_group() const;
  /// The group that holds an element.
  int holding(index_t element) const;
  nn::Ownership ownership(nn::Layout gradients, nn::Layout weights) const;

 private:
  int rank_;
  std::vector<index_t> bounds_, packed_;
  std::vector<comm::Segments> segments_;
};

/// Bounds of groups of about `elements` elements (at least one group), at which no norm cell is cut.
std::vector<index_t> even_groups(const nn::ParameterTable& table, index_t elements);

/// Bounds of groups that hold whole units: each unit's tensors are in one group, units that share a tensor in the same;
/// neighbours are joined until a group has at least `elements` elements.
template <class Scalar>
std::vector<index_t> unit_groups(const nn::ParameterTable& table, const std::vector<const nn::Unit<Scalar>*>& units,
                                 index_t elements);

}  // namespace partita::parallel
