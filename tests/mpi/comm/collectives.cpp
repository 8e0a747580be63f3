// SPDX-License-Identifier: BSD-3-Clause
// Every collective in every way it can be planned: right, with the messages and bytes that the closed forms say, and
// nothing asked of the heap once it is planned.
#include <algorithm>
#include <bit>
#include <random>

#include <gtest/gtest.h>

#include "cases.hpp"
#include "support/allocation_counter.hpp"
#include "support/caught.hpp"
#include "support/mpi.hpp"

namespace partita::comm::collectives_tests {
namespace {

using test::Case;
using test::Cases;
using test::Running;
using test::Shape;
using test::world;

constexpr index_t sizes[] = {0, 1, 2, 3, 7, 37, 1001};
constexpr RingOptions small_chunks{.chunk_bytes = 64, .most_chunks = 100};

/// Each way of calling a plan, and what it counts.
template <class S>
void expect_right(const Case<S>& c, bool gpu_aware) {
  Traffic counted;
  const Communicator comm = Communicator::borrow(world().handle(), "data", &counted, gpu_aware);
  Running<S> running(comm, c);
  running.run();
  EXPECT_EQ(running.wrong(), 0) << c.name << " run: " << c.output;
  running.reset();
  running.start();
  while (!running.plan().progress()) {
  }
  running.plan().finish();
  EXPECT_EQ(running.wrong(), 0) << c.name << " start: " << c.output;
  ASSERT_EQ(counted.entries().size(), 1u) << c.name;
  const TrafficEntry& entry = counted.entries().front();
  EXPECT_EQ(entry.calls, 2) << c.name;
  EXPECT_EQ(entry.sent_bytes, 2 * c.sent_bytes) << c.name << " " << c.output;
  EXPECT_EQ(entry.messages, 2 * c.messages) << c.name << " " << c.output;
  EXPECT_EQ(entry.expected_bytes, static_cast<double>(2 * c.sent_bytes)) << c.name;
  EXPECT_EQ(entry.expected_messages, static_cast<double>(2 * c.messages)) << c.name << " " << c.output;
}

template <class S>
void expect_all_right(const Shape& shape, bool gpu_aware = true) {
  for (const Case<S>& c : Cases<S>(world(), shape).all()) expect_right(c, gpu_aware);
}

/// As even as can be; uneven, some empty; all on one rank.
std::vector<Segments> segments_of(index_t n) {
  const int P = world().size();
  std::vector<index_t> bounds = {0};
  for (int r = 1; r < P; ++r) bounds.push_back(r % 2 == 0 ? bounds.back() : std::min(n, bounds.back() + r * 5));
  bounds.push_back(n);
  return {Segments(n, P), Segments(bounds), Segments::on(P - 1, n, P)};
}

template <class S>
class collectives : public ::testing::Test {};
struct Names {
  template <class S>
  static std::string GetName(int) {
    return std::is_same_v<S, float>      ? "fp32"
           : std::is_same_v<S, double>   ? "fp64"
           : std::is_same_v<S, bfloat16> ? "bf16"
                                         : "fp16";
  }
};
using Types = ::testing::Types<float, double, bfloat16, float16>;
TYPED_TEST_SUITE(collectives, Types, Names);

TYPED_TEST(collectives, are_right_for_any_count_and_share) {
  int root = 0;
  for (const index_t n : sizes)
    for (const Segments& segments : segments_of(n))
      expect_all_right<TypeParam>({segments, root++ % world().size(), small_chunks});
}

/// Longer than what MPI sends eagerly: a message is read where it stands until it is taken.
TYPED_TEST(collectives, are_right_for_long_messages) {
  expect_all_right<TypeParam>({Segments(100'001, world().size()), world().size() - 1, {}});
}

TYPED_TEST(collectives, are_right_where_mpi_cannot_reach_the_device) {
  for (const Segments& segments : segments_of(37)) expect_all_right<TypeParam>({segments, 0, small_chunks}, false);
}

/// 16-bit numbers are added as floats and rounded to nearest even: what a and b give on two of the ranks, zero on the
/// others. Bits taken for integers, or cut off, give something else.
template <class S>
void expect_rounded_sums() {
  const int P = world().size(), me = world().rank();
  if (P == 1) GTEST_SKIP() << "one rank adds nothing";
  const index_t n = 2000;
  std::mt19937 random(7);
  std::vector<float> a, b;
  for (index_t i = 0; i < n; ++i) {
    const auto draw = [&] {
      return float(
          S(std::bit_cast<float>(static_cast<std::uint32_t>((random() & 0x807fffffu) | (120 + random() % 16) << 23))));
    };
    a.push_back(draw());
    b.push_back(draw());
  }
  index_t inexact = 0;
  const auto given = [&](index_t i) {
    const auto at = static_cast<std::size_t>(i);
    return static_cast<double>(me == 0 ? a[at] : me == P - 1 ? b[at] : 0.0f);
  };
  const auto wanted = [&](index_t i) {
    const float exact = a[static_cast<std::size_t>(i)] + b[static_cast<std::size_t>(i)];
    inexact += float(S(exact)) < exact || float(S(exact)) > exact;
    return static_cast<double>(float(S(exact)));
  };
  for (Case<S> c : Cases<S>(world(), {Segments(n, P), 0, small_chunks}).all()) {
    if (!c.name.starts_with("allreduce") && !(c.name.starts_with("reduce ") && me == 0)) {
      if (!c.name.starts_with("reduce ")) continue;
      c.wanted = [](index_t) { return test::anything; };
    } else {
      c.wanted = wanted;
    }
    c.given = given;
    Running<S> running(world(), c);
    running.run();
    EXPECT_EQ(running.wrong(), 0) << c.name;
  }
  if (me == 0) {
    EXPECT_GT(inexact, n / 4);
  }
}

TEST(collectives_of_16_bits, round_each_sum_once_bf16) { expect_rounded_sums<bfloat16>(); }
TEST(collectives_of_16_bits, round_each_sum_once_fp16) { expect_rounded_sums<float16>(); }

TEST(collectives_of_plans, allocate_nothing_when_called) {
  if (!test::allocation_counter_works()) GTEST_SKIP() << "malloc cannot be interposed in this build";
  for (const bool gpu_aware : {true, false}) {
    Traffic counted;
    const Communicator comm = Communicator::borrow(world().handle(), "data", &counted, gpu_aware);
    for (const index_t n : {37, 30'001})
      for (const Case<float>& c : Cases<float>(world(), {Segments(n, world().size()), 0, small_chunks}).all()) {
        Running<float> running(comm, c);
        running.run();
        partita::test::start_counting_allocations();
        running.run();
        running.start();
        running.plan().progress();
        running.plan().finish();
        const partita::test::AllocationCount count = partita::test::stop_counting_allocations();
        EXPECT_EQ(count.ours(), 0u) << c.name << (gpu_aware ? " direct" : " staged") << " n=" << n << " by "
                                    << count.last_of_ours;
      }
  }
}

TEST(collectives_of_plans, say_when_they_are_misused) {
  const Communicator& comm = world();
  AllreducePlan<float> plan(comm, Allreduce::ring, 10);
  const Vector<float> x("partita::test::x", 10), longer("partita::test::longer", 11);
  EXPECT_TRUE(plan.progress());  // nothing was started
  plan.finish();
  EXPECT_FALSE(plan.in_flight());
  plan.start(Exec(), x);
  EXPECT_TRUE(plan.in_flight());
  EXPECT_EQ(::partita::testing::caught<Error>([&] { plan.start(Exec(), x); }),
            "AllreducePlan::start: it is in flight: expected finish first");
  EXPECT_EQ(::partita::testing::caught<Error>([&] { plan.run(Exec(), x); }),
            "AllreducePlan::run: it is in flight: expected finish first");
  plan.finish();
  plan.finish();
  EXPECT_FALSE(plan.in_flight());
  EXPECT_EQ(::partita::testing::caught<ShapeError>([&] { plan.run(Exec(), longer); }),
            "AllreducePlan::run: inout has 11 elements: expected 10, as planned");
  EXPECT_EQ(::partita::testing::caught<ShapeError>([&] { HaloPlan<float>(comm, 3, 4, true); }),
            "HaloPlan: a halo of 4 elements beside an interior of 3: expected at most as many");
}

/// More ranks than CTest gives the others: registered by itself at 5 and 8.
TEST(collectives_on_any_ranks, are_right) {
  for (const index_t n : {1, 37})
    for (const Segments& segments : segments_of(n))
      expect_all_right<float>({segments, world().size() / 2, small_chunks});
  expect_all_right<double>({Segments(20'001, world().size()), 0, {}});
}

}  // namespace
}  // namespace partita::comm::collectives_tests
