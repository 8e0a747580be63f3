// SPDX-License-Identifier: BSD-3-Clause
#include <span>

#include <partita/core/error.hpp>
#include <partita/kernels/backend/range.hpp>
#include <partita/kernels/linear.hpp>
#include <partita/kernels/reference.hpp>

#include "support.hpp"

namespace partita::kernels::test::linear_tests {
namespace {

const std::vector<Activation> activations = {Activation::identity, Activation::relu, Activation::tanh,
                                             Activation::sigmoid,  Activation::gelu, Activation::gelu_tanh,
                                             Activation::silu};

/// What a vendor's tanh or logistic may err by, beside the rounding of its argument: their values are at most 1.
constexpr double activation_error = 8;  // units of roundoff

constexpr Store stores[] = {Store::overwrite, Store::accumulate};

struct Sizes {
  index_t B, N, K;
  std::vector<index_t> key(Activation activation = Activation::identity) const {
    return {B, N, K, index_t(activation)};
  }
};
std::string text(Sizes s, Placement p) {
  return "B " + std::to_string(s.B) + " N " + std::to_string(s.N) + " K " + std::to_string(s.K) + " offset " +
         std::to_string(p.offset) + " pad " + std::to_string(p.pad);
}

std::vector<Sizes> odd() {
  std::vector<Sizes> all;
  for (index_t B : odd_sizes)
    for (index_t N : odd_sizes)
      for (index_t K : odd_sizes) all.push_back({B, N, K});
  return all;
}

/// Beyond one block of rows, of columns, of depth; one row; one column; many columns at depth 1.
const std::vector<Sizes> large = {{100, 530, 300}, {1, 300, 600}, {257, 1, 513}, {5, 1030, 1}, {199, 65, 256}};

/// The oracle of a linear layer: inputs, expected outputs, and the error bounds of any order of summation:
/// two sums of n products, each off by at most gamma_n sum |a b|, gamma_n ~ n u (Higham 2002, section 3.1).
template <class Scalar>
struct Case {
  Sizes s;
  std::vector<Scalar> x, W, b, dy;

