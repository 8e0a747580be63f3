// SPDX-License-Identifier: BSD-3-Clause
// Kokkos Tools see the collectives by name: one region a call, two where it is in flight between.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <partita/comm/collectives/rooted.hpp>
#include <partita/comm/collectives/tree_allreduce.hpp>

#include "support/mpi.hpp"
#include "support/region_log.hpp"

namespace partita::comm::regions_tests {
namespace {

using test::world;
using Names = std::vector<std::string>;

class regions : public ::testing::TestWithParam<Allreduce> {
 protected:
  std::string ends_with(const std::string& collective) const {
    return "partita::comm::" + collective + "::" + std::string(to_string(GetParam()));
  }
};

TEST_P(regions, an_allreduce_is_one) {
  AllreducePlan<float> plan(world(), GetParam(), 100);
  const Vector<float> x("partita::test::regions::x", 100);
  const test::RegionLog log;
  plan.run(Exec(), x);
  plan.run(Exec(), x);
  EXPECT_EQ(log.names, Names(2, ends_with("allreduce")));
  EXPECT_EQ(log.open, 0);
}

TEST_P(regions, a_tree_allreduce_is_one) {
  TreeAllreducePlan<float> plan(world(), GetParam(), {10, 24});
  const Vector<float> nodes("partita::test::regions::nodes", my_nodes(world(), 24).size() * 10);
  const Vector<float> sum("partita::test::regions::sum", 10);
  const test::RegionLog log;
  plan.run(Exec(), nodes, sum);
  EXPECT_EQ(log.names, Names{ends_with("tree_allreduce")});
  EXPECT_EQ(log.open, 0);
}

INSTANTIATE_TEST_SUITE_P(by, regions, ::testing::Values(Allreduce::mpi, Allreduce::ring),
                         [](const auto& it) { return std::string(to_string(it.param)); });

TEST(regions_of, a_call_in_flight_are_two) {
  BroadcastPlan<float> plan(world(), Via::own, 7, 0);
  const Vector<float> x("partita::test::regions::x", 7);
  const test::RegionLog log;
  plan.start(Exec(), x);
  plan.progress();
  EXPECT_EQ(log.open, 0);
  plan.finish();
  EXPECT_EQ(log.names, Names(2, "partita::comm::broadcast::binomial"));
  EXPECT_EQ(log.open, 0);
}

}  // namespace
}  // namespace partita::comm::regions_tests
