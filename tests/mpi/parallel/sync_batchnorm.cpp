// SPDX-License-Identifier: BSD-3-Clause
// Batch norms over all ranks' rows: a step is that of one rank which has all rows of a micro-batch, and a gradient is
// the slope of the loss of all ranks. Statistics of each rank's own rows are neither.
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include <support/caught.hpp>
#include <support/collective.hpp>
#include <support/mpi.hpp>
#include "cnn_problem.hpp"

namespace partita::parallel::test::sync_batchnorm_tests {
namespace {

using comm::Allreduce;
using nn::CnnKind;
using nn::Recompute;
using partita::test::world;

/// How far some steps of all ranks are from those of one, which has the same rows in each micro-batch: of the step that
/// is furthest off.
struct Distance {
  double loss = 0, norm = 0, gradients = 0, weights = 0, running = 0;
  double most() const { return std::max({loss, norm, gradients, weights, running}); }
};

template <class Scalar>
Distance from_one_rank(const nn::CnnShape& shape, index_t batch, index_t micro_batches, const Options& options,
                       bool sync) {
  const comm::Communicator alone = world().split(world().rank(), 0, "alone");
  nn::CnnShape kept = shape;
  kept.recompute = Recompute::none;
  Options plain = by_sgd(Allreduce::mpi);
  plain.update = options.update;
  CnnReplica<Scalar> one(kept, alone, whole_share(world().size(), batch, micro_batches), plain, false);
  CnnReplica<Scalar> many(shape, world(), split_share(world(), batch, micro_batches), options, sync);
  Distance distance;
  for (index_t s = 0; s < 2; ++s) {
    one.run(s);
    many.run(s);
    const auto far = [](double& to, double value) { to = std::max(to, value); };
    far(distance.loss, apart(many.loss_terms(world()), one.loss_terms(alone)));
    far(distance.norm, std::abs(many.grad_norm() / one.grad_norm() - 1));
    if (options.strategy == Strategy::allreduce) far(distance.gradients, apart(many.gradients(), one.gradients()));
    far(distance.weights, apart(many.parameters(), one.parameters()));
    far(distance.running, apart(many.running(), one.running()));
  }
  return distance;
}

// Sums over the pixels of a micro-batch in another order: some hundred roundings, of numbers around 1 and losses
// around 30.
template <class Scalar>
constexpr double bound = 1e-12;
template <>
constexpr double bound<float> = 2e-5;

template <class Scalar>
void expect_one_rank(const nn::CnnShape& shape, index_t batch, index_t micro_batches, const Options& options) {
  const Distance distance = from_one_rank<Scalar>(shape, batch, micro_batches, options, true);
  EXPECT_ALL(world(), distance.most() <= bound<Scalar>)
      << "batch " << batch << ", " << micro_batches << " micro-batches: loss " << distance.loss << ", norm "
      << distance.norm << ", gradients " << distance.gradients << ", weights " << distance.weights << ", running "
      << distance.running;
}

TEST(sync_batchnorm, trains_as_one_rank_with_all_rows) {
  for (const CnnKind kind : {CnnKind::resnet, CnnKind::vgg})
    for (const index_t micro_batches : {1, 2, 3}) {
      expect_one_rank<double>(small_cnn(kind), 29, micro_batches, by_sgd());  // uneven
      expect_one_rank<float>(small_cnn(kind), 24, micro_batches, by_sgd());
    }
}

// As few rows as there are: one for most ranks.
TEST(sync_batchnorm, takes_single_rows_together) {
  const index_t P = world().size();
  expect_one_rank<double>(small_cnn(CnnKind::resnet), P + 1, 1, by_sgd());
  expect_one_rank<double>(small_cnn(CnnKind::resnet), 2 * P + 1, 2, by_sgd());
}

TEST(sync_batchnorm, adds_up_by_any_collective_beside_any_strategy) {
  for (const Allreduce how : {Allreduce::mpi, Allreduce::ring, Allreduce::recursive})
    expect_one_rank<double>(small_cnn(CnnKind::resnet), 29, 2, by_sgd(how));
  for (const Strategy strategy :
       {Strategy::allreduce, Strategy::gather_broadcast, Strategy::zero1, Strategy::zero2, Strategy::zero3})
    for (const bool whole : {true, false})
      if (whole || strategy != Strategy::gather_broadcast)
        expect_one_rank<double>(small_cnn(CnnKind::vgg, whole ? Recompute::none : Recompute::block), 29, 2,
                                by_sgd(Allreduce::ring, strategy, whole ? 0 : 256));
}

// Added up again in a replay, and told to the running statistics once.
TEST(sync_batchnorm, is_computed_again_as_it_was) {
  for (const CnnKind kind : {CnnKind::resnet, CnnKind::vgg})
    for (const index_t micro_batches : {1, 2})
      expect_one_rank<double>(small_cnn(kind, Recompute::block), 29, micro_batches, by_sgd());
}

// What the tests above would see without it.
TEST(sync_batchnorm, is_not_what_each_rank_has_by_itself) {
  if (world().size() == 1) GTEST_SKIP() << "one rank has all rows";
  const Distance distance = from_one_rank<double>(small_cnn(CnnKind::resnet), 29, 1, by_sgd(), false);
  for (const double far : {distance.loss, distance.norm, distance.gradients, distance.weights, distance.running})
    EXPECT_ALL(world(), far > 1e-3) << far;
}

TEST(sync_batchnorm, is_a_plain_norm_on_one_rank) {
  const comm::Communicator alone = world().split(world().rank(), 0, "alone");
  CnnReplica<float> plain(small_cnn(CnnKind::resnet), alone, split_share(alone, 12, 2), by_sgd(), false),
      sync(small_cnn(CnnKind::resnet), alone, split_share(alone, 12, 2), by_sgd(), true);
  EXPECT_EQ(sync.model.units().size(), plain.model.units().size());
  EXPECT_EQ(alone.traffic_entry("sync_batchnorm", "ring")->calls, 0);
}

// The halves of backward apart and micro-batches in between, as in a pipeline.
TEST(sync_batchnorm, keeps_what_a_later_half_of_backward_needs) {
  using Kind = nn::Action::Kind;
  const nn::Actions apart_halves = {{Kind::forward, 0, 0},          {Kind::forward, 0, 1},
                                    {Kind::backward_input, 0, 0},   {Kind::backward_input, 0, 1},
                                    {Kind::backward_weights, 0, 0}, {Kind::backward_weights, 0, 1}};
  CnnReplica<double> together(small_cnn(CnnKind::resnet), world(), split_share(world(), 29, 2), by_sgd(), true),
      halves(small_cnn(CnnKind::resnet), world(), split_share(world(), 29, 2), by_sgd(), true, apart_halves);
  for (index_t s = 0; s < 2; ++s) {
    together.run(s);
    halves.run(s);
  }
  EXPECT_ALL(world(), halves.gradients() == together.gradients());
  EXPECT_ALL(world(), halves.parameters() == together.parameters() && halves.running() == together.running());
}

// The loss of all ranks, moved by one weight of all of them.
TEST(sync_batchnorm, gradients_are_slopes_of_all_ranks_loss) {
  for (const CnnKind kind : {CnnKind::resnet, CnnKind::vgg}) {
    nn::CnnShape shape = small_cnn(kind);
    shape.rows = 4, shape.columns = 3, shape.channels = 1, shape.width = {2}, shape.classes = 3;
    Options still = by_sgd();
    still.update.learning_rate = 0;
    CnnReplica<double> problem(shape, world(), split_share(world(), 9, 1), still, true);
    const auto loss = [&] {
      problem.run(0);
      return problem.loss_terms(world()).front() / 9;
    };
    loss();
    const std::vector<double> gradient = problem.gradients();
    const auto weights = problem.model.parameters();
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), weights);
    const double h = 1e-5;  // h^2 f''' / 6 and eps f / h are below the tolerance
    // Each means two steps of all ranks: of many ranks, which share a few cores here, some do.
    const std::size_t stride = world().size() > 2 ? 7 : 1;
    for (std::size_t i = 0; i < host.extent(0); i += stride) {
      const double centre = host(i);
      const auto at = [&](double value) {
        host(i) = value;
        Kokkos::deep_copy(weights, host);
        return loss();
      };
      const double slope = (at(centre + h) - at(centre - h)) / (2 * h);
      host(i) = centre;
      EXPECT_ALL(world(), std::abs(gradient[i] - slope) <= 1e-6 * std::max(1.0, std::abs(slope)))
          << "parameter " << i << ": " << gradient[i] << ", slope " << slope;
    }
  }
}

