// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/activation.hpp>
#include <partita/kernels/linear.hpp>
#include <partita/kernels/loss.hpp>
#include <partita/kernels/optimizer.hpp>

#include "support.hpp"

// In deterministic mode an element depends on its own inputs alone: not on how the operands were cut, where they lie,
// or how many threads there are. Every part below is computed on another instance and at another placement than the
// whole, and must have the whole's bits.

namespace partita::kernels::test::determinism_tests {
namespace {

/// [begin, end) pieces of n: single ones, uneven ones, all of it.
std::vector<Slice> pieces(index_t n) {
  std::vector<Slice> all = {{0, n, n}, {0, 1, n}, {n - 1, 1, n}, {0, n / 2, n}, {n / 2, n - n / 2, n}};
  for (index_t first = 0; first < n; first += 13) all.push_back({first, std::min<index_t>(13, n - first), n});
  return all;
}

template <class Scalar>
std::vector<Scalar> part(const std::vector<Scalar>& matrix, index_t columns, Slice rows, Slice of_columns) {
  std::vector<Scalar> values;
  for (index_t i = rows.offset; i < rows.end(); ++i)
    for (index_t j = of_columns.offset; j < of_columns.end(); ++j) values.push_back(matrix[i * columns + j]);
  return values;
}

template <class Scalar>
std::vector<Scalar> part(const std::vector<Scalar>& vector, Slice s) {
  return {vector.begin() + s.offset, vector.begin() + s.end()};
}

Context deterministic(const Exec& exec) {
  return Context(exec, {.backend = Backend::automatic, .deterministic = true, .per_kernel = {}});
}

template <class Scalar>
class determinism : public ::testing::Test {
 protected:
  static constexpr index_t B = 67, N = 45, K = 300;  // K beyond one block of depth
  std::vector<Scalar> x = random_values<Scalar>(1, B*K), W = random_values<Scalar>(2, N*K),
                      b = random_values<Scalar>(3, N), dy = random_values<Scalar>(4, B*N);

