// SPDX-License-Identifier: BSD-3-Clause
// What ranks that hold parts of a layer compute of it: nodes of cut sums, some of the words, and what moves them.
#include <partita/core/partition.hpp>
#include <partita/core/tree.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/kernels/embedding.hpp>
#include <partita/kernels/linear.hpp>

#include "cut_sums.hpp"

namespace partita::kernels::test::parts_tests {
namespace {

template <class Scalar>
class parts : public ::testing::Test {};
TYPED_TEST_SUITE(parts, AllScalars);

/// Columns [first, end) of a matrix of so many.
template <class Scalar>
std::vector<Scalar> columns(const std::vector<Scalar>& all, index_t of, index_t first, index_t end) {
  std::vector<Scalar> some;
  for (index_t i = 0; i < index_t(all.size()); ++i)
    if (i % of >= first && i % of < end) some.push_back(all[i]);
  return some;
}

/// The elements of leaves [lo, hi) of a dimension (outer, n): of its inner index.
Range of_leaves(index_t n, index_t leaves, index_t lo, index_t hi) {
  const index_t first = partition(n, leaves, lo).offset;
  return {first, partition(n, leaves, hi - 1).end() - first};
}

TYPED_TEST(parts, nodes_of_a_product_give_the_bits_of_the_whole) {
  using Scalar = TypeParam;
  using Real = accumulate_t<Scalar>;
  Context context(Exec(), {.backend = Backend::portable, .deterministic = true, .per_kernel = {}});
  constexpr index_t B = 5, N = 7, K = 23;
  const auto x = random_values<Scalar>(1, B * K), W = random_values<Scalar>(2, N * K), b = random_values<Scalar>(3, N);
  for (const index_t leaves : {2, 5, 12})
    for (const index_t ranks : {1, 2, 3}) {
      if (leaves < ranks) continue;
      const Placed<Scalar> x_all(x, B, K), W_all(W, N, K), y(B, N), completed(B, N);
      linear_forward<Scalar>(context, {.activation = Activation::relu, .inputs = {leaves}}, x_all.matrix(),
                             W_all.matrix(), to_device(b), y.matrix());
      std::vector<Node> nodes;
      std::vector<std::vector<Real>> values;
      for (index_t rank = 0; rank < ranks; ++rank) {
        const Slice own = partition(leaves, ranks, rank);
        const Range k = of_leaves(K, leaves, own.offset, own.end());
        const Placed<Scalar> x_here(columns(x, K, k.offset, k.end()), B, k.extent, {3, 5}),
            W_here(columns(W, K, k.offset, k.end()), N, k.extent);
        for (const Node& node : tree_cover(leaves, own.offset, own.end())) {
          const Placed<Real> part(B, N, {1, 2});
          linear_forward_node<Scalar>(context, {.inputs = {own.extent}}, {node.lo - own.offset, node.hi - own.offset},
                                      x_here.matrix(), W_here.matrix(), part.matrix());
          Kokkos::fence();
          EXPECT_TRUE(part.surroundings_untouched());
          nodes.push_back(node);
          values.push_back(part.values());
        }
      }
      const Placed<Real> sum(merged(leaves, nodes, values), B, N, {2, 3});
      linear_complete<Scalar, Real>(Exec(), Activation::relu, sum.matrix(), to_device(b), completed.matrix());
      Kokkos::fence();
      EXPECT_TRUE(same_bits(completed.values(), y.values())) << leaves << " leaves, " << ranks << " ranks";
    }
}

/// dy of (3, heads, D) columns: a rank has some heads of each third.
TYPED_TEST(parts, nodes_of_an_input_gradient_give_the_bits_of_the_whole) {
  using Scalar = TypeParam;
  using Real = accumulate_t<Scalar>;
  Context context(Exec(), {.backend = Backend::portable, .deterministic = true, .per_kernel = {}});
  constexpr index_t B = 4, H = 5, D = 3, K = 6, pitch = H * D, N = 3 * pitch;
  const auto dy = random_values<Scalar>(1, B * N), W = random_values<Scalar>(2, N * K);
  const Placed<Scalar> dx(B, K), rounded(B, K);
  linear_backward_input<Scalar>(context, {.outputs = {H, 3}}, Placed<Scalar>(dy, B, N).matrix(),
                                Placed<Scalar>(W, N, K).matrix(), dx.matrix());
  for (const index_t ranks : {1, 2, 3, 5}) {
    std::vector<Node> nodes;
    std::vector<std::vector<Real>> values;
    for (index_t rank = 0; rank < ranks; ++rank) {
      const Slice own = partition(H, ranks, rank);
      const index_t first = own.offset * D, end = own.end() * D;
      std::vector<Scalar> W_rows;
      for (index_t n = 0; n < N; ++n)
        if (n % pitch >= first && n % pitch < end)
          W_rows.insert(W_rows.end(), W.begin() + n * K, W.begin() + (n + 1) * K);
      const Placed<Scalar> dy_here(columns(dy, pitch, first, end), B, 3 * (end - first)),
          W_here(W_rows, 3 * (end - first), K, {1, 1});
      for (const Node& node : tree_cover(H, own.offset, own.end())) {
        const Placed<Real> part(B, K);
        linear_backward_input_node<Scalar>(context, {.outputs = {own.extent, 3}},
                                           {node.lo - own.offset, node.hi - own.offset}, dy_here.matrix(),
                                           W_here.matrix(), part.matrix());
        nodes.push_back(node);
        values.push_back(part.values());
      }
    }
    linear_complete<Scalar, Real>(Exec(), Activation::identity, Placed<Real>(merged(H, nodes, values), B, K).matrix(),
                                  {}, rounded.matrix());
    Kokkos::fence();
    EXPECT_TRUE(same_bits(rounded.values(), dx.values())) << ranks << " ranks";
  }
}

TYPED_TEST(parts, words_of_slices_add_up_to_the_whole_embedding) {
  using Scalar = TypeParam;
  using Real = accumulate_t<Scalar>;
  Context context;
  constexpr index_t V = 7, T = 3, B = 4, C = 5;
  const std::vector<std::int32_t> tokens = {0, 6, 3, 2, 2, 5, 1, 4, 6, 0, 3, 3};
  const auto W = random_values<Scalar>(1, V * C), dy = random_values<Scalar>(2, B * T * C);
  const auto on_device = to_device(tokens);
  const Placed<Scalar> y(B * T, C), dy_placed(dy, B * T, C);
  const Placed<Real> dW(V, C), none(0, C);
  embedding_forward<Scalar>(Exec(), T, on_device, Placed<Scalar>(W, V, C).matrix(), {}, y.matrix());
  embedding_backward_weights<Scalar>(context, {.tokens = T, .token_blocks = 2}, Store::overwrite, on_device,
                                     dy_placed.matrix(), dW.matrix(), {});
  const auto all = dW.values();
  for (const index_t ranks : {1, 2, 3}) {
    std::vector<Scalar> sum(B * T * C, Scalar(0));
    for (index_t rank = 0; rank < ranks; ++rank) {
      const Slice words = partition(V, ranks, rank);
      const std::vector<Scalar> rows(W.begin() + words.offset * C, W.begin() + words.end() * C);
      const Placed<Scalar> part(B * T, C);
      const Placed<Real> gradient(words.extent, C);
      embedding_forward<Scalar>(Exec(), T, on_device, Placed<Scalar>(rows, words.extent, C).matrix(), {}, part.matrix(),
                                words);
      embedding_backward_weights<Scalar>(context, {.tokens = T, .token_blocks = 2}, Store::overwrite, on_device,
                                         dy_placed.matrix(), gradient.matrix(), {}, words);
      Kokkos::fence();
      const auto values = part.values();
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = Scalar(Real(sum[i]) + Real(values[i]));
      EXPECT_TRUE(same_bits(gradient.values(),
                            std::vector<Real>(all.begin() + words.offset * C, all.begin() + words.end() * C)));
    }
    EXPECT_TRUE(same_bits(sum, y.values())) << ranks << " ranks";
  }
}

TEST(parts_of_a_vocabulary, tells_a_word_of_another_part_from_none) {
  const auto P = random_values<float>(1, 2);
  const Placed<float> y(3, 2), W(random_values<float>(2, 4), 2, 2);
  embedding_forward<float>(Exec(), 1, to_device(std::vector<std::int32_t>{0, 9, -1}), W.matrix(),
                           Placed<float>(P, 1, 2).matrix(), y.matrix(), {3, 2, 9});
  Kokkos::fence();
  const auto values = y.values();
  EXPECT_EQ(values[0], P[0]);
  EXPECT_EQ(values[1], P[1]);
  for (std::size_t i = 2; i < 6; ++i) EXPECT_TRUE(std::isnan(values[i]));
}

TEST(parts_in_memory, rows_are_copied_and_numbers_are_placed) {
  for (const Placement to : placements)
    for (const index_t C : {0, 1, 33, 5000}) {
      const auto values = random_values<float>(1, 3 * C);
      const Placed<float> a(values, 3, C, {2, 4}), b(3, C, to);
      copy<float>(Exec(), a.matrix(), b.matrix());
      Kokkos::fence();
      EXPECT_TRUE(same_bits(b.values(), values) && b.surroundings_untouched());
    }
  const Vector<double> b = to_device(std::vector<double>{7, 8, 9});
  scatter<double>(Exec(), to_device(std::vector<index_t>{2, -1, 0}), to_device(std::vector<double>{1, 2, 3}), b);
  Kokkos::fence();
  EXPECT_EQ(to_host(b), (std::vector<double>{3, 8, 1}));
}

TEST(parts_of_a_sum, of_no_leaves_is_refused) {
  Context context;
  const Placed<float> x(2, 6), W(3, 6), y(2, 3);
  EXPECT_EQ(caught<ShapeError>([&] {
              linear_forward_node<float>(context, {.inputs = {3}}, {1, 4}, x.matrix(), W.matrix(), y.matrix());
            }),
            "linear_forward_node: a node over leaves 1 to 4: expected some of the 3 that are here");
  EXPECT_EQ(caught<ShapeError>(
                [&] { linear_complete<float, float>(Exec(), Activation::identity, y.matrix(), {}, W.matrix()); }),
            "linear_complete: y has 3 rows, sums has 2 rows: expected the same");
}

}  // namespace
}  // namespace partita::kernels::test::parts_tests
