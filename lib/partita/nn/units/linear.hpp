// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <partita/kernels/activation.hpp>
#include <partita/nn/parameter_table.hpp>
#include <partita/nn/unit.hpp>

namespace partita::nn {

/// y = act(x W^T + b) with W (N, K) and b (N): a fully connected layer with its activation fused.
///
/// Initial values are uniform in +-1/sqrt(K) for W and b, as torch.nn.Linear draws them.
template <class Scalar>
class Linear final : public Unit<Scalar> {
 public:
  /// Declares W and b in the table under "<name>.weight" and "<name>.bias".
  Linear(ParameterTable& table, std::string name, index_t K, index_t N, kernels::Activation activation);

  std::string name() const override { return name_; }
  index_t inputs() const override { return K_; }
  index_t outputs() const override { return N_; }
  std::span<const Range> ranges() const override { return ranges_; }
  double forward_flop(index_t B) const override;
  double backward_input_flop(index_t B) const override;
  double backward_weights_flop(index_t B) const override;

  void forward(kernels::Context& context, ConstVector<Scalar> parameters, ConstMatrix<Scalar> x,
               Matrix<Scalar> y) const override;
  void backward_input(kernels::Context& context, ConstVector<Scalar> parameters, ConstMatrix<Scalar> y,
                      Matrix<Scalar> dy, Matrix<Scalar> dx) const override;
  void backward_weights(kernels::Context& context, ConstMatrix<Scalar> x, ConstMatrix<Scalar> dy,
                        Vector<Scalar> gradients) const override;

 private:
  std::string name_;
  index_t K_;
  index_t N_;
  kernels::Activation activation_;
  std::array<Range, 2> ranges_;  // W, b
};

}  // namespace partita::nn
