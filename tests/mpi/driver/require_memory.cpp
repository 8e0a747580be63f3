// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/driver/memory.hpp>

#include <support/caught.hpp>
#include <support/collective.hpp>
#include <support/mpi.hpp>

namespace partita::driver::require_memory_tests {
namespace {

using partita::test::world;
using partita::testing::caught;

std::string refusal(double bytes, bool held) {
  return caught<EnvironmentError>([&] {
    require_memory(world(), {{"parameters", 1e6, false}, {"activations", bytes, held}, {"record", 0}});
  });
}

TEST(require_memory, what_fits_or_is_there_already_passes) {
  EXPECT_EQ(refusal(1e6, false), "nothing was thrown");
  EXPECT_EQ(refusal(1e18, true), "nothing was thrown");
}

TEST(require_memory, ranks_of_a_node_are_added_up_and_all_refuse_alike) {
  const std::string message = refusal(world().is_root() ? 1e18 : 0, false);  // 10^9 GB on one rank alone
  EXPECT_TRUE(message.starts_with("memory: the " + std::to_string(world().size()) + " rank")) << message;
  EXPECT_NE(message.find("activations 1e+09 GB"), std::string::npos) << message;
  EXPECT_EQ(message.find("record"), std::string::npos) << "which is nothing";
  EXPECT_NE(message.find("are there: expected a smaller model"), std::string::npos) << message;
  EXPECT_TRUE(test::same_on_all_ranks(world(), std::span<const char>(message)));
}

}  // namespace
}  // namespace partita::driver::require_memory_tests
