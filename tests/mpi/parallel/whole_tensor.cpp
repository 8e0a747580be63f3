// SPDX-License-Identifier: BSD-3-Clause
#include <numeric>

#include <gtest/gtest.h>

#include <partita/core/partition.hpp>
#include <partita/parallel/whole_tensor.hpp>

#include <support/caught.hpp>
#include <support/collective.hpp>
#include <support/mpi.hpp>

namespace partita::parallel::whole_tensor_tests {
namespace {

using partita::test::world;
using partita::testing::caught;

// Element i of the whole is i: a block's values are where its elements lie, counted here by brute force.
std::vector<float> part_of_count(const std::vector<Slice>& block) {
  index_t all = 1;
  for (const Slice& slice : block) all *= slice.global;
  std::vector<float> values;
  for (index_t i = 0; i < all; ++i) {
    index_t rest = i;
    bool inside = true;
    for (auto slice = block.rbegin(); slice != block.rend(); ++slice) {
      inside = inside && slice->contains(rest % slice->global);
      rest /= slice->global;
    }
    if (inside) values.push_back(static_cast<float>(i));
  }
  return values;
}

void expect_count(const std::vector<Slice>& block, int root) {
  const std::vector<float> whole = whole_tensor(world(), "t", block, part_of_count(block), root);
  std::vector<float> expected;
  if (world().is_root(root)) {
    index_t n = 1;
    for (const Slice& slice : block) n *= slice.global;
    expected.resize(static_cast<std::size_t>(n));
    std::iota(expected.begin(), expected.end(), 0.0F);
  }
  EXPECT_ALL(world(), whole == expected);
}

TEST(whole_tensor, comes_from_blocks_along_any_dimension) {
  const int P = world().size(), r = world().rank();
  const std::vector<index_t> shape = {3, 5, 2, 7};
  for (std::size_t cut = 0; cut < shape.size(); ++cut) {
    std::vector<Slice> block;
    for (std::size_t d = 0; d < shape.size(); ++d)
      block.push_back(d == cut ? partition(shape[d], P, r) : whole(shape[d]));
    expect_count(block, 0);
    expect_count(block, P - 1);
  }
  expect_count({partition(2, P, r)}, 0);                                     // some have nothing
  expect_count({{r == P - 1 ? 0 : 5, r == P - 1 ? 5 : 0, 5}, whole(3)}, 0);  // only the last has anything
  expect_count({whole(4), whole(3)}, P - 1);                                 // everybody has everything
  expect_count({}, 0);                                                       // a number
  expect_count({whole(0), whole(3)}, 0);
}

TEST(whole_tensor, comes_from_blocks_along_two_dimensions_and_from_twins) {
  const int P = world().size(), r = world().rank();
  const int across = P % 2 == 0 ? 2 : 1;
  expect_count({partition(5, P / across, r / across), whole(2), partition(7, across, r % across)}, 0);
  expect_count({partition(5, across, r % across), whole(3)}, 0);  // ranks r and r + 2 hold the same
}

TEST(whole_tensor, refuses_blocks_that_are_not_the_whole_on_all_ranks) {
  const int P = world().size(), r = world().rank();
  const auto complaint = [&](std::vector<Slice> block, std::size_t n) {
    const std::string text = caught<Error>([&] { whole_tensor(world(), "t", block, std::vector<float>(n)); });
    EXPECT_ALL(world(), text.starts_with("t: "));
    return text;
  };
  EXPECT_NE(complaint({{0, 2, 3}}, 2).find("2 elements: expected 3"), std::string::npos);
  complaint({whole(3)}, r == P - 1 ? 2 : 3);
  if (P > 1) {
    EXPECT_NE(complaint({{r == 0 ? 0 : 1, 2, 3}}, 2).find("hold the same elements, and others, too"),
              std::string::npos);
    EXPECT_NE(complaint({{0, 1, 2 + r}}, 1).find("rank 1 has a part of 3"), std::string::npos);
  }
}

}  // namespace
}  // namespace partita::parallel::whole_tensor_tests
