// SPDX-License-Identifier: BSD-3-Clause
// An exchange that loses a range of the gradient, takes one twice, or takes one before it is complete: each is caught,
// by an error or by the norm of the gradient.
#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <tuple>

#include <gtest/gtest.h>

#include <support/collective.hpp>
#include <support/mpi.hpp>
#include "problem.hpp"

namespace partita::parallel::test::faults_tests {
namespace {

using partita::test::world;

enum class Fault { none, loses, twice, early };

/// A gradient sum and an exchange that do to one range what the fault says, and else what the real ones do.
template <class Scalar>
class Faulty final : public nn::GradientSum<nn::Sum<Scalar>>, public nn::Exchange<Scalar> {
 public:
  using Real = nn::Sum<Scalar>;
  Faulty(DataParallel<Scalar>& real, const nn::Model<Scalar>& model, Fault fault)
      : sum_(real.sum()), exchange_(real.exchange()), fault_(fault) {
    for (const nn::Unit<Scalar>* unit : model.units())
      if (!unit->ranges().empty()) {
        unit_ = unit->number();
        ranges_ = unit->ranges();  // of the last unit, the first to be complete
      }
  }

  nn::Destination<Real> destination(const Exec& exec, index_t piece, index_t unit) override {
    const nn::Destination<Real> to = sum_.destination(exec, piece, unit);
    if (fault_ == Fault::early && unit == unit_)
      for (const Range& range : ranges_)
        if (sum_.fold(exec, piece, range)) exchange_.ready(exec, range);
    return to;
  }
  nn::Destination<Real> statistics(index_t piece) override { return sum_.statistics(piece); }
  bool fold(const Exec& exec, index_t piece, Range range) override {
    if (std::find(ranges_.begin(), ranges_.end(), range) == ranges_.end()) return sum_.fold(exec, piece, range);
    if (fault_ == Fault::early || fault_ == Fault::loses) return false;
    const bool complete = sum_.fold(exec, piece, range);
    if (fault_ != Fault::twice) return complete;
    sum_.fold(exec, piece, range);
    if (complete) exchange_.ready(exec, range);
    return complete;
  }

  const nn::Window<const Scalar>& weights(const Exec& exec, index_t step) override {
    return exchange_.weights(exec, step);
  }
  void reading(const Exec& exec, const nn::Moment& moment, std::span<const Range> reads,
               nn::Observer& observer) override {
    exchange_.reading(exec, moment, reads, observer);
  }
  void read(const Exec& exec, const nn::Moment& moment) override { exchange_.read(exec, moment); }
  void ready(const Exec& exec, Range range) override { exchange_.ready(exec, range); }
  void progress() override { exchange_.progress(); }
  void finish(const Exec& exec, nn::Observer& observer) override { exchange_.finish(exec, observer); }
  ConstVector<Real> gradients() const override { return exchange_.gradients(); }
  ConstVector<Real> statistics() const override { return exchange_.statistics(); }
  void publish(const Exec& exec, nn::Observer& observer) override { exchange_.publish(exec, observer); }

 private:
  nn::GradientSum<Real>& sum_;
  nn::Exchange<Scalar>& exchange_;
  index_t unit_ = -1;
  std::span<const Range> ranges_;
  Fault fault_;
};

/// The norm of a step's gradient under a fault, or what it was refused with.
struct Outcome {
  double norm = 0;
  std::string error;
};

Outcome outcome(Strategy strategy, index_t bucket_bytes, Fault fault) {
  Options options{.allreduce = comm::Allreduce::ring, .micro_batches = 2};
  options.strategy = strategy;
  options.bucket_bytes = bucket_bytes;
  Replica<double> replica({"mlp", 48}, world(), options);
  Faulty<double> faulty(replica.strategy, replica.model, fault);
  const nn::GradientPass<double> pass(replica.model, replica.division, nn::in_turn(2), replica.head, &faulty);
  nn::TrainStep<double> step(replica.context, pass, faulty, replica.update.get(), 5);
  nn::Observer nobody;
  replica.fill(0);
  try {
    step.run(replica.inputs.batch(), 0, replica.losses, replica.norm, nobody);
  } catch (const Error& error) {
    return {0, error.what()};
  }
  replica.context.exec().fence();
  double norm = 0;
  Kokkos::deep_copy(norm, replica.norm);
  return {norm, ""};
}

class faults : public ::testing::TestWithParam<std::tuple<Strategy, index_t>> {};

TEST_P(faults, are_caught) {
  const auto [strategy, bucket_bytes] = GetParam();
  const Outcome right = outcome(strategy, bucket_bytes, Fault::none);
  ASSERT_ALL(world(), right.error.empty()) << right.error;
  // What is exchanged when backward has ended cannot be so too early; nor can what is not exchanged.
  const bool overlaps = bucket_bytes > 0 || strategy == Strategy::zero2 || strategy == Strategy::zero3;
  for (const Fault fault : {Fault::loses, Fault::twice, Fault::early}) {
    if (fault == Fault::early && (!overlaps || world().size() == 1)) continue;
    const Outcome wrong = outcome(strategy, bucket_bytes, fault);
    EXPECT_ALL(world(), !wrong.error.empty() || std::abs(wrong.norm / right.norm - 1) > 1e-5)
        << static_cast<int>(fault) << " " << wrong.norm << " " << right.norm;
  }
}

INSTANTIATE_TEST_SUITE_P(of, faults,
                         ::testing::Values(std::tuple{Strategy::allreduce, 0}, std::tuple{Strategy::allreduce, 8},
                                           std::tuple{Strategy::gather_broadcast, 0}, std::tuple{Strategy::zero1, 0},
                                           std::tuple{Strategy::zero1, 8}, std::tuple{Strategy::zero2, 0},
                                           std::tuple{Strategy::zero3, 0}, std::tuple{Strategy::local_sgd, 0}),
                         [](const auto& at) {
                           return std::string(name_of(strategies, std::get<0>(at.param))) +
                                  (std::get<1>(at.param) > 0 ? "_in_buckets" : "");
                         });

}  // namespace
}  // namespace partita::parallel::test::faults_tests
