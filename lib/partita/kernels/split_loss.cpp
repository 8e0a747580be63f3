// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/split_loss.hpp>

#include <initializer_list>
#include <string>

#include <partita/core/partition.hpp>
#include <partita/core/tree.hpp>
#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/cross_entropy.hpp>
#include <partita/kernels/backend/rows.hpp>

namespace partita::kernels {
namespace {

template <class Scalar>
struct MaxOfRows {
  index_t columns, offset, leading;
  const Scalar* logits;
  const std::int32_t* label;
  double *top, *target;

  template <class Row>
  KOKKOS_FORCEINLINE_FUNCTION void operator()(const Row& row, index_t b) const {
    using Number = accumulate_t<Scalar>;
    const Scalar* const z = logits + b * leading;
    double *const to_top = top + b, *const to_target = target + b;
    const auto store = [=](double most, double score) {
      *to_top = most;
      *to_target = score;
    };
    const index_t t = index_t(label[b]), here = t - offset;
    if (t == ignore_index) return row.each(1, [=](index_t) { store(0, 0); });
    const double score = here >= 0 && here < columns ? double(z[here]) : 0;
    const Number most = row.template most<Number>(columns, [=](index_t v) { return Number(z[v]); });
    row.each(1, [=](index_t) { store(double(most), score); });
  }
};

/// One node of all rows.
template <class Scalar>
struct SumsOfRows {
  LossNode node;
  index_t leading, d_leading;
  const Scalar* logits;
  const std::int32_t* label;
  const double* top;
  double* sums;
  Scalar* dlogits;  // null: no gradient

  template <class Row>
  KOKKOS_FORCEINLINE_FUNCTION void operator()(const Row& row, index_t b) const {
    double* const to = sums + b;
    if (index_t(label[b]) == ignore_index) return row.each(1, [=](index_t) { *to = 0; });
    const index_t first = node.columns.offset;
    Scalar* const kept = dlogits == nullptr ? nullptr : dlogits + b * d_leading + first;
    const double sum = backend::sum_of_exponentials(row, logits + b * leading + first, node.columns.extent, node.leaves,
                                                    accumulate_t<Scalar>(top[b]), kept);
    row.each(1, [=](index_t) { *to = sum; });
  }
};

template <class Scalar>
struct AheadOfRows {
  index_t columns, offset, V, leading;
  const Scalar* logits;
  const std::int32_t* label;
  const double* top;
  double* ahead;

  template <class Row>
  KOKKOS_FORCEINLINE_FUNCTION void operator()(const Row& row, index_t b) const {
    const Scalar* const z = logits + b * leading;
    const index_t t = index_t(label[b]), here = t - offset;
    const index_t before = t < 0 || t >= V || here < 0 ? 0 : here < columns ? here : columns;
    const double most = top[b];
    const double count = row.template sum<double>(before, [=](index_t v) { return double(z[v]) == most ? 1.0 : 0.0; });
    double* const to = ahead + b;
    row.each(1, [=](index_t) { *to = count; });
  }
};

template <class Scalar>
struct FinishRows {
  index_t columns, offset, V, leading, d_leading;
  const Scalar* logits;
  const std::int32_t* label;
  const double *top, *target, *sum;
  const double* ahead;  // null: hits are not asked for
  double scale;
  const double* factor;  // of the scale; null: 1
  Scalar* dlogits;       // null: no gradient
  backend::RowResult* result;

