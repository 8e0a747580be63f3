// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/whole_tensor.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>

namespace partita::parallel {
namespace {

using Block = std::span<const Slice>;

index_t elements(Block block) {
  index_t product = 1;
  for (const Slice& slice : block) product *= slice.extent;
  return product;
}

index_t elements_of_whole(Block block) {
  index_t product = 1;
  for (const Slice& slice : block) product *= slice.global;
  return product;
}

bool disjoint(Block a, Block b) {
  for (std::size_t d = 0; d < a.size(); ++d)
    if (a[d].end() <= b[d].offset || b[d].end() <= a[d].offset) return true;
  return false;
}

void place(Block block, const std::vector<float>& values, std::vector<float>& whole) {
  if (block.empty() || values.empty()) {
    std::copy(values.begin(), values.end(), whole.begin());
    return;
  }
  const Slice& columns = block.back();
  auto from = values.begin();
  for (const index_t row : global_indices(block.first(block.size() - 1))) {
    std::copy(from, from + columns.extent, whole.begin() + (row * columns.global + columns.offset));
    from += columns.extent;
  }
}

// Which ranks are asked for theirs: the first of each block, unless it is empty.
std::vector<int> holders(std::string_view name, const std::vector<Slice>& slices, std::size_t dimensions, int ranks) {
  const auto block = [&](int rank) {
    return Block(slices).subspan(static_cast<std::size_t>(rank) * dimensions, dimensions);
  };
  std::vector<int> asked;
  index_t covered = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    const Block mine = block(rank);
    for (std::size_t d = 0; d < dimensions; ++d)
      if (mine[d].global != slices[d].global)
        refuse<ShapeError>(name, fmt::format("rank {} has a part of {} in dimension {}", rank, mine[d].global, d),
                           fmt::format("of {}, as rank 0", slices[d].global));
    const bool known = std::any_of(asked.begin(), asked.end(), [&](int other) {
      return std::equal(mine.begin(), mine.end(), block(other).begin());
    });
    if (elements(mine) == 0 || known) continue;
    for (const int other : asked)
      if (!disjoint(mine, block(other)))
        refuse<ShapeError>(name, fmt::format("ranks {} and {} hold the same elements, and others, too", other, rank),
                           "blocks that are the same or apart");
    asked.push_back(rank);
    covered += elements(mine);
  }
  const index_t all = elements_of_whole(block(0));
  if (covered != all)
    refuse<ShapeError>(name, fmt::format("the ranks hold {} elements", covered), fmt::format("{}, the whole", all));
  return asked;
}

}  // namespace

std::vector<float> whole_tensor(const comm::Communicator& axis, std::string_view name, Block block,
                                std::vector<float> values, int root) {
  const bool fits = std::ssize(values) == elements(block);
  if (!axis.all_of(fits))
    refuse<ShapeError>(name, fits ? "another rank has too many or too few values" : "too many or too few values",
                       "as many as the block has elements");
  if (axis.all_of(elements(block) == elements_of_whole(block)))
    return axis.is_root(root) ? std::move(values) : std::vector<float>();

  const std::vector<Slice> slices = axis.gather(block, root);
  const std::vector<int> asked = axis.on_root([&] { return holders(name, slices, block.size(), axis.size()); }, root);
  if (!axis.is_root(root)) {
    if (std::find(asked.begin(), asked.end(), axis.rank()) != asked.end())
      axis.send(std::span<const float>(values), root);
    return {};
  }
  std::vector<float> whole(static_cast<std::size_t>(elements_of_whole(block)));
  for (const int rank : asked) {
    const Block from = Block(slices).subspan(static_cast<std::size_t>(rank) * block.size(), block.size());
    if (rank == root) {
      place(from, values, whole);
      continue;
    }
    std::vector<float> theirs(static_cast<std::size_t>(elements(from)));
    axis.receive(std::span<float>(theirs), rank);
    place(from, theirs, whole);
  }
  return whole;
}

}  // namespace partita::parallel
