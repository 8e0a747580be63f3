// SPDX-License-Identifier: BSD-3-Clause
// What an Environment tells; how it ends is tested from outside with guard_probe.
#include <string>

#include <gtest/gtest.h>
#include <Kokkos_Core.hpp>

#include "support/mpi.hpp"

namespace partita::comm::environment_tests {
namespace {

TEST(environment, knows_mpi) {
  const Environment& env = test::environment();
  EXPECT_EQ(env.rank(), env.world().rank());
  EXPECT_EQ(env.size(), env.world().size());
  const std::string level = env.thread_level();
  EXPECT_TRUE(level == "single" || level == "funneled" || level == "serialized" || level == "multiple") << level;
  EXPECT_FALSE(env.mpi_library().empty());
  EXPECT_EQ(env.mpi_library().find_first_of("\n\t"), std::string::npos) << env.mpi_library();
}

TEST(environment, has_started_kokkos) { EXPECT_TRUE(Kokkos::is_initialized()); }

TEST(environment, owns_the_traffic_of_its_world) {
  EXPECT_EQ(test::environment().traffic().entries().size(), test::environment().world().traffic()->entries().size());
  EXPECT_EQ(&test::environment().traffic(), test::environment().world().traffic());
}

}  // namespace
}  // namespace partita::comm::environment_tests
