// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <partita/kernels/conv2d.hpp>
#include <partita/nn/parameter_table.hpp>
#include <partita/nn/unit.hpp>

namespace partita::nn {

/// y = x * W + b: a two-dimensional convolution of NHWC images with filters (F, kernel_rows, kernel_columns, C).
///
/// Initial weights are normal with deviation sqrt(2 / (kernel area x C)) (He et al. 2015), biases zero.
template <class Scalar>
class Conv2d final : public Unit<Scalar> {
 public:
  /// Declares W and b under "<name>.weight" and "<name>.bias".
  Conv2d(ParameterTable& table, std::string name, const kernels::Conv2dShape& shape, bool bias);

  std::string name() const override { return name_; }
  index_t inputs() const override { return shape_.inputs(); }
  index_t outputs() const override { return shape_.outputs(); }
  std::span<const Range> ranges() const override { return {ranges_.data(), bias_ ? 2u : 1u}; }
  double forward_flop(index_t B) const override;
  double backward_input_flop(index_t B) const override;
  double backward_weights_flop(index_t B) const override;

  void forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y, std::byte* saved) const override;
  void backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, std::byte* saved,
                      Matrix<Scalar> dy, Matrix<Scalar> dx) const override;
  void backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x, std::byte* saved, ConstMatrix<Scalar> dy,
                        Vector<Scalar> gradients) const override;

 private:
  ConstMatrix<Scalar> weight(ConstVector<Scalar> parameters) const {
    return {parameters.data() + ranges_[0].offset, static_cast<std::size_t>(shape_.filters),
            static_cast<std::size_t>(taps())};
  }
  index_t taps() const { return shape_.kernel_rows * shape_.kernel_columns * shape_.channels; }

  std::string name_;
  kernels::Conv2dShape shape_;
  bool bias_;
  std::array<Range, 2> ranges_;  // W, b
};

}  // namespace partita::nn
