// SPDX-License-Identifier: BSD-3-Clause
// Tests that fail on purpose, to see what main of the MPI test programs makes of them (CMakeLists.txt beside it).
#include <stdexcept>

#include <gtest/gtest.h>

#include "support/collective.hpp"
#include "support/mpi.hpp"

namespace partita::test {
namespace {

bool last() { return world().rank() == world().size() - 1; }

TEST(verdict_probe, passes) { EXPECT_EQ(world().allreduce(1, comm::Op::sum), world().size()); }

TEST(verdict_probe, expectation_fails_on_one_rank) { EXPECT_FALSE(last()) << "only here"; }

TEST(verdict_probe, exception_on_one_rank) {
  if (last()) throw std::runtime_error("only here");
}

TEST(verdict_probe, collective_assertion_keeps_ranks_together) {
  ASSERT_ALL(world(), !last());
  world().barrier();
}

TEST(verdict_probe, bits_differ) {
  const float mine = last() ? -0.0f : 0.0f;
  EXPECT_TRUE(same_on_all_ranks(world(), std::span<const float>(&mine, 1)));
}

TEST(verdict_probe, one_rank_leaves_the_others_in_a_barrier) {
  ASSERT_FALSE(last());
  world().barrier();
}

}  // namespace
}  // namespace partita::test
