// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/mesh.hpp>

#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>

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
      refuse<UsageError>("mesh", fmt::format("axis {} has extent {}", axes[i].name, axes[i].extent), "at least 1");
    for (std::size_t j = 0; j < i; ++j)
      if (axes[i].name == axes[j].name)
        refuse<UsageError>("mesh", fmt::format("axis {} is given twice", axes[i].name), "a name for each axis");
    product *= axes[i].extent;
  }
  if (product != ranks)
    refuse<UsageError>("mesh", fmt::format("{} is a mesh of {} ranks", words(axes), product),
                       fmt::format("{}, as many as there are", ranks));
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

const Communicator& Mesh::operator[](std::string_view axis) const { return along_[index(axis)]; }

Communicator Mesh::plane(std::span<const std::string_view> axes) const {
  if (axes.empty()) refuse<Error>("mesh", "a plane along no axis", fmt::format("some of {}", words(axes_)));
  std::vector<bool> spans(axes_.size(), false);
  for (const std::string_view axis : axes) {
    const std::size_t i = index(axis);
    if (spans[i]) refuse<Error>("mesh", fmt::format("axis {} is given twice", axis), "each once");
    spans[i] = true;
  }
  int stride = world_->size(), first = world_->rank(), number = 0;  // first: the rank of the plane that is 0 along it
  std::string name;
  for (std::size_t i = 0; i < axes_.size(); ++i) {
    stride /= axes_[i].extent;
    if (!spans[i]) continue;
    first -= coordinates_[i] * stride;
    number = number * axes_[i].extent + coordinates_[i];
    name += (name.empty() ? "" : "+") + axes_[i].name;
  }
  return world_->split(first, number, std::move(name));
}

std::size_t Mesh::index(std::string_view axis) const {
  for (std::size_t i = 0; i < axes_.size(); ++i)
    if (axes_[i].name == axis) return i;
  refuse<Error>("mesh", fmt::format("no axis {}", axis), fmt::format("one of {}", words(axes_)));
}

}  // namespace partita::comm
