// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/random.hpp>
#include <partita/kernels/loss.hpp>
#include <partita/nn/model.hpp>
#include <vector>

namespace partita::nn::test {

/// A model in double with random input, or random tokens, and labels: the loss is the sum over all scored rows.
struct Problem {
  /// A model of images or features.
  Problem(Model<double> of, index_t B, index_t classes)
      : model(std::move(of)), x("x", B, model.inputs()), label("label", B), V(classes) {
    const auto host = Kokkos::create_mirror_view(x);
    for (std::size_t i = 0; i < host.size(); ++i) host.data()[i] = normal(5, Stream::test, i);
    Kokkos::deep_copy(x, host);
    begin();
  }
  /// A model of sequences of T tokens.
  Problem(Model<double> of, index_t B, index_t vocabulary, index_t T)
      : model(std::move(of)), tokens("tokens", B, T), label("label", B * T), V(vocabulary) {
    const auto host = Kokkos::create_mirror_view(tokens);
    for (std::size_t i = 0; i < host.size(); ++i)
      host.data()[i] = static_cast<std::int32_t>(random_bits(6, Stream::test, i) % static_cast<std::uint64_t>(V));
    Kokkos::deep_copy(tokens, host);
    begin();
  }

  Call<double> call() {
    Call<double> call = model.call(context);
    call.tokens = tokens;
    return call;
  }

  double loss() {
    const ConstMatrix<double> y = model.forward(call(), 0, x, observer);
    const ConstMatrix<double> scores(y.data(), label.extent(0), static_cast<std::size_t>(V));
    const Matrix<double> dy = model.output_gradient(0, static_cast<index_t>(y.extent(0)));
    kernels::loss_forward_backward<double>(context, kernels::Loss::cross_entropy, scores, label, 1,
                                           Matrix<double>(dy.data(), label.extent(0), static_cast<std::size_t>(V)),
                                           sum);
    double value = 0;
    Kokkos::deep_copy(value, sum);
    return value;
  }

  void backward() { model.backward(call(), 0, x, model.gradients(), observer); }

  std::vector<double> gradients() const {
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), model.gradients());
    return {host.data(), host.data() + host.size()};
  }

  Model<double> model;
  kernels::Context context;
  Observer observer;
  Matrix<double> x;
  Matrix<std::int32_t> tokens;
  Vector<std::int32_t> label;
  index_t V;
  Kokkos::View<double, Memory> sum{"sum"};

 private:
  void begin() {
    model.plan(static_cast<index_t>(x.data() == nullptr ? tokens.extent(0) : x.extent(0)), 2);
    const auto host = Kokkos::create_mirror_view(label);
    for (std::size_t i = 0; i < host.size(); ++i)
      host(i) = static_cast<std::int32_t>((3 * i + 1) % static_cast<std::size_t>(V));
    Kokkos::deep_copy(label, host);
  }
};

}  // namespace partita::nn::test
