// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/random.hpp>
#include <partita/nn/mlp.hpp>
#include <partita/parallel/data_parallel.hpp>
#include <partita/parallel/training_phases.hpp>
#include <vector>

namespace partita::parallel::test {

/// A little classification problem: 9 features, hidden layers of 11 and 6, 4 classes. Rows are functions of their
/// place in the batch of a step, so that every rank can make any of them.
template <class Scalar>
struct Problem {
  static constexpr index_t features = 9;
  static constexpr index_t classes = 4;

  static nn::Model<Scalar> model() {
    return nn::make_mlp<Scalar>({features, {11, 6}, classes, kernels::Activation::tanh}, 7);
  }

  static void fill(index_t step, Slice rows, Matrix<Scalar> x, Vector<std::int32_t> label) {
    const auto host_x = Kokkos::create_mirror_view(x);
    const auto host_label = Kokkos::create_mirror_view(label);
    for (index_t b = 0; b < rows.extent; ++b) {
      const index_t row = step * 1000 + rows.offset + b;
      for (index_t k = 0; k < features; ++k)
        host_x(b, k) = static_cast<Scalar>(normal(5, Stream::test, static_cast<std::uint64_t>(row * features + k)));
      host_label(b) = static_cast<std::int32_t>(row % classes);
    }
    Kokkos::deep_copy(x, host_x);
    Kokkos::deep_copy(label, host_label);
  }
};

/// The loss of each step and the last gradient and parameters of `steps` steps of training on a communicator.
template <class Scalar>
struct Trained {
  std::vector<double> losses;  // rank 0 of the communicator
  std::vector<Scalar> gradients;
  std::vector<Scalar> parameters;
  index_t rows = 0;
  bool agree = false;

  Trained(const comm::Communicator& comm, const DataParallelOptions& options, index_t steps) {
    using Data = Problem<Scalar>;
    nn::Model<Scalar> model = Data::model();
    kernels::Context context(
        Exec(), {.backend = kernels::Backend::automatic, .deterministic = options.deterministic, .per_kernel = {}});
    const nn::FlatOptimizer<Scalar> optimizer(context.exec(), {.kind = kernels::Optimizer::adam}, 0.01,
                                              model.parameters());
    DataParallel<Scalar> replica(model, context, comm, options, optimizer);
    metrics::PhaseTimer timer(training_phases());
    rows = replica.rows().extent;
    const Matrix<Scalar> x("x", rows, Data::features);
    const Vector<std::int32_t> label("label", rows);
    const Vector<double> terms("losses", replica.loss_terms());
    for (index_t step = 0; step < steps; ++step) {
      Data::fill(step, replica.rows(), x, label);
      replica.train_step(x, label, terms, timer);
      const auto mine = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), terms);
      const std::vector<double> all = comm.gather(std::span<const double>(mine.data(), mine.extent(0)));
      if (comm.is_root()) losses.push_back(replica.mean_loss(all));
    }
    gradients = on_host(replica.gradients());
    parameters = on_host(model.parameters());
    agree = replica.replicas_agree();
  }

 private:
  static std::vector<Scalar> on_host(ConstVector<Scalar> values) {
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), values);
    return {host.data(), host.data() + host.extent(0)};
  }
};

}  // namespace partita::parallel::test
