// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include <partita/kernels/conv2d.hpp>
#include <partita/kernels/linear.hpp>

#include <support/discipline.hpp>
#include "support.hpp"

// Copies of weights in a library's layout: never older than their period, and only of weights that lie in it.

namespace partita::kernels::test::packed_weights_tests {
namespace {

using Place = PackedWeights::Place;

struct Weights {
  Exec exec;
  PackedWeights packed;
  float memory[64] = {};
  int layout = packed.new_layout();

  Place find(int at = 0) { return packed.find(exec, memory + at, layout, 100); }
  PackedWeights::Period period() { return {packed, memory, sizeof memory}; }
};

TEST(packed_weights, outside_of_a_period_every_call_packs_for_itself) {
  Weights w;
  for (int call = 0; call < 2; ++call) {
    EXPECT_EQ(w.find().data, nullptr);
    EXPECT_TRUE(w.find().stale);
  }
  EXPECT_EQ(w.packed.packed(), 4);
  EXPECT_EQ(w.packed.bytes(), 0u);
}

TEST(packed_weights, the_first_call_of_a_period_packs_for_the_others) {
  Weights w;
  const int other = w.packed.new_layout();
  const auto period = w.period();
  const Place first = w.find(), again = w.find();
  EXPECT_NE(first.data, nullptr);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first.data) % 64, 0u);
  EXPECT_TRUE(first.stale);
  EXPECT_EQ(again.data, first.data);
  EXPECT_FALSE(again.stale);
  const Place elsewhere = w.find(8), in_another_layout = w.packed.find(w.exec, w.memory, other, 100);
  EXPECT_TRUE(elsewhere.stale);
  EXPECT_TRUE(in_another_layout.stale);
  EXPECT_NE(elsewhere.data, first.data);
  EXPECT_NE(in_another_layout.data, first.data);
  EXPECT_EQ(w.packed.packed(), 3);
  EXPECT_EQ(w.packed.bytes(), 300u);
}

TEST(packed_weights, copies_do_not_outlive_their_period_and_their_memory_does) {
  Weights w;
  void* place = nullptr;
  for (int step = 0; step < 3; ++step) {
    const auto period = w.period();
    const Place first = w.find();
    EXPECT_TRUE(first.stale);
    EXPECT_FALSE(w.find().stale);
    if (step == 0) place = first.data;
    EXPECT_EQ(first.data, place);
  }
  EXPECT_EQ(w.find().data, nullptr);
  EXPECT_EQ(w.packed.bytes(), 100u);
  if (!::partita::test::allocation_counter_works()) return;
  ::partita::test::expect_no_allocation(false, [&] {
    const auto period = w.period();
    w.find();
  });
}

TEST(packed_weights, memory_beyond_the_period_is_not_its_business) {
  Weights w;
  const PackedWeights::Period period(w.packed, w.memory + 8, 16 * sizeof(float));
  EXPECT_EQ(w.find(7).data, nullptr);
  EXPECT_NE(w.find(8).data, nullptr);
  EXPECT_NE(w.find(23).data, nullptr);
  EXPECT_EQ(w.find(24).data, nullptr);
  const PackedWeights::Period none(w.packed, nullptr, 100);
  EXPECT_EQ(w.find(8).data, nullptr);
}

TEST(packed_weights, a_period_within_a_period_hides_it) {
  Weights w, other;
  const auto outer = w.period();
  w.find();
  {
    const PackedWeights::Period inner(w.packed, other.memory, sizeof other.memory);
    EXPECT_EQ(w.find().data, nullptr);
  }
  EXPECT_NE(w.find().data, nullptr);
  const PackedWeights::Period the_same(w.packed, w.memory, sizeof w.memory);
  EXPECT_TRUE(w.find().stale);
}

Matrix<float> random_matrix(std::uint64_t seed, index_t rows, index_t columns) {
  const Matrix<float> matrix("matrix", rows, columns);
  Kokkos::deep_copy(Vector<float>(matrix.data(), matrix.size()), to_device(random_values<float>(seed, rows * columns)));
  return matrix;
}

/// What kernels read: in a period the weights as they were at its first call, else as they are, and always to the same
/// bits. Where a library takes them as they lie, there is nothing to keep. `run` returns what it computes from W.
template <class Run>
void check_kernels(const Matrix<float>& W, const Run& run) {
  const auto some = to_device(random_values<float>(8, index_t(W.size())));
  const auto others = to_device(random_values<float>(9, index_t(W.size())));
  for (const Backend backend : backends()) {
    Context context(Exec(), {.backend = backend, .deterministic = false, .per_kernel = {}});
    const auto of = [&](const Vector<float>& weights) {
      Kokkos::deep_copy(Vector<float>(W.data(), W.size()), weights);
      return run(context);
    };
    const auto count = [&] { return context.packed_weights().packed(); };
    const auto period = [&] { return PackedWeights::Period(context.packed_weights(), W.data(), W.size() * 4); };
    const auto of_some = of(some);
    const index_t each = count();  // layouts that the library asks for
    const auto of_others = of(others);
    EXPECT_NE(of_some, of_others);
    EXPECT_EQ(count(), 2 * each);
    for (int step = 0; step < 2; ++step) {
      const auto open = period();
      EXPECT_EQ(of(some), of_some);
      EXPECT_EQ(count(), (3 + step) * each);
      EXPECT_EQ(of(others), each > 0 ? of_some : of_others);
      EXPECT_EQ(count(), (3 + step) * each);
    }
    EXPECT_EQ(of(others), of_others);
  }
}

TEST(packed_weights, convolutions_read_what_was_packed_in_their_period) {
  const Conv2dShape s{9, 8, 19, 30, 3, 3, 1, 1};
  const index_t B = 3;
  const Matrix<float> x = random_matrix(1, B, s.inputs()), dy = random_matrix(2, B, s.outputs()),
                      y("y", B, s.outputs()), dx("dx", B, s.inputs()), W("W", s.filters, s.kernel());
  check_kernels(W, [&](Context& context) {
    conv2d_forward<float>(context, s, x, W, {}, y);
    conv2d_backward_input(context, s, dy, W, dx);
    context.exec().fence();
    return std::pair(to_host(y), to_host(dx));
  });
}

/// Rows of a multiple of 1 KiB, more than one block of the product in each direction.
TEST(packed_weights, linear_gradients_read_what_was_packed_in_their_period) {
  const index_t B = 20, N = 260, K = 4352;
  const Matrix<float> dy = random_matrix(1, B, N), dx("dx", B, K), W("W", N, K);
  check_kernels(W, [&](Context& context) {
    linear_backward_input(context, {}, dy, W, dx);
    context.exec().fence();
    return to_host(dx);
  });
}

}  // namespace
}  // namespace partita::kernels::test::packed_weights_tests
