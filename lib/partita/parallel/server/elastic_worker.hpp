// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>

#include <partita/kernels/context.hpp>
#include <partita/parallel/server/gradient_store.hpp>
#include <partita/parallel/server/learner.hpp>

namespace partita::parallel::server {

/// How elastic averaging moves.
struct ElasticOptions {
  double alpha = 0.1;                        ///< share of the difference to the centre that the spring takes back
  index_t period = 1;                        ///< local steps from one look at the centre to the next
  std::function<double(index_t)> rate = {};  ///< of a worker's step
};

/// The numbers of a worker under elastic averaging: weights of its own, moved by its gradients and by a spring to the
/// centre, which the servers have. Plain gradient descent; asynchronous EASGD of Zhang et al. 2015, algorithm 1.
///
/// Memory   four times the weights, and the nodes of a gradient.
template <class Scalar>
class ElasticWorker {
 public:
  using Real = nn::Sum<Scalar>;

  /// `learner` must outlive this.
  ElasticWorker(Learner<Scalar>& learner, int worker, ElasticOptions options);

  /// Where pulls of the centre go.
  Vector<Scalar> centre() const { return centre_; }
  Vector<Scalar> weights() const { return weights_; }

  /// Local steps of a period but for the last one, of which the gradient is kept. The first time weights begin at the
  /// centre. Returns the last gradient, of which losses and samples count.
  Gradient<Scalar> compute(const Exec& exec, index_t clock);
  /// The last local step, with the spring: (keys), what the centre shall move. Until the next one.
  ConstVector<Real> step(const Exec& exec);

 private:
  Learner<Scalar>& learner_;
  int worker_;
  ElasticOptions options_;
  Vector<Scalar> centre_, weights_, difference_;
  GradientStore<Real> gradient_;
  Vector<Real> mean_;
  bool begun_ = false;
  index_t steps_ = 0;
};

}  // namespace partita::parallel::server
