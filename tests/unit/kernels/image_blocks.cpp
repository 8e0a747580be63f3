// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/partition.hpp>
#include <partita/kernels/backend/range.hpp>
#include <partita/kernels/batchnorm.hpp>
#include <partita/kernels/conv2d.hpp>
#include <partita/kernels/groupnorm.hpp>
#include <partita/kernels/pool2d.hpp>
#include <partita/kernels/reference.hpp>

#include "support.hpp"

// Sums over images cut into blocks of rows: each is the recursive tree of core/tree.hpp over plain chains, bit for bit,
// on any number of threads and whatever backend is asked for.

namespace partita::kernels::test::image_blocks_tests {
namespace {

/// value(lo, hi) = value(lo, mid) + value(mid, hi).
template <class Leaf>
auto tree(index_t lo, index_t hi, const Leaf& leaf) -> decltype(leaf(lo)) {
  if (hi - lo == 1) return leaf(lo);
  const index_t middle = lo + (hi - lo + 1) / 2;
  auto left = tree(lo, middle, leaf);
  const auto right = tree(middle, hi, leaf);
  for (std::size_t i = 0; i < left.size(); ++i) left[i] += right[i];
  return left;
}

/// One number a leaf: the sum over the pixels of a block.
template <class Number = double, class Value>
Number tree_over_pixels(index_t pixels, index_t leaves, const Value& value) {
  return tree(0, leaves, [&](index_t leaf) {
    const Slice part = partition(pixels, leaves, leaf);
    Number sum = 0;
    value(part.offset, part.end(), sum);
    return std::vector<Number>{sum};
  })[0];
}

/// What a chain does with a number, and with a product.
auto plain(const auto& number) {
  return [number](double& sum, index_t i) { sum += number(i); };
}
auto fused(const auto& a, const auto& b) {
  return [a, b](double& sum, index_t i) { sum = std::fma(a(i), b(i), sum); };
}

template <class Scalar>
class image_blocks : public ::testing::Test {};
using Scalars = ::testing::Types<float, double, bfloat16>;
TYPED_TEST_SUITE(image_blocks, Scalars);

TYPED_TEST(image_blocks, weight_gradients_of_convolutions) {
  using Scalar = TypeParam;
  using Sum = accumulate_t<Scalar>;
  struct Size {
    index_t B;
    Conv2dShape s;
  };
  for (const Size& z : {Size{3, {7, 6, 5, 9, 3, 3, 1, 1}}, Size{1, {9, 5, 3, 17, 3, 3, 2, 1}},
                        Size{18, {5, 4, 2, 3, 1, 1, 2, 0}}, Size{2, {70, 33, 3, 2, 5, 5, 1, 2}}, Size{0, {4, 4, 3, 5}}})
    for (index_t leaves : {z.s.out_rows(), index_t(2), index_t(11)}) {
      const Conv2dShape& s = z.s;
      SCOPED_TRACE("rows " + std::to_string(s.rows) + " leaves " + std::to_string(leaves));
      const auto x = random_values<Scalar>(1, z.B * s.inputs()), dy = random_values<Scalar>(2, z.B * s.outputs());
      const auto there = random_values<Sum>(3, s.filters * s.kernel()), there_b = random_values<Sum>(4, s.filters);
      const auto sums = [&](index_t leaf) {
        const Slice rows = partition(s.out_rows(), leaves, leaf);
        return reference::conv2d_backward_weights(s, x, dy, z.B, rows.offset, rows.end());
      };
      const auto dW = tree(0, leaves, [&](index_t leaf) { return sums(leaf).first; });
      const auto db = tree(0, leaves, [&](index_t leaf) { return sums(leaf).second; });
      auto dW_added = there, db_added = there_b;
      for (std::size_t i = 0; i < dW.size(); ++i) dW_added[i] += dW[i];
      for (std::size_t i = 0; i < db.size(); ++i) db_added[i] += db[i];
      for (const Exec& exec : instances())
        for (Placement p : placements) {
          Context context(exec);
          const Placed<Scalar> x_at(x, z.B, s.inputs(), p), dy_at(dy, z.B, s.outputs(), p);
          const Placed<Sum> dW_at(there, s.filters, s.kernel(), p), alone(s.filters, s.kernel(), p);
          const auto db_at = to_device(there_b, p.offset);
          const auto run = [&](Store store, const Placed<Sum>& to, const Vector<Sum>& to_b) {
            conv2d_backward_weights<Scalar>(context, s, {leaves}, store, x_at.matrix(), dy_at.matrix(), to.matrix(),
                                            to_b);
            exec.fence();
            EXPECT_TRUE(to.surroundings_untouched());
          };
          run(Store::accumulate, dW_at, db_at);
          EXPECT_TRUE(same_bits(dW_at.values(), dW_added));
          EXPECT_TRUE(same_bits(to_host(db_at), db_added));
          run(Store::overwrite, dW_at, db_at);
          EXPECT_TRUE(same_bits(dW_at.values(), dW));
          EXPECT_TRUE(same_bits(to_host(db_at), db));
          run(Store::overwrite, alone, {});
          EXPECT_TRUE(same_bits(alone.values(), dW));
        }
    }
}

/// B images of P pixels and C channels.
struct Images {
  index_t B, P, C, leaves;
};
const std::vector<Images> several = {{3, 15, 5, 5},  {1, 7, 1, 7},   {2, 12, 17, 3}, {5, 3, 64, 7},
                                     {2, 66, 3, 11}, {3, 10, 70, 2}, {0, 6, 3, 3}};

std::string text(const Images& z) {
  return "B " + std::to_string(z.B) + " P " + std::to_string(z.P) + " C " + std::to_string(z.C) + " leaves " +
         std::to_string(z.leaves);
}

TYPED_TEST(image_blocks, batch_norm) {
  using Scalar = TypeParam;
  using Real = accumulate_t<Scalar>;
  for (const Images& z : several)
    for (bool relu : {false, true}) {
      SCOPED_TRACE(text(z));
      const index_t R = z.B * z.P, C = z.C;
      const BatchnormOptions options{.relu = relu, .pixels = z.P, .rows = {z.leaves}};
      const auto x = random_values<Scalar>(1, R * C), y = random_values<Scalar>(2, R * C),
                 dy = random_values<Scalar>(3, R * C);
      const auto rstd = random_values<Real>(4, C);
      std::vector<Real> mean, squares, dgamma, dbeta;
      for (index_t c = 0; c < C; ++c) {
        const auto sum = [&](auto term) {
          return tree_over_pixels(z.P, z.leaves, [&](index_t first, index_t end, double& total) {
            for (index_t b = 0; b < z.B; ++b)
              for (index_t p = first; p < end; ++p) term(total, (b * z.P + p) * C + c);
          });
        };
        const double m = R > 0 ? sum(plain([&](index_t i) { return double(x[i]); })) / double(R) : 0.0;
        mean.push_back(Real(m));
        const auto off = [&](index_t i) { return double(x[i]) - m; };
        squares.push_back(Real(sum(fused(off, off))));
        const auto dz = [&](index_t i) { return relu && !(double(y[i]) > 0) ? 0.0 : double(dy[i]); };
        const double tilt = sum(fused(dz, [&](index_t i) { return double(x[i]) - double(mean[c]); }));
        dgamma.push_back(Real(tilt * double(rstd[c])));
        dbeta.push_back(Real(sum(plain(dz))));
      }
      for (const Exec& exec : instances())
        for (Placement p : placements) {
          Context context(exec);
          const Placed<Scalar> x_at(x, R, C, p), y_at(y, R, C, p), dy_at(dy, R, C, p);
          const Vector<Real> mean_at("mean", C), squares_at("squares", C), dgamma_at("dgamma", C), dbeta_at("dbeta", C);
          batchnorm_stats<Scalar>(context, options, x_at.matrix(), mean_at, squares_at);
          batchnorm_backward_sums<Scalar>(context, options, x_at.matrix(), y_at.matrix(), mean_at, to_device(rstd),
                                          dy_at.matrix(), dgamma_at, dbeta_at);
          exec.fence();
          EXPECT_TRUE(same_bits(to_host(mean_at), mean));
          EXPECT_TRUE(same_bits(to_host(squares_at), squares));
          EXPECT_TRUE(same_bits(to_host(dgamma_at), dgamma));
          EXPECT_TRUE(same_bits(to_host(dbeta_at), dbeta));
        }
    }
}

TYPED_TEST(image_blocks, group_norm) {
  using Scalar = TypeParam;
  using Real = accumulate_t<Scalar>;
  for (const Images& z : several) {
    SCOPED_TRACE(text(z));
    const index_t B = z.B, P = z.P, C = z.C, groups = C % 5 == 0 ? 5 : 1, width = C / groups;
    const GroupnormOptions options{.groups = groups, .rows = {z.leaves}};
    const auto x = random_values<Scalar>(1, B * P * C), dy = random_values<Scalar>(2, B * P * C),
               gamma = random_values<Scalar>(3, C), beta = random_values<Scalar>(4, C);
    const auto there = random_values<Real>(5, C);
    std::vector<Real> mean, rstd, shift, tilt, dgamma, dbeta;
    const double n = double(P * width);
    for (index_t b = 0; b < B; ++b)
      for (index_t g = 0; g < groups; ++g) {
        const auto sum = [&](auto weight, auto term) {
          return tree_over_pixels(P, z.leaves, [&](index_t first, index_t end, double& total) {
            for (index_t c = g * width; c < (g + 1) * width; ++c) {
              double chain = 0;
              for (index_t p = first; p < end; ++p) term(chain, (b * P + p) * C + c);
              total += weight(c) * chain;
            }
          });
        };
        const auto one = [](index_t) { return 1.0; };
        const auto scaled = [&](index_t c) { return double(gamma[c]); };
        const auto slope = [&](index_t i) { return double(dy[i]); };
        const double m = sum(one, plain([&](index_t i) { return double(x[i]); })) / n;
        const auto off = [&](index_t i) { return double(x[i]) - m; };
        mean.push_back(Real(m));
        rstd.push_back(Real(1 / std::sqrt(sum(one, fused(off, off)) / n + options.epsilon)));
        const double s = double(rstd.back()), centre = double(mean.back());
        shift.push_back(Real(sum(scaled, plain(slope)) / n));
        const auto off_centre = [&](index_t i) { return double(x[i]) - centre; };
        tilt.push_back(Real(s * s * sum(scaled, fused(slope, off_centre)) / n));
      }
    for (index_t c = 0; c < C; ++c) {
      const auto sum = [&](auto weight, auto term) {
        return tree_over_pixels(P, z.leaves, [&](index_t first, index_t end, double& total) {
          for (index_t b = 0; b < B; ++b) {
            double chain = 0;
            for (index_t p = first; p < end; ++p) term(chain, (b * P + p) * C + c);
            total += weight(b * groups + c / width) * chain;
          }
        });
      };
      const auto slope = [&](index_t i) { return double(dy[i]); };
      const auto off = [&](index_t i) { return double(x[i]) - double(mean[i / (P * C) * groups + c / width]); };
      dbeta.push_back(Real(double(there[c]) + sum([](index_t) { return 1.0; }, plain(slope))));
      dgamma.push_back(Real(double(there[c]) + sum([&](index_t at) { return double(rstd[at]); }, fused(slope, off))));
    }
    std::vector<Scalar> dx;
    for (index_t i = 0; i < B * P * C; ++i) {
      const index_t at = i / (P * C) * groups + i % C / width;
      const Real slope = Real(gamma[i % C]) * Real(dy[i]), d = Real(x[i]) - mean[at];
      dx.push_back(Scalar(rstd[at] * (slope - shift[at] - d * tilt[at])));
    }
    for (const Exec& exec : instances())
      for (Placement p : placements) {
        Context context(exec);
        const Placed<Scalar> x_at(x, B, P * C, p), dy_at(dy, B, P * C, p), y_at(B, P * C, p), dx_at(B, P * C, p);
        const Placed<Real> mean_at(B, groups, p), rstd_at(B, groups, p);
        const auto gamma_at = to_device(gamma), beta_at = to_device(beta);
        const auto dgamma_at = to_device(there), dbeta_at = to_device(there);
        groupnorm_forward(context, options, x_at.matrix(), gamma_at, beta_at, y_at.matrix(), mean_at.matrix(),
                          rstd_at.matrix());
        groupnorm_backward_input(context, options, x_at.matrix(), gamma_at, mean_at.matrix(), rstd_at.matrix(),
                                 dy_at.matrix(), dx_at.matrix());
        groupnorm_backward_weights<Scalar>(context, options, Store::accumulate, x_at.matrix(), mean_at.matrix(),
                                           rstd_at.matrix(), dy_at.matrix(), dgamma_at, dbeta_at);
        exec.fence();
        EXPECT_TRUE(same_bits(mean_at.values(), mean));
        EXPECT_TRUE(same_bits(rstd_at.values(), rstd));
        if (!backend::runs_on_host) continue;  // a device's compiler fuses what puts channels and images together
        EXPECT_TRUE(same_bits(dx_at.values(), dx));
        EXPECT_TRUE(same_bits(to_host(dgamma_at), dgamma));
        EXPECT_TRUE(same_bits(to_host(dbeta_at), dbeta));
      }
  }
}

TYPED_TEST(image_blocks, global_average) {
  using Scalar = TypeParam;
  using Real = accumulate_t<Scalar>;
  for (const Images& z : several) {
    SCOPED_TRACE(text(z));
    const auto x = random_values<Scalar>(1, z.B * z.P * z.C);
    std::vector<Scalar> y;
    for (index_t b = 0; b < z.B; ++b)
      for (index_t c = 0; c < z.C; ++c)
        y.push_back(Scalar(tree_over_pixels<Real>(z.P, z.leaves,
                                                  [&](index_t first, index_t end, Real& total) {
                                                    for (index_t p = first; p < end; ++p)
                                                      total += Real(x[(b * z.P + p) * z.C + c]);
                                                  }) /
                           Real(z.P)));
    for (const Exec& exec : instances())
      for (Placement p : placements) {
        const Placed<Scalar> x_at(x, z.B, z.P * z.C, p), y_at(z.B, z.C, p);
        global_average_pool2d_forward(exec, z.P, {z.leaves}, x_at.matrix(), y_at.matrix());
        exec.fence();
        EXPECT_TRUE(same_bits(y_at.values(), y));
        EXPECT_TRUE(y_at.surroundings_untouched());
      }
  }
}

}  // namespace
}  // namespace partita::kernels::test::image_blocks_tests
