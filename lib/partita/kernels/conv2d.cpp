// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/conv2d.hpp>

#include <algorithm>
#include <cstddef>
#include <string>

#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/choose.hpp>
#include <partita/kernels/backend/conv_device.hpp>
#include <partita/kernels/backend/conv_host_weights.hpp>
#include <partita/kernels/backend/conv_vendor.hpp>
#include <partita/kernels/backend/tree.hpp>

namespace partita::kernels {
namespace {

using backend::ConvLabels;
using backend::Images;

void require_kernel(const char* function, const Conv2dShape& s) {
  const auto found = [&] {
    const auto by = [](index_t rows, index_t columns) {
      return std::to_string(rows) + " x " + std::to_string(columns);
    };
    return "a kernel of " + by(s.kernel_rows, s.kernel_columns) + ", stride " + std::to_string(s.stride) +
           ", images of " + by(s.rows, s.columns) + ", padding " + std::to_string(s.padding) + ", " +
           std::to_string(s.channels) + " channels, " + std::to_string(s.filters) + " filters";
  };
  const bool sane = s.rows >= 0 && s.columns >= 0 && s.channels >= 0 && s.filters >= 0 && s.kernel_rows > 0 &&
                    s.kernel_columns > 0 && s.stride > 0 && s.padding >= 0;
  if (!sane) refuse<ShapeError>(function, found(), "a positive kernel and stride, and nothing that is negative");
  if (s.rows + 2 * s.padding < s.kernel_rows || s.columns + 2 * s.padding < s.kernel_columns)
    refuse<ShapeError>(function, found(), "a kernel that fits the padded image");
}

template <class A, class C>
void require_convolved(const char* function, const Conv2dShape& s, const char* in_name, const A& in,
                       const char* out_name, const C& out) {
  require_kernel(function, s);
  backend::require_images(function, in_name, in, out_name, out, s.inputs(), s.outputs());
}

template <class A>
void require_weights(const char* function, const Conv2dShape& s, const char* name, const A& W) {
  constexpr const char* expected = "(F, kernel rows x kernel columns x C)";
  backend::require_extent(function, name, "rows", W.extent(0), "the shape", "filters", s.filters, expected);
  backend::require_extent(function, name, "columns", W.extent(1), "a filter", "numbers", s.kernel(), expected);
}

template <class A>
void require_bias(const char* function, const Conv2dShape& s, const char* name, const A& b) {
  if (b.extent(0) > 0)
    backend::require_extent(function, name, "elements", b.extent(0), "the shape", "filters", s.filters,
                            "one for each filter, or none");
}

template <class Scalar>
Images<Scalar> images(Scalar* data, std::size_t stride, index_t rows, index_t columns, index_t channels) {
  return {data, index_t(stride), rows, columns, channels};
}

/// The vendors' convolutions take whole images, one after the other.
template <class... Operands>
bool vendor_convolves(const Conv2dShape& s, const Operands&... operands) {
  const bool some = s.inputs() > 0 && s.outputs() > 0 && ((operands.extent(0) > 0) && ...);
  return some && ((operands.stride(0) == operands.extent(1)) && ...);
}

CallShape shape_of(Call call, std::size_t B, const Conv2dShape& s) {
  return {call,
          {index_t(B), s.rows, s.columns, s.channels, s.filters, s.kernel_rows, s.kernel_columns, s.stride, s.padding}};
}

template <class Scalar>
void correlate(Context& context, const ConvLabels& labels, index_t B, const backend::Correlation& g,
               Images<const Scalar> in, backend::Taps<Scalar> taps, const Scalar* bias, Images<Scalar> out) {
  if constexpr (backend::runs_on_host)
    backend::host::correlate<Scalar>(context, labels, B, g, in, taps, bias, out);
  else
    backend::device::correlate<Scalar>(context, labels, B, g, in, taps, bias, out);
}

/// dx as one correlation of dy for each phase of its pixels.
template <class Scalar>
void correlate_backward(Context& context, const ConvLabels& labels, const Conv2dShape& s, const ConstMatrix<Scalar>& dy,
                        const ConstMatrix<Scalar>& W, const Matrix<Scalar>& dx) {
  for (index_t row_phase = 0; row_phase < s.stride; ++row_phase)
    for (index_t column_phase = 0; column_phase < s.stride; ++column_phase) {
      const backend::Phase row(s, row_phase, s.rows, s.kernel_rows);
      const backend::Phase column(s, column_phase, s.columns, s.kernel_columns);
      correlate<Scalar>(context, labels, index_t(dx.extent(0)),
                        backend::backward_correlation(s, row, column, row_phase, column_phase),
                        images(dy.data(), dy.stride(0), s.out_rows(), s.out_columns(), s.filters),
                        backend::backward_taps(s, row, column, W.data(), index_t(W.stride(0))),
                        static_cast<const Scalar*>(nullptr),
                        images(dx.data(), dx.stride(0), s.rows, s.columns, s.channels));
    }
}

constexpr index_t bias_width = backend::runs_on_host ? 64 : 1;  // filters side by side

/// partial(chunk, f) = sum over the chunk's images and pixels in order.
template <class Scalar>
struct SumChunk {
  using Sum = accumulate_t<Scalar>;
  const Scalar* dy;
  index_t stride, B, chunks, pixels, F;
  Sum* partial;

