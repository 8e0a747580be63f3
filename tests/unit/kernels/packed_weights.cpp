// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include <partita/kernels/conv2d.hpp>

#include <support/discipline.hpp>
#include "support.hpp"

// Copies of weights in a library's layout: never older than their period, and only of weights that lie in it.

namespace partita::kernels::test::packed_weights_tests {
namespace {

using Place = PackedWeights::Place;

struct Weights {
  PackedWeights packed;
  float memory[64] = {};
  int layout = packed.new_layout();

  Place find(int at = 0) { return packed.find(Exec(), memory + at, layout, 100); }
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
  const Place elsewhere = w.find(8), in_another_layout = w.packed.find(Exec(), w.memory, other, 100);
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
    if (step > 0) EXPECT_EQ(first.data, place);
    place = first.data;
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

/// What a convolution reads: in a period the weights as they were at its first call, else as they are. Where a library
/// takes them as they lie, there is nothing to keep.
TEST(packed_weights, convolutions_read_what_was_packed_in_their_period) {
  const Conv2dShape s{9, 8, 16, 32, 3, 3, 1, 1};
  const index_t B = 3;
  const Matrix<float> x("x", B, s.inputs()), dy("dy", B, s.outputs()), y("y", B, s.outputs()), dx("dx", B, s.inputs()),
      W("W", s.filters, s.kernel());
  Kokkos::deep_copy(x, 1.0F);
  Kokkos::deep_copy(dy, 1.0F);
  for (const Backend backend : backends()) {
    Context context(Exec(), {.backend = backend, .deterministic = false, .per_kernel = {}});
    const auto run = [&](float weight) {
      Kokkos::deep_copy(W, weight);
      conv2d_forward<float>(context, s, x, W, {}, y);
      conv2d_backward_input(context, s, dy, W, dx);
      context.exec().fence();
      return std::pair(to_host(y), to_host(dx));
    };
    const auto ones = run(1), twos = run(2);
    EXPECT_NE(ones, twos);
    const index_t each = context.packed_weights().packed() / 2;  // layouts that the library asks for
    const auto period = [&] { return PackedWeights::Period(context.packed_weights(), W.data(), W.size() * 4); };
    {
      const auto open = period();
      EXPECT_EQ(run(1), ones);
      EXPECT_EQ(context.packed_weights().packed(), 3 * each);
      EXPECT_EQ(run(2), each > 0 ? ones : twos);
      EXPECT_EQ(context.packed_weights().packed(), 3 * each);
    }
    EXPECT_EQ(run(2), twos);
    const auto open = period();
    EXPECT_EQ(run(2), twos);
  }
}

}  // namespace
}  // namespace partita::kernels::test::packed_weights_tests
