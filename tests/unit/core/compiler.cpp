// SPDX-License-Identifier: BSD-3-Clause
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

// Mistakes of compilers that were met, and that our flags must keep away (scripts/cmake/PartitaOptions.cmake).

namespace {

// GCC 12.2, AVX-512: the copy of a constant {x, x, 0, 0} of 64-bit words became {x, x, x, x}.
TEST(compiler, copies_a_constant_that_ends_in_zeros) {
  const std::vector<std::int64_t> words{1, 1, 0, 0};
  EXPECT_EQ(words.at(2), 0);
  EXPECT_EQ(words.at(3), 0);
}

}  // namespace