  KOKKOS_FUNCTION void operator()(index_t task) const {
    const index_t blocks = (F + bias_width - 1) / bias_width, chunk = task / blocks;
    const index_t first = task % blocks * bias_width;
    const int inside = int(F - first < bias_width ? F - first : bias_width);
    Sum sum[bias_width] = {};
    for (index_t image = chunk * B / chunks; image < (chunk + 1) * B / chunks; ++image)
      for (index_t pixel = 0; pixel < pixels; ++pixel) {
        const Scalar* const from = dy + image * stride + pixel * F + first;
        for (int f = 0; f < inside; ++f) sum[f] += Sum(from[f]);
      }
    for (int f = 0; f < inside; ++f) partial[chunk * F + first + f] = sum[f];
  }
};

template <class Sum>
struct AddChunks {
  const Sum* partial;
  index_t chunks, F;
  bool adds;
  Sum* db;

  KOKKOS_FUNCTION void operator()(index_t f) const {
    Sum sum = 0;
    for (index_t chunk = 0; chunk < chunks; ++chunk) sum += partial[chunk * F + f];
    db[f] = adds ? db[f] + sum : sum;
  }
};

/// to(f, e) = from(f, e), or added.
template <class Sum>
struct StoreSums {
  const Sum* from;
  index_t columns;
  bool adds;
  Sum* to;
  index_t stride;

  KOKKOS_FUNCTION void operator()(index_t at) const {
    Sum& into = to[at / columns * stride + at % columns];
    into = adds ? into + from[at] : from[at];
  }
};

using backend::OutputRows;

/// The portable sums over some rows of the outputs, in scratch that they are given.
template <class Scalar>
struct WeightSums {
  using Sum = accumulate_t<Scalar>;
  const Exec& exec;
  const ConvLabels& labels;
  index_t B;
  const Conv2dShape& s;
  Images<const Scalar> x, dy;

