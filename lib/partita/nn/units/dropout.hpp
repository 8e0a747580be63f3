// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/nn/unit.hpp>
#include <utility>

namespace partita::nn {

/// y = x keep / (1 - rate) in training, y = x in inference; keep is a function of (seed, layer, step, global row,
/// column), so it is the same on any number of ranks and is drawn again, not stored, for backward.
template <class Scalar>
class Dropout final : public Unit<Scalar> {
 public:
  /// `layer` tells the dropouts of a model apart.
  Dropout(std::string name, index_t columns, double rate, std::uint64_t layer)
      : name_(std::move(name)), columns_(columns), rate_(rate), layer_(layer) {}

  std::string name() const override { return name_; }
  index_t inputs() const override { return columns_; }
  index_t outputs() const override { return columns_; }
  double forward_flop(index_t B) const override { return static_cast<double>(B * columns_); }
  double backward_input_flop(index_t B) const override { return static_cast<double>(B * columns_); }

  void forward(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y, std::byte* saved) const override;
  void backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, std::byte* saved,
                      Matrix<Scalar> dy, Matrix<Scalar> dx) const override;

 private:
  void apply(const Call<Scalar>& call, ConstMatrix<Scalar> from, Matrix<Scalar> to) const;

  std::string name_;
  index_t columns_;
  double rate_;
  std::uint64_t layer_;
};

}  // namespace partita::nn
