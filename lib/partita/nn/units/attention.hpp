// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/attention.hpp>
#include <partita/nn/unit.hpp>

namespace partita::nn {

/// Scaled dot-product attention of H heads of width D: x is [q | k | v] of each token (3, H, D), y the heads' outputs
/// (H, D). No weights: the projections are Linear units around it. Heads are independent: here may be some of many.
/// With options.queries y is that of some tokens, of x of all: a rank's share, whose dx others add to.
template <class Scalar>
class Attention final : public Unit<Scalar> {
 public:
  Attention(std::string name, const kernels::AttentionOptions& options, index_t D);

  PassFlop flop(index_t B) const override;
  Footprint footprint(index_t B) const override;
  bool may_end_branch() const override { return false; }  // reads y

 protected:
  void compute(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const override;
  void backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, Matrix<Scalar> dy,
                      Matrix<Scalar> dx) const override;

 private:
  // Part 0, 1 or 2 of [q | k | v].
  template <class M>
  M third(const M& qkv, index_t part) const {
    const index_t columns = options_.H * D_;
    return M(Kokkos::subview(qkv, Kokkos::ALL, Kokkos::pair<index_t, index_t>(part * columns, (part + 1) * columns)));
  }
  Vector<Sum<Scalar>> lse(const Call<Scalar>& call, index_t B) const {
    return Cutter(call.saved).vector<Sum<Scalar>>(B * options_.H * options_.queries.extent);
  }

  kernels::AttentionOptions options_;
  index_t D_;
};

}  // namespace partita::nn
