// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/elastic_worker.hpp>

#include <utility>

#include <partita/kernels/elastic.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/parallel/buffers.hpp>

namespace partita::parallel::server {
namespace {

// One worker's gradients, however they come.
template <class Scalar>
GradientShape shape_of(const Learner<Scalar>& learner, int worker) {
  GradientShape shape{learner.keys(), learner.batch(), learner.leaves()};
  if (shape.leaves > 0) shape.covers = {learner.cover(worker)};
  return shape;
}

}  // namespace

template <class Scalar>
ElasticWorker<Scalar>::ElasticWorker(Learner<Scalar>& learner, int worker, ElasticOptions options)
    : learner_(learner),
      worker_(worker),
      options_(std::move(options)),
      centre_(make_buffer<Scalar>("partita::parallel::ElasticWorker::centre", learner.keys())),
      weights_(make_buffer<Scalar>("partita::parallel::ElasticWorker::weights", learner.keys())),
      difference_(make_buffer<Scalar>("partita::parallel::ElasticWorker::difference", learner.keys())),
      gradient_(shape_of(learner, worker), false) {}

template <class Scalar>
Gradient<Scalar> ElasticWorker<Scalar>::compute(const Exec& exec, index_t clock) {
  if (!std::exchange(begun_, true)) kernels::copy<Scalar>(exec, centre_, weights_);
  Gradient<Scalar> last;
  for (index_t a = 0; a < options_.period; ++a) {
    if (a > 0) kernels::scale<Scalar>(exec, kernels::Store::accumulate, -options_.rate(steps_++), mean_, weights_);
    gradient_.release(0);
    last = learner_.gradient(worker_, clock * options_.period + a, nn::Window<const Scalar>(weights_));
    for (index_t k = 0; k < gradient_.nodes(0); ++k)
      kernels::copy<Real>(exec, part(last.nodes, Range{k * learner_.keys(), learner_.keys()}),
                          gradient_.place(0, 0, k));
    gradient_.keep(exec, 0, 0, last.samples);
    mean_ = gradient_.mean(exec, 0).gradient;
  }
  return last;
}

template <class Scalar>
ConstVector<typename ElasticWorker<Scalar>::Real> ElasticWorker<Scalar>::step(const Exec& exec) {
  kernels::elastic_step<Scalar>(exec, options_.rate(steps_++), options_.alpha, mean_, centre_, weights_, difference_);
  return difference_;
}

template class ElasticWorker<float>;
template class ElasticWorker<double>;

}  // namespace partita::parallel::server
