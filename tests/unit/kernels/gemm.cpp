// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/backend/gemm.hpp>
#include <partita/kernels/backend/gemm_device.hpp>
#include <partita/kernels/backend/range.hpp>
#include <partita/kernels/reference.hpp>

#include "support.hpp"

// The parts of the portable GEMM that linear layers do not reach: every transposition, the device's tiles on a host,
// the epilogue.

namespace partita::kernels::test::gemm_tests {
namespace {

using backend::Epilogue;
using backend::Operand;

template <class Scalar>
const std::vector<Scalar>& expected_product(const std::vector<Scalar>& a, const std::vector<Scalar>& b,
                                            const std::vector<Scalar>& bias, index_t M, index_t N, index_t K,
                                            bool a_transposed, bool b_transposed) {
  return once({M, N, K, a_transposed, b_transposed}, [&] {
    std::vector<Scalar> c(M * N);
    for (index_t i = 0; i < M; ++i)
      for (index_t j = 0; j < N; ++j) {
        Scalar sum = 0;
        for (index_t k = 0; k < K; ++k)
          sum = std::fma(a[a_transposed ? k * M + i : i * K + k], b[b_transposed ? j * K + k : k * N + j], sum);
        c[i * N + j] = activate(Activation::relu, sum + bias[j]);
      }
    return c;
  });
}

/// Calls multiply(M, N, K, A, B, epilogue, C, leading) for sizes and transpositions and compares bits.
template <class Scalar, class Multiply>
void check_products(const Multiply& multiply) {
  struct Size {
    index_t M, N, K;
  };
  for (Size s :
       std::vector<Size>{{1, 1, 1}, {3, 17, 33}, {33, 17, 3}, {17, 33, 0}, {64, 64, 16}, {65, 130, 70}, {200, 40, 600}})
    for (bool a_transposed : {false, true})
      for (bool b_transposed : {false, true}) {
        const auto a = random_values<Scalar>(1, s.M * s.K), b = random_values<Scalar>(2, s.K * s.N),
                   bias = random_values<Scalar>(3, s.N);
        const auto a_device = to_device(a, 1), b_device = to_device(b, 3), bias_device = to_device(bias);
        const Operand<Scalar> A =
            a_transposed ? Operand<Scalar>{a_device.data(), 1, s.M} : Operand<Scalar>{a_device.data(), s.K, 1};
        const Operand<Scalar> B =
            b_transposed ? Operand<Scalar>{b_device.data(), 1, s.K} : Operand<Scalar>{b_device.data(), s.N, 1};
        const Placed<Scalar> c(s.M, s.N, {1, 2});
        multiply(s.M, s.N, s.K, A, B, Epilogue<Scalar>{bias_device.data(), Activation::relu}, c.matrix().data(),
                 index_t(c.matrix().stride(0)));
        Kokkos::fence();
        const auto& expected = expected_product(a, b, bias, s.M, s.N, s.K, a_transposed, b_transposed);
        EXPECT_TRUE(same_bits(c.values(), expected))
            << s.M << " " << s.N << " " << s.K << " " << a_transposed << b_transposed;
        EXPECT_TRUE(c.surroundings_untouched());
      }
}

template <class Scalar>
class gemm : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(gemm, Scalars);

TYPED_TEST(gemm, portable_is_the_chain_in_every_transposition) {
  using Scalar = TypeParam;
  Context context;
  const backend::GemmLabels labels("partita::kernels::test");
  check_products<Scalar>(
      [&](index_t M, index_t N, index_t K, Operand<Scalar> A, Operand<Scalar> B, Epilogue<Scalar> epilogue, Scalar* C,
          index_t leading) { backend::portable_gemm<Scalar>(context, labels, M, N, K, A, B, epilogue, C, leading); });
}

TYPED_TEST(gemm, device_tiles_give_the_same_bits) {
  using Scalar = TypeParam;
  using backend::device::Shape;
  using Tile = std::conditional_t<backend::runs_on_host, Shape<8, 16, 5, 1, 1>, Shape<64, 64, 16, 16, 16>>;
  const std::string label = "partita::kernels::test";
  check_products<Scalar>([&](index_t M, index_t N, index_t K, Operand<Scalar> A, Operand<Scalar> B,
                             Epilogue<Scalar> epilogue, Scalar* C, index_t leading) {
    backend::device::gemm<Tile, Scalar>(Exec(), label, M, N, K, A, B, epilogue, C, leading);
  });
}

/// multiply(M, N, K, A, B, epilogue, C, leading) over [0, 300) and then on over the rest is the chain over all; and
/// sums of 16-bit numbers are not rounded.
template <class Scalar, class Multiply>
void check_continued(const Multiply& multiply) {
  using Sum = accumulate_t<Scalar>;
  const index_t M = 37, N = 45, K = 650;
  const auto a = random_values<Scalar>(1, M * K), b = random_values<Scalar>(2, K * N);
  const std::vector<Sum> wide_a(a.begin(), a.end()), wide_b(b.begin(), b.end());
  const auto a_device = to_device(a), b_device = to_device(b);
  const auto expected = reference::gemm<Sum>({}, wide_a, wide_b, std::vector<Sum>(M * N), M, N, K);
  for (index_t first : {0, 40, 300, 650}) {
    const Placed<Sum> c(M, N, {1, 2});
    const index_t leading = index_t(c.matrix().stride(0));
    multiply(M, N, first, Operand<Scalar>{a_device.data(), K, 1}, Operand<Scalar>{b_device.data(), N, 1},
             Epilogue<Scalar>{}, c.matrix().data(), leading);
    multiply(M, N, K - first, Operand<Scalar>{a_device.data() + first, K, 1},
             Operand<Scalar>{b_device.data() + first * N, N, 1}, Epilogue<Scalar>{.continues = true}, c.matrix().data(),
             leading);
    Kokkos::fence();
    EXPECT_TRUE(same_bits(c.values(), expected));
    EXPECT_TRUE(c.surroundings_untouched());
  }
}

template <class Scalar>
class gemm_sums : public ::testing::Test {};
using SumsOf = ::testing::Types<float, double, bfloat16, float16>;
TYPED_TEST_SUITE(gemm_sums, SumsOf);

TYPED_TEST(gemm_sums, portable_goes_on_where_it_was) {
  using Scalar = TypeParam;
  Context context;
  const backend::GemmLabels labels("partita::kernels::test");
  check_continued<Scalar>([&](index_t M, index_t N, index_t K, Operand<Scalar> A, Operand<Scalar> B,
                              Epilogue<Scalar> epilogue, accumulate_t<Scalar>* C, index_t leading) {
    backend::portable_gemm<Scalar>(context, labels, M, N, K, A, B, epilogue, C, leading);
  });
}

TYPED_TEST(gemm_sums, device_tiles_go_on_where_they_were) {
  using Scalar = TypeParam;
  using backend::device::Shape;
  using Tile = std::conditional_t<backend::runs_on_host, Shape<8, 16, 5, 1, 1>, Shape<64, 64, 16, 16, 16>>;
  const std::string label = "partita::kernels::test";
  check_continued<Scalar>([&](index_t M, index_t N, index_t K, Operand<Scalar> A, Operand<Scalar> B,
                              Epilogue<Scalar> epilogue, accumulate_t<Scalar>* C, index_t leading) {
    backend::device::gemm<Tile, Scalar>(Exec(), label, M, N, K, A, B, epilogue, C, leading);
  });
}

TEST(gemm_epilogue, alone_it_adds_the_bias_and_activates) {
  for (Placement p : placements) {
    const auto z = random_values<float>(1, 3 * 1100), bias = random_values<float>(2, 1100);
    const Placed<float> c(z, 3, 1100, p);
    backend::apply_epilogue<float>(Exec(), {to_device(bias).data(), Activation::relu}, c.matrix());
    Kokkos::fence();
    std::vector<float> expected(z.size());
    for (std::size_t i = 0; i < z.size(); ++i) expected[i] = activate(Activation::relu, z[i] + bias[i % 1100]);
    EXPECT_TRUE(same_bits(c.values(), expected));
    EXPECT_TRUE(c.surroundings_untouched());
  }
}

}  // namespace
}  // namespace partita::kernels::test::gemm_tests
