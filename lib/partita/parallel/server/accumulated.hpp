// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/parallel/server/learner.hpp>

namespace partita::parallel::server {

/// A worker that adds up gradients in a buffer of its own before it hands them in: gradient number c is the sum of the
/// inner learner's numbers c A ... c A + A - 1, all at the same weights.
template <class Scalar>
class Accumulated final : public Learner<Scalar> {
 public:
  using Real = nn::Sum<Scalar>;

  /// `inner` must outlive this.
  Accumulated(const Exec& exec, Learner<Scalar>& inner, index_t A) : exec_(exec), inner_(inner), A_(A) {}

  index_t keys() const override { return inner_.keys(); }
  index_t batch() const override { return inner_.batch(); }
  index_t labels() const override { return inner_.labels(); }
  index_t leaves() const override { return inner_.leaves(); }
  std::vector<Node> cover(int worker) const override { return inner_.cover(worker); }
  index_t samples(int worker) const override { return A_ * inner_.samples(worker); }
  Gradient<Scalar> gradient(int worker, index_t clock, const nn::Window<const Scalar>& weights) override;

 private:
  Exec exec_;
  Learner<Scalar>& inner_;
  index_t A_;
  Vector<Real> sum_;  // as long as the longest gradient so far
  std::vector<double> losses_;
};

}  // namespace partita::parallel::server
