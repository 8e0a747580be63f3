// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/loss.hpp>
#include <partita/nn/model.hpp>

namespace partita::nn {

/// Scores and labels -> loss terms and the gradient of the scores.
template <class Scalar>
class LossHead {
 public:
  virtual ~LossHead() = default;

  /// sum () = sum of the loss over the labels;   dy = scale factor dsum/dy, `factor` () in device memory or empty.
  ///
  /// Shapes   y (B, outputs)   label (B labels)   ->   dy (B, outputs), may be y;   sum (); both overwritten.
  /// Runs     enqueued; no allocation, and no fence unless a head says that it talks to other ranks.
  /// Throws   ShapeError when there are not `labels` labels for every row.
  virtual void run(kernels::Context& context, ConstMatrix<Scalar> y, ConstVector<std::int32_t> label, double scale,
                   Kokkos::View<const double, Memory> factor, Matrix<Scalar> dy,
                   Kokkos::View<double, Memory> sum) const = 0;
  /// Without a gradient; correct () = labels whose score is the largest.
  virtual void evaluate(kernels::Context& context, ConstMatrix<Scalar> y, ConstVector<std::int32_t> label,
                        Kokkos::View<double, Memory> sum, Kokkos::View<index_t, Memory> correct) const = 0;
  virtual OutputShape output() const = 0;
};

/// Every rank has whole rows of scores.
template <class Scalar>
class WholeRows final : public LossHead<Scalar> {
 public:
  WholeRows(kernels::Loss loss, OutputShape output, index_t vocabulary_blocks = 1)
      : options_{.kind = loss, .vocabulary_blocks = vocabulary_blocks}, output_(output) {}
  /// Of a model: its output's shape, and its cut sums.
  WholeRows(kernels::Loss loss, const Model<Scalar>& model)
      : WholeRows(loss, model.output(), model.reads_tokens() ? model.tables().blocks(model.output().classes) : 1) {}

  void run(kernels::Context& context, ConstMatrix<Scalar> y, ConstVector<std::int32_t> label, double scale,
           Kokkos::View<const double, Memory> factor, Matrix<Scalar> dy,
           Kokkos::View<double, Memory> sum) const override;
  void evaluate(kernels::Context& context, ConstMatrix<Scalar> y, ConstVector<std::int32_t> label,
                Kokkos::View<double, Memory> sum, Kokkos::View<index_t, Memory> correct) const override;
  OutputShape output() const override { return output_; }

 private:
  void check(ConstMatrix<Scalar> y, ConstVector<std::int32_t> label) const;

  kernels::LossOptions options_;
  OutputShape output_;
};

}  // namespace partita::nn
