// SPDX-License-Identifier: BSD-3-Clause
#include <string>

#include <partita/kernels/backend/group_norm.hpp>
#include <partita/kernels/groupnorm.hpp>

namespace partita::kernels {
namespace {

using backend::ImageGroups;
using backend::load;
using backend::PerGroup;
using backend::stride_of;

/// Per image and channel: sums of dy and of dy (x - mean).
template <class Scalar>
struct GroupSlopeSums {
  using Real = accumulate_t<Scalar>;
  ImageGroups e;
  backend::ImageChannels<const Scalar> x, dy;
  PerGroup<Real> mean;
  Real* partial;  // (B, 2, C)

  template <class Value>
  KOKKOS_FUNCTION void run(index_t begin, index_t, index_t c) const {
    const index_t b = begin / e.pixels;
    backend::slope_sums<Value>(x.at(e, b, c), backend::ChannelSlope<Scalar, false>{{}, dy.at(e, b, c)}, e.pixels,
                               mean.template at<Value>(e, b, c), partial + 2 * b * e.channels + c,
                               partial + (2 * b + 1) * e.channels + c);
  }
};

/// Means over a group, of dn = gamma dy and of rstd dn n: what is taken from dn, the latter times x - mean.
template <class Scalar, class Partial>
struct FinishGroupSlopes {
  using Real = accumulate_t<Scalar>;
  ImageGroups e;
  index_t leaves;
  const Partial* partial;  // (B, leaves, 2, C)
  const Scalar* gamma;
  PerGroup<Real> rstd;
  Real *dn_mean, *dn_n_mean;  // (B, groups)

  KOKKOS_FUNCTION void operator()(index_t task) const {
    const index_t b = task / e.groups, g = task % e.groups;
    const index_t first = g * e.group_channels(), end = first + e.group_channels();
    const double n = double(e.pixels) * double(end - first);
    const double s = double(rstd.data[b * rstd.stride + g]);
    const auto tree = [&](index_t of) {
      return backend::tree_of<double>(leaves, [&](index_t leaf) {
        const Partial* const sums = partial + ((b * leaves + leaf) * 2 + of) * e.channels;
        double sum = 0;
        for (index_t c = first; c < end; ++c) sum += double(accumulate_t<Scalar>(gamma[c])) * double(sums[c]);
        return sum;
      });
    };
    dn_mean[task] = n > 0 ? Real(tree(0) / n) : Real(0);
    dn_n_mean[task] = n > 0 ? Real(s * s * tree(1) / n) : Real(0);
  }
};

template <class Scalar>
struct GroupSlopes {
  using Real = accumulate_t<Scalar>;
  ImageGroups e;
  backend::ImageChannels<const Scalar> x, dy;
  const Scalar* gamma;
  PerGroup<Real> mean, rstd, dn_mean, dn_n_mean;
  backend::ImageChannels<Scalar> dx;

  template <class Value>
  KOKKOS_FUNCTION void run(index_t begin, index_t, index_t c) const {
    const index_t b = begin / e.pixels;
    const auto of_group = [&](const PerGroup<Real>& statistic) { return statistic.template at<Value>(e, b, c); };
    const Value mean_c = of_group(mean), rstd_c = of_group(rstd);
    const Value dn_mean_c = of_group(dn_mean), dn_n_mean_c = of_group(dn_n_mean), gamma_c = load<Value>(gamma + c);
    const backend::Channel<const Scalar> from = x.at(e, b, c), slope = dy.at(e, b, c);
    const backend::Channel<Scalar> to = dx.at(e, b, c);
    for (index_t p = 0; p < e.pixels; ++p) {
      const Value d = load<Value>(from.at(p)) - mean_c;
      const Value dn = gamma_c * load<Value>(slope.at(p));
      backend::store(rstd_c * (dn - dn_mean_c - d * dn_n_mean_c), to.at(p));
    }
  }
};

template <class Real, class Partial>
struct FinishGroupWeights {
  ImageGroups e;
  index_t leaves;
  const Partial* partial;  // (B, leaves, 2, C)
  PerGroup<Real> rstd;
  bool adds;
  Real *dgamma, *dbeta;

