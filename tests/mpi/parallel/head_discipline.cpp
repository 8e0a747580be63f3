// SPDX-License-Identifier: BSD-3-Clause
#include <tuple>

#include <gtest/gtest.h>

#include <partita/parallel/tensor/vocabulary_loss.hpp>

#include <support/allocation_counter.hpp>
#include <support/collective.hpp>
#include <support/kokkos_observer.hpp>
#include <support/mpi.hpp>

// The loss of a split vocabulary, once it has seen a number of labels: it allocates nothing, fences only around its
// all-reduces, and every kernel has a label of ours.

namespace partita::parallel::test::head_discipline_tests {
namespace {

using comm::Allreduce;
using partita::test::world;

/// 8 classes a rank.
struct Head {
  index_t V = 8 * index_t{world().size()};
  VocabularyParallelLoss<float> head;
  kernels::Context context;
  Matrix<float> y{"y", 33, 8}, dy{"dy", 33, 8};
  Vector<std::int32_t> label{"label", 33};
  Kokkos::View<double, Memory> sum{"sum"};
  Kokkos::View<index_t, Memory> correct{"correct"};

  Head(Allreduce how, bool deterministic)
      : head(world(), how, kernels::Loss::cross_entropy, {1, V}, {8 * index_t{world().rank()}, 8, V},
             deterministic ? V / 2 : 1) {}

  void run() {
    head.run(context, y, label, 1, {}, dy, sum);
    head.evaluate(context, y, label, sum, correct);
  }
};

class head_discipline : public ::testing::TestWithParam<std::tuple<Allreduce, bool>> {};

TEST_P(head_discipline, allocates_nothing) {
  if (!partita::test::allocation_counter_works()) GTEST_SKIP() << "a sanitizer holds malloc";
  Head of(std::get<0>(GetParam()), std::get<1>(GetParam()));
  of.run();
  partita::test::start_counting_allocations();
  of.run();
  const auto count = partita::test::stop_counting_allocations();
  EXPECT_ALL(world(), count.ours() == 0) << count.ours() << " of ours, the last by " << count.last_of_ours;
}

TEST_P(head_discipline, fences_around_the_allreduces_alone_and_labels_every_kernel) {
  Head of(std::get<0>(GetParam()), std::get<1>(GetParam()));
  of.run();
  partita::test::Observed seen;
  {
    partita::test::KokkosObserver observer(seen, of.context.exec());
    of.run();
  }
  EXPECT_GE(seen.kernels, 9);
  EXPECT_EQ(seen.foreign_labels, 0) << seen.foreign;
  EXPECT_EQ(seen.allocations, 0);
  // Before each of 7 all-reduces, and after each sum of what arrived.
  EXPECT_LE(seen.fences, world().size() == 1 ? 0 : 7 * (1 + 2 * world().size()));
}

INSTANTIATE_TEST_SUITE_P(by, head_discipline,
                         ::testing::Combine(::testing::Values(Allreduce::mpi, Allreduce::ring), ::testing::Bool()),
                         [](const auto& at) {
                           return std::string(comm::to_string(std::get<0>(at.param))) +
                                  (std::get<1>(at.param) ? "_deterministic" : "_fast");
                         });

}  // namespace
}  // namespace partita::parallel::test::head_discipline_tests
