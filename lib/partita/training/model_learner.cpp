// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/model_learner.hpp>

#include <algorithm>

#include <partita/core/error.hpp>

namespace partita::training {
namespace {

parallel::server::TouchedRows distinct(std::vector<std::int32_t> tokens) {
  std::sort(tokens.begin(), tokens.end());
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  return tokens;
}

}  // namespace

template <class Scalar>
ModelLearner<Scalar>::Worker::Worker(kernels::Context& context, const TrainOptions& train, nn::Model<Scalar>& model,
                                     const nn::LossHead<Scalar>& head, const nn::Division& division,
                                     nn::FlatGradientSum<nn::Sum<Scalar>>& gradient)
    : sum(gradient),
      pass(model, division, nn::in_turn(train.micro_batches), head, &gradient),
      exchange(gradient),
      step(context, pass, exchange, nullptr, train.seed) {}

template <class Scalar>
ModelLearner<Scalar>::ModelLearner(kernels::Context& context, const TrainOptions& train, const Dataset& data,
                                   nn::Model<Scalar>& model, const nn::LossHead<Scalar>& head, int W,
                                   const std::vector<int>& workers, const WorkersData& has)
    : context_(context),
      train_(train),
      data_(data),
      model_(model),
      table_(has.table),
      workers_(static_cast<std::size_t>(W)) {
  if (model.statistics_table().size() > 0)
    refuse<UsageError>("model", "a batch norm, whose running statistics no server has", "a model without");
  index_t first = 0;
  for (int w = 0; w < W; ++w) {
    if (has.rows.empty()) {
      divisions_.push_back(train.division(W, w));
      continue;
    }
    const index_t mine = has.rows[static_cast<std::size_t>(w)];
    divisions_.push_back(nn::divide(Slice{first, mine, train.batch}, train.micro_batches));
    first += mine;
  }
  if (has.skew.alpha > 0) {
    std::vector<index_t> shares;
    for (const nn::Division& division : divisions_) shares.push_back(division.rows.extent);
    skewed_ = std::make_unique<data::WorkerSampler>(data.sampler(), shares, has.skew, data.labels());
  }
  std::size_t pieces = 0;
  for (const int w : workers) {
    const nn::Division& division = divisions_[static_cast<std::size_t>(w)];
    // In fast mode a gradient is one sum, whoever's it is.
    if (sums_.empty() || train.deterministic) sums_.emplace_back(model.table().size(), 0, division);
    workers_[static_cast<std::size_t>(w)] =
        std::make_unique<Worker>(context, train, model, head, division, sums_.back());
    pieces = std::max(pieces, division.pieces.size());
  }
  index_t rows = 0;  // of any worker: whoever asks may see what it touches
  for (const nn::Division& division : divisions_) rows = std::max(rows, division.rows.extent);
  rows_ = data.template allocate<Scalar>(rows);
  if (skewed_) {
    samples_.resize(static_cast<std::size_t>(rows));
    device_samples_ = Vector<index_t>("partita::training::ModelLearner::samples", rows);
  }
  device_losses_ = Vector<double>("partita::training::ModelLearner::losses", pieces);
  losses_.resize(pieces);
}

template <class Scalar>
std::vector<Node> ModelLearner<Scalar>::cover(int worker) const {
  const nn::Division& division = divisions_[static_cast<std::size_t>(worker)];
  return tree_cover(division.leaves, division.chunks.lo, division.chunks.hi);
}

template <class Scalar>
void ModelLearner<Scalar>::read(int worker, index_t clock, const Rows<Scalar>& rows) {
  const Exec& exec = context_.exec();
  const Slice mine = divisions_[static_cast<std::size_t>(worker)].rows;
  if (!skewed_ || !skewed_->skewed(clock)) return data_.template batch<Scalar>(exec, clock, mine, rows);
  const auto n = static_cast<std::size_t>(mine.extent);
  skewed_->samples(worker, clock, std::span<index_t>(samples_.data(), n));
  const Vector<index_t> list(device_samples_.data(), n);
  Kokkos::deep_copy(exec, list, Kokkos::View<const index_t*, Kokkos::HostSpace>(samples_.data(), n));
  data_.template samples<Scalar>(exec, list, rows);
}

template <class Scalar>
std::vector<std::int32_t> ModelLearner<Scalar>::tokens_of(const Rows<Scalar>& rows) const {
  std::vector<std::int32_t> tokens(rows.tokens.size());
  Kokkos::deep_copy(context_.exec(), Kokkos::View<std::int32_t*, Kokkos::HostSpace>(tokens.data(), tokens.size()),
                    Vector<std::int32_t>(rows.tokens.data(), tokens.size()));
  context_.exec().fence("partita::training::ModelLearner: keys are on the host");
  return tokens;
}

template <class Scalar>
parallel::server::TouchedRows ModelLearner<Scalar>::touched(int worker, index_t clock) {
  if (table_.rows == 0) return {};
  const Rows<Scalar> rows = rows_.top(divisions_[static_cast<std::size_t>(worker)].rows.extent);
  read(worker, clock, rows);
  return distinct(tokens_of(rows));
}

// By their places in the window.
template <class Scalar>
void ModelLearner<Scalar>::renumber(const Rows<Scalar>& rows) const {
  std::vector<std::int32_t> tokens = tokens_of(rows);
  const parallel::server::TouchedRows touched = distinct(tokens);
  const index_t left = table_.most - std::ssize(touched);
  for (std::int32_t& token : tokens)
    token =
        static_cast<std::int32_t>(left + (std::lower_bound(touched.begin(), touched.end(), token) - touched.begin()));
  Kokkos::deep_copy(context_.exec(), Vector<std::int32_t>(rows.tokens.data(), tokens.size()),
                    Kokkos::View<const std::int32_t*, Kokkos::HostSpace>(tokens.data(), tokens.size()));
  context_.exec().fence("partita::training::ModelLearner: keys have their new numbers");
}

template <class Scalar>
parallel::server::Gradient<Scalar> ModelLearner<Scalar>::gradient(int number, index_t clock,
                                                                  const nn::Window<const Scalar>& weights) {
  const Exec& exec = context_.exec();
  Worker& worker = *workers_[static_cast<std::size_t>(number)];
  const nn::Division& division = worker.pass.division();
  const Rows<Scalar> rows = rows_.top(division.rows.extent);
  read(number, clock, rows);
  if (table_.rows > 0) renumber(rows);
  worker.exchange.read(weights);
  const std::size_t pieces = division.pieces.size();
  const Vector<double> losses(device_losses_.data(), pieces);
  worker.step.run(rows.batch(), clock, losses, no_norm_, *observer_);
  Kokkos::deep_copy(exec, Kokkos::View<double*, Kokkos::HostSpace>(losses_.data(), pieces), losses);
  exec.fence("partita::training::ModelLearner: losses are on the host");
  return {worker.sum.all_nodes(), std::span<const double>(losses_.data(), pieces), division.rows.extent};
}

template <class Scalar>
void ModelLearner<Scalar>::between_units(const std::function<void()>& call) {
  for (const auto& worker : workers_)
    if (worker) worker->exchange.between = call;
}

template class ModelLearner<float>;

}  // namespace partita::training
