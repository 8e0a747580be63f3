// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/image_sums.hpp>
#include <partita/kernels/backend/pack.hpp>
#include <partita/kernels/backend/tree.hpp>
#include <partita/kernels/groupnorm.hpp>
#include <string>

namespace partita::kernels {
namespace {

using backend::load;
using backend::scaled;
using backend::store;
using backend::stride_of;

struct Extents {
  index_t B, pixels, channels, groups;

  KOKKOS_FUNCTION index_t group_channels() const { return channels / groups; }
  KOKKOS_FUNCTION index_t group(index_t c) const { return c / group_channels(); }
};

/// A statistic of an image's groups, (B, groups).
template <class Real>
struct PerGroup {
  const Real* data;
  index_t stride;

  /// Of the channels from c on.
  template <class Value>
  KOKKOS_FUNCTION Value at(const Extents& e, index_t b, index_t c) const {
    constexpr index_t width = index_t(sizeof(Value) / sizeof(Real));
    Real values[width];
    for (index_t j = 0; j < width; ++j) values[j] = data[b * stride + e.group(c + j)];
    return load<Value>(values);
  }
};

/// Per image and channel: sums, then sums of squares about the channel's own mean. Rows are all images' pixels.
template <class Scalar>
struct Moments {
  using Real = accumulate_t<Scalar>;
  Extents e;
  const Scalar* x;
  index_t x_stride;
  Real* partial;  // (B, 2, C)

  template <class Value>
  KOKKOS_FUNCTION void run(index_t begin, index_t, index_t c) const {
    const index_t b = begin / e.pixels;
    const Scalar* const from = x + b * x_stride + c;
    Value sum{}, squares{};
    for (index_t p = 0; p < e.pixels; ++p) sum = sum + load<Value>(from + p * e.channels);
    const Value mean = scaled(sum, Real(1) / Real(e.pixels));
    for (index_t p = 0; p < e.pixels; ++p) {
      const Value d = load<Value>(from + p * e.channels) - mean;
      squares = squares + d * d;
    }
    store(sum, partial + 2 * b * e.channels + c);
    store(squares, partial + (2 * b + 1) * e.channels + c);
  }
};

/// Puts the channels of a group together.
template <class Real>
struct FinishMoments {
  Extents e;
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

/// total(b, g) = the tree over blocks of the sums of a group's channels.
struct GroupTree {
  Extents e;
  index_t leaves;
  const double* partial;  // (B, leaves, C)

  KOKKOS_FUNCTION double operator()(index_t b, index_t g) const {
    const index_t first = g * e.group_channels(), end = first + e.group_channels();
    return backend::tree_of<double>(leaves, [&](index_t leaf) {
      const double* const sums = partial + (b * leaves + leaf) * e.channels;
      double sum = 0;
      for (index_t c = first; c < end; ++c) sum += sums[c];
      return sum;
    });
  }
};

/// The mean, and unrounded.
template <class Real>
struct FinishMean {
  GroupTree tree;
  double* unrounded;  // (B, groups)
  Real* mean;
  index_t mean_stride;

  KOKKOS_FUNCTION void operator()(index_t task) const {
    const Extents& e = tree.e;
    const index_t b = task / e.groups, g = task % e.groups, n = e.pixels * e.group_channels();
    unrounded[task] = n > 0 ? tree(b, g) / double(n) : 0.0;
    mean[b * mean_stride + g] = Real(unrounded[task]);
  }
};

template <class Real>
struct FinishSquares {
  GroupTree tree;
  double epsilon;
  Real* rstd;
  index_t rstd_stride;

  KOKKOS_FUNCTION void operator()(index_t task) const {
    const Extents& e = tree.e;
    const index_t b = task / e.groups, g = task % e.groups, n = e.pixels * e.group_channels();
    const double variance = n > 0 ? tree(b, g) / double(n) : 0.0;
    rstd[b * rstd_stride + g] = Real(1 / Kokkos::sqrt(variance + epsilon));
  }
};

template <class Scalar>
struct Apply {
  using Real = accumulate_t<Scalar>;
  Extents e;
  const Scalar* x;
  index_t x_stride;
  const Scalar *gamma, *beta;
  PerGroup<Real> mean, rstd;
  Scalar* y;
  index_t y_stride;

