// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include <partita/core/error.hpp>
#include <partita/kernels/batchnorm.hpp>
#include <partita/kernels/reference.hpp>

#include "support.hpp"

namespace partita::kernels::test::batchnorm_tests {
namespace {

/// Everything that a layer computes, forward and backward.
template <class Scalar>
struct Layer {
  using Real = accumulate_t<Scalar>;
  index_t R, C;
  BatchnormOptions options;
  std::vector<Scalar> x, gamma, beta, dy, y, dx, inferred;
  std::vector<Real> mean, variance, rstd, running_mean, running_variance, dgamma, dbeta;
  bool untouched = true;

  Layer(index_t rows, index_t columns, bool relu) : R(rows), C(columns) {
    options.relu = relu;
    x = random_values<Scalar>(1, R * C);
    for (index_t i = 0; i < R * C; ++i) x[i] = Scalar(double(x[i]) + 3 * double(i % C % 4));
    gamma = random_values<Scalar>(2, C);
    beta = random_values<Scalar>(3, C);
    dy = random_values<Scalar>(4, R * C);
    running_mean = random_values<Real>(5, C);
    running_variance = random_values<Real>(6, C);
    for (Real& v : running_variance) v = std::abs(v);
  }

  Layer& run(const Exec& exec = Exec(), Placement p = {}) {
    Context context(exec);
    const Placed<Scalar> x_at(x, R, C, p), dy_at(dy, R, C, p), y_at(R, C, p), dx_at(R, C, p), inferred_at(R, C, p);
    const auto gamma_at = to_device(gamma, p.offset), beta_at = to_device(beta, p.offset);
    const auto running_mean_at = to_device(running_mean, p.offset),
               running_variance_at = to_device(running_variance, p.offset);
    const std::vector<Real> marks(C, Real(7));
    const auto mean_at = to_device(marks, p.offset), variance_at = to_device(marks, p.offset),
               rstd_at = to_device(marks, p.offset), dgamma_at = to_device(marks, p.offset),
               dbeta_at = to_device(marks, p.offset);
    batchnorm_infer(exec, options, x_at.matrix(), gamma_at, beta_at, running_mean_at, running_variance_at,
                    inferred_at.matrix());
    batchnorm_forward(context, options, x_at.matrix(), gamma_at, beta_at, y_at.matrix(), mean_at, variance_at, rstd_at);
    batchnorm_backward_sums<Scalar>(context, options, x_at.matrix(), y_at.matrix(), mean_at, rstd_at, dy_at.matrix(),
                                    dgamma_at, dbeta_at);
    batchnorm_backward_input(exec, options, x_at.matrix(), y_at.matrix(), gamma_at, mean_at, rstd_at, dgamma_at,
                             dbeta_at, dy_at.matrix(), dx_at.matrix());
    exec.fence();
    untouched = y_at.surroundings_untouched() && dx_at.surroundings_untouched() && inferred_at.surroundings_untouched();
    y = y_at.values(), dx = dx_at.values(), inferred = inferred_at.values();
    mean = to_host(mean_at), rstd = to_host(rstd_at), dgamma = to_host(dgamma_at), dbeta = to_host(dbeta_at);
    variance = to_host(variance_at);
    return *this;
  }
};

template <class Scalar>
::testing::AssertionResult near(const std::vector<Scalar>& got, const std::vector<double>& expected,
                                const std::vector<double>& bound) {
  std::vector<double> wide;
  for (Scalar value : got) wide.push_back(double(value));
  return within(wide, expected, bound);
}

/// u: roundoff of sums and statistics; `stored`: of what is stored, beside it.
template <class Scalar>
constexpr double u = unit_roundoff<accumulate_t<Scalar>>;
template <class Scalar>
constexpr double stored = unit_roundoff<Scalar>;

/// A chain of n additions errs by n u times the sum of magnitudes; chunks are put together in double.
index_t chain(index_t R) { return std::min(R, batchnorm_chunk) + 4; }

template <class Scalar>
class batchnorm : public ::testing::Test {};
using Scalars = ::testing::Types<float, double, bfloat16, float16>;
TYPED_TEST_SUITE(batchnorm, Scalars);

TYPED_TEST(batchnorm, agrees_with_the_reference) {
  using Scalar = TypeParam;
  for (index_t R : {0, 1, 3, 17, 33, 257, 600})
    for (index_t C : {0, 1, 3, 17, 33, 100})
      for (bool relu : {false, true})
        for (Placement p : placements) {
          SCOPED_TRACE("R " + std::to_string(R) + " C " + std::to_string(C) + " pad " + std::to_string(p.pad));
          const auto l = Layer<Scalar>(R, C, relu).run(Exec(), p);
          EXPECT_TRUE(l.untouched);
          const auto moments = reference::batchnorm_stats(l.x, R, C);
          const double n = double(chain(R)), e = u<Scalar>;
          std::vector<double> mean_bound(C), rstd(C), rstd_bound(C), unbiased(C), variance_bound(C), infer_rstd(C);
          for (index_t c = 0; c < C; ++c) {
            double size = 0;
            for (index_t r = 0; r < R; ++r) size = std::max(size, std::abs(double(l.x[r * C + c])));
            mean_bound[c] = n * e * size;
            const double variance = R > 0 ? moments.squares[c] / double(R) : 0;
            rstd[c] = 1 / std::sqrt(variance + l.options.epsilon);
            rstd_bound[c] = (2 * n + 8) * e * rstd[c];
            unbiased[c] = R > 1 ? moments.squares[c] / double(R - 1) : variance;
            variance_bound[c] = (2 * n + 8) * e * (unbiased[c] + 1);
            infer_rstd[c] = 1 / std::sqrt(double(l.running_variance[c]) + double(accumulate_t<Scalar>(1e-5)));
          }
          EXPECT_TRUE(near(l.mean, moments.mean, mean_bound));
          EXPECT_TRUE(near(l.rstd, rstd, rstd_bound));
          EXPECT_TRUE(near(l.variance, unbiased, variance_bound));

          // From here on each kernel is given the statistics that it was given.
          const auto of_size = [&](const std::vector<double>& y, double roundings, auto terms) {
            std::vector<double> bound;
            for (index_t i = 0; i < index_t(y.size()); ++i)
              bound.push_back(roundings * e * terms(i) + stored<Scalar> * std::abs(y[i]) +
                              double(std::numeric_limits<Scalar>::denorm_min()));
            return bound;
          };
          const auto y = reference::batchnorm_apply(relu, l.x, l.gamma, l.beta, l.mean, l.rstd, R, C);
          EXPECT_TRUE(near(l.y, y, of_size(y, 8, [&](index_t i) {
                             const index_t c = i % C;
                             return std::abs((double(l.x[i]) - double(l.mean[c])) * double(l.rstd[c]) *
                                             double(l.gamma[c])) +
                                    std::abs(double(l.beta[c]));
                           })));
          std::vector<double> running(l.running_mean.begin(), l.running_mean.end()), none(l.x.begin(), l.x.end()),
              gamma(l.gamma.begin(), l.gamma.end()), beta(l.beta.begin(), l.beta.end());
          const auto inferred = reference::batchnorm_apply(relu, none, gamma, beta, running, infer_rstd, R, C);
          EXPECT_TRUE(near(l.inferred, inferred, of_size(inferred, 8, [&](index_t i) {
                             const index_t c = i % C;
                             return (std::abs(none[i]) + std::abs(running[c])) * infer_rstd[c] * std::abs(gamma[c]) +
                                    std::abs(beta[c]);
                           })));
          const auto [dgamma, dbeta] = reference::batchnorm_backward_sums(relu, l.x, l.y, l.mean, l.rstd, l.dy, R, C);
          std::vector<double> dgamma_bound(C), dbeta_bound(C);
          for (index_t i = 0; i < R * C; ++i) {
            const index_t c = i % C;
            const double off = std::abs(double(l.x[i]) - double(l.mean[c])) * double(l.rstd[c]);
            dgamma_bound[c] += (n + 8) * e * std::abs(double(l.dy[i])) * off;
            dbeta_bound[c] += (n + 8) * e * std::abs(double(l.dy[i]));
          }
          EXPECT_TRUE(near(l.dgamma, dgamma, dgamma_bound));
          EXPECT_TRUE(near(l.dbeta, dbeta, dbeta_bound));
          const auto dx = reference::batchnorm_backward_input(relu, l.x, l.y, l.gamma, l.mean, l.rstd, l.dgamma,
                                                              l.dbeta, l.dy, R, C);
          EXPECT_TRUE(near(l.dx, dx, of_size(dx, 10, [&](index_t i) {
                             const index_t c = i % C;
                             const double off = (double(l.x[i]) - double(l.mean[c])) * double(l.rstd[c]);
                             return std::abs(double(l.gamma[c])) * double(l.rstd[c]) *
                                    (std::abs(double(l.dy[i])) + std::abs(double(l.dbeta[c])) / double(R) +
                                     std::abs(off * double(l.dgamma[c])) / double(R));
                           })));
        }
}

/// Every row is a function of its column alone, whatever the threads, the place and the columns beside it.
TYPED_TEST(batchnorm, bits_depend_on_the_column_alone) {
  using Scalar = TypeParam;
  constexpr index_t R = 700, C = 75;
  const auto whole = Layer<Scalar>(R, C, true).run();
  for (const Exec& exec : instances())
    for (Placement p : placements) {
      const auto again = Layer<Scalar>(R, C, true).run(exec, p);
      EXPECT_TRUE(same_bits(again.y, whole.y));
      EXPECT_TRUE(same_bits(again.dx, whole.dx));
      EXPECT_TRUE(same_bits(again.dgamma, whole.dgamma));
      EXPECT_TRUE(same_bits(again.dbeta, whole.dbeta));
      EXPECT_TRUE(same_bits(again.variance, whole.variance));
    }
  for (index_t c : {0, 15, 16, 40, 74}) {
    Layer<Scalar> one(R, 1, true);
    const auto column = [&](const auto& all) {
      auto values = all;
      values.clear();
      for (index_t r = 0; r < index_t(all.size()) / C; ++r) values.push_back(all[r * C + c]);
      return values;
    };
    one.x = column(whole.x), one.dy = column(whole.dy), one.gamma = column(whole.gamma), one.beta = column(whole.beta);
    one.run();
    EXPECT_TRUE(same_bits(one.y, column(whole.y)));
    EXPECT_TRUE(same_bits(one.dx, column(whole.dx)));
    EXPECT_EQ(one.dgamma[0], whole.dgamma[c]);
  }
}

TEST(batchnorm_gradient, is_the_slope_of_the_outputs) {
  constexpr index_t R = 7, C = 3;
  const double h = std::cbrt(unit_roundoff<double>);
  for (bool relu : {false, true}) {
    const auto value = [&](const Layer<double>& l) {
      double sum = 0;
      for (index_t i = 0; i < R * C; ++i) sum += l.y[i] * l.dy[i];
      return sum;
    };
    const Layer<double> at = Layer<double>(R, C, relu).run();
    const auto check = [&](std::vector<double> Layer<double>::*operand, const std::vector<double>& gradient) {
      for (std::size_t i = 0; i < gradient.size(); ++i) {
        Layer<double> up(R, C, relu), down(R, C, relu);
        (up.*operand)[i] += h;
        (down.*operand)[i] -= h;
        EXPECT_NEAR(gradient[i], (value(up.run()) - value(down.run())) / (2 * h), 100 * h * h) << "element " << i;
      }
    };
    check(&Layer<double>::x, at.dx);
    check(&Layer<double>::gamma, at.dgamma);
    check(&Layer<double>::beta, at.dbeta);
  }
}

TEST(batchnorm_shapes, errors_name_operand_and_extents) {
  Context context;
  const Matrix<float> x("x", 4, 3);
  const Vector<float> three("three", 3), two("two", 2);
  EXPECT_EQ(caught<ShapeError>([&] { batchnorm_forward(context, {}, x, three, two, x, three, three, three); }),
            "batchnorm_apply: beta has 2 elements, x has 3 columns: expected one for each column of x (B, C)");
  EXPECT_THROW(batchnorm_stats<float>(context, {}, x, two, three), ShapeError);
  EXPECT_THROW(batchnorm_stats<float>(context, {.pixels = 3, .rows = {2}}, x, three, three), ShapeError);
  EXPECT_THROW(batchnorm_stats<float>(context, {.pixels = 2, .rows = {2, 2}}, x, three, three), ShapeError);
  EXPECT_THROW(batchnorm_finish<float>(Exec(), {}, three, two, three), ShapeError);
  EXPECT_THROW(batchnorm_infer(Exec(), {}, x, three, three, three, two, x), ShapeError);
  EXPECT_THROW(batchnorm_backward_sums<float>(context, {}, x, x, three, three, x, three, two), ShapeError);
  EXPECT_THROW(batchnorm_backward_input(Exec(), {}, x, x, three, three, three, three, two, x, x), ShapeError);
}

}  // namespace
}  // namespace partita::kernels::test::batchnorm_tests
