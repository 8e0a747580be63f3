// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/layernorm.hpp>

#include "numbers.hpp"

namespace partita::kernels::test::layernorm_tests {
namespace {

constexpr double epsilon = 1e-5;

template <class Scalar>
struct Operands {
  index_t B, C;
  std::vector<Scalar> x, gamma, beta, dy;

  Operands(index_t rows, index_t columns) : B(rows), C(columns) {
    x = random_values<Scalar>(1, B * C), gamma = random_values<Scalar>(2, C), beta = random_values<Scalar>(3, C);
    dy = random_values<Scalar>(4, B * C);
  }
};

template <class Scalar>
struct Results {
  std::vector<Scalar> y, dx;
  std::vector<accumulate_t<Scalar>> dgamma, dbeta, mean, rstd;
};

/// Layer norm, or root-mean-square norm if not `centred`: mean is then 0 and dbeta is empty.
template <class Scalar>
Results<Scalar> run(const Exec& exec, bool centred, const Operands<Scalar>& o, Placement p = {},
                    Store store = Store::overwrite) {
  using A = accumulate_t<Scalar>;
  Context context(exec);
  const Placed<Scalar> x(o.x, o.B, o.C, p), dy(o.dy, o.B, o.C, p), y(o.B, o.C, p), dx(o.B, o.C, p);
  const auto gamma = to_device(o.gamma, p.offset), beta = to_device(o.beta, p.offset);
  const auto mean = to_device(std::vector<A>(o.B, A(0)), p.offset), rstd = to_device(std::vector<A>(o.B), p.offset);
  const auto dgamma = to_device(std::vector<A>(o.C, A(7)), p.offset);
  const auto dbeta = to_device(std::vector<A>(centred ? o.C : 0, A(7)), p.offset);
  if (centred) {
    layernorm_forward<Scalar>(exec, epsilon, x.matrix(), gamma, beta, y.matrix(), mean, rstd);
    layernorm_backward_input<Scalar>(exec, x.matrix(), gamma, mean, rstd, dy.matrix(), dx.matrix());
    layernorm_backward_weights<Scalar>(context, {}, store, x.matrix(), mean, rstd, dy.matrix(), dgamma, dbeta);
  } else {
    rmsnorm_forward<Scalar>(exec, epsilon, x.matrix(), gamma, y.matrix(), rstd);
    rmsnorm_backward_input<Scalar>(exec, x.matrix(), gamma, rstd, dy.matrix(), dx.matrix());
    rmsnorm_backward_weights<Scalar>(context, {}, store, x.matrix(), rstd, dy.matrix(), dgamma);
  }
  exec.fence();
  EXPECT_TRUE(y.surroundings_untouched());
  EXPECT_TRUE(dx.surroundings_untouched());
  return {y.values(), dx.values(), to_host(dgamma), to_host(dbeta), to_host(mean), to_host(rstd)};
}

template <class Scalar>
void check(bool centred, index_t B, index_t C, Placement p) {
  SCOPED_TRACE("B " + std::to_string(B) + " C " + std::to_string(C) + (centred ? " layer" : " rms"));
  const Operands<Scalar> o(B, C);
  const auto got = run(Exec(), centred, o, p);
  const Numbers x = in_double(o.x), gamma = in_double(o.gamma), dy = in_double(o.dy);
  const auto expected = reference::norm_forward(centred, epsilon, x, gamma, in_double(o.beta), B, C);
  // The mean errs by gamma_C |x|; squares and root by C + 8 roundings and twice what the mean did, relatively.
  const double u = roundoff<Scalar>, n = double(C), X = largest(x), rstd = largest(expected.rstd);
  const double mean_error = centred ? (n + 4) * u * X : 0;
  const double relative = (n + 8) * u + 4 * mean_error * X * rstd * rstd;
  const double normal = 2 * X * rstd;  // |n| is at most that
  EXPECT_TRUE(close(got.mean, expected.mean, mean_error));
  EXPECT_TRUE(close(got.rstd, expected.rstd, rstd * relative));
  const double y_error = largest(gamma) * (mean_error * rstd + normal * (relative + 4 * u)) + 4 * u;
  EXPECT_TRUE(close(got.y, expected.y, y_error + u * largest(expected.y)));

  // Backward starts from the statistics that forward stored; x - mean rounds, and every sum.
  const reference::Norm stored{expected.y, in_double(got.mean), in_double(got.rstd)};
  const double G = largest(dy) * std::max(1.0, largest(gamma)), rounding = 4 * u * X * rstd;
  const double along = (n + 16) * 2 * u * (1 + normal) * (1 + normal) + 4 * (1 + normal) * rounding;
  EXPECT_TRUE(close(got.dx, reference::norm_backward_input(centred, x, gamma, stored, dy, B, C), rstd * G * along));
  Numbers sums = reference::norm_backward_weights(x, stored, dy, B, C);
  Numbers dbeta(sums.begin() + C, sums.end());
  sums.resize(C);
  const double rows = double(B) * largest(dy);
  EXPECT_TRUE(close(got.dgamma, sums, rows * (normal * (double(B) + 8) * 2 * u + rounding)));
  if (centred) {
    EXPECT_TRUE(close(got.dbeta, dbeta, rows * (double(B) + 4) * u));
  }
}

template <class Scalar>
class layernorm : public ::testing::Test {};
TYPED_TEST_SUITE(layernorm, AllScalars);

TYPED_TEST(layernorm, agrees_with_the_reference) {
  for (bool centred : {true, false})
    for (Placement p : placements)
      for (index_t B : odd_sizes)
        for (index_t C : {1, 3, 17, 33, 300}) check<TypeParam>(centred, B, C, p);
}

TYPED_TEST(layernorm, any_number_of_threads_gives_the_same_bits) {
  const Operands<TypeParam> o(101, 70);
  for (bool centred : {true, false}) {
    const auto expected = run(Exec(), centred, o);
    for (const Exec& exec : instances()) {
      const auto got = run(exec, centred, o, {1, 3});
      EXPECT_TRUE(same_bits(got.y, expected.y));
      EXPECT_TRUE(same_bits(got.rstd, expected.rstd));
      EXPECT_TRUE(same_bits(got.mean, expected.mean));
      EXPECT_TRUE(same_bits(got.dx, expected.dx));
      EXPECT_TRUE(same_bits(got.dgamma, expected.dgamma));
      EXPECT_TRUE(same_bits(got.dbeta, expected.dbeta));
    }
  }
}

TYPED_TEST(layernorm, gradients_of_weights_are_added_to_what_is_there) {
  for (bool centred : {true, false})
    for (index_t B : odd_sizes) {
      const Operands<TypeParam> o(B, 70);
      auto expected = run(Exec(), centred, o);
      const auto got = run(Exec(), centred, o, {1, 3}, Store::accumulate);
      for (auto& value : expected.dgamma) value = 7 + value;
      for (auto& value : expected.dbeta) value = 7 + value;
      EXPECT_TRUE(same_bits(got.dgamma, expected.dgamma));
      EXPECT_TRUE(same_bits(got.dbeta, expected.dbeta));
    }
}

/// A row's results are its own; a column's sums do not depend on the columns beside it.
TYPED_TEST(layernorm, of_a_part_is_the_part) {
  using Scalar = TypeParam;
  const Operands<Scalar> o(40, 150);
  const auto expected = run(Exec(), true, o);
  Operands<Scalar> row(1, o.C);
  row.gamma = o.gamma, row.beta = o.beta;
  const auto of = [&](const std::vector<Scalar>& all) {
    return std::vector<Scalar>(all.begin() + 17 * o.C, all.begin() + 18 * o.C);
  };
  row.x = of(o.x), row.dy = of(o.dy);
  const auto got = run(Exec(), true, row);
  EXPECT_TRUE(same_bits(got.y, of(expected.y)));
  EXPECT_TRUE(same_bits(got.dx, of(expected.dx)));

  Context context;
  const Placed<Scalar> x(o.x, o.B, o.C), dy(o.dy, o.B, o.C);
  const auto columns = [&](const Placed<Scalar>& all) {
    return Matrix<Scalar>(Kokkos::subview(all.matrix(), Kokkos::ALL, Kokkos::pair<index_t, index_t>(77, 90)));
  };
  const Vector<accumulate_t<Scalar>> dgamma("dgamma", 13), dbeta("dbeta", 13);
  layernorm_backward_weights<Scalar>(context, {}, Store::overwrite, columns(x), to_device(expected.mean),
                                     to_device(expected.rstd), columns(dy), dgamma, dbeta);
  Kokkos::fence();
  const auto part = [](const std::vector<accumulate_t<Scalar>>& all) {
    return std::vector<accumulate_t<Scalar>>(all.begin() + 77, all.begin() + 90);
  };
  EXPECT_TRUE(same_bits(to_host(dgamma), part(expected.dgamma)));
  EXPECT_TRUE(same_bits(to_host(dbeta), part(expected.dbeta)));
}

TEST(layernorm_gradient, is_the_slope_in_double) {
  for (bool centred : {true, false}) {
    const Operands<double> o(3, 5);
    const auto got = run(Exec(), centred, o);
    const auto slope = [&](std::vector<double> Operands<double>::*operand, const std::vector<double>& gradient) {
      const auto loss = [&](const std::vector<double>& at) {
        Operands<double> moved = o;
        moved.*operand = at;
        return product(run(Exec(), centred, moved).y, o.dy);
      };
      expect_slope(loss, o.*operand, gradient);
    };
    slope(&Operands<double>::x, got.dx);
    slope(&Operands<double>::gamma, got.dgamma);
    if (centred) slope(&Operands<double>::beta, got.dbeta);
  }
}

TEST(layernorm_shapes, errors_name_operand_and_extents) {
  Context context;
  const Matrix<float> x("x", 4, 6), short_x("x", 4, 5);
  const Vector<float> columns("c", 6), rows("r", 4);
  EXPECT_EQ(caught<ShapeError>([&] { layernorm_forward<float>(Exec(), epsilon, x, rows, columns, x, rows, rows); }),
            "layernorm_forward: gamma has 4 elements, x has 6 columns: expected one for each column of x (B, C)");
  EXPECT_EQ(
      caught<ShapeError>([&] { layernorm_forward<float>(Exec(), epsilon, x, columns, columns, x, columns, rows); }),
      "layernorm_forward: mean has 6 elements, x has 4 rows: expected one for each row of x (B, C)");
  EXPECT_EQ(caught<ShapeError>([&] { rmsnorm_backward_input<float>(Exec(), x, columns, rows, short_x, x); }),
            "rmsnorm_backward_input: dy is (4, 5), x is (4, 6): expected the same shape (B, C)");
  EXPECT_EQ(
      caught<ShapeError>(
          [&] { layernorm_backward_weights<float>(context, {}, Store::overwrite, x, rows, rows, x, columns, rows); }),
      "layernorm_backward_weights: dbeta has 4 elements, x has 6 columns: expected one for each column of x (B, C)");
}

}  // namespace
}  // namespace partita::kernels::test::layernorm_tests
