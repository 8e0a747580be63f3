// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/groupnorm.hpp>

#include <string>

#include <partita/kernels/backend/group_norm.hpp>

namespace partita::kernels {
namespace {

using backend::ImageGroups;
using backend::load;
using backend::stride_of;

/// Per image and channel: sums, then sums of squares about the channel's own mean. Rows are all images' pixels.
template <class Scalar>
struct GroupMoments {
  using Real = accumulate_t<Scalar>;
  ImageGroups e;
  backend::ImageChannels<const Scalar> x;
  Real* partial;  // (B, 2, C)

  template <class Value>
  KOKKOS_FUNCTION void run(index_t begin, index_t, index_t c) const {
    const index_t b = begin / e.pixels;
    backend::moments<Value>(x.at(e, b, c), e.pixels, partial + 2 * b * e.channels + c,
                            partial + (2 * b + 1) * e.channels + c);
  }
};

/// Puts the channels of a group together.
template <class Real>
struct FinishGroupMoments {
  ImageGroups e;
  double epsilon;
  const Real* partial;
  Real* mean;
  index_t mean_stride;
  Real* rstd;
  index_t rstd_stride;

  KOKKOS_FUNCTION void operator()(index_t task) const {
    const index_t b = task / e.groups, g = task % e.groups;
    const index_t first = g * e.group_channels(), end = first + e.group_channels();
    const Real *const sums = partial + 2 * b * e.channels, *const squares = sums + e.channels;
    const double pixels = double(e.pixels), n = pixels * double(end - first);
    double sum = 0, about_mean = 0;
    for (index_t c = first; c < end && n > 0; ++c) sum += double(sums[c]);
    const double m = n > 0 ? sum / n : 0;
    for (index_t c = first; c < end && n > 0; ++c) {
      const double off = double(sums[c]) / pixels - m;
      about_mean += double(squares[c]) + pixels * off * off;
    }
    mean[b * mean_stride + g] = Real(m);
    rstd[b * rstd_stride + g] = Real(1 / Kokkos::sqrt((n > 0 ? about_mean / n : 0.0) + epsilon));
  }
};

template <class Real>
struct StoreGroupRstd {
  double n, epsilon;  // numbers behind a statistic
  Real* rstd;
  index_t rstd_stride;

  KOKKOS_FUNCTION void operator()(index_t b, index_t g, double squares) const {
    const double variance = n > 0 ? squares / n : 0.0;
    rstd[b * rstd_stride + g] = Real(1 / Kokkos::sqrt(variance + epsilon));
  }
};

template <class Scalar>
struct GroupApply {
  using Real = accumulate_t<Scalar>;
  ImageGroups e;
  backend::ImageChannels<const Scalar> x;
  const Scalar *gamma, *beta;
  backend::PerGroup<Real> mean, rstd;
  backend::ImageChannels<Scalar> y;

  template <class Value>
  KOKKOS_FUNCTION void run(index_t begin, index_t, index_t c) const {
    const index_t b = begin / e.pixels;
    backend::normalise<Value, false>(x.at(e, b, c), e.pixels, mean.template at<Value>(e, b, c),
                                     load<Value>(gamma + c) * rstd.template at<Value>(e, b, c), load<Value>(beta + c),
                                     y.at(e, b, c));
  }
};

}  // namespace

template <class Scalar>
void groupnorm_forward(Context& context, const GroupnormOptions& options, std::type_identity_t<ConstMatrix<Scalar>> x,
                       std::type_identity_t<ConstVector<Scalar>> gamma, std::type_identity_t<ConstVector<Scalar>> beta,
                       Matrix<Scalar> y, Matrix<accumulate_t<Scalar>> mean, Matrix<accumulate_t<Scalar>> rstd) {
  using Real = accumulate_t<Scalar>;
  static const std::string sums_label = "partita::kernels::groupnorm_forward::sums";
  static const std::string finish_label = "partita::kernels::groupnorm_forward::finish";
  static const std::string label = "partita::kernels::groupnorm_forward";
  const ImageGroups e = backend::image_groups("groupnorm_forward", options, x, gamma.extent(0), mean, rstd);
  backend::require_shape("groupnorm_forward", "y", y, "x", x, "(B, pixels C)");
  backend::require_length("groupnorm_forward", "beta", beta.extent(0), "gamma", gamma.extent(0));
  const Exec& exec = context.exec();
  if (options.rows.leaves > 1) {
    backend::moments_in_blocks<Scalar>(
        context, sums_label, finish_label, e, options.rows.leaves, backend::pixels_of<Scalar>(e, x), mean.data(),
        stride_of(mean), StoreGroupRstd<Real>{double(e.count()), options.epsilon, rstd.data(), stride_of(rstd)});
  } else {
    Real* const partial = backend::partial_sums<Real>(context, e);
    backend::for_images<Real>(exec, sums_label, e, GroupMoments<Scalar>{e, backend::image_channels(x), partial});
    Kokkos::parallel_for(finish_label, backend::range_policy(exec, e.sets * e.groups),
                         FinishGroupMoments<Real>{e, options.epsilon, partial, mean.data(), stride_of(mean),
                                                  rstd.data(), stride_of(rstd)});
  }
  backend::for_images<Real>(
      exec, label, e,
      GroupApply<Scalar>{e, backend::image_channels(x), gamma.data(), beta.data(), backend::per_group(mean),
                         backend::per_group(rstd), backend::image_channels(y)});
}

#define PARTITA_INSTANTIATE(S, R)                                                                       \
  template void groupnorm_forward<S>(Context&, const GroupnormOptions&, ConstMatrix<S>, ConstVector<S>, \
                                     ConstVector<S>, Matrix<S>, Matrix<R>, Matrix<R>);
PARTITA_INSTANTIATE(float, float)
PARTITA_INSTANTIATE(double, double)
PARTITA_INSTANTIATE(bfloat16, float)
PARTITA_INSTANTIATE(float16, float)
#undef PARTITA_INSTANTIATE

}  // namespace partita::kernels
