// SPDX-License-Identifier: BSD-3-Clause
// The all-reduce of deterministic mode: bit for bit the serial tree sum, whoever holds the chunks and however they
// travel.
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include <partita/comm/closed_forms.hpp>
#include <partita/comm/collectives/tree_allreduce.hpp>

#include "support/caught.hpp"
#include "support/collective.hpp"
#include "support/mpi.hpp"

namespace partita::comm {
namespace {

using ::partita::testing::caught;
using test::world;

/// Element i of the sum over chunk c: magnitudes that differ, so that every order of sums gives other bits.
template <class S>
S leaf(index_t c, index_t i) {
  const S value = S(1) / static_cast<S>(3 + (7 * c + 13 * i) % 97);
  return (c + i) % 3 == 0 ? value * S(1000) : -value;
}

/// The definition, by recursion: no code shared with what is tested.
template <class S>
S serial_tree(index_t lo, index_t hi, index_t i) {
  if (hi - lo == 1) return leaf<S>(lo, i);
  const index_t mid = lo + (hi - lo + 1) / 2;
  return serial_tree<S>(lo, mid, i) + serial_tree<S>(mid, hi, i);
}

template <class S>
Vector<S> nodes_of(const TreeAllreducePlan<S>& tree, index_t n) {
  const Vector<S> nodes("nodes", static_cast<index_t>(tree.cover().size()) * n);
  const auto host = Kokkos::create_mirror_view(nodes);
  index_t at = 0;
  for (const Node& node : tree.cover())
    for (index_t i = 0; i < n; ++i) host(at++) = serial_tree<S>(node.lo, node.hi, i);
  Kokkos::deep_copy(nodes, host);
  return nodes;
}

template <class S>
void expect_tree_sum(const Communicator& comm, Allreduce how, index_t n, index_t C) {
  TreeAllreducePlan<S> tree(comm, how, n, C, {.chunk_bytes = 64, .most_chunks = 100});
  for (int call = 0; call < 2; ++call) {
    tree.run(Exec(), nodes_of(tree, n));
    const auto result = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), tree.result());
    ASSERT_EQ(static_cast<index_t>(result.extent(0)), n);
    index_t wrong = 0;
    for (index_t i = 0; i < n; ++i) wrong += result(i) != serial_tree<S>(0, C, i);
    EXPECT_EQ(wrong, 0) << to_string(how) << " n=" << n << " C=" << C;
  }
}

class tree_allreduce : public ::testing::TestWithParam<Allreduce> {};

TEST_P(tree_allreduce, has_the_bits_of_the_serial_tree) {
  for (const index_t C : {24, 7, 5, world().size()})
    for (const index_t n : {1, 37, 100}) {
      expect_tree_sum<float>(world(), GetParam(), n, C);
      expect_tree_sum<double>(world(), GetParam(), n, C);
    }
}

TEST_P(tree_allreduce, bears_fewer_chunks_than_ranks_and_no_elements) {
  expect_tree_sum<float>(world(), GetParam(), 10, 1);
  expect_tree_sum<float>(world(), GetParam(), 10, 2);
  expect_tree_sum<float>(world(), GetParam(), 0, 24);
}

TEST_P(tree_allreduce, stages_where_mpi_cannot_reach_the_device) {
  const Communicator unaware = Communicator::borrow(world().handle(), "unaware", nullptr, false);
  expect_tree_sum<float>(unaware, GetParam(), 37, 7);
}

TEST_P(tree_allreduce, sends_exactly_the_closed_form) {
  const bool ring = GetParam() == Allreduce::ring;
  for (const index_t C : {24, 7})
    for (const index_t n : {0, 3, 37}) {
      Traffic counted;
      const Communicator comm = Communicator::borrow(world().handle(), "data", &counted, true);
      TreeAllreducePlan<float> tree(comm, GetParam(), n, C);
      tree.run(Exec(), nodes_of(tree, n));
      const TrafficEntry& entry = counted.entry("tree_allreduce", to_string(GetParam()), "data");
      const auto form = ring ? closed_forms::tree_allreduce_ring_bytes : closed_forms::tree_allreduce_mpi_bytes;
      const index_t expected = form(n, C, comm.size(), comm.rank(), sizeof(float));
      EXPECT_EQ(entry.sent_bytes, expected) << "n=" << n << " C=" << C;
      EXPECT_EQ(entry.expected_bytes, static_cast<double>(expected));
      EXPECT_EQ(entry.calls, 1);
    }
}

TEST_P(tree_allreduce, refuses_no_chunks_and_other_extents) {
  EXPECT_EQ(caught<ShapeError>([] { TreeAllreducePlan<float>(world(), GetParam(), 10, 0); }),
            "TreeAllreducePlan: 0 chunks: expected at least 1");
  TreeAllreducePlan<float> tree(world(), GetParam(), 10, 24);
  const std::size_t nodes = tree.cover().size();
  EXPECT_EQ(caught<ShapeError>([&] { tree.run(Exec(), Vector<float>("nodes", 9)); }),
            "TreeAllreducePlan::run: nodes has 9 elements: expected " + std::to_string(10 * nodes) + ", for " +
                std::to_string(nodes) + " nodes of 10");
}

INSTANTIATE_TEST_SUITE_P(by, tree_allreduce, ::testing::Values(Allreduce::mpi, Allreduce::ring),
                         [](const auto& it) { return std::string(to_string(it.param)); });

/// Were the bits the same in any order, the tests above would prove nothing.
TEST(tree_allreduce_oracle, depends_on_the_order) {
  index_t other = 0;
  for (index_t i = 0; i < 100; ++i) {
    float left_to_right = 0;
    for (index_t c = 0; c < 24; ++c) left_to_right += leaf<float>(c, i);
    other += left_to_right != serial_tree<float>(0, 24, i);
  }
  EXPECT_GT(other, 10);
}

}  // namespace
}  // namespace partita::comm
