// SPDX-License-Identifier: BSD-3-Clause
// The all-reduce of deterministic mode: bit for bit the serial tree sum, whoever holds the chunks and however they
// travel.
#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <partita/comm/closed_forms.hpp>
#include <partita/comm/collectives/tree_allreduce.hpp>

#include "support/caught.hpp"
#include "support/mpi.hpp"

namespace partita::comm::tree_allreduce_tests {
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
Vector<S> nodes_of(const TreeNodes& nodes) {
  const std::vector<Node> mine = my_nodes(world(), nodes);
  const index_t stride = nodes.stride > 0 ? nodes.stride : nodes.elements, count = std::ssize(mine);
  const Vector<S> all("partita::test::nodes", count == 0 ? 0 : (count - 1) * stride + nodes.elements);
  Kokkos::deep_copy(all, std::numeric_limits<S>::max());  // between the nodes
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), all);
  for (index_t k = 0; k < count; ++k) {
    const Node node = mine[static_cast<std::size_t>(k)];
    for (index_t i = 0; i < nodes.elements; ++i) host(k * stride + i) = serial_tree<S>(node.lo, node.hi, i);
  }
  Kokkos::deep_copy(all, host);
  return all;
}

template <class S>
index_t count_wrong(Vector<S> sum, index_t first, index_t C) {
  const auto result = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), sum);
  index_t wrong = 0;
  for (index_t i = 0; i < static_cast<index_t>(sum.extent(0)); ++i)
    wrong += result(i) != serial_tree<S>(0, C, first + i);
  return wrong;
}

template <class S>
void expect_tree_sum(const Communicator& comm, Allreduce how, const TreeNodes& terms) {
  const index_t n = terms.elements;
  const int me = comm.rank(), P = comm.size();
  TreeAllreducePlan<S> everywhere(comm, how, terms, {.chunk_bytes = 64, .most_chunks = 100});
  for (int call = 0; call < 2; ++call) {
    const Vector<S> sum("partita::test::sum", n);
    everywhere.run(Exec(), nodes_of<S>(terms), sum);
    EXPECT_EQ(count_wrong(sum, 0, terms.chunks), 0) << to_string(how) << " n=" << n << " C=" << terms.chunks;
  }
  for (const Segments& segments : {Segments(n, P), Segments::on(P / 2, n, P)}) {
    TreeReduceScatterPlan<S> scattered(comm, how, terms, segments);
    const Vector<S> sum("partita::test::sum", segments[me].extent);
    scattered.run(Exec(), nodes_of<S>(terms), sum);
    EXPECT_EQ(count_wrong(sum, segments[me].offset, terms.chunks), 0) << to_string(how) << " n=" << n;
  }
}

class tree_allreduce : public ::testing::TestWithParam<Allreduce> {};

TEST_P(tree_allreduce, has_the_bits_of_the_serial_tree) {
  for (const index_t C : {24, 7, 5, world().size()})
    for (const index_t n : {1, 37, 100}) {
      expect_tree_sum<float>(world(), GetParam(), {n, C});
      expect_tree_sum<double>(world(), GetParam(), {n, C, n + 5});
    }
}

TEST_P(tree_allreduce, bears_fewer_chunks_than_ranks_and_no_elements) {
  expect_tree_sum<float>(world(), GetParam(), {10, 1});
  expect_tree_sum<float>(world(), GetParam(), {10, 2});
  expect_tree_sum<float>(world(), GetParam(), {0, 24});
}

/// Of C leaves: as the first lines of an image lie, all on one rank, none on every second one.
std::vector<std::vector<index_t>> uneven_bounds(index_t C) {
  const int P = world().size();
  std::vector<std::vector<index_t>> all(4);
  for (index_t r = 0; r <= P; ++r) {
    const bool last = r == P;
    all[0].push_back(last ? C : std::min(C, (5 * r + 1) / 2 * 2 - r % 2));
    all[1].push_back(r == 0 ? 0 : C);
    all[2].push_back(last ? C : 0);
    all[3].push_back(last ? C : r / 2 * 2 * C / P);
  }
  if (P == 4) all.push_back({0, C * 5 / 13, C * 6 / 13, C, C});  // 0 5 6 13 13 of 13
  return all;
}

TEST_P(tree_allreduce, has_the_same_bits_however_uneven_the_leaves_are) {
  for (const index_t C : {13, 2})
    for (const std::vector<index_t>& bounds : uneven_bounds(C))
      for (const index_t n : {1, 37}) {
        expect_tree_sum<float>(world(), GetParam(), {n, C, 0, bounds});
        expect_tree_sum<double>(world(), GetParam(), {n, C, n + 5, bounds});
      }
}

TEST_P(tree_allreduce, stages_where_mpi_cannot_reach_the_device) {
  const Communicator unaware = Communicator::borrow(world().handle(), "unaware", nullptr, false);
  expect_tree_sum<float>(unaware, GetParam(), {37, 7});
}

