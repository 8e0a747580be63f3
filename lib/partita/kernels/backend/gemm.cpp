// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/backend/gemm.hpp>

#include <algorithm>
#include <string>

#include <partita/kernels/backend/gemm_device.hpp>
#include <partita/kernels/backend/gemm_host.hpp>
#include <partita/kernels/backend/range.hpp>

namespace partita::kernels::backend {

namespace {

/// Bytes of scratch that multiply() needs.
template <class Scalar, class Out>
std::size_t scratch_bytes(index_t M, index_t N, index_t K, const Epilogue<Scalar>& epilogue) {
  if constexpr (runs_on_host)
    return host::Workspace<Scalar, Out>(M, N, K, epilogue.beta).bytes();
  else
    return 0;
}

template <class Scalar, class Out>
void multiply(const Exec& exec, const GemmLabels& labels, index_t M, index_t N, index_t K, Operand<Scalar> A,
              Operand<Scalar> B, Epilogue<Scalar> epilogue, Out* C, index_t leading, void* scratch) {
  if constexpr (runs_on_host)
    host::gemm(exec, labels, M, N, K, A, B, epilogue, C, leading, scratch);
  else
    device::gemm<device::Shape<64, 64, 16, 16, 16>>(exec, labels.multiply, M, N, K, A, B, epilogue, C, leading);
}

/// A leaf's columns.
template <class Scalar>
void leaf_column_sum(const Exec& exec, const Leaf& rows, bool adds, const ConstMatrix<Scalar>& a,
                     accumulate_t<Scalar>* to) {
  static const std::string label = "partita::kernels::column_sum";
  constexpr int width = runs_on_host ? 64 : 1;  // columns side by side: vector lanes here, threads there
  const index_t columns = index_t(a.extent(1)), leading = index_t(a.stride(0));
  const index_t outer = rows.outer, extent = rows.extent, pitch = rows.pitch * leading;
  const Scalar* const from = a.data() + rows.first * leading;
  using Sum = accumulate_t<Scalar>;
  Kokkos::parallel_for(
      label, range_policy(exec, (columns + width - 1) / width), KOKKOS_LAMBDA(index_t block) {
        const index_t column = block * width;
        Sum total[width] = {};
        if (column + width <= columns) {
          for (index_t o = 0; o < outer; ++o)
            for (index_t i = 0; i < extent; ++i)
              for (int j = 0; j < width; ++j) total[j] += Sum(from[o * pitch + i * leading + column + j]);
          if (adds)
            for (int j = 0; j < width; ++j) to[column + j] += total[j];
          else
            for (int j = 0; j < width; ++j) to[column + j] = total[j];
        } else {
          const int inside = int(columns - column);
          for (index_t o = 0; o < outer; ++o)
            for (index_t i = 0; i < extent; ++i)
              for (int j = 0; j < inside; ++j) total[j] += Sum(from[o * pitch + i * leading + column + j]);
          for (int j = 0; j < inside; ++j) to[column + j] = adds ? to[column + j] + total[j] : total[j];
        }
      });
}

/// A task is one row's share of columns; sums may be c.
template <class Scalar, class Out, class In = accumulate_t<Scalar>>
struct EpilogueTasks {
  using Sum = accumulate_t<Scalar>;
  static constexpr index_t width = runs_on_host ? 512 : 1;
  Epilogue<Scalar> epilogue;
  index_t columns, per_row;
  const In* sums;
  index_t sums_leading;
  Out* c;
  index_t c_leading;