/// Pixels of one rank: so many rows, a mean far from zero.
double pixel(index_t row, index_t c) {
  return 1000 + 10 * static_cast<double>(c) +
         static_cast<float>(normal(3, Stream::test, static_cast<std::uint64_t>(4 * row + c)));
}

// Statistics by plain loops in double. x in fp32 has lost mean / deviation 2^-24 of a deviation already.
TEST(sync_batchnorm, does_not_cancel_where_the_mean_is_large) {
  constexpr index_t C = 3;
  const index_t P = world().size(), rank = world().rank(), all = P * P;  // rank r has the 2 r + 1 rows from r^2 on
  BatchNormAxis norms(world(), Allreduce::ring);
  nn::Model<float> model({SyncBatchNormBetween<float>(norms).batchnorm2d("norm", {1, 1, C}, false)}, {1, C}, {});
  nn::Stage<float>& stage = model.stages().front();
  const index_t B = 2 * rank + 1, first = rank * rank;
  stage.plan({.rows = B});
  Matrix<float> x("x", B, C);
  const auto host_x = Kokkos::create_mirror_view(x);
  const auto value = [](index_t row, index_t c) { return static_cast<float>(pixel(row, c)); };
  for (index_t b = 0; b < B; ++b)
    for (index_t c = 0; c < C; ++c) host_x(b, c) = value(first + b, c);
  Kokkos::deep_copy(x, host_x);
  kernels::Context context;
  nn::Observer nobody;
  const ConstMatrix<float> y = stage.forward(stage.place(model.call(context, nobody), 0, 0), x);
  context.exec().fence();
  const auto host_y = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), y);
  for (index_t c = 0; c < C; ++c) {
    double mean = 0, squares = 0;
    for (index_t row = 0; row < all; ++row) mean += static_cast<double>(value(row, c)) / static_cast<double>(all);
    for (index_t row = 0; row < all; ++row) squares += std::pow(static_cast<double>(value(row, c)) - mean, 2);
    const double deviation = std::sqrt(squares / static_cast<double>(all) + 1e-5);
    for (index_t b = 0; b < B; ++b) {
      const double expected = (static_cast<double>(host_x(b, c)) - mean) / deviation;
      EXPECT_NEAR(host_y(b, c), expected, 8 * mean / deviation * 0x1p-24 * (1 + std::abs(expected))) << b << " " << c;
    }
  }
}

TEST(sync_batchnorm, is_refused_where_statistics_are_a_chunks_own) {
  if (world().size() == 1) GTEST_SKIP() << "one rank has a plain norm";
  BatchNormAxis norms(world(), Allreduce::ring);
  const auto layer = SyncBatchNormBetween<float>(norms).batchnorm2d("stem.norm", {2, 2, 3}, true);
  const auto text = testing::caught<UsageError>([&] {
    nn::Tables tables;
    tables.chunks = 4;
    layer(tables);
  });
  EXPECT_EQ(text,
            "stem.norm: statistics of all ranks, and sums in 4 chunks: expected statistics of a chunk in deterministic "
            "mode");
}

}  // namespace
}  // namespace partita::parallel::test::sync_batchnorm_tests