  template <class Row>
  KOKKOS_FORCEINLINE_FUNCTION void operator()(const Row& row, index_t b) const {
    using Number = accumulate_t<Scalar>;
    Scalar* const gradient = dlogits == nullptr ? nullptr : dlogits + b * d_leading;
    backend::RowResult* const to = result + b;
    const index_t t = index_t(label[b]), n = columns;
    if (t == ignore_index) [[unlikely]] {
      if (gradient != nullptr) row.each(n, [=](index_t v) { gradient[v] = Scalar(Number(0)); });
      row.each(1, [=](index_t) { *to = {0, 0}; });
      return;
    }
    const bool known = t >= 0 && t < V;
    const double nan = Kokkos::Experimental::quiet_NaN_v<double>;
    const double at_target = known ? target[b] : nan;
    if (gradient != nullptr) {
      const double by = known ? (factor == nullptr ? scale : scale * *factor) : nan;
      backend::softmax_gradient(row, logits + b * leading, n, t - offset, at_target, Number(top[b]), sum[b], by,
                                gradient);
    }
    const double value = backend::cross_entropy_of(sum[b], top[b], at_target);
    const index_t correct = ahead != nullptr && ahead[b] == 0 && at_target == top[b];
    row.each(1, [=](index_t) { *to = {value, correct}; });
  }
};

/// One number for each row.
struct PerRow {
  const char* name;
  std::size_t elements;
};

void require_numbers(const char* function, std::size_t B, std::initializer_list<PerRow> numbers) {
  for (const PerRow& of : numbers) backend::require_length(function, of.name, of.elements, "label", B);
}

template <class Scalar>
void require_scores(const char* function, const ConstMatrix<Scalar>& logits, const ConstVector<std::int32_t>& label) {
  backend::require_extent(function, "label", "elements", label.extent(0), "logits", "rows", logits.extent(0),
                          "label (B) and logits (B, columns) with the same B");
}

template <class Scalar>
void require_classes(const char* function, const ConstMatrix<Scalar>& logits, const Slice& vocabulary) {
  backend::require_extent(function, "logits", "columns", logits.extent(1), "the slice of the vocabulary", "classes",
                          std::size_t(vocabulary.extent), "one column for each class of the slice");
}

}  // namespace

std::vector<LossNode> loss_nodes(const Slice& vocabulary, const Slice& blocks) {
  if (blocks.global == 1) return {{{0, vocabulary.extent}, 1}};
  const index_t V = vocabulary.global;
  const auto bound = [&](index_t block) {
    return block == blocks.global ? V : partition(V, blocks.global, block).offset;
  };
  const index_t first = bound(blocks.offset), end = bound(blocks.end());
  if (first != vocabulary.offset || end != vocabulary.end())
    refuse<ShapeError>("loss_nodes",
                       "classes " + std::to_string(vocabulary.offset) + " to " + std::to_string(vocabulary.end()) +
                           " of " + std::to_string(V),
                       std::to_string(first) + " to " + std::to_string(end) + ", blocks " +
                           std::to_string(blocks.offset) + " to " + std::to_string(blocks.end()) + " of " +
                           std::to_string(blocks.global));
  // A run of the parts that partition makes of V is what it makes of the run: longer parts come first in both.
  std::vector<LossNode> nodes;
  for (const Node& node : tree_cover(blocks.global, blocks.offset, blocks.end()))
    nodes.push_back({{bound(node.lo) - first, bound(node.hi) - bound(node.lo)}, node.hi - node.lo});
  return nodes;
}

template <class Scalar>
void loss_max(const Exec& exec, const Slice& vocabulary, ConstMatrix<Scalar> logits, ConstVector<std::int32_t> label,
              Vector<double> top, Vector<double> target) {
  static const std::string kernel = "partita::kernels::loss_max";
  require_scores("loss_max", logits, label);
  require_classes("loss_max", logits, vocabulary);
  require_numbers("loss_max", label.extent(0), {{"top", top.extent(0)}, {"target", target.extent(0)}});
  backend::for_rows<double>(exec, kernel, index_t(label.extent(0)),
                            MaxOfRows<Scalar>{vocabulary.extent, vocabulary.offset, backend::stride_of(logits),
                                              logits.data(), label.data(), top.data(), target.data()});
}

template <class Scalar>
void loss_sums(const Exec& exec, std::span<const LossNode> nodes, ConstMatrix<Scalar> logits,
               ConstVector<std::int32_t> label, ConstVector<double> top, Matrix<double> sums, Matrix<Scalar> dlogits) {
  static const std::string kernel = "partita::kernels::loss_sums";
  const std::size_t B = label.extent(0);
  require_scores("loss_sums", logits, label);
  require_numbers("loss_sums", B, {{"top", top.extent(0)}});
  backend::require_extent("loss_sums", "sums", "rows", sums.extent(0), "the slice", "nodes", nodes.size(),
                          "sums (nodes, B)");
  if (!nodes.empty())
    backend::require_extent("loss_sums", "sums", "columns", sums.extent(1), "label", "elements", B, "sums (nodes, B)");
  if (dlogits.data() != nullptr)
    backend::require_shape("loss_sums", "dlogits", dlogits, "logits", logits, "(B, columns)");
  index_t end = 0;
  for (const LossNode& node : nodes) {
    if (node.leaves < 1 || node.columns.offset != end)
      refuse<ShapeError>(
          "loss_sums",
          "a node of " + std::to_string(node.leaves) + " leaves from column " + std::to_string(node.columns.offset),
          "at least 1, from " + std::to_string(end) + ": nodes are adjacent");
    end = node.columns.end();
  }
  backend::require_extent("loss_sums", "logits", "columns", logits.extent(1), "all nodes together", "columns",
                          std::size_t(end), "nodes that cover the columns");
  for (std::size_t k = 0; k < nodes.size(); ++k)
    backend::for_rows<double>(
        exec, kernel, index_t(B),
        SumsOfRows<Scalar>{nodes[k], backend::stride_of(logits), backend::stride_of(dlogits), logits.data(),
                           label.data(), top.data(), sums.data() + k * sums.stride(0), dlogits.data()});
}

template <class Scalar>
void loss_ahead(const Exec& exec, const Slice& vocabulary, ConstMatrix<Scalar> logits, ConstVector<std::int32_t> label,
                ConstVector<double> top, Vector<double> ahead) {
  static const std::string kernel = "partita::kernels::loss_ahead";
  require_scores("loss_ahead", logits, label);
  require_classes("loss_ahead", logits, vocabulary);
  require_numbers("loss_ahead", label.extent(0), {{"top", top.extent(0)}, {"ahead", ahead.extent(0)}});
  backend::for_rows<double>(
      exec, kernel, index_t(label.extent(0)),
      AheadOfRows<Scalar>{vocabulary.extent, vocabulary.offset, vocabulary.global, backend::stride_of(logits),
                          logits.data(), label.data(), top.data(), ahead.data()});
}

template <class Scalar>
void loss_finish(Context& context, const Slice& vocabulary, ConstMatrix<Scalar> logits, ConstVector<std::int32_t> label,
                 ConstVector<double> top, ConstVector<double> target, ConstVector<double> sum, double scale,
                 Matrix<Scalar> dlogits, Kokkos::View<double, Memory> loss_sum,
                 Kokkos::View<const double, Memory> factor) {
  static const std::string rows_kernel = "partita::kernels::loss_finish::rows";
  static const std::string sum_kernel = "partita::kernels::loss_finish::sum";
  const auto B = index_t(label.extent(0));
  require_scores("loss_finish", logits, label);
  require_classes("loss_finish", logits, vocabulary);
  require_numbers("loss_finish", label.extent(0),
                  {{"top", top.extent(0)}, {"target", target.extent(0)}, {"sum", sum.extent(0)}});
  backend::require_shape("loss_finish", "dlogits", dlogits, "logits", logits, "(B, columns)");
  auto* const row = static_cast<backend::RowResult*>(context.scratch(std::size_t(B) * sizeof(backend::RowResult)));
  backend::for_rows<double>(
      context.exec(), rows_kernel, B,
      FinishRows<Scalar>{vocabulary.extent, vocabulary.offset, vocabulary.global, backend::stride_of(logits),
                         backend::stride_of(dlogits), logits.data(), label.data(), top.data(), target.data(),
                         sum.data(), nullptr, scale, factor.data(), dlogits.data(), row});
  backend::sum_rows(context.exec(), sum_kernel, B, row, loss_sum.data(), nullptr);
}

void loss_finish(Context& context, index_t V, ConstVector<std::int32_t> label, ConstVector<double> top,
                 ConstVector<double> target, ConstVector<double> sum, ConstVector<double> ahead,
                 Kokkos::View<double, Memory> loss_sum, Kokkos::View<index_t, Memory> correct) {
  static const std::string rows_kernel = "partita::kernels::loss_finish::hits";
  static const std::string sum_kernel = "partita::kernels::loss_finish::sum_hits";
  const auto B = index_t(label.extent(0));
  require_numbers(
      "loss_finish", label.extent(0),
      {{"top", top.extent(0)}, {"target", target.extent(0)}, {"sum", sum.extent(0)}, {"ahead", ahead.extent(0)}});
  auto* const row = static_cast<backend::RowResult*>(context.scratch(std::size_t(B) * sizeof(backend::RowResult)));
  backend::for_rows<double>(context.exec(), rows_kernel, B,
                            FinishRows<double>{0, 0, V, 0, 0, nullptr, label.data(), top.data(), target.data(),
                                               sum.data(), ahead.data(), 0, nullptr, nullptr, row});
  backend::sum_rows(context.exec(), sum_kernel, B, row, loss_sum.data(), correct.data());
}

#define PARTITA_INSTANTIATE(Scalar)                                                                                \
  template void loss_max<Scalar>(const Exec&, const Slice&, ConstMatrix<Scalar>, ConstVector<std::int32_t>,        \
                                 Vector<double>, Vector<double>);                                                  \
  template void loss_sums<Scalar>(const Exec&, std::span<const LossNode>, ConstMatrix<Scalar>,                     \
                                  ConstVector<std::int32_t>, ConstVector<double>, Matrix<double>, Matrix<Scalar>); \
  template void loss_ahead<Scalar>(const Exec&, const Slice&, ConstMatrix<Scalar>, ConstVector<std::int32_t>,      \
                                   ConstVector<double>, Vector<double>);                                           \
  template void loss_finish<Scalar>(Context&, const Slice&, ConstMatrix<Scalar>, ConstVector<std::int32_t>,        \
                                    ConstVector<double>, ConstVector<double>, ConstVector<double>, double,         \
                                    Matrix<Scalar>, Kokkos::View<double, Memory>, Kokkos::View<const double, Memory>);
PARTITA_INSTANTIATE(float)
PARTITA_INSTANTIATE(double)
PARTITA_INSTANTIATE(bfloat16)
PARTITA_INSTANTIATE(float16)
#undef PARTITA_INSTANTIATE

}  // namespace partita::kernels
