// SPDX-License-Identifier: BSD-3-Clause
// Neighbours on a line that exchange elements of unlike numbers: in either direction alone, both, or none; of every
// type, many times, several at once.
#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#include "cases.hpp"
#include "support/caught.hpp"
#include "support/mpi.hpp"

namespace partita::comm::borders_tests {
namespace {

using ::partita::testing::caught;
using test::borders_case;
using test::Case;
using test::Running;
using test::world;

template <class S>
class borders : public ::testing::Test {};
struct Names {
  template <class S>
  static std::string GetName(int) {
    return std::is_same_v<S, float>      ? "fp32"
           : std::is_same_v<S, double>   ? "fp64"
           : std::is_same_v<S, bfloat16> ? "bf16"
           : std::is_same_v<S, float16>  ? "fp16"
                                         : "int32";
  }
};
using Types = ::testing::Types<float, double, bfloat16, float16, std::int32_t>;
TYPED_TEST_SUITE(borders, Types, Names);

/// Few and many elements: eager messages of MPI and such as are read where they stand.
template <class S>
std::vector<Case<S>> all_cases() {
  using Extent = std::function<index_t(index_t, index_t)>;
  const double scale = std::is_same_v<S, std::int32_t> ? 100'000'007 : 1;  // all of 32 bits
  std::vector<Case<S>> cases;
  for (const index_t n : {2, 50'001})
    for (const Extent& extent : {
             Extent([=](index_t from, index_t to) { return from < to ? n + from : 2 * n + 3 * from; }),
             Extent([=](index_t from, index_t to) { return from < to ? n : 0; }),
             Extent([=](index_t from, index_t to) { return from < to ? 0 : n; }),
             Extent([=](index_t from, index_t to) { return (from + to) % 4 == 1 ? 0 : n + to; }),
             Extent([=](index_t from, index_t) { return from % 2 == 0 ? n : 0; }),
             Extent([](index_t, index_t) { return 0; }),
         }) {
      cases.push_back(borders_case<S>(world(), extent, scale));
      cases.back().name += " " + std::to_string(cases.size());
    }
  return cases;
}

TYPED_TEST(borders, arrive_and_are_counted) {
  constexpr int calls = 6;
  for (const bool gpu_aware : {true, false})
    for (const Case<TypeParam>& c : all_cases<TypeParam>()) {
      Traffic counted;
      const Communicator comm = Communicator::borrow(world().handle(), "spatial", &counted, gpu_aware);
      Running<TypeParam> running(comm, c);
      for (int call = 0; call < calls; ++call) {
        running.reset();
        if (call % 2 == 0) {
          running.run();
        } else {
          running.start();
          while (!running.plan().progress()) {
          }
          running.plan().finish();
        }
        ASSERT_EQ(running.wrong(), 0) << c.name << " call " << call;
      }
      ASSERT_EQ(counted.entries().size(), 1u);
      const TrafficEntry& entry = counted.entry("halo", "direct", "spatial");
      EXPECT_EQ(entry.calls, calls);
      EXPECT_EQ(entry.sent_bytes, calls * c.sent_bytes) << c.name;
      EXPECT_EQ(entry.messages, calls * c.messages) << c.name;
      EXPECT_EQ(entry.expected_bytes, static_cast<double>(calls * c.sent_bytes)) << c.name;
      EXPECT_EQ(entry.expected_messages, static_cast<double>(calls * c.messages)) << c.name;
    }
}

/// All on one communicator, beside plans of another kind; helped on in another order on every rank.
TYPED_TEST(borders, arrive_while_others_are_in_flight) {
  const Communicator& comm = world();
  std::vector<std::unique_ptr<Running<TypeParam>>> running;
  for (const Case<TypeParam>& c : all_cases<TypeParam>())
    running.push_back(std::make_unique<Running<TypeParam>>(comm, c));
  AllreducePlan<double> sum(comm, Allreduce::ring, 1000);
  const Vector<double> x("partita::test::x", 1000);
  for (int round = 0; round < 3; ++round) {
    for (const auto& one : running) one->reset();
    Kokkos::deep_copy(x, 1.0);
    for (std::size_t i = 0; i < running.size(); ++i) {
      if (i == running.size() / 2) sum.start(Exec(), x);
      running[i]->start();
    }
    for (std::size_t i = 0; i < running.size(); ++i)
      running[(7 * i + static_cast<std::size_t>(comm.rank())) % running.size()]->plan().progress();
    sum.finish();
    for (auto one = running.rbegin(); one != running.rend(); ++one) {
      (*one)->plan().finish();
      EXPECT_EQ((*one)->wrong(), 0) << (*one)->what().name << " round " << round;
    }
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), x);
    EXPECT_EQ(host(999), static_cast<double>(comm.size()));
  }
}

TEST(borders_that_do_not_fit, are_refused) {
  const bool first = world().rank() == 0, last = world().rank() + 1 == world().size();
  const auto message = [](const Borders& borders) {
    return caught<ShapeError>([&] { BordersPlan<float>(world(), borders); });
  };
  EXPECT_EQ(message({.from_right = -1}),
            "BordersPlan: 0 and 0 elements to the left and right, 0 and -1 from there: expected at least 0");
  if (first) {
    EXPECT_EQ(message({.to_left = 2}),
              "BordersPlan: 2 elements to and 0 from beyond the left end of the line: expected none");
    EXPECT_EQ(message({.from_left = 2}),
              "BordersPlan: 0 elements to and 2 from beyond the left end of the line: expected none");
  }
  if (last) {
    EXPECT_EQ(message({.to_right = 1}),
              "BordersPlan: 1 elements to and 0 from beyond the right end of the line: expected none");
    EXPECT_EQ(message({.from_right = 3}),
              "BordersPlan: 0 elements to and 3 from beyond the right end of the line: expected none");
  }
}

}  // namespace
}  // namespace partita::comm::borders_tests
