// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/exchanges/allreduce.hpp>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/parallel/buffers.hpp>
#include <partita/parallel/separate_wait.hpp>

namespace partita::parallel {

template <class Scalar>
AllreduceExchange<Scalar>::AllreduceExchange(const comm::Communicator& axis, const AllreduceExchangeOptions& options,
                                             ConstVector<Scalar> parameters, const nn::FlatGradientSum<Real>& sum,
                                             const nn::Division& division)
    : axis_(axis),
      options_(options),
      deterministic_(division.leaves > 0),
      overlaps_(!options.buckets.empty()),
      weights_(parameters),
      sum_(sum),
      buckets_(Cuts(overlaps_ ? options.buckets : std::vector<index_t>{0, sum.size()})),
      flights_(static_cast<std::size_t>(buckets_.cuts().size())) {
  if (const Range covered = buckets_.cuts().whole(); covered != Range{0, sum.size()})
    refuse<UsageError>("AllreduceExchange", fmt::format("buckets from {} to {}", covered.offset, covered.end()),
                       fmt::format("0 to {}", sum.size()));
  if (deterministic_) tree_sum_ = make_buffer<Real>("partita::parallel::AllreduceExchange::sum", sum.size());
  for (int b = 0; b < buckets_.cuts().size(); ++b) {
    const index_t n = buckets_.cuts()[b].extent;
    if (deterministic_)
      plans_.push_back(std::make_unique<comm::TreeAllreducePlan<Real>>(
          axis, options.how, comm::TreeNodes{n, division.leaves, sum.size()}));
    else
      plans_.push_back(std::make_unique<comm::AllreducePlan<Real>>(axis, options.how, n));
  }
}

// call(plan, input, output) for a tree, call(plan, inout) for the other.
template <class Scalar>
template <class Call>
void AllreduceExchange<Scalar>::with_operands(int bucket, const Call& call) const {
  const Range range = buckets_.cuts()[bucket];
  comm::Plan<Real>& plan = *plans_[static_cast<std::size_t>(bucket)];
  if (!deterministic_) return call(plan, part(sum_.node(0), range));
  call(plan, sum_.of_all_nodes(range), part(tree_sum_, range));
}

template <class Scalar>
void AllreduceExchange<Scalar>::ready(const Exec& exec, Range range) {
  buckets_.add(range, [&](int bucket) {
    if (!overlaps_) return;
    with_operands(bucket, [&](comm::Plan<Real>& plan, const auto&... operands) {
      flights_.launch(bucket, plan, [&] { plan.start(exec, operands...); });
    });
  });
}

template <class Scalar>
void AllreduceExchange<Scalar>::progress() {
  if (options_.progress == ProgressMode::test) flights_.progress();
}

template <class Scalar>
void AllreduceExchange<Scalar>::finish(const Exec& exec, nn::Observer& observer) {
  buckets_.require_all();
  buckets_.restart();
  if (overlaps_) return flights_.finish();
  if (options_.separate_wait) parallel::separate_wait(axis_, exec, observer);
  with_operands(0, [&](comm::Plan<Real>& plan, const auto&... operands) { plan.run(exec, operands...); });
}

template class AllreduceExchange<float>;
template class AllreduceExchange<double>;
template class AllreduceExchange<bfloat16>;
template class AllreduceExchange<float16>;

}  // namespace partita::parallel