  explicit Case(Sizes sizes) : s(sizes) {
    x = random_values<Scalar>(1, s.B * s.K);
    W = random_values<Scalar>(2, s.N * s.K);
    b = random_values<Scalar>(3, s.N);
    dy = random_values<Scalar>(4, s.B * s.N);
  }
  static std::vector<Scalar> magnitude(std::vector<Scalar> values) {
    for (Scalar& v : values) v = std::abs(v);
    return values;
  }
  static std::vector<double> scaled(const std::vector<Scalar>& sums, index_t n, double extra) {
    std::vector<double> bound;
    for (Scalar sum : sums) bound.push_back(unit_roundoff<Scalar> * (2 * double(n + 2) * double(sum) + extra));
    return bound;
  }
};

template <class Scalar>
void check_forward(Context& context, Activation activation, Sizes s, Placement p) {
  SCOPED_TRACE(text(s, p));
  const Case<Scalar>& c = once(s.key(), [&] { return Case<Scalar>(s); });
  const Placed<Scalar> x(c.x, s.B, s.K, p), W(c.W, s.N, s.K, p), y(s.B, s.N, p);
  const Vector<Scalar> b = to_device(c.b, p.offset);
  linear_forward(context, {.activation = activation}, x.matrix(), W.matrix(), b, y.matrix());
  context.exec().fence();
  const auto& expected =
      once(s.key(activation), [&] { return reference::linear_forward(activation, c.x, c.W, c.b, s.B, s.N, s.K); });
  EXPECT_TRUE(y.surroundings_untouched());
  const bool exact = context.backend(Kernel::linear) == Backend::portable || std::is_same_v<Scalar, double>;
  if (exact && (backend::runs_on_host || activation == Activation::identity || activation == Activation::relu)) {
    EXPECT_TRUE(same_bits(y.values(), expected));
  } else {
    const auto& sums = once(s.key(), [&] {
      return reference::linear_forward(Activation::identity, c.magnitude(c.x), c.magnitude(c.W), c.magnitude(c.b), s.B,
                                       s.N, s.K);
    });
    EXPECT_TRUE(within(y.values(), expected, c.scaled(sums, s.K, activation_error)));
  }
}

template <class Scalar>
void check_backward(Context& context, Store store, Sizes s, Placement p) {
  SCOPED_TRACE(text(s, p) + (store == Store::accumulate ? " accumulated" : ""));
  const Case<Scalar>& c = once(s.key(), [&] { return Case<Scalar>(s); });
  const bool adds = store == Store::accumulate;
  const auto there = adds ? random_values<Scalar>(5, s.N * s.K) : std::vector<Scalar>(s.N * s.K, Scalar(NAN));
  const auto db_there = adds ? random_values<Scalar>(6, s.N) : std::vector<Scalar>(s.N, Scalar(NAN));
  const Placed<Scalar> x(c.x, s.B, s.K, p), W(c.W, s.N, s.K, p), dy(c.dy, s.B, s.N, p), dx(s.B, s.K, p),
      dW(there, s.N, s.K, p), dW_alone(there, s.N, s.K, p);
  const Vector<Scalar> db = to_device(db_there, p.offset);
  linear_backward_input(context, {}, dy.matrix(), W.matrix(), dx.matrix());
  linear_backward_weights<Scalar>(context, {}, store, x.matrix(), dy.matrix(), dW.matrix(), db);
  linear_backward_weights<Scalar>(context, {}, store, x.matrix(), dy.matrix(), dW_alone.matrix(), {});
  context.exec().fence();
  EXPECT_TRUE(dx.surroundings_untouched());
  EXPECT_TRUE(dW.surroundings_untouched());
  const auto& dx_expected = once(s.key(), [&] { return reference::linear_backward_input(c.dy, c.W, s.B, s.N, s.K); });
  auto dW_expected = once(s.key(), [&] { return reference::linear_backward_weights(c.x, c.dy, s.B, s.N, s.K); });
  auto db_expected = reference::column_sum(c.dy, s.B, s.N);
  if (adds) {
    for (std::size_t i = 0; i < there.size(); ++i) dW_expected[i] += there[i];
    for (std::size_t i = 0; i < db_there.size(); ++i) db_expected[i] += db_there[i];
  }
  if (context.backend(Kernel::linear) == Backend::portable || std::is_same_v<Scalar, double>) {
    EXPECT_TRUE(same_bits(dx.values(), dx_expected));
    EXPECT_TRUE(same_bits(dW.values(), dW_expected));
    EXPECT_TRUE(same_bits(dW_alone.values(), dW_expected));
    EXPECT_TRUE(same_bits(to_host(db), db_expected));
  } else {
    const auto dy_size = c.magnitude(c.dy);
    const auto& dx_sums =
        once(s.key(), [&] { return reference::linear_backward_input(dy_size, c.magnitude(c.W), s.B, s.N, s.K); });
    auto dW_sums =
        once(s.key(), [&] { return reference::linear_backward_weights(c.magnitude(c.x), dy_size, s.B, s.N, s.K); });
    auto db_sums = reference::column_sum(dy_size, s.B, s.N);
    if (adds) {
      for (std::size_t i = 0; i < there.size(); ++i) dW_sums[i] += std::abs(there[i]);
      for (std::size_t i = 0; i < db_there.size(); ++i) db_sums[i] += std::abs(db_there[i]);
    }
    EXPECT_TRUE(within(dx.values(), dx_expected, c.scaled(dx_sums, s.N, 0)));
    EXPECT_TRUE(within(dW.values(), dW_expected, c.scaled(dW_sums, s.B, 0)));
    EXPECT_TRUE(within(dW_alone.values(), dW_expected, c.scaled(dW_sums, s.B, 0)));
    EXPECT_TRUE(within(to_host(db), db_expected, c.scaled(db_sums, s.B, 0)));
  }
}

template <class Scalar>
void check_all(Backend backend, std::span<const Placement> at = placements) {
  Context context(Exec(), {.backend = backend, .deterministic = false, .per_kernel = {}});
  for (Placement p : at) {
    for (Sizes s : odd()) {
      check_forward<Scalar>(context, Activation::identity, s, p);
      for (Store store : stores) check_backward<Scalar>(context, store, s, p);
    }
    for (Activation activation : activations)
      for (Sizes s : std::vector<Sizes>{{17, 33, 3}, {33, 1, 300}, {2, 129, 40}})
        check_forward<Scalar>(context, activation, s, p);
  }
  for (std::size_t i = 0; i < large.size(); ++i) {  // their references are most of the time: each at one placement
    const Placement p = at[i % at.size()];
    check_forward<Scalar>(context, Activation::relu, large[i], p);
    for (Store store : stores) check_backward<Scalar>(context, store, large[i], p);
  }
}

TEST(linear, portable_float_is_the_reference_bit_for_bit) { check_all<float>(Backend::portable); }
TEST(linear, portable_double_is_the_reference_bit_for_bit) { check_all<double>(Backend::portable); }
TEST(linear, default_backend_float_agrees_with_the_reference) { check_all<float>(Backend::automatic); }
TEST(linear, default_backend_double_falls_back_to_portable) {
  check_all<double>(Backend::automatic, std::span(placements).last(1));
}

TEST(linear, several_shapes_share_one_context) {
  Context context;
  for (int round = 0; round < 2; ++round)
    for (Sizes s : large) {
      check_forward<float>(context, Activation::tanh, s, {});
      for (Store store : stores) check_backward<float>(context, store, s, {});
    }
}

TEST(linear, any_number_of_threads_agrees_with_the_reference) {
  for (const Exec& exec : instances())
    for (Backend backend : backends()) {
      Context context(exec, {.backend = backend, .deterministic = false, .per_kernel = {}});
      for (Sizes s : large) {
        check_forward<float>(context, Activation::sigmoid, s, {});
        for (Store store : stores) check_backward<float>(context, store, s, {});
      }
    }
}

TEST(linear, no_bias_is_a_bias_of_zeros) {
  for (Backend backend : backends()) {
    Context context(Exec(), {.backend = backend, .deterministic = false, .per_kernel = {}});
    for (Activation activation : activations) {
      const Case<float> c({17, 33, 300});
      const Placed<float> x(c.x, 17, 300), W(c.W, 33, 300), y(17, 33), expected(17, 33);
      linear_forward(context, {.activation = activation}, x.matrix(), W.matrix(), {}, y.matrix());
      linear_forward(context, {.activation = activation}, x.matrix(), W.matrix(), to_device(std::vector<float>(33)),
                     expected.matrix());
      context.exec().fence();
      const auto sums = reference::linear_forward(Activation::identity, c.magnitude(c.x), c.magnitude(c.W),
                                                  std::vector<float>(33), 17, 33, 300);
      EXPECT_TRUE(within(y.values(), expected.values(), c.scaled(sums, 300, activation_error)));
    }
  }
}

/// Products of the shapes at which a vendor changes its kernel, with and without a bias.
TEST(linear, every_activation_keeps_nan) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (Backend backend : backends())
    for (Activation activation : activations)
      for (const Sizes& s : {Sizes{4, 5, 8}, Sizes{64, 64, 64}, Sizes{300, 40, 130}, Sizes{1, 33, 17}})
        for (bool biased : {false, true}) {
          SCOPED_TRACE(text(s, {}) + " " + std::string(name(activation)) + (biased ? " biased" : ""));
          Context context(Exec(), {.backend = backend, .deterministic = false, .per_kernel = {}});
          Case<float> c(s);
          c.W[std::size_t((s.N - 1) * s.K)] = nan;  // a weight of the last column of y
          c.x[std::size_t(s.K - 1)] = nan;          // and an input of its first row
          const Placed<float> x(c.x, s.B, s.K), W(c.W, s.N, s.K), y(s.B, s.N, {1, 3});
          const Vector<float> b = biased ? to_device(c.b) : Vector<float>();
          linear_forward(context, {.activation = activation}, x.matrix(), W.matrix(), b, y.matrix());
          context.exec().fence();
          EXPECT_TRUE(y.surroundings_untouched());
          const auto values = y.values();
          index_t wrong = 0;
          for (index_t i = 0; i < s.B; ++i)
            for (index_t j = 0; j < s.N; ++j) wrong += std::isnan(values[i * s.N + j]) != (i == 0 || j == s.N - 1);
          EXPECT_EQ(wrong, 0) << "elements that are NaN and must not be, or the reverse";
        }
}

TEST(linear, a_bias_that_is_nan_shows) {
  for (Backend backend : backends()) {
    Context context(Exec(), {.backend = backend, .deterministic = false, .per_kernel = {}});
    const Placed<float> x(std::vector<float>(4 * 8, 1.0f), 4, 8), W(std::vector<float>(5 * 8, 0.5f), 5, 8), y(4, 5);
    std::vector<float> b(5, 0.0f);
    b[2] = std::numeric_limits<float>::quiet_NaN();
    linear_forward(context, {.activation = Activation::relu}, x.matrix(), W.matrix(), to_device(b), y.matrix());
    context.exec().fence();
    EXPECT_TRUE(std::isnan(y.values()[7]));
    EXPECT_EQ(y.values()[6], 4.0f);
  }
}

TEST(linear, shape_errors_name_operand_and_extents) {
  Context context;
  const auto m = [](index_t rows, index_t columns) { return Matrix<float>("m", rows, columns); };
  const auto v = [](index_t n) { return Vector<float>("v", n); };
  const auto forward = [&](Matrix<float> x, Matrix<float> W, Vector<float> b, Matrix<float> y) {
    return caught<ShapeError>([&] { linear_forward(context, {.activation = Activation::relu}, x, W, b, y); });
  };
  EXPECT_EQ(forward(m(4, 784), m(10, 512), v(10), m(4, 10)),
            "linear_forward: W has 512 columns, x has 784 columns: expected W (N, K) and x (B, K) with the same K");
  EXPECT_EQ(forward(m(4, 7), m(10, 7), v(9), m(4, 10)),
            "linear_forward: b has 9 elements, W has 10 rows: expected b (N) and W (N, K) with the same N");
  EXPECT_EQ(forward(m(4, 7), m(10, 7), v(10), m(3, 10)),
            "linear_forward: y has 3 rows, x has 4 rows: expected y (B, N) and x (B, K) with the same B");
  EXPECT_EQ(caught<ShapeError>([&] { linear_backward_input(context, {}, m(4, 9), m(10, 7), m(4, 7)); }),
            "linear_backward_input: dy has 9 columns, W has 10 rows: expected dy (B, N) and W (N, K) with the same N");
  EXPECT_EQ(
      caught<ShapeError>(
          [&] { linear_backward_weights<float>(context, {}, Store::overwrite, m(4, 7), m(4, 10), m(10, 7), v(7)); }),
      "linear_backward_weights: db has 7 elements, dy has 10 columns: expected db (N) and dy (B, N) with the same N");
}

}  // namespace
}  // namespace partita::kernels::test::linear_tests
