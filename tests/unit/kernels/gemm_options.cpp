// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/gemm.hpp>
#include <partita/kernels/linear.hpp>

#include "numbers.hpp"

// gemm as callers see it: transpositions, alpha and beta, batches, 16 bits, on every backend. And linear layers of 16
// bits, which are the same products.

namespace partita::kernels::test::gemm_options_tests {
namespace {

struct Sizes {
  index_t M, N, K;
};

/// Computed in the type that Scalar is computed in, then rounded: the portable kernels' bits.
template <class Scalar>
std::vector<accumulate_t<Scalar>> widened(const std::vector<Scalar>& values) {
  return {values.begin(), values.end()};
}
template <class Scalar>
std::vector<Scalar> rounded(const std::vector<accumulate_t<Scalar>>& values) {
  std::vector<Scalar> narrow;
  for (accumulate_t<Scalar> value : values) narrow.push_back(Scalar(value));
  return narrow;
}
template <class Scalar>
std::vector<Scalar> expected(const GemmOptions& o, const std::vector<Scalar>& A, const std::vector<Scalar>& B,
                             const std::vector<Scalar>& C, Sizes s) {
  return rounded<Scalar>(reference::gemm(o, widened(A), widened(B), widened(C), s.M, s.N, s.K));
}

/// Any order of summation: 2 gamma_K sum |a b| and a few roundings more.
template <class Scalar>
std::vector<double> bounds(GemmOptions o, std::vector<Scalar> A, std::vector<Scalar> B, std::vector<Scalar> C,
                           Sizes s) {
  for (auto* values : {&A, &B, &C})
    for (Scalar& value : *values) value = Scalar(std::abs(accumulate_t<Scalar>(value)));
  o.alpha = std::abs(o.alpha), o.beta = std::abs(o.beta);
  std::vector<double> bound;
  for (Scalar sum : expected(o, A, B, C, s)) bound.push_back(2 * double(s.K + 4) * unit_roundoff<Scalar> * double(sum));
  return bound;
}

template <class Scalar>
void check(Context& context, const GemmOptions& o, Sizes s, Placement p) {
  SCOPED_TRACE(std::to_string(s.M) + " " + std::to_string(s.N) + " " + std::to_string(s.K) + " alpha " +
               std::to_string(o.alpha) + " beta " + std::to_string(o.beta) + (o.transpose_a ? " A^T" : "") +
               (o.transpose_b ? " B^T" : ""));
  const auto A = random_values<Scalar>(1, s.M * s.K), B = random_values<Scalar>(2, s.K * s.N);
  auto C = random_values<Scalar>(3, s.M * s.N);
  if (o.beta == 0) std::fill(C.begin(), C.end(), Scalar(NAN));  // not read
  const Placed<Scalar> a(A, o.transpose_a ? s.K : s.M, o.transpose_a ? s.M : s.K, p),
      b(B, o.transpose_b ? s.N : s.K, o.transpose_b ? s.K : s.N, p), c(C, s.M, s.N, p);
  gemm(context, o, a.matrix(), b.matrix(), c.matrix());
  context.exec().fence();
  EXPECT_TRUE(c.surroundings_untouched());
  const std::vector<index_t> key = {
      s.M, s.N, s.K, o.transpose_a, o.transpose_b, std::lround(100 * o.alpha), std::lround(100 * o.beta)};
  const auto& right = once(key, [&] { return expected(o, A, B, C, s); });
  if (context.backend(Kernel::gemm) == Backend::portable || !std::is_same_v<Scalar, float>) {
    EXPECT_TRUE(same_bits(c.values(), right));
  } else {
    if (o.beta == 0) std::fill(C.begin(), C.end(), Scalar(0));
    EXPECT_TRUE(within(c.values(), right, once(key, [&] { return bounds(o, A, B, C, s); })));
  }
}

const std::vector<GemmOptions> options = {{},
                                          {.alpha = 0.75, .beta = 0},
                                          {.alpha = 1, .beta = 1},
                                          {.transpose_a = true, .alpha = -0.3, .beta = 0.7},
                                          {.transpose_b = true, .alpha = 2, .beta = -1},
                                          {.transpose_a = true, .transpose_b = true}};

template <class Scalar>
class gemm_options : public ::testing::Test {};
TYPED_TEST_SUITE(gemm_options, AllScalars);

TYPED_TEST(gemm_options, agree_with_the_reference) {
  for (Backend backend : backends()) {
    Context context(Exec(), {.backend = backend, .deterministic = false, .per_kernel = {}});
    std::size_t turn = 0;
    for (index_t M : odd_sizes)
      for (index_t N : odd_sizes)
        for (index_t K : odd_sizes)
          for (const GemmOptions& o : options) check<TypeParam>(context, o, {M, N, K}, placements[++turn % 3]);
    for (Sizes s : std::vector<Sizes>{{40, 50, 700}, {130, 33, 257}, {5, 600, 300}})  // beyond a block of depth
      for (const GemmOptions& o : options) check<TypeParam>(context, o, s, {3, 5});
  }
}

TYPED_TEST(gemm_options, any_number_of_threads_gives_the_same_bits) {
  for (const Exec& exec : instances()) {
    Context context(exec, {.backend = Backend::portable, .deterministic = true, .per_kernel = {}});
    for (const GemmOptions& o : options) check<TypeParam>(context, o, {150, 70, 300}, {1, 0});
  }
}

TYPED_TEST(gemm_options, batches_are_their_products) {
  using Scalar = TypeParam;
  const Sizes s{7, 18, 33};
  for (Backend backend : backends())
    for (index_t batches : {0, 1, 3})
      for (bool shared : {false, true})
        for (const GemmOptions& o : options) {
          Context context(Exec(), {.backend = backend, .deterministic = false, .per_kernel = {}});
          const index_t a_size = s.M * s.K, b_size = s.K * s.N, c_pitch = s.N + 2, c_size = s.M * c_pitch + 3;
          const auto A = random_values<Scalar>(1, batches * a_size), B = random_values<Scalar>(2, batches * b_size),
                     C = random_values<Scalar>(3, batches * c_size + 1);
          const auto a = to_device(A), b = to_device(B), c = to_device(C);
          gemm_batched<Scalar>(context, o,
                               {a.data(), batches, o.transpose_a ? s.K : s.M, o.transpose_a ? s.M : s.K,
                                o.transpose_a ? s.M : s.K, a_size},
                               {b.data(), batches, o.transpose_b ? s.N : s.K, o.transpose_b ? s.K : s.N,
                                o.transpose_b ? s.K : s.N, shared ? 0 : b_size},
                               MatrixBatch<Scalar>{c.data() + 1, batches, s.M, s.N, c_pitch, c_size});
          context.exec().fence();
          const auto got = to_host(c);
          for (index_t i = 0; i < batches; ++i) {
            const auto part = [](const std::vector<Scalar>& of, index_t first, index_t n) {
              return std::vector<Scalar>(of.begin() + first, of.begin() + first + n);
            };
            std::vector<Scalar> before, after;
            for (index_t row = 0; row < s.M; ++row)
              for (index_t j = 0; j < c_pitch; ++j) {
                const index_t at = 1 + i * c_size + row * c_pitch + j;
                if (j < s.N)
                  before.push_back(C[at]), after.push_back(got[at]);
                else
                  EXPECT_EQ(float(C[at]), float(got[at]));
              }
            const auto right =
                expected(o, part(A, i * a_size, a_size), part(B, shared ? 0 : i * b_size, b_size), before, s);
            if (backend == Backend::portable || !std::is_same_v<Scalar, float>)
              EXPECT_TRUE(same_bits(after, right));
            else
              EXPECT_TRUE(close(after, in_double(right), double(s.K + 4) * double(s.K) * 40 * roundoff<Scalar>));
          }
        }
}

TEST(gemm_options_shapes, errors_name_operand_and_extents) {
  Context context;
  const auto m = [](index_t rows, index_t columns) { return Matrix<float>("m", rows, columns); };
  const auto message = [&](GemmOptions o, Matrix<float> A, Matrix<float> B, Matrix<float> C) {
    return caught<ShapeError>([&] { gemm<float>(context, o, A, B, C); });
  };
  EXPECT_EQ(message({}, m(3, 4), m(4, 5), m(2, 5)),
            "gemm: A has 3 rows, C has 2 rows: expected op(A) (M, K) and C (M, N) with the same M");
  EXPECT_EQ(message({.transpose_b = true}, m(3, 4), m(4, 4), m(3, 5)),
            "gemm: B has 4 rows, C has 5 columns: expected op(B) (K, N) and C (M, N) with the same N");
  EXPECT_EQ(message({.transpose_a = true}, m(3, 4), m(4, 5), m(4, 5)),
            "gemm: B has 4 rows, A has 3 rows: expected op(A) (M, K) and op(B) (K, N) with the same K");
  const MatrixBatch<const float> two{nullptr, 2, 3, 3, 3, 9};
  EXPECT_THROW(gemm_batched<float>(context, {}, two, two, MatrixBatch<float>{nullptr, 3, 3, 3, 3, 9}), ShapeError);
}

template <class Scalar>
class gemm_options_linear_16_bit : public ::testing::Test {};
using Narrow = ::testing::Types<bfloat16, float16>;
TYPED_TEST_SUITE(gemm_options_linear_16_bit, Narrow);

TYPED_TEST(gemm_options_linear_16_bit, is_the_float_layer_rounded_once) {
  using Scalar = TypeParam;
  Context context;
  for (Placement p : placements)
    for (const auto& [B, N, K] : std::vector<Sizes>{{0, 3, 4}, {1, 1, 1}, {17, 33, 3}, {5, 70, 300}, {130, 3, 600}}) {
      const auto x = random_values<Scalar>(1, B * K), W = random_values<Scalar>(2, N * K),
                 b = random_values<Scalar>(3, N), dy = random_values<Scalar>(4, B * N);
      const auto there = random_values<float>(5, N * K), db_there = random_values<float>(6, N);
      const Placed<Scalar> x_placed(x, B, K, p), W_placed(W, N, K, p), dy_placed(dy, B, N, p), y(B, N, p), dx(B, K, p);
      const Placed<float> dW(N, K, p), dW_added(there, N, K, p);
      const auto db = to_device(std::vector<float>(N), p.offset), db_added = to_device(db_there, p.offset);
      linear_forward(context, {.activation = Activation::relu}, x_placed.matrix(), W_placed.matrix(),
                     to_device(b, p.offset), y.matrix());
      linear_backward_input(context, {}, dy_placed.matrix(), W_placed.matrix(), dx.matrix());
      linear_backward_weights<Scalar>(context, {}, Store::overwrite, x_placed.matrix(), dy_placed.matrix(), dW.matrix(),
                                      db);
      linear_backward_weights<Scalar>(context, {}, Store::accumulate, x_placed.matrix(), dy_placed.matrix(),
                                      dW_added.matrix(), db_added);
      context.exec().fence();
      const auto xf = widened(x), Wf = widened(W), bf = widened(b), dyf = widened(dy);
      EXPECT_TRUE(
          same_bits(y.values(), rounded<Scalar>(reference::linear_forward(Activation::relu, xf, Wf, bf, B, N, K))));
      EXPECT_TRUE(same_bits(dx.values(), rounded<Scalar>(reference::linear_backward_input(dyf, Wf, B, N, K))));
      auto sums = reference::linear_backward_weights(xf, dyf, B, N, K), bias_sums = reference::column_sum(dyf, B, N);
      EXPECT_TRUE(same_bits(dW.values(), sums));  // gradients of weights are not rounded
      EXPECT_TRUE(same_bits(to_host(db), bias_sums));
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += there[i];
      for (std::size_t i = 0; i < bias_sums.size(); ++i) bias_sums[i] += db_there[i];
      EXPECT_TRUE(same_bits(dW_added.values(), sums));
      EXPECT_TRUE(same_bits(to_host(db_added), bias_sums));
      EXPECT_TRUE(y.surroundings_untouched() && dx.surroundings_untouched() && dW.surroundings_untouched());
    }
}

}  // namespace
}  // namespace partita::kernels::test::gemm_options_tests
