// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cstddef>
#include <string>

#include <partita/kernels/backend/choose.hpp>
#include <partita/kernels/backend/conv_calls.hpp>
#include <partita/kernels/backend/conv_device.hpp>
#include <partita/kernels/backend/conv_host_weights.hpp>
#include <partita/kernels/backend/conv_vendor.hpp>
#include <partita/kernels/backend/tree.hpp>
#include <partita/kernels/conv2d.hpp>

namespace partita::kernels {
namespace {

using backend::ConvLabels;
using backend::Images;
using backend::images;

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

template <class Scalar>
WeightSums<Scalar> weight_sums(const Exec& exec, const ConvLabels& labels, const Conv2dShape& s,
                               const ConstMatrix<Scalar>& x, const ConstMatrix<Scalar>& dy) {
  return {exec,
          labels,
          index_t(x.extent(0)),
          s,
          images(x.data(), x.stride(0), s.rows, s.columns, s.channels),
          images(dy.data(), dy.stride(0), s.out_rows(), s.out_columns(), s.filters)};
}

/// A node of the trees over blocks of the outputs' rows, in scratch: dW (F, kernel), then db (F) if it is wanted.
template <class Scalar>
accumulate_t<Scalar>* weights_of_node(Context& context, const WeightSums<Scalar>& sums, const Blocks& rows, Node node,
                                      bool bias) {
  using Sum = accumulate_t<Scalar>;
  const index_t F = sums.s.filters, kernel = sums.s.kernel(), n = F * kernel + (bias ? F : 0);
  const auto of_leaf = [&](index_t leaf) -> OutputRows {
    const backend::Leaf part = backend::leaf_of(rows, sums.s.out_rows(), leaf);
    return {part.first, part.extent};
  };
  std::size_t work = sums.bias_bytes();
  for (index_t leaf = node.lo; leaf < node.hi; ++leaf) work = std::max(work, sums.weights_bytes(of_leaf(leaf)));
  work = (work + 63) / 64 * 64;
  const std::size_t tree = backend::leaves_bytes<Sum>(node.hi - node.lo, n);
  auto* const scratch = static_cast<std::byte*>(context.scratch(work + tree));
  Sum* const buffers = static_cast<Sum*>(static_cast<void*>(scratch + work));
  backend::sum_leaves<Sum>(context.exec(), node, n, buffers, [&](index_t leaf, Sum* to) {
    sums.weights(of_leaf(leaf), Store::overwrite, scratch, to, kernel);
    if (bias) sums.bias(of_leaf(leaf), Store::overwrite, scratch, to + F * kernel);
  });
  return buffers;
}

/// dW and db as trees over blocks of the outputs' rows.
template <class Scalar>
void weights_in_blocks(Context& context, const WeightSums<Scalar>& sums, const Blocks& rows, Store store,
                       Matrix<accumulate_t<Scalar>> dW, Vector<accumulate_t<Scalar>> db) {
  using Sum = accumulate_t<Scalar>;
  static const std::string label = "partita::kernels::conv2d_backward_weights::store";
  const index_t F = sums.s.filters, kernel = sums.s.kernel();
  const Sum* const root = weights_of_node(context, sums, rows, {0, rows.leaves}, db.extent(0) > 0);
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
  backend::run_chosen<Scalar>(context, backend::shape_of(Call::conv2d_backward_weights, x.extent(0), s),
                              backend::vendor_convolves(s, x, dy, dW), into(dW), make_trial);
}

}  // namespace

template <class Scalar>
void conv2d_backward_weights(Context& context, const Conv2dShape& s, const Blocks& rows, Store store,
                             std::type_identity_t<ConstMatrix<Scalar>> x, std::type_identity_t<ConstMatrix<Scalar>> dy,
                             std::type_identity_t<Matrix<accumulate_t<Scalar>>> dW,
                             std::type_identity_t<Vector<accumulate_t<Scalar>>> db) {
  static const ConvLabels labels("partita::kernels::conv2d_backward_weights");
  backend::require_convolved("conv2d_backward_weights", s, "x", x, "dy", dy);
  backend::require_weights("conv2d_backward_weights", s, "dW", dW);
  backend::require_bias("conv2d_backward_weights", s, "db", db);
  backend::require_rows("conv2d_backward_weights", rows);
  const auto sums = weight_sums<Scalar>(context.exec(), labels, s, x, dy);
  if (rows.leaves > 1) return weights_in_blocks<Scalar>(context, sums, rows, store, dW, db);
  const OutputRows all{0, s.out_rows()};
  if (db.extent(0) > 0) sums.bias(all, store, context.scratch(sums.bias_bytes()), db.data());
  weights_by_choice<Scalar>(context, sums, store, x, dy, dW);
}

template <class Scalar>
void conv2d_backward_weights_nodes(Context& context, const Conv2dShape& s, std::span<const Node> nodes,
                                   std::type_identity_t<ConstMatrix<Scalar>> x,
                                   std::type_identity_t<ConstMatrix<Scalar>> dy,
                                   std::type_identity_t<Matrix<accumulate_t<Scalar>>> sums) {
  static constexpr const char* function = "conv2d_backward_weights_nodes";
  static const ConvLabels labels("partita::kernels::conv2d_backward_weights_nodes");
  static const std::string store = "partita::kernels::conv2d_backward_weights_nodes::store";
  backend::require_convolved(function, s, "x", x, "dy", dy);
  for (const Node& node : nodes) backend::require_node(function, s.out_rows(), node);
  backend::require_extent(function, "sums", "rows", sums.extent(0), "the list", "nodes", index_t(nodes.size()),
                          "a row for each");
  const index_t width = index_t(sums.extent(1)), weights = s.filters * s.kernel();
  const bool bias = width != weights;
  if (bias)
    backend::require_extent(function, "sums", "columns", sums.extent(1), "dW with db", "numbers", weights + s.filters,
                            "(nodes, F kernel) or (nodes, F kernel + F)");
  const auto parts = weight_sums<Scalar>(context.exec(), labels, s, x, dy);
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    const auto* const value = weights_of_node(context, parts, {s.out_rows()}, nodes[k], bias);
    Kokkos::parallel_for(store, backend::range_policy(context.exec(), width),
                         StoreSums<accumulate_t<Scalar>>{value, width, false, sums.data() + k * sums.stride(0), width});
  }
}

#define PARTITA_INSTANTIATE(Scalar)                                                                          \
  template void conv2d_backward_weights<Scalar>(Context&, const Conv2dShape&, const Blocks&, Store,          \
                                                ConstMatrix<Scalar>, ConstMatrix<Scalar>,                    \
                                                Matrix<accumulate_t<Scalar>>, Vector<accumulate_t<Scalar>>); \
  template void conv2d_backward_weights_nodes<Scalar>(Context&, const Conv2dShape&, std::span<const Node>,   \
                                                      ConstMatrix<Scalar>, ConstMatrix<Scalar>,              \
                                                      Matrix<accumulate_t<Scalar>>);
PARTITA_INSTANTIATE(float)
PARTITA_INSTANTIATE(double)
PARTITA_INSTANTIATE(bfloat16)
PARTITA_INSTANTIATE(float16)
#undef PARTITA_INSTANTIATE

}  // namespace partita::kernels
