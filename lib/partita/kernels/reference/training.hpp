// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <partita/core/float16.hpp>
#include <partita/kernels/loss.hpp>
#include <partita/kernels/norm.hpp>
#include <partita/kernels/optimizer.hpp>

namespace partita::kernels::reference {

/// Loss of one row z (V), in double.
template <class Scalar>
double loss_row(Loss loss, const Scalar* z, index_t V, index_t label) {
  double sum = 0;
  if (loss == Loss::mse) {
    for (index_t v = 0; v < V; ++v) sum += std::pow(double(z[v]) - (v == label ? 1 : 0), 2);
    return sum / double(V);
  }
  double top = double(z[0]);
  for (index_t v = 1; v < V; ++v) top = std::fmax(top, double(z[v]));
  for (index_t v = 0; v < V; ++v) sum += std::exp(double(z[v]) - top);
  return std::log(sum) + top - double(z[label]);
}

/// dloss / dz of one row, in double.
template <class Scalar>
std::vector<double> loss_gradient_row(Loss loss, const Scalar* z, index_t V, index_t label) {
  std::vector<double> d(V);
  double top = double(z[0]), sum = 0;
  for (index_t v = 1; v < V; ++v) top = std::fmax(top, double(z[v]));
  for (index_t v = 0; v < V; ++v) sum += std::exp(double(z[v]) - top);
  for (index_t v = 0; v < V; ++v) {
    const double target = v == label ? 1 : 0;
    d[v] = loss == Loss::mse ? 2 * (double(z[v]) - target) / double(V) : std::exp(double(z[v]) - top) / sum - target;
  }
  return d;
}

/// Of n scores of a row, those of one slice: the largest, -infinity of none; the sum of exponentials below `top`.
template <class Scalar>
double loss_max_row(const Scalar* z, index_t n) {
  double top = -std::numeric_limits<double>::infinity();
  for (index_t v = 0; v < n; ++v) top = std::fmax(top, double(z[v]));
  return top;
}
template <class Scalar>
double loss_sum_row(const Scalar* z, index_t n, double top) {
  double sum = 0;
  for (index_t v = 0; v < n; ++v) sum += std::exp(double(z[v]) - top);
  return sum;
}

/// dloss / dz of them, from the maximum and the sum of all slices; label: its place among them, or none.
template <class Scalar>
std::vector<double> loss_finish_row(const Scalar* z, index_t n, index_t label, double top, double sum) {
  std::vector<double> d(n);
  for (index_t v = 0; v < n; ++v) d[v] = std::exp(double(z[v]) - top) / sum - (v == label ? 1 : 0);
  return d;
}

/// One optimizer step of one parameter; `step` counts from 1.
template <class Scalar>
void optimizer_update(const OptimizerOptions& o, double rate, index_t step, Scalar g, Scalar& p, Scalar& m, Scalar& v) {
  const bool decoupled = o.kind == Optimizer::adamw;
  if (decoupled) p = Scalar(double(p) - rate * o.weight_decay * double(p));
  double d = double(g) + (decoupled ? 0 : o.weight_decay) * double(p);
  switch (o.kind) {
    case Optimizer::sgd:
      if (o.momentum != 0) m = Scalar(d = o.momentum * double(m) + d);
      p = Scalar(double(p) - rate * d);
      break;
    case Optimizer::adagrad:
      v = Scalar(double(v) + d * d);
      p = Scalar(double(p) - rate * d / (std::sqrt(double(v)) + o.epsilon));
      break;
    case Optimizer::adam:
    case Optimizer::adamw:
      m = Scalar(o.beta1 * double(m) + (1 - o.beta1) * d);
      v = Scalar(o.beta2 * double(v) + (1 - o.beta2) * d * d);
      const double m_hat = double(m) / (1 - std::pow(o.beta1, double(step)));
      const double v_hat = double(v) / (1 - std::pow(o.beta2, double(step)));
      p = Scalar(double(p) - rate * m_hat / (std::sqrt(v_hat) + o.epsilon));
      break;
  }
}

/// g_0^2 + g_1^2 + ..., in more than double where there is such.
template <class Scalar>
double norm_squared(const std::vector<Scalar>& g) {
  long double sum = 0;
  for (const Scalar& value : g) sum += static_cast<long double>(double(value)) * double(value);
  return double(sum);
}

/// Sum over `lanes`, lane l of terms l, l + lanes, ..., joined by a binary tree: the order of additions is the
/// result's.
inline double lane_sum(const std::vector<double>& terms, std::size_t lanes) {
  std::vector<double> sum(lanes);
  for (std::size_t i = 0; i < terms.size(); ++i) sum[i % lanes] += terms[i];
  for (; lanes > 1; lanes /= 2)
    for (std::size_t l = 0; l < lanes / 2; ++l) sum[l] += sum[l + lanes / 2];
  return sum[0];
}

/// norm_squared of one cell, bit by bit.
template <class Real>
double norm_squared(const NormCell& cell, const std::vector<Real>& g) {
  std::vector<double> squares;
  for (index_t r = 0; r < cell.rows; ++r)
    for (index_t c = 0; c < cell.columns; ++c) {
      const auto value = double(g[cell.offset + r * cell.stride + c]);
      squares.push_back(value * value);
    }
  return lane_sum(squares, 32);
}

/// norm_total, bit by bit.
inline double norm_total(const std::vector<double>& sums) { return lane_sum(sums, 512); }

/// running <- (1 - momentum) running + momentum sum.
template <class Real>
void statistics_update(double momentum, const std::vector<Real>& sum, std::vector<Real>& running) {
  for (std::size_t i = 0; i < running.size(); ++i)
    running[i] = Real((1 - momentum) * double(running[i]) + momentum * double(sum[i]));
}

/// g <- g min(1, max_norm / (norm + 1e-6)).
template <class Scalar>
void clip_by_norm(double max_norm, std::vector<Scalar>& g) {
  const double factor = std::fmin(1.0, max_norm / (std::sqrt(norm_squared(g)) + 1e-6));
  for (Scalar& value : g) value = Scalar(double(value) * factor);
}

}  // namespace partita::kernels::reference
