// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <utility>

#include <partita/core/random.hpp>
#include <partita/nn/unit.hpp>

namespace partita::nn {

/// y = x keep / (1 - rate) in training, y = x in inference; keep is a function of (seed, unit's name, step, global row,
/// global column), so it is the same on any number of ranks and is drawn again, not stored, for backward.
template <class Scalar>
class Dropout final : public Unit<Scalar> {
 public:
  /// columns  Of the whole row that are here: those of a token slice, say.
  /// Throws   UsageError unless 0 <= rate < 1.
  Dropout(std::string name, Slice columns, double rate);

  PassFlop flop(index_t B) const override {
    const auto elements = static_cast<double>(B * columns_.extent);
    return {elements, elements};
  }
  bool reads_x() const override { return false; }

 protected:
  void compute(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override { apply(call, x, y); }
  void backward_input(const Call<Scalar>& call, ConstMatrix<Scalar>, ConstMatrix<Scalar>, Matrix<Scalar> dy,
                      Matrix<Scalar> dx) const override {
    if (dx.data() != nullptr) apply(call, dy, dx);
  }

 private:
  void apply(const Call<Scalar>& call, ConstMatrix<Scalar> from, Matrix<Scalar> to) const;

  Slice columns_;
  double rate_;
};

}  // namespace partita::nn
