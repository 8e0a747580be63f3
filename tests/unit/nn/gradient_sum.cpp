// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/core/random.hpp>
#include <partita/nn/gradient_sum.hpp>

#include "problem.hpp"

namespace partita::nn::gradient_sum_tests {
namespace {

constexpr index_t n = 5;

float leaf(index_t piece, index_t i) { return static_cast<float>(normal(3, Stream::test, 100 * piece + i)); }

// The tree once more: the left child is the longer one (core/tree.hpp).
float node(index_t lo, index_t hi, index_t i) {
  if (hi - lo == 1) return leaf(lo, i);
  const index_t middle = lo + (hi - lo + 1) / 2;
  return node(lo, middle, i) + node(middle, hi, i);
}

void put(FlatGradientSum<float>& sum, index_t piece, index_t global) {
  const Destination<float> leaf_of_piece = sum.destination(Exec(), piece, 0);
  const Vector<float> to = leaf_of_piece.vector({0, n});
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), to);
  const bool adds = leaf_of_piece.store == kernels::Store::accumulate;
  for (index_t i = 0; i < n; ++i) host(i) = (adds ? host(i) : 0) + leaf(global, i);
  Kokkos::deep_copy(to, host);
}

TEST(gradient_sum, chain_adds_micro_batches_in_order) {
  const Division division = divide(12, 1, 0, 3, 0);
  FlatGradientSum<float> sum(n, 0, division);
  for (index_t p = 0; p < 3; ++p) {
    put(sum, p, p);
    EXPECT_EQ(sum.fold(Exec(), p, {0, n}), p == 2);
  }
  const std::vector<float> got = test::on_host(sum.node(0));
  for (index_t i = 0; i < n; ++i) EXPECT_EQ(got[i], (leaf(0, i) + leaf(1, i)) + leaf(2, i));
}

TEST(gradient_sum, statistics_lie_behind_the_weights_and_are_counted_from_the_first) {
  constexpr index_t statistics = 2;
  for (const index_t chunks : {0, 3}) {
    FlatGradientSum<float> sum(n, statistics, divide(12, 1, 0, 3, chunks));
    EXPECT_EQ(sum.size(), n + statistics);
    EXPECT_EQ(sum.destination(Exec(), 2, 0).range, (Range{0, n}));
    const Destination<float> to = sum.statistics(0);
    EXPECT_EQ(to.range, (Range{0, statistics}));
    EXPECT_EQ(to.data, sum.node(0).data() + n);
    EXPECT_EQ(sum.statistics_of(sum.node(0)).data(), to.data);
    EXPECT_EQ(sum.weights_of(sum.node(0)).extent(0), static_cast<std::size_t>(n));
    EXPECT_EQ(sum.statistics(1).store, chunks == 0 ? kernels::Store::accumulate : kernels::Store::overwrite);
    EXPECT_EQ(to.store, kernels::Store::overwrite);
  }
}

// Every share of 24 and of 7 chunks: the nodes of the cover hold the tree's bits, whatever the micro-batches; ranges
// may be folded apart.
TEST(gradient_sum, tree_leaves_the_nodes_of_the_cover) {
  for (const index_t chunks : {7, 24})
    for (const index_t ranks : {1, 2, 3, 5})
      for (index_t rank = 0; rank < ranks; ++rank) {
        const Division division = divide(96, ranks, rank, 1, chunks);
        FlatGradientSum<float> sum(n, 0, division);
        const auto pieces = static_cast<index_t>(division.pieces.size());
        for (index_t p = 0; p < pieces; ++p) {
          put(sum, p, division.chunks.lo + p);
          EXPECT_EQ(sum.fold(Exec(), p, {2, n - 2}), p + 1 == pieces);
          EXPECT_EQ(sum.fold(Exec(), p, {0, 2}), p + 1 == pieces);
        }
        ASSERT_EQ(sum.nodes(), std::ssize(sum.cover()));
        for (index_t k = 0; k < sum.nodes(); ++k) {
          const Node at = sum.cover()[static_cast<std::size_t>(k)];
          const std::vector<float> got = test::on_host(sum.node(k));
          for (index_t i = 0; i < n; ++i)
            EXPECT_EQ(got[i], node(at.lo, at.hi, i)) << chunks << " " << ranks << " " << k;
        }
      }
}

}  // namespace
}  // namespace partita::nn::gradient_sum_tests
