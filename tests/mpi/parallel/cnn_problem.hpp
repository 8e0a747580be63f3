// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include <partita/parallel/sync_batchnorm.hpp>

#include "problem.hpp"

namespace partita::parallel::test {

/// Which rows of a batch a rank goes through, in order, and how they are cut.
struct Share {
  nn::Division division;
  std::vector<index_t> rows;
};

/// A rank's share of a batch.
inline Share split_share(const comm::Communicator& ranks, index_t batch, index_t micro_batches) {
  Share share{nn::divide(batch, ranks.size(), ranks.rank(), micro_batches, 0), {}};
  for (index_t b = share.division.rows.offset; b < share.division.rows.end(); ++b) share.rows.push_back(b);
  return share;
}

/// All of it for one rank: its k-th micro-batch holds the k-th of each of so many ranks.
inline Share whole_share(int ranks, index_t batch, index_t micro_batches) {
  Share share{{.rows = whole(batch), .pieces = {}, .micro_batches = {}, .chunks = {}}, {}};
  for (index_t k = 0; k < micro_batches; ++k) {
    const auto first = static_cast<index_t>(share.rows.size());
    for (int r = 0; r < ranks; ++r) {
      const Slice part = nn::divide(batch, ranks, r, micro_batches, 0).pieces[static_cast<std::size_t>(k)];
      for (index_t b = part.offset; b < part.end(); ++b) share.rows.push_back(b);
    }
    share.division.pieces.push_back({first, static_cast<index_t>(share.rows.size()) - first, batch});
    share.division.micro_batches.push_back({k, 1});
  }
  return share;
}

inline nn::CnnShape small_cnn(nn::CnnKind kind, nn::Recompute recompute = nn::Recompute::none) {
  return {.kind = kind,
          .rows = 7,
          .columns = 6,
          .channels = 2,
          .width = {3, 4},
          .depth = 1,
          .classes = 4,
          .recompute = recompute};
}

/// Steps of a CNN over the ranks of an axis, whose batch norms take all ranks' rows together, or each rank's own.
template <class Scalar>
struct CnnReplica {
  using MakeLayers = std::function<nn::LayerList<Scalar>(BatchNormAxis&)>;

  /// actions   none: in turn.
  CnnReplica(const nn::CnnShape& of, const comm::Communicator& ranks, Share of_batch, const Options& options, bool sync,
             const nn::Actions& actions = {})
      : CnnReplica(
            of, ranks, std::move(of_batch), options, ranks, whole(of.rows * of.columns * of.channels),
            [&](BatchNormAxis& axis) {
              return sync ? nn::cnn_layers<Scalar>(of, SyncBatchNormBetween<Scalar>(axis)) : nn::cnn_layers<Scalar>(of);
            },
            actions) {}

  /// numbers   of a sample, those that are here.
  CnnReplica(const nn::CnnShape& of, const comm::Communicator& ranks, Share of_batch, const Options& options,
             const comm::Communicator& behind_norms, Slice numbers, const MakeLayers& layers,
             const nn::Actions& actions = {})
      : shape(of),
        share(std::move(of_batch)),
        features(numbers),
        context(Exec(), {.deterministic = options.chunks > 0, .per_kernel = {}}),
        norms(behind_norms, options.allreduce),
        model(
            layers(norms), {1, of.classes},
            {.seed = 7, .chunks = std::max<index_t>(options.chunks, 1), .weights = options.parallel().whole_weights()}),
        strategy(ranks, options.parallel(), model, share.division, 7),
        head(kernels::Loss::cross_entropy, model),
        pass(model, share.division, actions.empty() ? nn::in_turn(std::ssize(share.division.micro_batches)) : actions,
             head, &strategy.sum()),
        exchange(strategy.exchange()),
        update(strategy.make_update(context.exec(), options.update)),
        step(context, pass, exchange, update.get(), 5),
        x("x", share.rows.size(), static_cast<std::size_t>(model.inputs())),
        label("label", share.rows.size()),
        losses("losses", share.division.pieces.size()) {}
  CnnReplica(const CnnReplica&) = delete;
  CnnReplica& operator=(const CnnReplica&) = delete;

