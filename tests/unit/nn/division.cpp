// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/nn/division.hpp>

#include <support/caught.hpp>

namespace partita::nn::division_tests {
namespace {

using ::partita::testing::caught;

// Every row is in one piece of one micro-batch of one rank, in order; deterministic pieces are the same for any ranks.
TEST(division, covers_the_batch_in_order) {
  for (const index_t chunks : {0, 24, 48})
    for (const index_t ranks : {1, 2, 3, 4, 8})
      for (const index_t micro_batches : {1, 2, 3}) {
        index_t row = 0, chunk = 0;
        for (index_t rank = 0; rank < ranks; ++rank) {
          const Division division = divide(97, ranks, rank, micro_batches, chunks);
          EXPECT_EQ(division.rows.offset, row);
          EXPECT_EQ(std::ssize(division.micro_batches), micro_batches);
          index_t piece = 0;
          for (const Range& part : division.micro_batches) {
            EXPECT_EQ(part.offset, piece);
            EXPECT_GE(part.extent, 1);
            piece = part.end();
          }
          EXPECT_EQ(piece, std::ssize(division.pieces));
          for (const Slice& rows : division.pieces) {
            EXPECT_EQ(rows.offset, row);
            EXPECT_EQ(rows.global, 97);
            EXPECT_GE(rows.extent, 1);
            row = rows.end();
          }
          EXPECT_EQ(division.rows.end(), row);
          if (chunks > 0) {
            EXPECT_EQ(division.chunks.lo, chunk);
            chunk = division.chunks.hi;
          }
        }
        EXPECT_EQ(row, 97);
        EXPECT_EQ(chunk, chunks);
      }
}

TEST(division, refuses_what_cannot_be_shared_with_the_number_that_would_do) {
  EXPECT_NE(caught<UsageError>([] { divide(7, 4, 0, 2, 0); }).find("at least 8"), std::string::npos);
  EXPECT_NE(caught<UsageError>([] { divide(96, 4, 0, 2, 7); }).find("7 chunks"), std::string::npos);
  EXPECT_NE(caught<UsageError>([] { divide(0, 1, 0, 1, 0); }).find("at least 1"), std::string::npos);
}

}  // namespace
}  // namespace partita::nn::division_tests
