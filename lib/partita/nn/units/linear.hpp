// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <partita/kernels/activation.hpp>
#include <partita/nn/parameter_table.hpp>
#include <partita/nn/unit.hpp>

namespace partita::nn {

struct LinearOptions {
  index_t tokens = 1;  ///< a row of x is so many tokens of K numbers each, and the layer is the same for all
  kernels::Activation activation = kernels::Activation::identity;  ///< fused; its slope must follow from y
  bool bias = true;
  Initial weight = {.value = 0};  ///< value 0: uniform in +-1/sqrt(K), as torch.nn.Linear draws weight and bias
};

/// y = act(x W^T + b) with W (N, K) and b (N): a fully connected layer with its activation fused.
template <class Scalar>
class Linear final : public Unit<Scalar> {
 public:
  /// Declares W and b in the table under "<name>.weight" and "<name>.bias".
  /// Throws  UsageError for an activation whose slope needs x W^T + b: give it a unit of its own.
  Linear(ParameterTable& table, std::string name, index_t K, index_t N, const LinearOptions& options);
  /// The weight is another unit's, such as an embedding's (V, C) as a head: its owner adds the two gradients up and
  /// says when they are final. No bias.
  Linear(std::string name, Range weight, index_t K, index_t N, index_t tokens);

  std::string name() const override { return name_; }
  index_t inputs() const override { return options_.tokens * K_; }
  index_t outputs() const override { return options_.tokens * N_; }
  std::span<const Range> ranges() const override { return {ranges_.data(), owned_}; }
  double forward_flop(index_t B) const override;
  double backward_input_flop(index_t B) const override;
  double backward_weights_flop(index_t B) const override;
  bool may_end_branch() const override { return options_.activation == kernels::Activation::identity; }

  void forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y, std::byte* saved) const override;
  void backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, std::byte* saved,
                      Matrix<Scalar> dy, Matrix<Scalar> dx) const override;
  void backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x, std::byte* saved, ConstMatrix<Scalar> dy,
                        Vector<Scalar> gradients) const override;

 private:
  ConstMatrix<Scalar> weight(ConstVector<Scalar> parameters) const {
    return {parameters.data() + ranges_[0].offset, static_cast<std::size_t>(N_), static_cast<std::size_t>(K_)};
  }

  std::string name_;
  index_t K_;
  index_t N_;
  LinearOptions options_;
  std::array<Range, 2> ranges_;  // W, b
  std::size_t owned_ = 0;        // how many of them are this unit's
};

}  // namespace partita::nn
