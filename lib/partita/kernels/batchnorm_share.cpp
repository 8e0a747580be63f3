// SPDX-License-Identifier: BSD-3-Clause
#include <string>

#include <partita/core/error.hpp>
#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/range.hpp>
#include <partita/kernels/batchnorm.hpp>

namespace partita::kernels {
namespace {

template <class Real>
struct ShareMoments {
  double rows;
  index_t columns;
  const Real *mean, *squares;
  double* sums;

  KOKKOS_FUNCTION void operator()(index_t c) const {
    if (c == columns) {
      sums[2 * columns] = rows;
      return;
    }
    const double m = double(mean[c]);
    sums[c] = rows * m;
    sums[columns + c] = double(squares[c]) + rows * m * m;
  }
};

template <class Real>
struct JoinMoments {
  double epsilon;
  index_t columns;
  const double* sums;
  Real *mean, *variance, *rstd;

  KOKKOS_FUNCTION void operator()(index_t c) const {
    const double rows = sums[2 * columns], m = rows > 0 ? sums[c] / rows : 0.0;
    const double difference = sums[columns + c] - rows * m * m, squares = difference < 0 ? 0.0 : difference;
    const double biased = rows > 0 ? squares / rows : 0.0;
    mean[c] = Real(m);
    variance[c] = Real(rows > 1 ? squares / (rows - 1) : biased);
    rstd[c] = Real(1 / Kokkos::sqrt(biased + epsilon));
  }
};

template <class Real>
struct ShareSlopes {
  index_t columns;
  const double* rows;
  const Real *dgamma, *dbeta;
  Real* means;

  KOKKOS_FUNCTION void operator()(index_t c) const {
    means[c] = Real(double(dgamma[c]) / rows[0]);
    means[columns + c] = Real(double(dbeta[c]) / rows[0]);
  }
};

void require_sums(const char* function, std::size_t sums, std::size_t expected, std::size_t C, const char* layout) {
  if (sums != expected)
    refuse<ShapeError>(function, std::to_string(sums) + " sums of " + std::to_string(C) + " columns", layout);
}

}  // namespace

template <class Real>
void batchnorm_share(const Exec& exec, index_t R, std::type_identity_t<ConstVector<Real>> mean,
                     std::type_identity_t<ConstVector<Real>> squares, Vector<double> sums) {
  static const std::string label = "partita::kernels::batchnorm_share";
  const auto C = index_t(mean.extent(0));
  backend::require_length("batchnorm_share", "squares", squares.extent(0), "mean", mean.extent(0));
  require_sums("batchnorm_share", sums.extent(0), 2 * mean.extent(0) + 1, mean.extent(0), "sums (2 C + 1)");
  Kokkos::parallel_for(label, backend::range_policy(exec, C + 1),
                       ShareMoments<Real>{double(R), C, mean.data(), squares.data(), sums.data()});
}

template <class Real>
void batchnorm_join(const Exec& exec, const BatchnormOptions& options, ConstVector<double> sums, Vector<Real> mean,
                    Vector<Real> variance, Vector<Real> rstd) {
  static const std::string label = "partita::kernels::batchnorm_join";
  const auto C = index_t(mean.extent(0));
  backend::require_length("batchnorm_join", "variance", variance.extent(0), "mean", mean.extent(0));
  backend::require_length("batchnorm_join", "rstd", rstd.extent(0), "mean", mean.extent(0));
  require_sums("batchnorm_join", sums.extent(0), 2 * mean.extent(0) + 1, mean.extent(0), "sums (2 C + 1)");
  Kokkos::parallel_for(label, backend::range_policy(exec, C),
                       JoinMoments<Real>{options.epsilon, C, sums.data(), mean.data(), variance.data(), rstd.data()});
}

template <class Real>
void batchnorm_share_slopes(const Exec& exec, ConstVector<double> rows, std::type_identity_t<ConstVector<Real>> dgamma,
                            std::type_identity_t<ConstVector<Real>> dbeta, Vector<Real> means) {
  static const std::string label = "partita::kernels::batchnorm_share_slopes";
  const auto C = index_t(dgamma.extent(0));
  backend::require_length("batchnorm_share_slopes", "dbeta", dbeta.extent(0), "dgamma", dgamma.extent(0));
  require_sums("batchnorm_share_slopes", rows.extent(0), 1, dgamma.extent(0), "rows (1), of all columns");
  require_sums("batchnorm_share_slopes", means.extent(0), 2 * dgamma.extent(0), dgamma.extent(0), "means (2 C)");
  Kokkos::parallel_for(label, backend::range_policy(exec, C),
                       ShareSlopes<Real>{C, rows.data(), dgamma.data(), dbeta.data(), means.data()});
}

#define PARTITA_INSTANTIATE(R)                                                                                     \
  template void batchnorm_share<R>(const Exec&, index_t, ConstVector<R>, ConstVector<R>, Vector<double>);          \
  template void batchnorm_join<R>(const Exec&, const BatchnormOptions&, ConstVector<double>, Vector<R>, Vector<R>, \
                                  Vector<R>);                                                                      \
  template void batchnorm_share_slopes<R>(const Exec&, ConstVector<double>, ConstVector<R>, ConstVector<R>, Vector<R>);
PARTITA_INSTANTIATE(float)
PARTITA_INSTANTIATE(double)
#undef PARTITA_INSTANTIATE

}  // namespace partita::kernels