  /// Rows are functions of their place in the batch of a step, and far from alike, so that statistics of some of them
  /// are not those of all.
  void fill(index_t s) {
    const auto host_x = Kokkos::create_mirror_view(x);
    const auto host_label = Kokkos::create_mirror_view(label);
    for (std::size_t i = 0; i < share.rows.size(); ++i) {
      const auto row = static_cast<std::uint64_t>(1000 * s + share.rows[i]);
      for (std::size_t j = 0; j < x.extent(1); ++j)
        host_x(i, j) =
            static_cast<Scalar>(static_cast<float>(normal(5, Stream::test,
                                                          row * static_cast<std::uint64_t>(features.global) +
                                                              static_cast<std::uint64_t>(features.offset) + j) +
                                                   normal(9, Stream::test, row)));
      host_label(i) =
          static_cast<std::int32_t>(random_bits(8, Stream::test, row) % static_cast<std::uint64_t>(shape.classes));
    }
    Kokkos::deep_copy(x, host_x);
    Kokkos::deep_copy(label, host_label);
  }
  nn::Batch<Scalar> batch() const { return {x, {}, label}; }
  void run(index_t s, nn::Observer& observer) { step.run(batch(), s, losses, norm, observer); }
  void run(index_t s) {
    nn::Observer nobody;
    fill(s);
    run(s, nobody);
    context.exec().fence();
  }

  /// Of the last step: each micro-batch's loss over the ranks of the axis.
  std::vector<double> loss_terms(const comm::Communicator& ranks) const {
    std::vector<double> terms = on_host(losses);
    ranks.allreduce(std::span<double>(terms), comm::Op::sum);
    return terms;
  }
  double grad_norm() const { return on_host(Vector<double>(norm.data(), 1)).front(); }
  std::vector<double> running() const { return on_host(model.running()); }
  std::vector<double> gradients() const {
    std::vector<double> all = on_host(exchange.gradients());
    for (const double value : on_host(exchange.statistics())) all.push_back(value);
    return all;
  }
  std::vector<double> parameters() {
    std::vector<double> all;
    exchange.visit_weights(context.exec(), [&](ConstVector<Scalar> part) {
      for (const double value : on_host(part)) all.push_back(value);
    });
    return all;
  }
  template <class View>
  static std::vector<double> on_host(const View& view) {
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), view);
    std::vector<double> values;
    for (std::size_t i = 0; i < host.extent(0); ++i) values.push_back(static_cast<double>(host(i)));
    return values;
  }

  nn::CnnShape shape;
  Share share;
  Slice features;
  kernels::Context context;
  BatchNormAxis norms;
  nn::Model<Scalar> model;
  DataParallel<Scalar> strategy;
  nn::WholeRows<Scalar> head;
  nn::GradientPass<Scalar> pass;
  nn::Exchange<Scalar>& exchange;
  std::unique_ptr<nn::Update<Scalar>> update;
  nn::TrainStep<Scalar> step;
  Matrix<Scalar> x;
  Vector<std::int32_t> label;
  Vector<double> losses;
  Kokkos::View<double, Memory> norm{"norm"};
};

/// Steps whose weights are comparable: what is a little off stays so.
inline Options by_sgd(comm::Allreduce how = comm::Allreduce::ring, Strategy strategy = Strategy::allreduce,
                      index_t bucket_bytes = 0) {
  Options options{.allreduce = how, .strategy = strategy, .bucket_bytes = bucket_bytes};
  options.update = {.optimizer = {.kind = kernels::Optimizer::sgd, .momentum = 0.9}, .learning_rate = 0.1};
  return options;
}

/// Largest difference.
inline double apart(const std::vector<double>& a, const std::vector<double>& b) {
  double largest = a.size() == b.size() ? 0 : 1e300;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

}  // namespace partita::parallel::test