  std::vector<Scalar> forward(const Exec& exec, Placement p, Slice rows, Slice units) const {
    Context context = deterministic(exec);
    const Placed<Scalar> x_part(part(x, K, rows, whole(K)), rows.extent, K, p),
        W_part(part(W, K, units, whole(K)), units.extent, K, p), y(rows.extent, units.extent, p);
    linear_forward(context, {.activation = Activation::tanh}, x_part.matrix(), W_part.matrix(),
                   to_device(part(b, units), p.offset), y.matrix());
    exec.fence();
    return y.values();
  }
  std::vector<Scalar> backward_input(const Exec& exec, Placement p, Slice rows, Slice columns) const {
    Context context = deterministic(exec);
    const Placed<Scalar> dy_part(part(dy, N, rows, whole(N)), rows.extent, N, p),
        W_part(part(W, K, whole(N), columns), N, columns.extent, p), dx(rows.extent, columns.extent, p);
    linear_backward_input(context, {}, dy_part.matrix(), W_part.matrix(), dx.matrix());
    exec.fence();
    return dx.values();
  }
  /// dW and db after one another.
  std::vector<Scalar> backward_weights(const Exec& exec, Placement p, Slice units, Slice columns) const {
    Context context = deterministic(exec);
    const Placed<Scalar> x_part(part(x, K, whole(B), columns), B, columns.extent, p),
        dy_part(part(dy, N, whole(B), units), B, units.extent, p), dW(units.extent, columns.extent, p);
    const Vector<Scalar> db = to_device(std::vector<Scalar>(units.extent), p.offset);
    linear_backward_weights<Scalar>(context, {}, Store::overwrite, x_part.matrix(), dy_part.matrix(), dW.matrix(), db);
    exec.fence();
    std::vector<Scalar> all = dW.values();
    for (Scalar value : to_host(db)) all.push_back(value);
    return all;
  }
};

template <class Scalar>
class determinism_ranges : public ::testing::Test {};

using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(determinism, Scalars);
TYPED_TEST_SUITE(determinism_ranges, Scalars);

TYPED_TEST(determinism, linear_forward_of_a_part_is_the_part) {
  const auto all = this->forward(Exec(), {}, whole(this->B), whole(this->N));
  for (const Exec& exec : instances())
    for (Placement p : placements) {
      for (Slice rows : pieces(this->B))
        EXPECT_TRUE(same_bits(this->forward(exec, p, rows, whole(this->N)), part(all, this->N, rows, whole(this->N))));
      for (Slice units : pieces(this->N))
        EXPECT_TRUE(
            same_bits(this->forward(exec, p, whole(this->B), units), part(all, this->N, whole(this->B), units)));
    }
}

TYPED_TEST(determinism, linear_backward_input_of_a_part_is_the_part) {
  const auto all = this->backward_input(Exec(), {}, whole(this->B), whole(this->K));
  for (const Exec& exec : instances())
    for (Placement p : placements) {
      for (Slice rows : pieces(this->B))
        EXPECT_TRUE(
            same_bits(this->backward_input(exec, p, rows, whole(this->K)), part(all, this->K, rows, whole(this->K))));
      for (Slice columns : pieces(this->K))
        EXPECT_TRUE(same_bits(this->backward_input(exec, p, whole(this->B), columns),
                              part(all, this->K, whole(this->B), columns)));
    }
}

TYPED_TEST(determinism, linear_backward_weights_of_a_part_is_the_part) {
  const auto all = this->backward_weights(Exec(), {}, whole(this->N), whole(this->K));
  const auto db = part(all, {this->N * this->K, this->N, 0});
  for (const Exec& exec : instances())
    for (Placement p : placements) {
      for (Slice units : pieces(this->N)) {
        auto expected = part(all, this->K, units, whole(this->K));
        for (auto value : part(db, units)) expected.push_back(value);
        EXPECT_TRUE(same_bits(this->backward_weights(exec, p, units, whole(this->K)), expected));
      }
      for (Slice columns : pieces(this->K)) {
        auto expected = part(all, this->K, whole(this->N), columns);
        for (auto value : db) expected.push_back(value);
        EXPECT_TRUE(same_bits(this->backward_weights(exec, p, whole(this->N), columns), expected));
      }
    }
}

/// The gradient of a row is its own, and the loss is the sum over rows in ascending order.
TYPED_TEST(determinism_ranges, loss_of_a_part_is_the_part_and_rows_add_in_order) {
  using Scalar = TypeParam;
  constexpr index_t B = 67, V = 19;
  const auto logits = random_values<Scalar>(5, B * V);
  std::vector<std::int32_t> label;
  for (index_t i = 0; i < B; ++i) label.push_back(std::int32_t(i * 7 % V));
  for (Loss kind : {Loss::cross_entropy, Loss::mse}) {
    const auto run = [&](const Exec& exec, Placement p, Slice rows) {
      Context context = deterministic(exec);
      const Placed<Scalar> z(part(logits, V, rows, whole(V)), rows.extent, V, p), dz(rows.extent, V, p);
      const Kokkos::View<double, Memory> sum("sum");
      loss_forward_backward(context, {.kind = kind}, z.matrix(), to_device(part(label, rows), p.offset), 1.0 / B,
                            dz.matrix(), sum);
      exec.fence();
      return std::pair(dz.values(), to_host(sum)[0]);
    };
    const auto [gradient, sum] = run(Exec(), {}, whole(B));
    double in_order = 0;
    for (index_t b = 0; b < B; ++b) in_order += run(Exec(), {3, 5}, {b, 1, B}).second;
    EXPECT_EQ(sum, in_order);
    for (const Exec& exec : instances())
      for (Placement p : placements) {
        for (Slice rows : pieces(B))
          EXPECT_TRUE(same_bits(run(exec, p, rows).first, part(gradient, V, rows, whole(V))));
        EXPECT_EQ(run(exec, p, whole(B)).second, sum);
      }
  }
}

TYPED_TEST(determinism_ranges, activation_backward_of_a_part_is_the_part) {
  using Scalar = TypeParam;
  constexpr index_t n = 3001;
  for (Activation kind : {Activation::relu, Activation::tanh, Activation::sigmoid}) {
    auto y = random_values<Scalar>(1, n);
    for (Scalar& value : y) value = activate(kind, value);
    const auto dy = random_values<Scalar>(2, n);
    const auto run = [&](const Exec& exec, Slice s, Placement p) {
      const Placed<Scalar> y_part(part(y, s), 1, s.extent, p), dy_part(part(dy, s), 1, s.extent, p);
      activation_backward(exec, kind, y_part.matrix(), dy_part.matrix());
      exec.fence();
      return dy_part.values();
    };
    const auto all = run(Exec(), whole(n), {});
    for (const Exec& exec : instances())
      for (index_t extent : {1, 3, 17, 33, 1025})
        for (index_t first : {0, 1, 7, 1900})
          EXPECT_TRUE(same_bits(run(exec, {first, extent, n}, {first % 3, 0}), part(all, {first, extent, n})));
  }
}

TYPED_TEST(determinism_ranges, optimizer_update_of_a_part_is_the_part) {
  using Scalar = TypeParam;
  constexpr index_t n = 9001;
  const auto g = random_values<Scalar>(1, n), p = random_values<Scalar>(2, n), m = random_values<Scalar>(3, n);
  auto v = random_values<Scalar>(4, n);
  for (Scalar& value : v) value = std::abs(value);
  for (OptimizerOptions options :
       {OptimizerOptions{.kind = Optimizer::sgd, .momentum = 0.9, .weight_decay = 0.1},
        OptimizerOptions{.kind = Optimizer::sgd}, OptimizerOptions{.kind = Optimizer::adagrad},
        OptimizerOptions{.kind = Optimizer::adam, .weight_decay = 0.1},
        OptimizerOptions{.kind = Optimizer::adamw, .weight_decay = 0.1}}) {
    const auto run = [&](const Exec& exec, Slice s, index_t offset) {
      const OptimizerStateView state("state");
      optimizer_set_learning_rate(exec, 1e-3, state);
      optimizer_advance(exec, options, state);
      const auto p_part = to_device(part(p, s), offset), m_part = to_device(part(m, s), offset),
                 v_part = to_device(part(v, s), offset);
      optimizer_update(exec, options, state, to_device(part(g, s), offset), p_part, m_part, v_part);
      exec.fence();
      std::vector<Scalar> after = to_host(p_part);
      for (const auto& buffer : {m_part, v_part})
        for (Scalar value : to_host(buffer)) after.push_back(value);
      return after;
    };
    const auto all = run(Exec(), whole(n), 0);
    for (const Exec& exec : instances())
      for (index_t extent : {1, 3, 17, 33, 5000})
        for (index_t first : {0, 1, 7, 3990}) {
          const Slice s{first, extent, n};
          std::vector<Scalar> expected;
          for (index_t buffer = 0; buffer < 3; ++buffer)
            for (Scalar value : part(all, {buffer * n + first, extent, 0})) expected.push_back(value);
          EXPECT_TRUE(same_bits(run(exec, s, first % 3), expected)) << name(options.kind);
        }
  }
}

}  // namespace
}  // namespace partita::kernels::test::determinism_tests