  template <class Value>
  KOKKOS_FUNCTION void run(index_t begin, index_t, index_t c) const {
    const index_t b = begin / e.pixels;
    const Value m = mean.template at<Value>(e, b, c), shift = load<Value>(beta + c);
    const Value factor = load<Value>(gamma + c) * rstd.template at<Value>(e, b, c);
    const Scalar* const from = x + b * x_stride + c;
    Scalar* const to = y + b * y_stride + c;
    for (index_t p = 0; p < e.pixels; ++p)
      store((load<Value>(from + p * e.channels) - m) * factor + shift, to + p * e.channels);
  }
};

/// Per image and channel: sums of dy and of dy (x - mean).
template <class Scalar>
struct SlopeSums {
  using Real = accumulate_t<Scalar>;
  Extents e;
  const Scalar* x;
  index_t x_stride;
  PerGroup<Real> mean;
  const Scalar* dy;
  index_t dy_stride;
  Real* partial;  // (B, 2, C)

  template <class Value>
  KOKKOS_FUNCTION void run(index_t begin, index_t, index_t c) const {
    const index_t b = begin / e.pixels;
    const Value m = mean.template at<Value>(e, b, c);
    Value sum{}, product{};
    for (index_t p = 0; p < e.pixels; ++p) {
      const Value slope = load<Value>(dy + b * dy_stride + p * e.channels + c);
      sum = sum + slope;
      product = product + slope * (load<Value>(x + b * x_stride + p * e.channels + c) - m);
    }
    store(sum, partial + 2 * b * e.channels + c);
    store(product, partial + (2 * b + 1) * e.channels + c);
  }
};

/// What is taken from gamma dy in a group: shift = s1 / n and tilt = rstd s2 / n, which (x - mean) multiplies.
template <class Scalar, class Partial>
struct FinishGroups {
  using Real = accumulate_t<Scalar>;
  Extents e;
  index_t leaves;
  const Partial* partial;  // (B, leaves, 2, C)
  const Scalar* gamma;
  PerGroup<Real> rstd;
  Real *shift, *tilt;  // (B, groups)

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
    shift[task] = n > 0 ? Real(tree(0) / n) : Real(0);
    tilt[task] = n > 0 ? Real(s * s * tree(1) / n) : Real(0);
  }
};

template <class Scalar>
struct Slopes {
  using Real = accumulate_t<Scalar>;
  Extents e;
  const Scalar* x;
  index_t x_stride;
  const Scalar* gamma;
  PerGroup<Real> mean, rstd, shift, tilt;
  const Scalar* dy;
  index_t dy_stride;
  Scalar* dx;
  index_t dx_stride;

  template <class Value>
  KOKKOS_FUNCTION void run(index_t begin, index_t, index_t c) const {
    const index_t b = begin / e.pixels;
    const Value m = mean.template at<Value>(e, b, c), s = rstd.template at<Value>(e, b, c);
    const Value off = shift.template at<Value>(e, b, c), slant = tilt.template at<Value>(e, b, c);
    const Value weight = load<Value>(gamma + c);
    for (index_t p = 0; p < e.pixels; ++p) {
      const Value d = load<Value>(x + b * x_stride + p * e.channels + c) - m;
      const Value slope = weight * load<Value>(dy + b * dy_stride + p * e.channels + c);
      store(s * (slope - off - d * slant), dx + b * dx_stride + p * e.channels + c);
    }
  }
};

template <class Real, class Partial>
struct FinishWeights {
  Extents e;
  index_t leaves;
  const Partial* partial;  // (B, leaves, 2, C)
  PerGroup<Real> rstd;
  bool adds;
  Real *dgamma, *dbeta;

