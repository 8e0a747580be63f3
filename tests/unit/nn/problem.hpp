// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/core/random.hpp>
#include <partita/nn/serial_step.hpp>

namespace partita::nn::test {

template <class View>
auto on_host(const View& view) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), view);
  return std::vector<typename View::non_const_value_type>(host.data(), host.data() + host.size());
}

template <class View, class Value>
View filled(View view, const Value& value) {
  const auto host = Kokkos::create_mirror_view(view);
  for (std::size_t i = 0; i < host.size(); ++i) host.data()[i] = value(i);
  Kokkos::deep_copy(view, host);
  return view;
}

/// Random rows or tokens, and labels, that fit a model.
template <class Scalar>
struct Data {
  Data(const Model<Scalar>& model, index_t B)
      : label(filled(Vector<std::int32_t>("label", B * model.output().labels), [&](std::size_t i) {
          return static_cast<std::int32_t>((3 * i + 1) % static_cast<std::size_t>(model.output().classes));
        })) {
    if (model.reads_tokens())
      tokens = filled(Matrix<std::int32_t>("tokens", B, model.inputs()), [&](std::size_t i) {
        return static_cast<std::int32_t>(random_bits(6, Stream::test, i) %
                                         static_cast<std::uint64_t>(model.output().classes));
      });
    else
      x = filled(Matrix<Scalar>("x", B, model.inputs()),
                 [](std::size_t i) { return static_cast<Scalar>(static_cast<float>(normal(5, Stream::test, i))); });
  }
  Batch<Scalar> batch() const { return {x, tokens, label}; }
  index_t rows() const { return static_cast<index_t>(x.data() == nullptr ? tokens.extent(0) : x.extent(0)); }

  Matrix<Scalar> x;
  Matrix<std::int32_t> tokens;
  Vector<std::int32_t> label;
};

/// A model in double with random data: mean loss and gradients, without an update.
struct Problem {
  Problem(Model<double> of, index_t B, kernels::Loss loss = kernels::Loss::cross_entropy, Actions actions = {},
          index_t micro_batches = 1)
      : model(std::move(of)),
        data(model, B),
        division(divide(B, 1, 0, micro_batches, 0)),
        sum(model.table().size(), model.statistics_table().size(), division),
        head(loss, model),
        links(model),
        pass(model, division, actions.empty() ? in_turn(micro_batches, model.stage_count()) : std::move(actions), head,
             &sum, &links),
        losses("losses", static_cast<std::size_t>(micro_batches)) {}

  /// The mean loss; its gradient is in gradients() then.
  double run(Observer& observer) {
    Progress nothing;
    pass.run(model.call(context, observer), data.batch(), nothing, {losses});
    context.exec().fence();
    double total = 0;
    for (const double loss : on_host(losses)) total += loss;
    return total / static_cast<double>(data.label.extent(0));
  }
  double run() {
    Observer nobody;
    return run(nobody);
  }

  std::vector<double> gradients() const { return on_host(sum.weights_of(sum.node(0))); }

  Model<double> model;
  Data<double> data;
  Division division;
  FlatGradientSum<double> sum;
  WholeRows<double> head;
  Links<double> links;
  GradientPass<double> pass;
  Vector<double> losses;
  kernels::Context context;
};

/// Every parameter's gradient against central differences of the loss: `h^2 f'''/6` and `eps f / h` are below
/// tolerance.
inline void expect_central_differences(Problem& problem, double h, double tolerance) {
  problem.run();
  const std::vector<double> gradient = problem.gradients();
  const auto parameters = problem.model.parameters();
  const auto w = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), parameters);
  for (std::size_t i = 0; i < w.extent(0); ++i) {
    const double centre = w(i);
    w(i) = centre + h;
    Kokkos::deep_copy(parameters, w);
    const double above = problem.run();
    w(i) = centre - h;
    Kokkos::deep_copy(parameters, w);
    const double below = problem.run();
    w(i) = centre;
    EXPECT_NEAR(gradient[i], (above - below) / (2 * h), tolerance * std::max(1.0, std::abs(gradient[i])))
        << "parameter " << i;
  }
  Kokkos::deep_copy(parameters, w);
}

}  // namespace partita::nn::test
