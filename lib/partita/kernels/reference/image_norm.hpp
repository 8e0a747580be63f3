// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cmath>
#include <vector>

#include <partita/core/float16.hpp>
#include <partita/core/index.hpp>

// Batch and group normalisation, in double. x (R, C), row-major.

namespace partita::kernels::reference {

struct Moments {
  std::vector<double> mean, squares;  // squares: sum of (x - mean)^2
};

/// Over the rows of each column.
template <class Scalar>
Moments batchnorm_stats(const std::vector<Scalar>& x, index_t R, index_t C) {
  Moments m{std::vector<double>(C), std::vector<double>(C)};
  for (index_t c = 0; c < C; ++c) {
    for (index_t r = 0; r < R; ++r) m.mean[c] += double(x[r * C + c]) / double(R);
    for (index_t r = 0; r < R; ++r) m.squares[c] += std::pow(double(x[r * C + c]) - m.mean[c], 2);
  }
  return m;
}

/// (x - mean) rstd gamma + beta, then max(0, .) with relu.
template <class Scalar, class Real>
std::vector<double> batchnorm_apply(bool relu, const std::vector<Scalar>& x, const std::vector<Scalar>& gamma,
                                    const std::vector<Scalar>& beta, const std::vector<Real>& mean,
                                    const std::vector<Real>& rstd, index_t R, index_t C) {
  std::vector<double> y(R * C);
  for (index_t i = 0; i < R * C; ++i) {
    const index_t c = i % C;
    y[i] = (double(x[i]) - double(mean[c])) * double(rstd[c]) * double(gamma[c]) + double(beta[c]);
    if (relu && y[i] < 0) y[i] = 0;
  }
  return y;
}

/// The slope before relu.
template <class Scalar>
double slope_before(bool relu, const std::vector<Scalar>& y, const std::vector<Scalar>& dy, index_t i) {
  return relu && !(double(y[i]) > 0) ? 0 : double(dy[i]);
}

/// dgamma, dbeta.
template <class Scalar, class Real>
std::pair<std::vector<double>, std::vector<double>> batchnorm_backward_sums(
    bool relu, const std::vector<Scalar>& x, const std::vector<Scalar>& y, const std::vector<Real>& mean,
    const std::vector<Real>& rstd, const std::vector<Scalar>& dy, index_t R, index_t C) {
  std::vector<double> dgamma(C), dbeta(C);
  for (index_t i = 0; i < R * C; ++i) {
    const index_t c = i % C;
    const double dz = slope_before(relu, y, dy, i);
    dgamma[c] += dz * (double(x[i]) - double(mean[c])) * double(rstd[c]);
    dbeta[c] += dz;
  }
  return {dgamma, dbeta};
}

template <class Scalar, class Real>
std::vector<double> batchnorm_backward_input(bool relu, const std::vector<Scalar>& x, const std::vector<Scalar>& y,
                                             const std::vector<Scalar>& gamma, const std::vector<Real>& mean,
                                             const std::vector<Real>& rstd, const std::vector<Real>& dgamma,
                                             const std::vector<Real>& dbeta, const std::vector<Scalar>& dy, index_t R,
                                             index_t C) {
  std::vector<double> dx(R * C);
  for (index_t i = 0; i < R * C; ++i) {
    const index_t c = i % C;
    const double normalised = (double(x[i]) - double(mean[c])) * double(rstd[c]);
    dx[i] = double(gamma[c]) * double(rstd[c]) *
            (slope_before(relu, y, dy, i) - double(dbeta[c]) / double(R) - normalised * double(dgamma[c]) / double(R));
  }
  return dx;
}

/// x (B, P C), channels of a group normalised together with all pixels: what backward keeps, and y.
template <class Scalar>
struct Groupnorm {
  index_t B, P, C, groups;
  double epsilon;

  index_t statistic(index_t i) const { return i / (P * C) * groups + i % C / (C / groups); }
  double numbers() const { return double(P) * double(C / groups); }

  std::pair<std::vector<double>, std::vector<double>> statistics(const std::vector<Scalar>& x) const {
    std::vector<double> mean(B * groups), rstd(B * groups);
    for (index_t i = 0; i < B * P * C; ++i) mean[statistic(i)] += double(x[i]) / numbers();
    for (index_t i = 0; i < B * P * C; ++i) rstd[statistic(i)] += std::pow(double(x[i]) - mean[statistic(i)], 2);
    for (double& squares : rstd) squares = 1 / std::sqrt((numbers() > 0 ? squares / numbers() : 0) + epsilon);
    return {mean, rstd};
  }
  template <class Real>
  std::vector<double> forward(const std::vector<Scalar>& x, const std::vector<Scalar>& gamma,
                              const std::vector<Scalar>& beta, const std::vector<Real>& mean,
                              const std::vector<Real>& rstd) const {
    std::vector<double> y(B * P * C);
    for (index_t i = 0; i < B * P * C; ++i)
      y[i] = (double(x[i]) - double(mean[statistic(i)])) * double(rstd[statistic(i)]) * double(gamma[i % C]) +
             double(beta[i % C]);
    return y;
  }
  template <class Real>
  std::vector<double> backward_input(const std::vector<Scalar>& x, const std::vector<Scalar>& gamma,
                                     const std::vector<Real>& mean, const std::vector<Real>& rstd,
                                     const std::vector<Scalar>& dy) const {
    std::vector<double> s1(B * groups), s2(B * groups), dx(B * P * C);
    const auto normalised = [&](index_t i) {
      return (double(x[i]) - double(mean[statistic(i)])) * double(rstd[statistic(i)]);
    };
    for (index_t i = 0; i < B * P * C; ++i) {
      s1[statistic(i)] += double(gamma[i % C]) * double(dy[i]);
      s2[statistic(i)] += double(gamma[i % C]) * double(dy[i]) * normalised(i);
    }
    for (index_t i = 0; i < B * P * C; ++i)
      dx[i] = double(rstd[statistic(i)]) * (double(gamma[i % C]) * double(dy[i]) -
                                            (s1[statistic(i)] + normalised(i) * s2[statistic(i)]) / numbers());
    return dx;
  }
  /// dgamma, dbeta.
  template <class Real>
  std::pair<std::vector<double>, std::vector<double>> backward_weights(const std::vector<Scalar>& x,
                                                                       const std::vector<Real>& mean,
                                                                       const std::vector<Real>& rstd,
                                                                       const std::vector<Scalar>& dy) const {
    std::vector<double> dgamma(C), dbeta(C);
    for (index_t i = 0; i < B * P * C; ++i) {
      dgamma[i % C] += double(dy[i]) * (double(x[i]) - double(mean[statistic(i)])) * double(rstd[statistic(i)]);
      dbeta[i % C] += double(dy[i]);
    }
    return {dgamma, dbeta};
  }
};

}  // namespace partita::kernels::reference
