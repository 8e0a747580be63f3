// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>
#include <partita/kernels/backend/range.hpp>
#include <partita/kernels/loss.hpp>
#include <string>

namespace partita::kernels {
namespace {

/// What a row leaves behind for the sum over rows.
struct RowResult {
  double loss;
  index_t correct;
};

/// One row's loss, and its gradient unless `gradient` is null. `gradient` may be `z`.
template <class Scalar>
KOKKOS_FUNCTION double cross_entropy_row(const Scalar* z, index_t V, index_t label, double scale, Scalar* gradient) {
  Scalar top = z[0];
  for (index_t v = 1; v < V; ++v) top = z[v] > top ? z[v] : top;
  const double target = label < 0 || label >= V ? Kokkos::Experimental::quiet_NaN_v<double> : double(z[label]);
  double sum = 0;
  for (index_t v = 0; v < V; ++v) {
    const Scalar e = Kokkos::exp(z[v] - top);
    sum += double(e);
    if (gradient != nullptr) gradient[v] = e;
  }
  if (gradient != nullptr) {
    const double factor = scale / sum;
    for (index_t v = 0; v < V; ++v) gradient[v] = Scalar(double(gradient[v]) * factor - (v == label ? scale : 0.0));
  }
  return Kokkos::log(sum) + (double(top) - target);
}

template <class Scalar>
KOKKOS_FUNCTION double mse_row(const Scalar* z, index_t V, index_t label, double scale, Scalar* gradient) {
  double sum = 0;
  for (index_t v = 0; v < V; ++v) {
    const double difference = double(z[v]) - (v == label ? 1.0 : 0.0);
    sum += difference * difference;
    if (gradient != nullptr) gradient[v] = Scalar(2 * scale / double(V) * difference);
  }
  return label < 0 || label >= V ? Kokkos::Experimental::quiet_NaN_v<double> : sum / double(V);
}

template <class Scalar>
struct Rows {
  Loss loss;
  index_t V, leading, d_leading;
  const Scalar* logits;
  const std::int32_t* label;
  double scale;
  Scalar* dlogits;  // null: no gradient
  RowResult* row;

  KOKKOS_FUNCTION void operator()(index_t b) const {
    const Scalar* const z = logits + b * leading;
    Scalar* const gradient = dlogits == nullptr ? nullptr : dlogits + b * d_leading;
    index_t best = 0;
    for (index_t v = 1; v < V; ++v) best = z[v] > z[best] ? v : best;
    row[b].correct = best == label[b];
    row[b].loss = loss == Loss::cross_entropy ? cross_entropy_row(z, V, index_t(label[b]), scale, gradient)
                                              : mse_row(z, V, index_t(label[b]), scale, gradient);
  }
};

/// One thread adds the rows in ascending order: the sum must not depend on how many threads there are.
struct Sum {
  index_t B;
  const RowResult* row;
  double* loss_sum;
  index_t* correct;  // null: not asked for

  KOKKOS_FUNCTION void operator()(index_t) const {
    double loss = 0;
    index_t hits = 0;
    for (index_t b = 0; b < B; ++b) {
      loss += row[b].loss;
      hits += row[b].correct;
    }
    *loss_sum = loss;
    if (correct != nullptr) *correct = hits;
  }
};

void check_labels(const char* function, std::size_t labels, std::size_t rows) {
  if (labels != rows)
    throw ShapeError(std::string(function) + ": label has " + std::to_string(labels) + " elements, logits has " +
                     std::to_string(rows) + " rows: expected label (B) and logits (B, V) with the same B");
}

template <class Scalar>
void run(Context& context, const std::string& rows_label, const std::string& sum_label, Loss loss,
         const ConstMatrix<Scalar>& logits, const ConstVector<std::int32_t>& label, double scale, Scalar* dlogits,
         index_t d_leading, double* loss_sum, index_t* correct) {
  const index_t B = index_t(logits.extent(0)), V = index_t(logits.extent(1));
  if (V == 0 && B > 0) throw ShapeError("loss: logits has 0 columns: expected logits (B, V) with at least one class");
  auto* const row = static_cast<RowResult*>(context.scratch(std::size_t(B) * sizeof(RowResult)));
  Kokkos::parallel_for(
      rows_label, backend::range_policy(context.exec(), B),
      Rows<Scalar>{loss, V, index_t(logits.stride(0)), d_leading, logits.data(), label.data(), scale, dlogits, row});
  Kokkos::parallel_for(sum_label, backend::range_policy(context.exec(), 1), Sum{B, row, loss_sum, correct});
}

}  // namespace

std::string_view name(Loss loss) { return loss == Loss::cross_entropy ? "cross_entropy" : "mse"; }

template <class Scalar>
void loss_forward_backward(Context& context, Loss loss, std::type_identity_t<ConstMatrix<Scalar>> logits,
                           ConstVector<std::int32_t> label, double scale, Matrix<Scalar> dlogits,
                           Kokkos::View<double, Memory> loss_sum) {
  static const std::string rows_label = "partita::kernels::loss_forward_backward::rows";
  static const std::string sum_label = "partita::kernels::loss_forward_backward::sum";
  check_labels("loss_forward_backward", label.extent(0), logits.extent(0));
  if (dlogits.extent(0) != logits.extent(0) || dlogits.extent(1) != logits.extent(1))
    throw ShapeError("loss_forward_backward: dlogits is (" + std::to_string(dlogits.extent(0)) + ", " +
                     std::to_string(dlogits.extent(1)) + "), logits is (" + std::to_string(logits.extent(0)) + ", " +
                     std::to_string(logits.extent(1)) + "): expected the same shape (B, V)");
  run<Scalar>(context, rows_label, sum_label, loss, logits, label, scale, dlogits.data(), index_t(dlogits.stride(0)),
              loss_sum.data(), nullptr);
}

template <class Scalar>
void loss_forward(Context& context, Loss loss, ConstMatrix<Scalar> logits, ConstVector<std::int32_t> label,
                  Kokkos::View<double, Memory> loss_sum, Kokkos::View<index_t, Memory> correct) {
  static const std::string rows_label = "partita::kernels::loss_forward::rows";
  static const std::string sum_label = "partita::kernels::loss_forward::sum";
  check_labels("loss_forward", label.extent(0), logits.extent(0));
  run<Scalar>(context, rows_label, sum_label, loss, logits, label, 0, nullptr, 0, loss_sum.data(), correct.data());
}

template void loss_forward_backward<float>(Context&, Loss, ConstMatrix<float>, ConstVector<std::int32_t>, double,
                                           Matrix<float>, Kokkos::View<double, Memory>);
template void loss_forward_backward<double>(Context&, Loss, ConstMatrix<double>, ConstVector<std::int32_t>, double,
                                            Matrix<double>, Kokkos::View<double, Memory>);
template void loss_forward<float>(Context&, Loss, ConstMatrix<float>, ConstVector<std::int32_t>,
                                  Kokkos::View<double, Memory>, Kokkos::View<index_t, Memory>);
template void loss_forward<double>(Context&, Loss, ConstMatrix<double>, ConstVector<std::int32_t>,
                                   Kokkos::View<double, Memory>, Kokkos::View<index_t, Memory>);

}  // namespace partita::kernels
