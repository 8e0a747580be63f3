// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <partita/comm/mesh.hpp>

namespace partita::comm {

namespace {

std::string words(const std::vector<Axis>& axes) {
  std::string text;
  for (const Axis& axis : axes) text += fmt::format("{}{} {}", text.empty() ? "" : " x ", axis.name, axis.extent);
  return text;
}

void check_axes(const std::vector<Axis>& axes, int ranks) {
  std::int64_t product = 1;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    if (axes[i].extent < 1)
      throw UsageError(fmt::format("mesh: axis {} has extent {}, at least 1 is needed", axes[i].name, axes[i].extent));
    for (std::size_t j = 0; j < i; ++j)
      if (axes[i].name == axes[j].name) throw UsageError(fmt::format("mesh: axis {} is given twice", axes[i].name));
    product *= axes[i].extent;
  }
  if (product != ranks)
    throw UsageError(fmt::format("mesh: {} needs {} ranks, and there are {}", words(axes), product, ranks));
}

}  // namespace

Mesh::Mesh(const Communicator& world, std::vector<Axis> axes) : world_(&world), axes_(std::move(axes)) {
  check_axes(axes_, world.size());
  int stride = world.size();
  for (const Axis& axis : axes_) {
    const int block = stride;  // ranks that agree in all coordinates before this one
    stride /= axis.extent;
    const int coordinate = world.rank() % block / stride;
    coordinates_.push_back(coordinate);
    along_.push_back(world.split(world.rank() - coordinate * stride, coordinate, axis.name));
  }
}

const Communicator& Mesh::operator[](std::string_view axis) const {
  for (std::size_t i = 0; i < axes_.size(); ++i)
    if (axes_[i].name == axis) return along_[i];
  throw Error(fmt::format("mesh: no axis {}; the axes are {}", axis, words(axes_)));
}

}  // namespace partita::comm
