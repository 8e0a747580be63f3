// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include <partita/core/error.hpp>
#include <partita/kernels/groupnorm.hpp>
#include <partita/kernels/reference.hpp>

#include "support.hpp"

namespace partita::kernels::test::groupnorm_tests {
namespace {

template <class Scalar>
struct Layer {
  using Real = accumulate_t<Scalar>;
  index_t B, P, C;
  GroupnormOptions options;
  std::vector<Scalar> x, gamma, beta, dy, y, dx;
  std::vector<Real> mean, rstd, dgamma, dbeta;
  bool untouched = true;

  Layer(index_t images, index_t pixels, index_t channels, index_t groups)
      : B(images), P(pixels), C(channels), options{.groups = groups} {
    x = random_values<Scalar>(1, B * P * C);
    for (index_t i = 0; i < B * P * C; ++i) x[i] = Scalar(double(x[i]) + double(i % C % 4));
    gamma = random_values<Scalar>(2, C);
    beta = random_values<Scalar>(3, C);
    dy = random_values<Scalar>(4, B * P * C);
  }

  Layer& run(const Exec& exec = Exec(), Placement p = {}) {
    Context context(exec);
    const Placed<Scalar> x_at(x, B, P * C, p), dy_at(dy, B, P * C, p), y_at(B, P * C, p), dx_at(B, P * C, p);
    const Placed<Real> mean_at(B, options.groups, p), rstd_at(B, options.groups, p);
    const auto gamma_at = to_device(gamma, p.offset), beta_at = to_device(beta, p.offset);
    const auto dgamma_at = to_device(std::vector<Real>(C, Real(7)), p.offset);
    const auto dbeta_at = to_device(std::vector<Real>(C, Real(7)), p.offset);
    groupnorm_forward(context, options, x_at.matrix(), gamma_at, beta_at, y_at.matrix(), mean_at.matrix(),
                      rstd_at.matrix());
    groupnorm_backward_input(context, options, x_at.matrix(), gamma_at, mean_at.matrix(), rstd_at.matrix(),
                             dy_at.matrix(), dx_at.matrix());
    groupnorm_backward_weights<Scalar>(context, options, Store::overwrite, x_at.matrix(), mean_at.matrix(),
                                       rstd_at.matrix(), dy_at.matrix(), dgamma_at, dbeta_at);
    exec.fence();
    untouched = y_at.surroundings_untouched() && dx_at.surroundings_untouched() && mean_at.surroundings_untouched() &&
                rstd_at.surroundings_untouched();
    y = y_at.values(), dx = dx_at.values(), mean = mean_at.values(), rstd = rstd_at.values();
    dgamma = to_host(dgamma_at), dbeta = to_host(dbeta_at);
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

template <class Scalar>
class groupnorm : public ::testing::Test {};
using Scalars = ::testing::Types<float, double, bfloat16, float16>;
TYPED_TEST_SUITE(groupnorm, Scalars);

/// Sums over n numbers err by n roundoffs of the sum of magnitudes at most: for statistics n is the chain over the
/// pixels, the rest is in double. Values here are below 8.
TYPED_TEST(groupnorm, agrees_with_the_reference) {
  using Scalar = TypeParam;
  const double e = unit_roundoff<accumulate_t<Scalar>>, stored = unit_roundoff<Scalar>;
  for (index_t B : {0, 1, 3, 17})
    for (index_t P : {0, 1, 3, 33})
      for (const auto& [C, groups] :
           std::vector<std::pair<index_t, index_t>>{{0, 1}, {1, 1}, {3, 3}, {17, 1}, {33, 11}, {64, 4}, {100, 5}})
        for (Placement p : placements) {
          SCOPED_TRACE("B " + std::to_string(B) + " P " + std::to_string(P) + " C " + std::to_string(C) + " groups " +
                       std::to_string(groups));
          const auto l = Layer<Scalar>(B, P, C, groups).run(Exec(), p);
          EXPECT_TRUE(l.untouched);
          const reference::Groupnorm<Scalar> r{B, P, C, groups, l.options.epsilon};
          const auto [mean, rstd] = r.statistics(l.x);
          const double n = double(P) + 4, numbers = r.numbers();
          std::vector<double> mean_bound(mean.size(), n * e * 8), rstd_bound;
          for (double s : rstd) rstd_bound.push_back((n + 8) * e * s * (1 + 64 * s * s * n * e));
          EXPECT_TRUE(near(l.mean, mean, mean_bound));
          EXPECT_TRUE(near(l.rstd, rstd, rstd_bound));

          // From here on with the statistics that the kernels were given.
          const auto rounded = [&](const std::vector<double>& values, auto terms) {
            std::vector<double> bound;
            for (index_t i = 0; i < index_t(values.size()); ++i)
              bound.push_back(e * terms(i) + stored * std::abs(values[i]) +
                              double(std::numeric_limits<Scalar>::denorm_min()));
            return bound;
          };
          const auto off = [&](index_t i) {
            return (std::abs(double(l.x[i])) + std::abs(double(l.mean[r.statistic(i)]))) *
                   double(l.rstd[r.statistic(i)]);
          };
          const auto y = r.forward(l.x, l.gamma, l.beta, l.mean, l.rstd);
          EXPECT_TRUE(near(l.y, y, rounded(y, [&](index_t i) {
                             return 8 * (off(i) * std::abs(double(l.gamma[i % C])) + std::abs(double(l.beta[i % C])));
                           })));
          const auto dx = r.backward_input(l.x, l.gamma, l.mean, l.rstd, l.dy);
          std::vector<double> s1(B * groups), s2(B * groups), dgamma_bound(C), dbeta_bound(C);
          for (index_t i = 0; i < B * P * C; ++i) {
            const double slope = std::abs(double(l.gamma[i % C]) * double(l.dy[i]));
            s1[r.statistic(i)] += slope / numbers;
            s2[r.statistic(i)] += slope * off(i) / numbers;
            dgamma_bound[i % C] += (n + 4) * e * std::abs(double(l.dy[i])) * off(i);
            dbeta_bound[i % C] += (n + 4) * e * std::abs(double(l.dy[i]));
          }
          EXPECT_TRUE(near(l.dx, dx, rounded(dx, [&](index_t i) {
                             const index_t at = r.statistic(i);
                             return (n + 12) * double(l.rstd[at]) *
                                    (std::abs(double(l.gamma[i % C]) * double(l.dy[i])) + s1[at] + off(i) * s2[at]);
                           })));
          const auto [dgamma, dbeta] = r.backward_weights(l.x, l.mean, l.rstd, l.dy);
          EXPECT_TRUE(near(l.dgamma, dgamma, dgamma_bound));
          EXPECT_TRUE(near(l.dbeta, dbeta, dbeta_bound));
        }
}

/// An image's results are its own, whatever the batch, the threads and the place.
TYPED_TEST(groupnorm, bits_depend_on_the_image_alone) {
  using Scalar = TypeParam;
  constexpr index_t B = 5, P = 30, C = 44;
  const auto whole = Layer<Scalar>(B, P, C, 4).run();
  for (const Exec& exec : instances())
    for (Placement p : placements) {
      const auto again = Layer<Scalar>(B, P, C, 4).run(exec, p);
      EXPECT_TRUE(same_bits(again.y, whole.y));
      EXPECT_TRUE(same_bits(again.dx, whole.dx));
      EXPECT_TRUE(same_bits(again.dgamma, whole.dgamma));
      EXPECT_TRUE(same_bits(again.dbeta, whole.dbeta));
      EXPECT_TRUE(same_bits(again.rstd, whole.rstd));
    }
  for (index_t b = 0; b < B; ++b) {
    const auto image = [&](const std::vector<Scalar>& all) {
      return std::vector<Scalar>(all.begin() + b * P * C, all.begin() + (b + 1) * P * C);
    };
    Layer<Scalar> one(1, P, C, 4);
    one.x = image(whole.x), one.dy = image(whole.dy);
    one.run();
    EXPECT_TRUE(same_bits(one.y, image(whole.y)));
    EXPECT_TRUE(same_bits(one.dx, image(whole.dx)));
  }
}

TEST(groupnorm_gradient, is_the_slope_of_the_outputs) {
  constexpr index_t B = 2, P = 5, C = 6;
  const double h = std::cbrt(unit_roundoff<double>);
  const auto value = [&](const Layer<double>& l) {
    double sum = 0;
    for (index_t i = 0; i < B * P * C; ++i) sum += l.y[i] * l.dy[i];
    return sum;
  };
  const auto at = Layer<double>(B, P, C, 2).run();
  const auto check = [&](std::vector<double> Layer<double>::*operand, const std::vector<double>& gradient) {
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      Layer<double> up(B, P, C, 2), down(B, P, C, 2);
      (up.*operand)[i] += h;
      (down.*operand)[i] -= h;
      EXPECT_NEAR(gradient[i], (value(up.run()) - value(down.run())) / (2 * h), 100 * h * h) << "element " << i;
    }
  };
  check(&Layer<double>::x, at.dx);
  check(&Layer<double>::gamma, at.dgamma);
  check(&Layer<double>::beta, at.dbeta);
}

TEST(groupnorm_shapes, errors_name_operand_and_extents) {
  Context context;
  const Matrix<float> x("x", 2, 12), two("two", 2, 2), three("three", 2, 3);
  const Vector<float> gamma("gamma", 4), wrong("wrong", 3);
  EXPECT_EQ(caught<ShapeError>([&] { groupnorm_forward(context, {.groups = 3}, x, gamma, gamma, x, three, three); }),
            "groupnorm_forward: 4 channels, groups is 3: expected channels that are a multiple of the groups");
  EXPECT_THROW(groupnorm_forward(context, {.groups = 2, .rows = {0}}, x, gamma, gamma, x, two, two), ShapeError);
  EXPECT_THROW(groupnorm_forward(context, {.groups = 2, .rows = {3, 2}}, x, gamma, gamma, x, two, two), ShapeError);
  EXPECT_THROW(groupnorm_forward(context, {.groups = 2}, x, gamma, wrong, x, two, two), ShapeError);
  EXPECT_THROW(groupnorm_forward(context, {.groups = 2}, x, gamma, gamma, x, two, three), ShapeError);
  EXPECT_THROW(groupnorm_backward_input(context, {.groups = 2}, x, gamma, two, two, two, x), ShapeError);
  EXPECT_THROW(
      groupnorm_backward_weights<float>(context, {.groups = 2}, Store::overwrite, x, two, two, x, gamma, wrong),
      ShapeError);
}

}  // namespace
}  // namespace partita::kernels::test::groupnorm_tests
