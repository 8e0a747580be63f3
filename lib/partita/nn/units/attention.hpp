// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/attention.hpp>
#include <partita/nn/unit.hpp>

namespace partita::nn {

/// Scaled dot-product attention of H heads: x is [q | k | v] of each token (3 C), y the heads' outputs (C). No weights:
/// the projections are Linear units around it.
template <class Scalar>
class Attention final : public Unit<Scalar> {
 public:
  Attention(std::string name, const kernels::AttentionOptions& options, index_t C);

  std::string name() const override { return name_; }
  index_t inputs() const override { return options_.T * 3 * C_; }
  index_t outputs() const override { return options_.T * C_; }
  double forward_flop(index_t B) const override;
  double backward_input_flop(index_t B) const override;
  std::size_t saved_bytes(index_t B) const override;
  bool may_end_branch() const override { return false; }  // reads y

  void forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y, std::byte* saved) const override;
  void backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, std::byte* saved,
                      Matrix<Scalar> dy, Matrix<Scalar> dx) const override;

 private:
  std::string name_;
  kernels::AttentionOptions options_;
  index_t C_;
};

}  // namespace partita::nn
