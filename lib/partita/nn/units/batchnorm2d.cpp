// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/units/batchnorm2d.hpp>

#include <utility>

#include <partita/kernels/batchnorm_parts.hpp>
#include <partita/kernels/cost.hpp>
#include <partita/kernels/elementwise.hpp>

namespace partita::nn {

template <class Scalar>
BatchNorm2d<Scalar>::BatchNorm2d(Tables& tables, std::string name, const Image& image, bool relu, double share)
    : Unit<Scalar>(std::move(name), image.size(), image.size()),
      C_(image.channels),
      pixels_(image.pixels()),
      share_(share) {
  options_.relu = relu;
  options_.pixels = image.pixels();
  options_.rows = {.leaves = tables.blocks_of_their_own(image.rows)};
  gamma_ = this->own(tables.parameters.add(this->name() + ".weight", {C_}, Initial::constant(1)));
  beta_ = this->own(tables.parameters.add(this->name() + ".bias", {C_}, Initial::constant(0)));
  mean_ = tables.statistics.add(this->name() + ".running_mean", {C_}, Initial::constant(0));
  variance_ = tables.statistics.add(this->name() + ".running_variance", {C_}, Initial::constant(1));
}

template <class Scalar>
PassFlop BatchNorm2d<Scalar>::flop(index_t B) const {
  namespace cost = kernels::cost;
  return {cost::batchnorm_forward(options_, B * pixels_, C_, sizeof(Scalar)).flop,
          cost::batchnorm_backward_input(options_, B * pixels_, C_, sizeof(Scalar)).flop,
          cost::batchnorm_backward_sums(options_, B * pixels_, C_, sizeof(Scalar)).flop};
}

template <class Scalar>
typename BatchNorm2d<Scalar>::Saved BatchNorm2d<Scalar>::cut(Cutter cutter) const {
  Saved saved;
  for (Vector<Sum<Scalar>>* part : {&saved.mean, &saved.variance, &saved.rstd, &saved.dgamma, &saved.dbeta})
    *part = cutter.vector<Sum<Scalar>>(C_);
  return saved;
}

template <class Scalar>
Footprint BatchNorm2d<Scalar>::footprint(index_t) const {
  Cutter cutter;
  for (int i = 0; i < 5; ++i) cutter.vector<Sum<Scalar>>(C_);
  return {.saved = cutter.used()};
}

template <class Scalar>
void BatchNorm2d<Scalar>::compute(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const {
  const ConstVector<Scalar> gamma = call.weights.vector(gamma_), beta = call.weights.vector(beta_);
  if (!call.training)
    return kernels::batchnorm_infer<Scalar>(call.context.exec(), options_, split_rows(x, C_), gamma, beta,
                                            call.running.vector(mean_), call.running.vector(variance_),
                                            split_rows(y, C_));
  const Saved saved = cut(Cutter(call.saved));
  kernels::batchnorm_forward<Scalar>(call.context, options_, split_rows(x, C_), gamma, beta, split_rows(y, C_),
                                     saved.mean, saved.variance, saved.rstd);
}

template <class Scalar>
void BatchNorm2d<Scalar>::sum_slopes(const Call<Scalar>& call, const Saved& saved, ConstMatrix<Scalar> x,
                                     ConstMatrix<Scalar> y, ConstMatrix<Scalar> dy) const {
  kernels::batchnorm_backward_sums<Scalar>(call.context, options_, split_rows(x, C_), split_rows(y, C_), saved.mean,
                                           saved.rstd, split_rows(dy, C_), saved.dgamma, saved.dbeta);
}

template <class Scalar>
void BatchNorm2d<Scalar>::backward_input(const Call<Scalar>& call, ConstMatrix<Scalar> x, ConstMatrix<Scalar> y,
                                         Matrix<Scalar> dy, Matrix<Scalar> dx) const {
  const Saved saved = cut(Cutter(call.saved));
  sum_slopes(call, saved, x, y, dy);
  if (dx.data() == nullptr) return;
  kernels::batchnorm_backward_input<Scalar>(call.context.exec(), options_, split_rows(x, C_), split_rows(y, C_),
                                            call.weights.vector(gamma_), saved.mean, saved.rstd, saved.dgamma,
                                            saved.dbeta, split_rows(dy, C_), split_rows(dx, C_));
}

template <class Scalar>
void BatchNorm2d<Scalar>::forward_sums(const Call<Scalar>& call, ConstMatrix<Scalar> x, Vector<double> sums) const {
  this->observed(call, Part::forward, {}, [&] {
    const Saved saved = cut(Cutter(call.saved));
    const ConstMatrix<Scalar> pixels = split_rows(x, C_);
    kernels::batchnorm_stats<Scalar>(call.context, options_, pixels, saved.mean, saved.variance);
    kernels::batchnorm_share<Sum<Scalar>>(call.context.exec(), static_cast<index_t>(pixels.extent(0)), saved.mean,
                                          saved.variance, sums);
  });
}

template <class Scalar>
void BatchNorm2d<Scalar>::forward_rest(const Call<Scalar>& call, ConstVector<double> sums, ConstMatrix<Scalar> x,
                                       Matrix<Scalar> y) const {
  this->observed(call, Part::forward, [&] {
    const Saved saved = cut(Cutter(call.saved));
    const Exec& exec = call.context.exec();
    kernels::batchnorm_join<Sum<Scalar>>(exec, options_, sums, saved.mean, saved.variance, saved.rstd);
    kernels::batchnorm_apply<Scalar>(exec, options_, split_rows(x, C_), call.weights.vector(gamma_),
                                     call.weights.vector(beta_), saved.mean, saved.rstd, split_rows(y, C_));
  });
}

template <class Scalar>
void BatchNorm2d<Scalar>::backward_sums(const Call<Scalar>& call, ConstVector<double> rows, ConstMatrix<Scalar> x,
                                        ConstMatrix<Scalar> y, ConstMatrix<Scalar> dy,
                                        Vector<Sum<Scalar>> means) const {
  this->observed(call, Part::backward_input, {}, [&] {
    const Saved saved = cut(Cutter(call.saved));
    sum_slopes(call, saved, x, y, dy);
    kernels::batchnorm_share_slopes<Sum<Scalar>>(call.context.exec(), rows, saved.dgamma, saved.dbeta, means);
  });
}

template <class Scalar>
void BatchNorm2d<Scalar>::backward_rest(const Call<Scalar>& call, ConstVector<Sum<Scalar>> means, ConstMatrix<Scalar> x,
                                        ConstMatrix<Scalar> y, ConstMatrix<Scalar> dy, Matrix<Scalar> dx) const {
  this->observed(call, Part::backward_input, [&] {
    const Saved saved = cut(Cutter(call.saved));
    kernels::BatchnormOptions of_means = options_;
    of_means.count = 1;
    const auto half = [&](index_t k) {
      return ConstVector<Sum<Scalar>>(means.data() + k * C_, static_cast<std::size_t>(C_));
    };
    kernels::batchnorm_backward_input<Scalar>(call.context.exec(), of_means, split_rows(x, C_), split_rows(y, C_),
                                              call.weights.vector(gamma_), saved.mean, saved.rstd, half(0), half(1),
                                              split_rows(dy, C_), split_rows(dx, C_));
  });
}

template <class Scalar>
void BatchNorm2d<Scalar>::forward_nodes(const Call<Scalar>& call, std::span<const Node> nodes, index_t rows,
                                        ConstMatrix<Scalar> x, Matrix<Scalar> y, Matrix<double> sums,
                                        Vector<double> root, Vector<double> mean,
                                        const std::function<void()>& add) const {
  this->observed(call, Part::forward, [&] {
    const Exec& exec = call.context.exec();
    const Saved saved = cut(Cutter(call.saved));
    const ConstMatrix<Scalar> pixels = split_rows(x, C_);
    kernels::BatchnormOptions of_all = options_;
    of_all.count = rows;
    kernels::batchnorm_sum_nodes<Scalar>(call.context, options_, nodes, pixels, sums);
    add();
    kernels::batchnorm_mean(exec, rows, root, mean);
    kernels::batchnorm_square_nodes<Scalar>(call.context, options_, nodes, pixels, mean, sums);
    add();
    kernels::batchnorm_finish_parts<Sum<Scalar>>(exec, of_all, mean, root, saved.mean, saved.variance, saved.rstd);
    kernels::batchnorm_apply<Scalar>(exec, options_, pixels, call.weights.vector(gamma_), call.weights.vector(beta_),
                                     saved.mean, saved.rstd, split_rows(y, C_));
  });
}

template <class Scalar>
void BatchNorm2d<Scalar>::backward_nodes(const Call<Scalar>& call, std::span<const Node> nodes, index_t rows,
                                         ConstMatrix<Scalar> x, ConstMatrix<Scalar> y, Matrix<Scalar> dy,
                                         Matrix<Scalar> dx, Matrix<double> sums, Vector<double> root,
                                         const std::function<void()>& add) const {
  this->observed(call, Part::backward_input, [&] {
    const Exec& exec = call.context.exec();
    const Saved saved = cut(Cutter(call.saved));
    kernels::batchnorm_slope_nodes<Scalar>(call.context, options_, nodes, split_rows(x, C_), split_rows(y, C_),
                                           saved.mean, split_rows(dy, C_), sums);
    add();
    kernels::batchnorm_finish_slopes<Sum<Scalar>>(exec, root, saved.rstd, saved.dgamma, saved.dbeta);
    if (dx.data() == nullptr) return;
    kernels::BatchnormOptions of_all = options_;
    of_all.count = rows;
    kernels::batchnorm_backward_input<Scalar>(exec, of_all, split_rows(x, C_), split_rows(y, C_),
                                              call.weights.vector(gamma_), saved.mean, saved.rstd, saved.dgamma,
                                              saved.dbeta, split_rows(dy, C_), split_rows(dx, C_));
  });
}

template <class Scalar>
void BatchNorm2d<Scalar>::backward_weights(const Call<Scalar>& call, ConstMatrix<Scalar>, ConstMatrix<Scalar>) const {
  const Saved saved = cut(Cutter(call.saved));
  const double weight =
      share_ *
      (call.rows.global > 0 ? static_cast<double>(call.rows.extent) / static_cast<double>(call.rows.global) : 1);
  const auto put = [&](kernels::Store store, double factor, const Vector<Sum<Scalar>>& from,
                       const Vector<Sum<Scalar>>& to) {
    kernels::scale<Sum<Scalar>>(call.context.exec(), store, factor, from, to);
  };
  put(call.gradients->store, 1, saved.dgamma, call.gradients->vector(gamma_));
  put(call.gradients->store, 1, saved.dbeta, call.gradients->vector(beta_));
  put(call.statistics.store, weight, saved.mean, call.statistics.vector(mean_));
  put(call.statistics.store, weight, saved.variance, call.statistics.vector(variance_));
}

template class BatchNorm2d<float>;
template class BatchNorm2d<double>;
template class BatchNorm2d<bfloat16>;
template class BatchNorm2d<float16>;

}  // namespace partita::nn
