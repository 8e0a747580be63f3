// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <partita/comm/communicator.hpp>

namespace partita::comm {

/// One direction of the mesh: "data", "tensor", "pipeline", ...
struct Axis {
  std::string name;
  int extent = 1;
};

/// Ranks as a grid with ordered, named axes, row-major: the last axis runs fastest, so neighbours along it are
/// neighbours in the world and, with the usual placement, share a node.
///
///     rank = (... (c0 * extent1 + c1) * extent2 + c2 ...)
///
/// mesh["data"] is the communicator of the ranks that differ from me in the data coordinate alone; its rank() is that
/// coordinate.
class Mesh {
 public:
  /// Collective over world, which must outlive the mesh.
  /// Throws   UsageError unless the extents are positive and multiply to world.size(), and the names differ.
  Mesh(const Communicator& world, std::vector<Axis> axes);

  const Communicator& world() const { return *world_; }
  const std::vector<Axis>& axes() const { return axes_; }
  /// Throws   Error for a name that is no axis.
  const Communicator& operator[](std::string_view axis) const;
  int extent(std::string_view axis) const { return (*this)[axis].size(); }
  int coordinate(std::string_view axis) const { return (*this)[axis].rank(); }
  /// The ranks that differ from me in these coordinates alone, row-major in the order of axes(): the last runs fastest.
  /// A communicator of its own, also where that is one axis or the world; named, and so counted, by its axes in that
  /// order: "data+spatial". All ranks name the same axes, in any order. Collective over the world.
  /// Throws   Error for a name that is no axis or is given twice, or for none.
  Communicator plane(std::span<const std::string_view> axes) const;
  Communicator plane(std::initializer_list<std::string_view> axes) const {
    return plane(std::span(axes.begin(), axes.size()));
  }
  /// In the order of axes().
  const std::vector<int>& coordinates() const { return coordinates_; }

 private:
  std::size_t index(std::string_view axis) const;

  const Communicator* world_;
  std::vector<Axis> axes_;
  std::vector<int> coordinates_;
  std::vector<Communicator> along_;
};

}  // namespace partita::comm
