// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <partita/kernels/batchnorm.hpp>
#include <partita/nn/parameter_table.hpp>
#include <partita/nn/unit.hpp>

namespace partita::nn {

/// y = (x - mean) / sqrt(var + epsilon) gamma + beta, then relu if asked, per channel over all pixels of the batch; in
/// inference with the running statistics (Ioffe and Szegedy 2015).
template <class Scalar>
class BatchNorm2d final : public Unit<Scalar> {
 public:
  /// Declares gamma and beta under "<name>.weight" and "<name>.bias", and among the state "<name>.running_mean" and
  /// "<name>.running_variance".
  BatchNorm2d(Tables& tables, std::string name, index_t pixels, index_t C, const kernels::BatchnormOptions& options);

  std::string name() const override { return name_; }
  index_t inputs() const override { return pixels_ * C_; }
  index_t outputs() const override { return pixels_ * C_; }
  std::span<const Range> ranges() const override { return ranges_; }
  double forward_flop(index_t B) const override;
  double backward_input_flop(index_t B) const override;
  double backward_weights_flop(index_t B) const override;
  std::size_t saved_bytes(index_t B) const override;
  bool may_end_branch() const override { return !options_.relu; }  // relu's mask is taken from y

  void forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y, std::byte* saved) const override;
  void backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, std::byte* saved,
                      Matrix<Scalar> dy, Matrix<Scalar> dx) const override;
  void backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar> x, std::byte* saved, ConstMatrix<Scalar> dy,
                        Vector<Scalar> gradients) const override;

 private:
  struct Saved {
    Vector<State<Scalar>> mean, rstd;     // of the batch
    Vector<State<Scalar>> dgamma, dbeta;  // sums that dx needs too
  };
  Saved cut(std::byte* block) const;
  ConstVector<Scalar> gamma(const Call<Scalar>& call) const {
    return {call.parameters.data() + ranges_[0].offset, static_cast<std::size_t>(C_)};
  }

  std::string name_;
  index_t pixels_;
  index_t C_;
  kernels::BatchnormOptions options_;
  std::array<Range, 2> ranges_;   // gamma, beta
  std::array<Range, 2> running_;  // mean, variance
};

}  // namespace partita::nn
