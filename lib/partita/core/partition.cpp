// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/partition.hpp>

#include <algorithm>
#include <string>
#include <utility>

#include <partita/core/error.hpp>

namespace partita {

Slice partition(index_t n, index_t parts, index_t part) {
  if (n < 0 || parts < 1 || part < 0 || part >= parts) {
    refuse<ShapeError>(
        "partition",
        "part " + std::to_string(part) + " of " + std::to_string(parts) + " of an extent of " + std::to_string(n),
        "an extent >= 0, parts >= 1 and 0 <= part < parts");
  }
  const index_t base = n / parts;
  const index_t longer = n % parts;
  return {part * base + std::min(part, longer), base + (part < longer ? 1 : 0), n};
}

index_t owner(index_t n, index_t parts, index_t i) {
  if (parts < 1 || i < 0 || i >= n) {
    refuse<ShapeError>("owner",
                       "index " + std::to_string(i) + " of an extent of " + std::to_string(n) + " in " +
                           std::to_string(parts) + " parts",
                       "0 <= index < extent and parts >= 1");
  }
  const index_t base = n / parts;
  const index_t longer = n % parts;
  const index_t in_longer = longer * (base + 1);  // indices that lie in the longer parts
  return i < in_longer ? i / (base + 1) : longer + (i - in_longer) / base;
}

std::vector<index_t> global_indices(std::span<const Slice> block) {
  std::vector<index_t> indices = {0};
  for (const Slice& slice : block) {
    std::vector<index_t> finer;
    finer.reserve(indices.size() * static_cast<std::size_t>(slice.extent));
    for (const index_t index : indices)
      for (index_t i = slice.offset; i < slice.end(); ++i) finer.push_back(index * slice.global + i);
    indices = std::move(finer);
  }
  return indices;
}

}  // namespace partita