  KOKKOS_FUNCTION void operator()(index_t c) const {
    const auto tree = [&](index_t of, auto weight) {
      return backend::tree_of<double>(leaves, [&](index_t leaf) {
        double sum = 0;
        for (index_t b = 0; b < e.sets; ++b)
          sum += double(partial[((b * leaves + leaf) * 2 + of) * e.channels + c]) * weight(b);
        return sum;
      });
    };
    const double dy_sum = tree(0, [](index_t) { return 1.0; });
    const double dy_n_sum = tree(1, [&](index_t b) { return double(rstd.data[b * rstd.stride + e.group(c)]); });
    dgamma[c] = Real(adds ? double(dgamma[c]) + dy_n_sum : dy_n_sum);
    dbeta[c] = Real(adds ? double(dbeta[c]) + dy_sum : dy_sum);
  }
};

/// Sums of dy and dy (x - mean) per image, block and channel, in scratch of the context, for use(partial).
template <class Scalar, class Use>
void with_slope_sums(Context& context, const std::string& label, index_t leaves, const ImageGroups& e,
                     const ConstMatrix<Scalar>& x, const ConstMatrix<accumulate_t<Scalar>>& mean,
                     const ConstMatrix<Scalar>& dy, const Use& use) {
  using Real = accumulate_t<Scalar>;
  if (leaves > 1) {
    double* const partial = backend::partial_sums<double>(context, e, leaves);
    backend::leaf_sums(context.exec(), label, e, leaves,
                       backend::SlopesOfPixels<Scalar, false>{backend::pixels_of<Scalar>(e, x),
                                                              {},
                                                              backend::pixels_of<Scalar>(e, dy),
                                                              {mean.data(), stride_of(mean), e.group_channels()}},
                       partial);
    use(partial);
  } else {
    Real* const partial = backend::partial_sums<Real>(context, e);
    backend::for_images<Real>(context.exec(), label, e,
                              GroupSlopeSums<Scalar>{e, backend::image_channels(x), backend::image_channels(dy),
                                                     backend::per_group(mean), partial});
    use(partial);
  }
}

}  // namespace

template <class Scalar>
void groupnorm_backward_input(Context& context, const GroupnormOptions& options,
                              std::type_identity_t<ConstMatrix<Scalar>> x,
                              std::type_identity_t<ConstVector<Scalar>> gamma,
                              std::type_identity_t<ConstMatrix<accumulate_t<Scalar>>> mean,
                              std::type_identity_t<ConstMatrix<accumulate_t<Scalar>>> rstd,
                              std::type_identity_t<ConstMatrix<Scalar>> dy, Matrix<Scalar> dx) {
  using Real = accumulate_t<Scalar>;
  static const std::string sums_label = "partita::kernels::groupnorm_backward_input::sums";
  static const std::string finish_label = "partita::kernels::groupnorm_backward_input::finish";
  static const std::string label = "partita::kernels::groupnorm_backward_input";
  const ImageGroups e = backend::image_groups("groupnorm_backward_input", options, x, gamma.extent(0), mean, rstd);
  backend::require_shape("groupnorm_backward_input", "dy", dy, "x", x, "(B, pixels C)");
  backend::require_shape("groupnorm_backward_input", "dx", dx, "x", x, "(B, pixels C)");
  const Exec& exec = context.exec();
  const index_t leaves = options.rows.leaves, statistics = e.sets * e.groups, tasks = e.pixels > 0 ? statistics : 0;
  with_slope_sums<Scalar>(context, sums_label, leaves, e, x, mean, dy, [&](auto* partial) {
    using Partial = std::remove_pointer_t<decltype(partial)>;
    Real* const dn_mean = reinterpret_cast<Real*>(partial + 2 * e.sets * leaves * e.channels);  // (2, B, groups)
    Real* const dn_n_mean = dn_mean + statistics;
    Kokkos::parallel_for(finish_label, backend::range_policy(exec, tasks),
                         FinishGroupSlopes<Scalar, Partial>{e, leaves, partial, gamma.data(), backend::per_group(rstd),
                                                            dn_mean, dn_n_mean});
    backend::for_images<Real>(exec, label, e,
                              GroupSlopes<Scalar>{e,
                                                  backend::image_channels(x),
                                                  backend::image_channels(dy),
                                                  gamma.data(),
                                                  backend::per_group(mean),
                                                  backend::per_group(rstd),
                                                  {dn_mean, e.groups},
                                                  {dn_n_mean, e.groups},
                                                  backend::image_channels(dx)});
  });
}

template <class Scalar>
void groupnorm_backward_weights(Context& context, const GroupnormOptions& options, Store store,
                                std::type_identity_t<ConstMatrix<Scalar>> x,
                                std::type_identity_t<ConstMatrix<accumulate_t<Scalar>>> mean,
                                std::type_identity_t<ConstMatrix<accumulate_t<Scalar>>> rstd,
                                std::type_identity_t<ConstMatrix<Scalar>> dy, Vector<accumulate_t<Scalar>> dgamma,
                                Vector<accumulate_t<Scalar>> dbeta) {
  using Real = accumulate_t<Scalar>;
  static const std::string sums_label = "partita::kernels::groupnorm_backward_weights::sums";
  static const std::string label = "partita::kernels::groupnorm_backward_weights";
  ImageGroups e = backend::image_groups("groupnorm_backward_weights", options, x, dgamma.extent(0), mean, rstd);
  backend::require_shape("groupnorm_backward_weights", "dy", dy, "x", x, "(B, pixels C)");
  backend::require_length("groupnorm_backward_weights", "dbeta", dbeta.extent(0), "dgamma", dgamma.extent(0));
  if (e.pixels == 0) e.sets = 0;
  const index_t leaves = options.rows.leaves;
  with_slope_sums<Scalar>(context, sums_label, leaves, e, x, mean, dy, [&](auto* partial) {
    using Partial = std::remove_pointer_t<decltype(partial)>;
    Kokkos::parallel_for(label, backend::range_policy(context.exec(), e.channels),
                         FinishGroupWeights<Real, Partial>{e, leaves, partial, backend::per_group(rstd),
                                                           store == Store::accumulate, dgamma.data(), dbeta.data()});
  });
}

#define PARTITA_INSTANTIATE(S, R)                                                                              \
  template void groupnorm_backward_input<S>(Context&, const GroupnormOptions&, ConstMatrix<S>, ConstVector<S>, \
                                            ConstMatrix<R>, ConstMatrix<R>, ConstMatrix<S>, Matrix<S>);        \
  template void groupnorm_backward_weights<S>(Context&, const GroupnormOptions&, Store, ConstMatrix<S>,        \
                                              ConstMatrix<R>, ConstMatrix<R>, ConstMatrix<S>, Vector<R>, Vector<R>);
PARTITA_INSTANTIATE(float, float)
PARTITA_INSTANTIATE(double, double)
PARTITA_INSTANTIATE(bfloat16, float)
PARTITA_INSTANTIATE(float16, float)
#undef PARTITA_INSTANTIATE

}  // namespace partita::kernels