  KOKKOS_FUNCTION void operator()(index_t c) const {
    const auto tree = [&](index_t of, auto weight) {
      return backend::tree_of<double>(leaves, [&](index_t leaf) {
        double sum = 0;
        for (index_t b = 0; b < e.B; ++b)
          sum += double(partial[((b * leaves + leaf) * 2 + of) * e.channels + c]) * weight(b);
        return sum;
      });
    };
    const double sum = tree(0, [](index_t) { return 1.0; });
    const double product = tree(1, [&](index_t b) { return double(rstd.data[b * rstd.stride + e.group(c)]); });
    dgamma[c] = Real(adds ? double(dgamma[c]) + product : product);
    dbeta[c] = Real(adds ? double(dbeta[c]) + sum : sum);
  }
};

template <class X, class Statistic>
Extents extents_of(const char* function, const GroupnormOptions& options, const X& x, std::size_t channels,
                   const Statistic& mean, const Statistic& rstd) {
  const index_t C = index_t(channels), columns = index_t(x.extent(1));
  if (options.groups <= 0 || C % options.groups != 0)
    throw ShapeError(std::string(function) + ": " + std::to_string(C) + " channels cannot be cut into " +
                     std::to_string(options.groups) + " groups");
  if (C == 0 ? columns != 0 : columns % C != 0)
    throw ShapeError(std::string(function) + ": x has " + std::to_string(columns) +
                     " columns, expected a multiple of " + std::to_string(C) + ", the channels");
  backend::require_rows(function, options.rows);
  backend::require_matrix(function, "mean", mean, x.extent(0), "the rows of x", std::size_t(options.groups),
                          "the groups");
  backend::require_matrix(function, "rstd", rstd, x.extent(0), "the rows of x", std::size_t(options.groups),
                          "the groups");
  return {index_t(x.extent(0)), C == 0 ? 0 : columns / C, C, options.groups};
}

/// A task is an image.
template <class Real, class Body>
void for_images(const Exec& exec, const std::string& label, const Extents& e, const Body& body) {
  if (e.pixels > 0) backend::for_columns<Real>(exec, label, e.B * e.pixels, e.channels, e.pixels, body);
}

template <class Scalar, class X>
backend::PixelAt<Scalar> pixels_of(const Extents& e, const X& x) {
  return {x.data(), stride_of(x), e.channels};
}

/// Mean and rstd as trees over blocks of pixels.
template <class Scalar>
void stats_in_blocks(Context& context, const std::string& sums_label, const std::string& finish_label,
                     const GroupnormOptions& options, const Extents& e, ConstMatrix<Scalar> x,
                     Matrix<accumulate_t<Scalar>> mean, Matrix<accumulate_t<Scalar>> rstd) {
  using Real = accumulate_t<Scalar>;
  const Exec& exec = context.exec();
  const index_t leaves = options.rows.leaves, statistics = e.B * e.groups;
  double* const partial =
      static_cast<double*>(context.scratch(std::size_t(e.B * leaves * e.channels + statistics) * sizeof(double)));
  double* const unrounded = partial + e.B * leaves * e.channels;
  const backend::PixelAt<Scalar> at = pixels_of<Scalar>(e, x);
  const GroupTree tree{e, leaves, partial};
  const index_t group_channels = e.channels > 0 ? e.group_channels() : 1;
  backend::leaf_sums(exec, sums_label, e.B, 1, e.pixels, leaves, e.channels, backend::SumOfPixels<Scalar>{at}, partial);
  Kokkos::parallel_for(finish_label, backend::range_policy(exec, statistics),
                       FinishMean<Real>{tree, unrounded, mean.data(), stride_of(mean)});
  backend::leaf_sums(exec, sums_label, e.B, 1, e.pixels, leaves, e.channels,
                     backend::SquaresOfPixels<Scalar>{at, {unrounded, e.groups, group_channels}}, partial);
  Kokkos::parallel_for(finish_label, backend::range_policy(exec, statistics),
                       FinishSquares<Real>{tree, options.epsilon, rstd.data(), stride_of(rstd)});
}

/// Sums of dy and dy (x - mean) of blocks of pixels: (B, leaves, 2, C).
template <class Scalar>
void slopes_in_blocks(const Exec& exec, const std::string& label, index_t leaves, const Extents& e,
                      ConstMatrix<Scalar> x, ConstMatrix<accumulate_t<Scalar>> mean, ConstMatrix<Scalar> dy,
                      double* partial) {
  const index_t group_channels = e.channels > 0 ? e.group_channels() : 1;
  backend::leaf_sums(
      exec, label, e.B, 1, e.pixels, leaves, e.channels,
      backend::SlopesOfPixels<Scalar, false>{
          pixels_of<Scalar>(e, x), {}, pixels_of<Scalar>(e, dy), {mean.data(), stride_of(mean), group_channels}},
      partial);
}

template <class View>
auto per_group(const View& a) {
  return PerGroup<typename View::non_const_value_type>{a.data(), stride_of(a)};
}

/// For two sums per image, block and channel and two numbers per image and group.
template <class Number>
Number* partial_sums(Context& context, const Extents& e, index_t leaves = 1) {
  return static_cast<Number*>(
      context.scratch(std::size_t(2 * e.B * (leaves * e.channels + e.groups)) * sizeof(Number)));
}

}  // namespace

template <class Scalar>
void groupnorm_forward(Context& context, const GroupnormOptions& options, std::type_identity_t<ConstMatrix<Scalar>> x,
                       std::type_identity_t<ConstVector<Scalar>> gamma, std::type_identity_t<ConstVector<Scalar>> beta,
                       Matrix<Scalar> y, Matrix<accumulate_t<Scalar>> mean, Matrix<accumulate_t<Scalar>> rstd) {
  using Real = accumulate_t<Scalar>;
  static const std::string sums_label = "partita::kernels::groupnorm_forward::sums";
  static const std::string finish_label = "partita::kernels::groupnorm_forward::finish";
  static const std::string label = "partita::kernels::groupnorm_forward";
  const Extents e = extents_of("groupnorm_forward", options, x, gamma.extent(0), mean, rstd);
  backend::require_like_x("groupnorm_forward", "y", y, x);
  backend::require_elements("groupnorm_forward", "beta", beta, gamma.extent(0), "the elements of gamma");
  const Exec& exec = context.exec();
  if (options.rows.leaves > 1) {
    stats_in_blocks<Scalar>(context, sums_label, finish_label, options, e, x, mean, rstd);
  } else {
    Real* const partial = partial_sums<Real>(context, e);
    for_images<Real>(exec, sums_label, e, Moments<Scalar>{e, x.data(), stride_of(x), partial});
    Kokkos::parallel_for(
        finish_label, backend::range_policy(exec, e.B * e.groups),
        FinishMoments<Real>{e, options.epsilon, partial, mean.data(), stride_of(mean), rstd.data(), stride_of(rstd)});
  }
  for_images<Real>(exec, label, e,
                   Apply<Scalar>{e, x.data(), stride_of(x), gamma.data(), beta.data(), per_group(mean), per_group(rstd),
                                 y.data(), stride_of(y)});
}

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
  const Extents e = extents_of("groupnorm_backward_input", options, x, gamma.extent(0), mean, rstd);
  backend::require_like_x("groupnorm_backward_input", "dy", dy, x);
  backend::require_like_x("groupnorm_backward_input", "dx", dx, x);
  const Exec& exec = context.exec();
  const index_t leaves = options.rows.leaves, tasks = e.pixels > 0 ? e.B * e.groups : 0;
  Real* shift = nullptr;  // (2, B, groups), tilt behind it
  const auto finish = [&](auto* partial) {
    using Partial = std::remove_pointer_t<decltype(partial)>;
    Kokkos::parallel_for(finish_label, backend::range_policy(exec, tasks),
                         FinishGroups<Scalar, Partial>{e, leaves, partial, gamma.data(), per_group(rstd), shift,
                                                       shift + e.B * e.groups});
  };
  if (leaves > 1) {
    double* const partial = partial_sums<double>(context, e, leaves);
    shift = reinterpret_cast<Real*>(partial + 2 * e.B * leaves * e.channels);
    slopes_in_blocks<Scalar>(exec, sums_label, leaves, e, x, mean, dy, partial);
    finish(partial);
  } else {
    Real* const partial = partial_sums<Real>(context, e);
    shift = partial + 2 * e.B * e.channels;
    for_images<Real>(exec, sums_label, e,
                     SlopeSums<Scalar>{e, x.data(), stride_of(x), per_group(mean), dy.data(), stride_of(dy), partial});
    finish(partial);
  }
  for_images<Real>(exec, label, e,
                   Slopes<Scalar>{e,
                                  x.data(),
                                  stride_of(x),
                                  gamma.data(),
                                  per_group(mean),
                                  per_group(rstd),
                                  {shift, e.groups},
                                  {shift + e.B * e.groups, e.groups},
                                  dy.data(),
                                  stride_of(dy),
                                  dx.data(),
                                  stride_of(dx)});
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
  Extents e = extents_of("groupnorm_backward_weights", options, x, dgamma.extent(0), mean, rstd);
  backend::require_like_x("groupnorm_backward_weights", "dy", dy, x);
  backend::require_elements("groupnorm_backward_weights", "dbeta", dbeta, dgamma.extent(0), "the elements of dgamma");
  const Exec& exec = context.exec();
  if (e.pixels == 0) e.B = 0;
  const index_t leaves = options.rows.leaves;
  const auto finish = [&](auto* partial) {
    using Partial = std::remove_pointer_t<decltype(partial)>;
    Kokkos::parallel_for(label, backend::range_policy(exec, e.channels),
                         FinishWeights<Real, Partial>{e, leaves, partial, per_group(rstd), store == Store::accumulate,
                                                      dgamma.data(), dbeta.data()});
  };
  if (leaves > 1) {
    double* const partial = partial_sums<double>(context, e, leaves);
    slopes_in_blocks<Scalar>(exec, sums_label, leaves, e, x, mean, dy, partial);
    finish(partial);
  } else {
    Real* const partial = partial_sums<Real>(context, e);
    for_images<Real>(exec, sums_label, e,
                     SlopeSums<Scalar>{e, x.data(), stride_of(x), per_group(mean), dy.data(), stride_of(dy), partial});
    finish(partial);
  }
}

#define PARTITA_INSTANTIATE(S, R)                                                                              \
  template void groupnorm_forward<S>(Context&, const GroupnormOptions&, ConstMatrix<S>, ConstVector<S>,        \
                                     ConstVector<S>, Matrix<S>, Matrix<R>, Matrix<R>);                         \
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
