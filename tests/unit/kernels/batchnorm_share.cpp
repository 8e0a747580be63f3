// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include <partita/core/error.hpp>
#include <partita/kernels/batchnorm.hpp>
#include <partita/kernels/reference.hpp>

#include "support.hpp"

// A batch whose rows are shared: what the shares give and add up is what all rows have together.

namespace partita::kernels::test::batchnorm_share_tests {
namespace {

template <class Real>
std::vector<Real> rows_of(const std::vector<Real>& x, index_t C, index_t from, index_t to) {
  return {x.begin() + from * C, x.begin() + to * C};
}

/// Of some rows: what is added up, from statistics by the kernel.
template <class Real>
std::vector<double> shared(const std::vector<Real>& x, index_t R, index_t C) {
  Context context;
  const Vector<Real> mean("mean", C), squares("squares", C);
  const Vector<double> sums("sums", 2 * C + 1);
  const Placed<Real> at(x, R, C);
  batchnorm_stats<Real>(context, {}, at.matrix(), mean, squares);
  batchnorm_share<Real>(context.exec(), R, mean, squares, sums);
  context.exec().fence();
  return to_host(sums);
}

template <class Real>
class batchnorm_share_of : public ::testing::Test {};
using Reals = ::testing::Types<float, double>;
TYPED_TEST_SUITE(batchnorm_share_of, Reals);

TYPED_TEST(batchnorm_share_of, rows_are_the_statistics_of_all) {
  using Real = TypeParam;
  for (const index_t C : {0, 1, 3, 17, 33})
    for (const std::vector<index_t>& cuts :
         std::vector<std::vector<index_t>>{{0, 1}, {0, 1, 2}, {0, 1, 40}, {0, 0, 7, 300, 301}, {0, 0}}) {
      const index_t R = cuts.back();
      std::vector<Real> x = random_values<Real>(1, R * C);
      for (index_t i = 0; i < R * C; ++i) x[i] = Real(double(x[i]) + 3 * double(i % C % 4) + double(i / C % 5));
      std::vector<double> sums(2 * C + 1, 0.0);
      for (std::size_t k = 1; k < cuts.size(); ++k) {
        const auto part = shared(rows_of(x, C, cuts[k - 1], cuts[k]), cuts[k] - cuts[k - 1], C);
        for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += part[i];
      }
      EXPECT_EQ(sums.back(), double(R));
      const Vector<Real> mean("mean", C), variance("variance", C), rstd("rstd", C);
      batchnorm_join<Real>(Exec(), {}, to_device(sums), mean, variance, rstd);
      Exec().fence();

      const auto moments = reference::batchnorm_stats(x, R, C);
      std::vector<Real> expected_mean(C), expected_variance(C), expected_rstd(C);
      for (index_t c = 0; c < C; ++c) {
        const double biased = R > 0 ? moments.squares[c] / double(R) : 0;
        expected_mean[c] = Real(moments.mean[c]);
        expected_variance[c] = Real(R > 1 ? moments.squares[c] / double(R - 1) : biased);
        expected_rstd[c] = Real(1 / std::sqrt(biased + BatchnormOptions().epsilon));
      }
      // Numbers up to 20, in chains of 256; without rows, or with one, deviations are 0 and rstd 300.
      const double e = 600 * unit_roundoff<Real>;
      const auto bound = [&](double size) { return std::vector<double>(std::size_t(C), size * e); };
      EXPECT_TRUE(within(to_host(mean), expected_mean, bound(20)));
      EXPECT_TRUE(within(to_host(variance), expected_variance, bound(400)));
      if (R > 2) {
        EXPECT_TRUE(within(to_host(rstd), expected_rstd, bound(1)));
      }
    }
}

// dx of some rows, from the means of all, is theirs among all rows.
TYPED_TEST(batchnorm_share_of, slopes_give_the_dx_of_all) {
  using Real = TypeParam;
  constexpr index_t R = 40, first = 9, C = 5;
  const auto x = random_values<Real>(1, R * C), dy = random_values<Real>(2, R * C), gamma = random_values<Real>(3, C);
  const auto moments = reference::batchnorm_stats(x, R, C);
  std::vector<Real> mean(C), rstd(C), none;
  for (index_t c = 0; c < C; ++c) {
    mean[c] = Real(moments.mean[c]);
    rstd[c] = Real(1 / std::sqrt(moments.squares[c] / double(R) + 1e-5));
  }
  const auto [dgamma, dbeta] = reference::batchnorm_backward_sums(false, x, none, mean, rstd, dy, R, C);
  const std::vector<Real> of_all_gamma(dgamma.begin(), dgamma.end()), of_all_beta(dbeta.begin(), dbeta.end());
  const auto expected =
      reference::batchnorm_backward_input(false, x, none, gamma, mean, rstd, of_all_gamma, of_all_beta, dy, R, C);

  Context context;
  std::vector<Real> means(2 * C, Real(0));
  for (const auto& [from, to] : {std::pair{index_t{0}, first}, std::pair{first, R}}) {
    const Placed<Real> part(rows_of(x, C, from, to), to - from, C), dpart(rows_of(dy, C, from, to), to - from, C);
    const Vector<Real> dgamma_at("dgamma", C), dbeta_at("dbeta", C), means_at("means", 2 * C);
    batchnorm_backward_sums<Real>(context, {}, part.matrix(), part.matrix(), to_device(mean), to_device(rstd),
                                  dpart.matrix(), dgamma_at, dbeta_at);
    batchnorm_share_slopes<Real>(Exec(), to_device(std::vector<double>{double(R)}), dgamma_at, dbeta_at, means_at);
    Exec().fence();
    const auto mine = to_host(means_at);
    for (std::size_t i = 0; i < means.size(); ++i) means[i] += mine[i];
  }
  const Placed<Real> part(rows_of(x, C, first, R), R - first, C), dpart(rows_of(dy, C, first, R), R - first, C),
      dx(R - first, C);
  const auto half = [&](index_t k) { return to_device(rows_of(means, C, k, k + 1)); };
  batchnorm_backward_input<Real>(Exec(), {.count = 1}, part.matrix(), part.matrix(), to_device(gamma), to_device(mean),
                                 to_device(rstd), half(0), half(1), dpart.matrix(), dx.matrix());
  Exec().fence();
  const std::vector<double> rows = rows_of(expected, C, first, R);
  EXPECT_TRUE(within(dx.values(), std::vector<Real>(rows.begin(), rows.end()),
                     std::vector<double>(rows.size(), 400 * unit_roundoff<Real>)));
}

TEST(batchnorm_share, errors_name_operand_and_extents) {
  const Vector<float> three("three", 3), two("two", 2);
  const Vector<double> seven("seven", 7), six("six", 6), one("one", 1);
  EXPECT_EQ(caught<ShapeError>([&] { batchnorm_share<float>(Exec(), 4, three, three, six); }),
            "batchnorm_share: 6 sums of 3 columns: expected sums (2 C + 1)");
  EXPECT_THROW(batchnorm_share<float>(Exec(), 4, three, two, seven), ShapeError);
  EXPECT_THROW(batchnorm_join<float>(Exec(), {}, six, three, three, three), ShapeError);
  EXPECT_THROW(batchnorm_join<float>(Exec(), {}, seven, three, three, two), ShapeError);
  EXPECT_THROW(batchnorm_share_slopes<float>(Exec(), one, three, two, three), ShapeError);
  EXPECT_EQ(caught<ShapeError>([&] { batchnorm_share_slopes<float>(Exec(), one, three, three, three); }),
            "batchnorm_share_slopes: 3 sums of 3 columns: expected means (2 C)");
}

}  // namespace
}  // namespace partita::kernels::test::batchnorm_share_tests