TEST_P(tree_allreduce, sends_exactly_the_closed_form) {
  const bool ring = GetParam() == Allreduce::ring;
  for (const index_t C : {24, 7, 1})
    for (const index_t n : {0, 3, 37}) {
      std::vector<std::vector<index_t>> shares = uneven_bounds(C);
      shares.emplace_back();
      for (const std::vector<index_t>& bounds : shares) {
        Traffic counted;
        const Communicator comm = Communicator::borrow(world().handle(), "data", &counted, true);
        const TreeNodes nodes{n, C, 0, bounds};
        TreeAllreducePlan<float>(comm, GetParam(), nodes).run(Exec(), nodes_of<float>(nodes), Vector<float>("sum", n));
        const TrafficEntry& entry = counted.entry("tree_allreduce", to_string(GetParam()), "data");
        const auto form = ring ? closed_forms::tree_allreduce_ring_bytes : closed_forms::tree_allreduce_mpi_bytes;
        const index_t expected = form(n, nodes.leaves(), comm.size(), comm.rank(), sizeof(float));
        EXPECT_EQ(entry.sent_bytes, expected) << "n=" << n << " C=" << C;
        EXPECT_EQ(entry.expected_bytes, static_cast<double>(expected));
        EXPECT_EQ(entry.expected_messages, static_cast<double>(entry.messages));
        EXPECT_EQ(entry.calls, 1);
      }
    }
}

/// 13 leaves, of which rank 0 has 0 to 4 and rank 1 the others: nodes counted by hand.
TEST_P(tree_allreduce, sends_the_nodes_of_its_own_leaves) {
  const int P = world().size(), me = world().rank();
  if (P < 2) GTEST_SKIP() << "one rank sends nothing";
  std::vector<index_t> bounds(static_cast<std::size_t>(P) + 1, 13);
  bounds[0] = 0;
  bounds[1] = 5;
  Traffic counted;
  const Communicator comm = Communicator::borrow(world().handle(), "data", &counted, true);
  const index_t n = 12 * 4;
  const TreeNodes nodes{n, 13, 0, bounds};
  // Leaves 0-12 are 0-6 and 7-12; 0-6 is 0-3 and 4-6; 4-6 is 4-5 and 6, so rank 0 has 0-3 and 4, rank 1 5, 6 and 7-12.
  const index_t mine = me == 0 ? 2 : me == 1 ? 3 : 0;
  ASSERT_EQ(std::ssize(my_nodes(comm, nodes)), mine);
  const Segments segments(n, P);
  TreeReduceScatterPlan<float>(comm, GetParam(), nodes, segments)
      .run(Exec(), nodes_of<float>(nodes), Vector<float>("sum", n / P));
  // Around the ring pass P-1 segments of my nodes, P-2 of those of the left neighbour, and so on.
  index_t passed = mine * (P - 1);
  if (GetParam() == Allreduce::ring)
    for (int hop = 1; hop < P - 1; ++hop) {
      const int origin = (me - hop + P) % P;
      passed += (origin == 0 ? 2 : origin == 1 ? 3 : 0) * (P - 1 - hop);
    }
  const TrafficEntry& entry = counted.entry("tree_reduce_scatter", to_string(GetParam()), "data");
  EXPECT_EQ(entry.sent_bytes, passed * (n / P) * 4);
  EXPECT_EQ(entry.expected_bytes, static_cast<double>(entry.sent_bytes));
}

TEST_P(tree_allreduce, refuses_no_chunks_and_other_extents) {
  EXPECT_EQ(caught<ShapeError>([] {
              TreeAllreducePlan<float>(world(), GetParam(), {10, 0});
            }),
            "my_nodes: 0 chunks: expected at least 1");
  EXPECT_EQ(caught<ShapeError>([] {
              TreeReduceScatterPlan<float>(world(), GetParam(), {10, 24}, Segments(11, world().size()));
            }),
            "TreeReduceScatterPlan: segments of 11 elements, nodes of 10: expected the same");
  const index_t P = world().size();
  std::vector<index_t> late(static_cast<std::size_t>(P) + 1, 24), early = late, falling = late;
  late[0] = 1;
  early[0] = 0;
  early.back() = 23;
  falling[0] = 0;
  falling[1] = P > 1 ? 25 : 23;
  for (const std::vector<index_t>& bounds : {late, early, falling, std::vector<index_t>{0, 24, 24, 24, 24, 24, 24}}) {
    std::string words;
    for (const index_t bound : bounds) words += (words.empty() ? "" : " ") + std::to_string(bound);
    words =
        "TreeNodes: bounds " + words + ": expected " + std::to_string(P + 1) + " that ascend from 0 to the 24 leaves";
    const TreeNodes nodes{10, 24, 0, bounds};
    EXPECT_EQ(caught<ShapeError>([&] { my_nodes(world(), nodes); }), words);
    EXPECT_EQ(caught<ShapeError>([&] { TreeAllreducePlan<float>(world(), GetParam(), nodes); }), words);
    EXPECT_EQ(caught<ShapeError>(
                  [&] { TreeReduceScatterPlan<float>(world(), GetParam(), nodes, Segments(10, world().size())); }),
              words);
  }
  TreeAllreducePlan<float> tree(world(), GetParam(), {10, 24});
  const std::size_t nodes = my_nodes(world(), 24).size();
  EXPECT_EQ(caught<ShapeError>([&] { tree.run(Exec(), Vector<float>("nodes", 9), Vector<float>("sum", 10)); }),
            "TreeAllreducePlan::run: input has 9 elements: expected " + std::to_string(10 * nodes) + ", as planned");
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
}  // namespace partita::comm::tree_allreduce_tests