  std::size_t bias_bytes() const { return std::size_t(backend::weight_chunks(B) * s.filters) * sizeof(Sum); }
  std::size_t weights_bytes(OutputRows rows) const {
    if constexpr (backend::runs_on_host)
      return std::size_t(backend::host::weights_scratch<Scalar>(exec, B, s, rows)) * sizeof(Sum);
    else
      return std::size_t(backend::device::weights_scratch<Scalar>(exec, B, s, rows)) * sizeof(Sum);
  }
  void bias(OutputRows rows, Store store, void* scratch, Sum* db) const {
    const index_t chunks = backend::weight_chunks(B), F = s.filters, blocks = (F + bias_width - 1) / bias_width;
    Sum* const partial = static_cast<Sum*>(scratch);
    Kokkos::parallel_for(labels.sum, backend::range_policy(exec, chunks * blocks),
                         SumChunk<Scalar>{dy.data + rows.first * s.out_columns() * F, dy.stride, B, chunks,
                                          rows.count * s.out_columns(), F, partial});
    Kokkos::parallel_for(labels.sum, backend::range_policy(exec, F),
                         AddChunks<Sum>{partial, chunks, F, store == Store::accumulate, db});
  }
  void weights(OutputRows rows, Store store, void* scratch, Sum* dW, index_t stride) const {
    if constexpr (backend::runs_on_host)
      backend::host::correlate_weights<Scalar>(exec, labels, B, s, rows, store, x, dy, static_cast<Sum*>(scratch), dW,
                                               stride);
    else
      backend::device::correlate_weights<Scalar>(exec, labels, B, s, rows, store, x, dy, static_cast<Sum*>(scratch), dW,
                                                 stride);
  }
};

/// dW and db as trees over blocks of the outputs' rows.
template <class Scalar>
void weights_in_blocks(Context& context, const WeightSums<Scalar>& sums, const Blocks& rows, Store store,
                       Matrix<accumulate_t<Scalar>> dW, Vector<accumulate_t<Scalar>> db) {
  using Sum = accumulate_t<Scalar>;
  static const std::string label = "partita::kernels::conv2d_backward_weights::store";
  const index_t F = sums.s.filters, kernel = sums.s.kernel(), n = F * kernel + index_t(db.extent(0));
  const auto of_leaf = [&](index_t leaf) -> OutputRows {
    const backend::Leaf part = backend::leaf_of(rows, sums.s.out_rows(), leaf);
    return {part.first, part.extent};
  };
  std::size_t work = sums.bias_bytes();
  for (index_t leaf = 0; leaf < rows.leaves; ++leaf) work = std::max(work, sums.weights_bytes(of_leaf(leaf)));
  work = (work + 63) / 64 * 64;
  auto* const scratch = static_cast<std::byte*>(context.scratch(work + backend::leaves_bytes<Sum>(rows.leaves, n)));
  Sum* const root = static_cast<Sum*>(static_cast<void*>(scratch + work));
  backend::sum_leaves<Sum>(context.exec(), rows.leaves, n, root, [&](index_t leaf, Sum* to) {
    sums.weights(of_leaf(leaf), Store::overwrite, scratch, to, kernel);
    if (db.extent(0) > 0) sums.bias(of_leaf(leaf), Store::overwrite, scratch, to + F * kernel);
  });
  const bool adds = store == Store::accumulate;
  Kokkos::parallel_for(label, backend::range_policy(context.exec(), F * kernel),
                       StoreSums<Sum>{root, kernel, adds, dW.data(), index_t(dW.stride(0))});
  Kokkos::parallel_for(label, backend::range_policy(context.exec(), index_t(db.extent(0))),
                       StoreSums<Sum>{root + F * kernel, 1, adds, db.data(), 1});
}

/// dW over all rows, by the vendor or by us.
template <class Scalar>
void weights_by_choice(Context& context, const WeightSums<Scalar>& sums, Store store, const ConstMatrix<Scalar>& x,
                       const ConstMatrix<Scalar>& dy, const Matrix<accumulate_t<Scalar>>& dW) {
  static const std::string trial_label = "partita::kernels::conv2d_backward_weights::trial";
  const Conv2dShape& s = sums.s;
  const OutputRows all{0, s.out_rows()};
  using Sum = accumulate_t<Scalar>;
  const auto into = [&, store](const Matrix<Sum>& to) {
    return [&, store, to](Backend by) {
      if constexpr (std::is_same_v<Scalar, float>)
        if (by == Backend::vendor) return context.conv_vendor().backward_weights(context, s, store, x, dy, to);
      sums.weights(all, store, context.scratch(sums.weights_bytes(all)), to.data(), index_t(to.stride(0)));
      return true;
    };
  };
  // What is added to must be added to once: a trial has its own.
  const auto make_trial = [&] {
    return into(Matrix<Sum>(Kokkos::view_alloc(context.exec(), trial_label), dW.extent(0), dW.extent(1)));
  };
  backend::run_chosen<Scalar>(context, shape_of(Call::conv2d_backward_weights, x.extent(0), s),
                              vendor_convolves(s, x, dy, dW), into(dW), make_trial);
}

}  // namespace

template <class Scalar>
void conv2d_forward(Context& context, const Conv2dShape& s, std::type_identity_t<ConstMatrix<Scalar>> x,
                    std::type_identity_t<ConstMatrix<Scalar>> W, std::type_identity_t<ConstVector<Scalar>> b,
                    Matrix<Scalar> y) {
  static const ConvLabels labels("partita::kernels::conv2d_forward");
  require_convolved("conv2d_forward", s, "x", x, "y", y);
  require_weights("conv2d_forward", s, "W", W);
  require_bias("conv2d_forward", s, "b", b);
  const auto run = [&](Backend by) {
    if constexpr (std::is_same_v<Scalar, float>)
      if (by == Backend::vendor) return context.conv_vendor().forward(context, s, x, W, b, y);
    correlate<Scalar>(context, labels, index_t(x.extent(0)), backend::forward_correlation(s),
                      images(x.data(), x.stride(0), s.rows, s.columns, s.channels),
                      backend::forward_taps(s, W.data(), index_t(W.stride(0))), b.extent(0) > 0 ? b.data() : nullptr,
                      images(y.data(), y.stride(0), s.out_rows(), s.out_columns(), s.filters));
    return true;
  };
  backend::run_chosen<Scalar>(context, shape_of(Call::conv2d_forward, x.extent(0), s), vendor_convolves(s, x, W, y),
                              run);
}

template <class Scalar>
void conv2d_backward_input(Context& context, const Conv2dShape& s, std::type_identity_t<ConstMatrix<Scalar>> dy,
                           std::type_identity_t<ConstMatrix<Scalar>> W, Matrix<Scalar> dx) {
  static const ConvLabels labels("partita::kernels::conv2d_backward_input");
  require_convolved("conv2d_backward_input", s, "dx", dx, "dy", dy);
  require_weights("conv2d_backward_input", s, "W", W);
  const auto run = [&](Backend by) {
    if constexpr (std::is_same_v<Scalar, float>)
      if (by == Backend::vendor) return context.conv_vendor().backward_input(context, s, dy, W, dx);
    correlate_backward<Scalar>(context, labels, s, dy, W, dx);
    return true;
  };
  backend::run_chosen<Scalar>(context, shape_of(Call::conv2d_backward_input, dy.extent(0), s),
                              vendor_convolves(s, dy, W, dx), run);
}

template <class Scalar>
void conv2d_backward_weights(Context& context, const Conv2dShape& s, const Blocks& rows, Store store,
                             std::type_identity_t<ConstMatrix<Scalar>> x, std::type_identity_t<ConstMatrix<Scalar>> dy,
                             std::type_identity_t<Matrix<accumulate_t<Scalar>>> dW,
                             std::type_identity_t<Vector<accumulate_t<Scalar>>> db) {
  static const ConvLabels labels("partita::kernels::conv2d_backward_weights");
  require_convolved("conv2d_backward_weights", s, "x", x, "dy", dy);
  require_weights("conv2d_backward_weights", s, "dW", dW);
  require_bias("conv2d_backward_weights", s, "db", db);
  backend::require_rows("conv2d_backward_weights", rows);
  const WeightSums<Scalar> sums{context.exec(),
                                labels,
                                index_t(x.extent(0)),
                                s,
                                images(x.data(), x.stride(0), s.rows, s.columns, s.channels),
                                images(dy.data(), dy.stride(0), s.out_rows(), s.out_columns(), s.filters)};
  if (rows.leaves > 1) return weights_in_blocks<Scalar>(context, sums, rows, store, dW, db);
  const OutputRows all{0, s.out_rows()};
  if (db.extent(0) > 0) sums.bias(all, store, context.scratch(sums.bias_bytes()), db.data());
  weights_by_choice<Scalar>(context, sums, store, x, dy, dW);
}

#define PARTITA_INSTANTIATE(Scalar)                                                                                   \
  template void conv2d_forward<Scalar>(Context&, const Conv2dShape&, ConstMatrix<Scalar>, ConstMatrix<Scalar>,        \
                                       ConstVector<Scalar>, Matrix<Scalar>);                                          \
  template void conv2d_backward_input<Scalar>(Context&, const Conv2dShape&, ConstMatrix<Scalar>, ConstMatrix<Scalar>, \
                                              Matrix<Scalar>);                                                        \
  template void conv2d_backward_weights<Scalar>(Context&, const Conv2dShape&, const Blocks&, Store,                   \
                                                ConstMatrix<Scalar>, ConstMatrix<Scalar>,                             \
                                                Matrix<accumulate_t<Scalar>>, Vector<accumulate_t<Scalar>>);
PARTITA_INSTANTIATE(float)
PARTITA_INSTANTIATE(double)
PARTITA_INSTANTIATE(bfloat16)
PARTITA_INSTANTIATE(float16)
#undef PARTITA_INSTANTIATE

}  // namespace partita::kernels
