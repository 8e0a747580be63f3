// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>

#include <support/caught.hpp>

namespace {

using namespace partita;
using partita::testing::caught;

constexpr index_t largest_extent = 40;
constexpr index_t most_parts = 12;

template <class F>
void for_every_partition(F&& f) {
  for (index_t n = 0; n <= largest_extent; ++n) {
    for (index_t parts = 1; parts <= most_parts; ++parts) f(n, parts);
  }
}

TEST(partition, parts_follow_each_other_and_cover_everything) {
  for_every_partition([](index_t n, index_t parts) {
    index_t next = 0;
    for (index_t part = 0; part < parts; ++part) {
      const Slice slice = partition(n, parts, part);
      ASSERT_EQ(slice.offset, next) << n << " in " << parts << ", part " << part;
      ASSERT_EQ(slice.global, n);
      next = slice.end();
    }
    ASSERT_EQ(next, n) << n << " in " << parts;
  });
}

TEST(partition, sizes_differ_by_at_most_one_and_longer_parts_come_first) {
  for_every_partition([](index_t n, index_t parts) {
    const index_t longest = partition(n, parts, 0).extent;
    const index_t shortest = partition(n, parts, parts - 1).extent;
    ASSERT_LE(longest - shortest, 1) << n << " in " << parts;
    for (index_t part = 1; part < parts; ++part) {
      ASSERT_LE(partition(n, parts, part).extent, partition(n, parts, part - 1).extent) << n << " in " << parts;
    }
  });
}

TEST(partition, owner_is_the_part_that_contains_the_index) {
  for_every_partition([](index_t n, index_t parts) {
    for (index_t i = 0; i < n; ++i) {
      const index_t part = owner(n, parts, i);
      ASSERT_TRUE(0 <= part && part < parts);
      ASSERT_TRUE(partition(n, parts, part).contains(i)) << i << " of " << n << " in " << parts;
    }
  });
}

TEST(partition, large_extents_do_not_overflow) {
  const index_t n = (index_t{1} << 62) + 5;
  EXPECT_EQ(partition(n, 7, 6).end(), n);
  EXPECT_EQ(owner(n, 7, n - 1), 6);
}

TEST(partition, a_block_lies_in_the_whole_as_counting_says) {
  const std::vector<Slice> block = {{1, 2, 4}, {0, 3, 3}, {2, 2, 5}};
  std::vector<index_t> expected;
  index_t index = 0;
  for (index_t a = 0; a < 4; ++a)
    for (index_t b = 0; b < 3; ++b)
      for (index_t c = 0; c < 5; ++c, ++index)
        if (block[0].contains(a) && block[1].contains(b) && block[2].contains(c)) expected.push_back(index);
  EXPECT_EQ(global_indices(block), expected);
  EXPECT_EQ(global_indices({}), std::vector<index_t>{0});
  const std::vector<Slice> nothing = {whole(3), {2, 0, 7}};
  EXPECT_TRUE(global_indices(nothing).empty());
}

TEST(partition, arguments_out_of_range_are_named) {
  EXPECT_EQ(caught<ShapeError>([] { partition(5, 3, 3); }),
            "partition: part 3 of 3 of an extent of 5: expected an extent >= 0, parts >= 1 and 0 <= part < parts");
  EXPECT_THROW(partition(5, 3, -1), ShapeError);
  EXPECT_THROW(partition(5, 0, 0), ShapeError);
  EXPECT_THROW(partition(-1, 1, 0), ShapeError);
  EXPECT_EQ(caught<ShapeError>([] { owner(5, 3, 5); }),
            "owner: index 5 of an extent of 5 in 3 parts: expected 0 <= index < extent and parts >= 1");
  EXPECT_THROW(owner(5, 3, -1), ShapeError);
  EXPECT_THROW(owner(5, 0, 0), ShapeError);
}

}  // namespace