  KOKKOS_FUNCTION void operator()(index_t task) const {
    const index_t row = task / per_row, first = task % per_row * width;
    const In* const from = sums + row * sums_leading + first;
    Out* const to = c + row * c_leading + first;
    if constexpr (runs_on_host) {
      const index_t inside = columns - first < width ? columns - first : width;
      Sum part[width];
      std::copy_n(from, inside, part);
      host::finish_row(epilogue, part, inside, first, to);
    } else {
      *to = Out(epilogue(Sum(*from), first, *to));
    }
  }
};

}  // namespace

template <class Scalar, class Out>
void portable_gemm(Context& context, const GemmLabels& labels, index_t M, index_t N, index_t K, Operand<Scalar> A,
                   Operand<Scalar> B, Epilogue<Scalar> epilogue, Out* C, index_t leading) {
  if (M == 0 || N == 0) return;
  const std::size_t bytes = scratch_bytes<Scalar, Out>(M, N, K, epilogue);
  multiply(context.exec(), labels, M, N, K, A, B, epilogue, C, leading, context.scratch(bytes));
}

template <class Scalar>
void weight_gemm(Context& context, const GemmLabels& labels, index_t M, index_t N, index_t K, Operand<Scalar> A,
                 Operand<Scalar> B, int layout, Scalar* C, index_t leading) {
  if constexpr (runs_on_host) {
    if (M == 0 || N == 0 || K == 0) return portable_gemm<Scalar>(context, labels, M, N, K, A, B, {}, C, leading);
    using Sum = accumulate_t<Scalar>;
    using Panels = host::KeptPanels<Sum>;
    const PackedWeights::Place place =
        context.packed_weights().find(context.exec(), B.data, layout, Panels::bytes(N, K));
    host::gemm(context.exec(), labels, M, N, K, A, B, Epilogue<Scalar>(), C, leading,
               context.scratch(scratch_bytes<Scalar, Scalar>(M, N, K, {})),
               Panels{static_cast<Sum*>(place.data), place.stale});
  } else {
    portable_gemm<Scalar>(context, labels, M, N, K, A, B, {}, C, leading);
  }
}
template void weight_gemm<float>(Context&, const GemmLabels&, index_t, index_t, index_t, Operand<float>, Operand<float>,
                                 int, float*, index_t);

// A node of the tree over the leaves of a sum, through the epilogue.
template <class Scalar, class Out>
void sum_node(Context& context, const GemmLabels& labels, index_t M, index_t N, index_t K, Operand<Scalar> A,
              Operand<Scalar> B, const Blocks& blocks, Node node, Epilogue<Scalar> epilogue, Out* C, index_t leading) {
  if (M == 0 || N == 0) return;
  using Sum = accumulate_t<Scalar>;
  const Exec& exec = context.exec();
  const std::size_t tree = (leaves_bytes<Sum>(node.hi - node.lo, M * N) + 63) / 64 * 64;
  const index_t longest = leaf_of(blocks, K, 0).extent;
  auto* const scratch =
      static_cast<std::byte*>(context.scratch(tree + scratch_bytes<Scalar, Sum>(M, N, longest, Epilogue<Scalar>())));
  auto* const buffers = reinterpret_cast<Sum*>(scratch);
  sum_leaves(exec, node, M * N, buffers, [&](index_t at, Sum* to) {
    const Leaf leaf = leaf_of(blocks, K, at);
    for (index_t o = 0; o < leaf.outer; ++o) {
      const index_t k = o * leaf.pitch + leaf.first;
      const Operand<Scalar> a{A.data + k * A.column_stride, A.row_stride, A.column_stride};
      const Operand<Scalar> b{B.data + k * B.row_stride, B.row_stride, B.column_stride};
      multiply(exec, labels, M, N, leaf.extent, a, b, Epilogue<Scalar>{.continues = o > 0}, to, N, scratch + tree);
    }
  });
  const Matrix<Out> padded(C, std::size_t(M), std::size_t(leading));
  apply_epilogue<Scalar, Out, Sum>(exec, epilogue, ConstMatrix<Sum>(buffers, std::size_t(M), std::size_t(N)),
                                   Kokkos::subview(padded, Kokkos::ALL, Kokkos::pair<index_t, index_t>(0, N)));
}

template <class Scalar, class Out>
void blocked_gemm(Context& context, const GemmLabels& labels, index_t M, index_t N, index_t K, Operand<Scalar> A,
                  Operand<Scalar> B, const Blocks& blocks, Epilogue<Scalar> epilogue, Out* C, index_t leading) {
  if (blocks.leaves == 1) return portable_gemm(context, labels, M, N, K, A, B, epilogue, C, leading);
  sum_node(context, labels, M, N, K, A, B, blocks, {0, blocks.leaves}, epilogue, C, leading);
}

template <class Scalar>
void node_gemm(Context& context, const GemmLabels& labels, index_t M, index_t N, index_t K, Operand<Scalar> A,
               Operand<Scalar> B, const Blocks& blocks, Node node, accumulate_t<Scalar>* C, index_t leading) {
  sum_node(context, labels, M, N, K, A, B, blocks, node, Epilogue<Scalar>(), C, leading);
}

template <class Scalar>
void column_sum(Context& context, const Blocks& blocks, Store store, ConstMatrix<Scalar> a,
                Vector<accumulate_t<Scalar>> sum) {
  using Sum = accumulate_t<Scalar>;
  const Exec& exec = context.exec();
  const index_t rows = index_t(a.extent(0)), columns = index_t(a.extent(1));
  const bool adds = store == Store::accumulate;
  if (blocks.leaves == 1) return leaf_column_sum<Scalar>(exec, whole_leaf(rows), adds, a, sum.data());
  auto* const buffers = static_cast<Sum*>(context.scratch(leaves_bytes<Sum>(blocks.leaves, columns)));
  sum_leaves(exec, blocks.leaves, columns, buffers,
             [&](index_t at, Sum* to) { leaf_column_sum<Scalar>(exec, leaf_of(blocks, rows, at), false, a, to); });
  const ConstVector<Sum> root(buffers, std::size_t(columns));
  if (adds)
    add<Sum>(exec, root, sum);
  else
    copy<Sum>(exec, root, sum);
}

template <class Scalar, class Out, class In>
void apply_epilogue(const Exec& exec, Epilogue<Scalar> epilogue, std::type_identity_t<ConstMatrix<In>> sums,
                    Matrix<Out> c) {
  static const std::string label = "partita::kernels::apply_epilogue";
  constexpr index_t width = EpilogueTasks<Scalar, Out>::width;
  const index_t rows = index_t(c.extent(0)), columns = index_t(c.extent(1)), per_row = (columns + width - 1) / width;
  Kokkos::parallel_for(label, range_policy(exec, rows * per_row),
                       EpilogueTasks<Scalar, Out, In>{epilogue, columns, per_row, sums.data(), index_t(sums.stride(0)),
                                                      c.data(), index_t(c.stride(0))});
}

#define PARTITA_GEMM_TO(S, Out)                                                                                       \
  template void portable_gemm<S, Out>(Context&, const GemmLabels&, index_t, index_t, index_t, Operand<S>, Operand<S>, \
                                      Epilogue<S>, Out*, index_t);                                                    \
  template void blocked_gemm<S, Out>(Context&, const GemmLabels&, index_t, index_t, index_t, Operand<S>, Operand<S>,  \
                                     const Blocks&, Epilogue<S>, Out*, index_t);                                      \
  template void apply_epilogue<S, Out, accumulate_t<S>>(const Exec&, Epilogue<S>, ConstMatrix<accumulate_t<S>>,       \
                                                        Matrix<Out>)
PARTITA_GEMM_TO(float, float);
PARTITA_GEMM_TO(double, double);
PARTITA_GEMM_TO(bfloat16, bfloat16);
PARTITA_GEMM_TO(float16, float16);
PARTITA_GEMM_TO(bfloat16, float);
PARTITA_GEMM_TO(float16, float);
#undef PARTITA_GEMM_TO
template void apply_epilogue<bfloat16, bfloat16, bfloat16>(const Exec&, Epilogue<bfloat16>, ConstMatrix<bfloat16>,
                                                           Matrix<bfloat16>);
template void apply_epilogue<float16, float16, float16>(const Exec&, Epilogue<float16>, ConstMatrix<float16>,
                                                        Matrix<float16>);

#define PARTITA_NODE(S)                                                                                      \
  template void node_gemm<S>(Context&, const GemmLabels&, index_t, index_t, index_t, Operand<S>, Operand<S>, \
                             const Blocks&, Node, accumulate_t<S>*, index_t)
PARTITA_NODE(float);
PARTITA_NODE(double);
PARTITA_NODE(bfloat16);
PARTITA_NODE(float16);
#undef PARTITA_NODE

#define PARTITA_COLUMN_SUM(S) \
  template void column_sum<S>(Context&, const Blocks&, Store, ConstMatrix<S>, Vector<accumulate_t<S>>)
PARTITA_COLUMN_SUM(float);
PARTITA_COLUMN_SUM(double);
PARTITA_COLUMN_SUM(bfloat16);
PARTITA_COLUMN_SUM(float16);
#undef PARTITA_COLUMN_SUM

}  // namespace partita::kernels::backend
