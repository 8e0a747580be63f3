// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/collectives/segments.hpp>

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <partita/core/error.hpp>

namespace partita::comm {

Segments::Segments(std::vector<index_t> bounds) : n_(0), P_(0) {
  if (bounds.size() < 2 || bounds.front() != 0 || !std::is_sorted(bounds.begin(), bounds.end()))
    refuse<ShapeError>("Segments", fmt::format("{} bounds", bounds.size()), "P + 1 of them, ascending from 0");
  n_ = bounds.back();
  P_ = static_cast<int>(bounds.size()) - 1;
  bounds_ = std::make_shared<const std::vector<index_t>>(std::move(bounds));
}

Segments Segments::on(int root, index_t n, int P) {
  std::vector<index_t> bounds(static_cast<std::size_t>(P) + 1, 0);
  std::fill(bounds.begin() + root + 1, bounds.end(), n);
  return Segments(std::move(bounds));
}

index_t Segments::longest() const {
  if (!bounds_) return (*this)[0].extent;
  index_t most = 0;
  for (int rank = 0; rank < P_; ++rank) most = std::max(most, (*this)[rank].extent);
  return most;
}

Segments Leaves::over(int P) const {
  if (bounds.empty()) return {count, P};
  if (std::ssize(bounds) != P + 1 || bounds.front() != 0 || bounds.back() != count ||
      !std::is_sorted(bounds.begin(), bounds.end()))
    refuse<ShapeError>("TreeNodes", fmt::format("bounds {}", fmt::join(bounds, " ")),
                       fmt::format("{} that ascend from 0 to the {} leaves", P + 1, count));
  return Segments(bounds);
}

}  // namespace partita::comm
