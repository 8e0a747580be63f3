// SPDX-License-Identifier: BSD-3-Clause
// Scratch of the collectives is planned once: a call allocates no View.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <partita/comm/collectives/allreduce.hpp>
#include <partita/comm/collectives/tree_allreduce.hpp>

#include "support/mpi.hpp"

namespace partita::comm {
namespace {

using test::world;

std::vector<std::string> allocated;

/// Labels of the Views that f allocates.
template <class F>
std::vector<std::string> allocations_of(F f) {
  namespace Tools = Kokkos::Tools::Experimental;
  allocated.clear();
  Tools::set_allocate_data_callback([](Kokkos_Profiling_SpaceHandle, const char* label, const void*, std::uint64_t) {
    allocated.emplace_back(label);
  });
  f();
  Tools::set_allocate_data_callback(nullptr);
  return allocated;
}

class allocations : public ::testing::TestWithParam<std::tuple<Allreduce, bool>> {
 protected:
  Communicator comm_ = Communicator::borrow(world().handle(), "data", world().traffic(), std::get<1>(GetParam()));
  Exec exec_;
};

TEST_P(allocations, none_in_an_allreduce) {
  const Vector<float> x("partita::test::allocations::x", 1001);
  AllreducePlan<float> plan(comm_, std::get<0>(GetParam()), 1001);
  EXPECT_EQ(allocations_of([&] { plan.run(exec_, x); }), std::vector<std::string>{});
}

TEST_P(allocations, none_in_a_tree_allreduce) {
  TreeAllreducePlan<float> tree(comm_, std::get<0>(GetParam()), 101, 24);
  const Vector<float> nodes("nodes", 101 * tree.cover().size());
  EXPECT_EQ(allocations_of([&] { tree.run(exec_, nodes); }), std::vector<std::string>{});
}

INSTANTIATE_TEST_SUITE_P(by, allocations,
                         ::testing::Combine(::testing::Values(Allreduce::mpi, Allreduce::ring), ::testing::Bool()),
                         [](const auto& it) {
                           return std::string(to_string(std::get<0>(it.param))) +
                                  (std::get<1>(it.param) ? "_direct" : "_staged");
                         });

TEST(allocations_oracle, sees_a_view) {
  EXPECT_EQ(allocations_of([] { Vector<float> x("partita::test::seen", 3); }),
            std::vector<std::string>{"partita::test::seen"});
}

}  // namespace
}  // namespace partita::comm
