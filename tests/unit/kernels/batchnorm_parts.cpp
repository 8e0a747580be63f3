// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>
#include <partita/kernels/batchnorm_parts.hpp>
#include <partita/kernels/pool2d.hpp>

#include "image_parts.hpp"
#include "support.hpp"

// Batch norm and the global average of images whose rows are shared: nodes of the parts, merged, are the whole's sums.

namespace partita::kernels::test::batchnorm_parts_tests {
namespace {

template <class Scalar>
class batchnorm_parts : public ::testing::Test {};
TYPED_TEST_SUITE(batchnorm_parts, BlockScalars);

constexpr index_t columns = 2;  // of an image

/// Calls check(cut, B, C) for every cut.
template <class Check>
void for_parts(const Check& check) {
  for (const auto& cut : row_cuts)
    for (const index_t B : {1, 3})
      for (const index_t C : {3, 70}) {
        SCOPED_TRACE("rows " + std::to_string(cut.back()) + " B " + std::to_string(B) + " C " + std::to_string(C));
        check(cut, B, C);
      }
}

TYPED_TEST(batchnorm_parts, merged_nodes_have_the_bits_of_the_whole) {
  using Scalar = TypeParam;
  using Real = accumulate_t<Scalar>;
  for_parts([](const std::vector<index_t>& cut, index_t B, index_t C) {
    const index_t H = cut.back(), P = H * columns, R = B * P, pitch = columns * C;
    auto x = random_values<Scalar>(1, R * C);
    for (Scalar& v : x) v = Scalar(3 + double(v));  // a mean that is not small
    const auto y = random_values<Scalar>(2, R * C), dy = random_values<Scalar>(3, R * C);
    for (const bool relu : {false, true}) {
      const auto all = instances();
      const Exec& exec = all[std::size_t(B + C + (relu ? 1 : 0)) % all.size()];
      Context context(exec);
      const BatchnormOptions whole{.relu = relu, .count = R, .pixels = P, .rows = {H}};
      const Vector<Real> mean("mean", C), variance("variance", C), rstd("rstd", C), dgamma("dgamma", C),
          dbeta("dbeta", C), mean_here("mean", C), variance_here("variance", C), rstd_here("rstd", C),
          dgamma_here("dgamma", C), dbeta_here("dbeta", C);
      const Vector<double> unrounded("unrounded", C);
      const Placed<Scalar> x_all(x, R, C), y_all(y, R, C), dy_all(dy, R, C);
      batchnorm_stats<Scalar>(context, whole, x_all.matrix(), mean, variance);
      batchnorm_finish<Real>(exec, whole, variance, variance, rstd);
      batchnorm_backward_sums<Scalar>(context, whole, x_all.matrix(), y_all.matrix(), mean, rstd, dy_all.matrix(),
                                      dgamma, dbeta);

      const auto nodes_of = [&](index_t sums, const auto& run) {
        return root_of_parts<double>(cut, sums * C, [&](index_t first, index_t end, const std::vector<Node>& nodes) {
          const index_t rows = B * (end - first) * columns;
          const BatchnormOptions here{.relu = relu, .pixels = (end - first) * columns, .rows = {end - first}};
          const Placement p = placements[std::size_t(first) % placements.size()];
          const auto part = [&](const auto& of) {
            return Placed<Scalar>(image_rows(of, H, pitch, first, end), rows, C, p);
          };
          const Placed<double> to(index_t(nodes.size()), sums * C, p);
          run(here, std::span<const Node>(nodes), part(x), part(y), part(dy), to);
          exec.fence();
          EXPECT_TRUE(to.surroundings_untouched());
          return to.values();
        });
      };
      const auto sums = nodes_of(1, [&](const auto& here, auto nodes, const auto& x_at, auto&&, auto&&, auto& to) {
        batchnorm_sum_nodes<Scalar>(context, here, nodes, x_at.matrix(), to.matrix());
      });
      batchnorm_mean(exec, R, to_device(sums), unrounded);
      const auto squares = nodes_of(1, [&](const auto& here, auto nodes, const auto& x_at, auto&&, auto&&, auto& to) {
        batchnorm_square_nodes<Scalar>(context, here, nodes, x_at.matrix(), unrounded, to.matrix());
      });
      batchnorm_finish_parts<Real>(exec, whole, unrounded, to_device(squares), mean_here, variance_here, rstd_here);
      const auto slopes = nodes_of(
          2, [&](const auto& here, auto nodes, const auto& x_at, const auto& y_at, const auto& dy_at, auto& to) {
            batchnorm_slope_nodes<Scalar>(context, here, nodes, x_at.matrix(), relu ? y_at.matrix() : Matrix<Scalar>(),
                                          mean_here, dy_at.matrix(), to.matrix());
          });
      batchnorm_finish_slopes<Real>(exec, to_device(slopes), rstd_here, dgamma_here, dbeta_here);
      exec.fence();
      EXPECT_TRUE(same_bits(to_host(mean_here), to_host(mean)));
      EXPECT_TRUE(same_bits(to_host(variance_here), to_host(variance)));
      EXPECT_TRUE(same_bits(to_host(rstd_here), to_host(rstd)));
      EXPECT_TRUE(same_bits(to_host(dgamma_here), to_host(dgamma)));
      EXPECT_TRUE(same_bits(to_host(dbeta_here), to_host(dbeta)));
    }
  });
}

TYPED_TEST(batchnorm_parts, merged_global_averages_have_the_bits_of_the_whole) {
  using Scalar = TypeParam;
  using Real = accumulate_t<Scalar>;
  for_parts([](const std::vector<index_t>& cut, index_t B, index_t C) {
    const index_t H = cut.back(), P = H * columns, pitch = columns * C;
    const auto x = random_values<Scalar>(1, B * P * C), dy = random_values<Scalar>(2, B * C);
    const Placed<Scalar> y(B, C), finished(B, C, {3, 5}), dy_at(dy, B, C), dx(B, P * C);
    const Exec exec = instances().back();
    global_average_pool2d_forward(exec, P, {H}, Placed<Scalar>(x, B, P * C).matrix(), y.matrix());
    global_average_pool2d_backward(exec, P, dy_at.matrix(), dx.matrix());
    exec.fence();
    const auto sum = root_of_parts<Real>(cut, B * C, [&](index_t first, index_t end, const std::vector<Node>& nodes) {
      const index_t rows = end - first, pixels = rows * columns;
      const Placed<Scalar> here(image_rows(x, H, pitch, first, end), B, pixels * C, {1, 0}),
          dx_here(B, pixels * C, {3, 5});
      const Placed<Real> to(index_t(nodes.size()), B * C, {1, 2});
      global_average_pool2d_nodes<Scalar>(exec, pixels, {rows}, nodes, here.matrix(), to.matrix());
      global_average_pool2d_backward(exec, pixels, dy_at.matrix(), dx_here.matrix(), P);
      exec.fence();
      EXPECT_TRUE(same_bits(dx_here.values(), image_rows(dx.values(), H, pitch, first, end)));
      EXPECT_TRUE(to.surroundings_untouched() && dx_here.surroundings_untouched());
      return to.values();
    });
    global_average_pool2d_finish(exec, P, to_device(sum), finished.matrix());
    exec.fence();
    EXPECT_TRUE(same_bits(finished.values(), y.values()));
    EXPECT_TRUE(finished.surroundings_untouched());
  });
}

TEST(batchnorm_parts_shapes, errors_name_operand_and_extents) {
  Context context;
  const Matrix<float> x("x", 12, 3), y("y", 2, 2);
  const Matrix<double> one("one", 1, 3), wide("wide", 1, 6);
  const Vector<double> three("three", 3), two("two", 2);
  const Vector<float> mean("mean", 3), short_mean("mean", 2);
  const BatchnormOptions options{.pixels = 6, .rows = {3}};
  const std::vector<Node> node = {{0, 2}}, beyond = {{2, 4}}, both = {{0, 2}, {2, 3}};
  EXPECT_EQ(caught<ShapeError>([&] { batchnorm_sum_nodes<float>(context, options, both, x, one); }),
            "batchnorm_sum_nodes: 2 nodes, sums has 1 rows: expected a row for each node");
  EXPECT_EQ(caught<ShapeError>([&] { batchnorm_sum_nodes<float>(context, options, beyond, x, one); }),
            "batchnorm_sum_nodes: a node over leaves 2 to 4: expected some of the 3 that are here");
  EXPECT_EQ(caught<ShapeError>([&] { batchnorm_sum_nodes<float>(context, {.pixels = 5, .rows = {3}}, node, x, one); }),
            "batchnorm_sum_nodes: 12 rows, an image has 5 pixels: expected rows (images, pixels)");
  EXPECT_THROW(batchnorm_sum_nodes<float>(context, options, node, x, wide), ShapeError);
  EXPECT_THROW(batchnorm_square_nodes<float>(context, options, node, x, two, one), ShapeError);
  EXPECT_THROW(batchnorm_slope_nodes<float>(context, options, node, x, {}, mean, x, one), ShapeError);
  EXPECT_THROW(batchnorm_slope_nodes<float>(context, options, node, x, {}, short_mean, x, wide), ShapeError);
  EXPECT_THROW(
      batchnorm_slope_nodes<float>(context, {.relu = true, .pixels = 6, .rows = {3}}, node, x, {}, mean, x, wide),
      ShapeError);
  EXPECT_THROW(batchnorm_mean(Exec(), 12, three, two), ShapeError);
  EXPECT_THROW(batchnorm_finish_parts<float>(Exec(), options, two, three, mean, mean, mean), ShapeError);
  EXPECT_THROW(batchnorm_finish_slopes<float>(Exec(), three, mean, mean, mean), ShapeError);
  EXPECT_THROW(
      global_average_pool2d_nodes<float>(Exec(), 6, {3}, beyond, Matrix<float>("x", 1, 6), Matrix<float>("sums", 1, 1)),
      ShapeError);
  EXPECT_THROW(
      global_average_pool2d_nodes<float>(Exec(), 6, {3}, node, Matrix<float>("x", 1, 6), Matrix<float>("sums", 1, 2)),
      ShapeError);
  EXPECT_THROW(global_average_pool2d_finish<float>(Exec(), 6, mean, y), ShapeError);
}

}  // namespace
}  // namespace partita::kernels::test::batchnorm_parts_tests
