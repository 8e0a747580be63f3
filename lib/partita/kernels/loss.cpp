// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>
#include <partita/kernels/backend/range.hpp>
#include <partita/kernels/loss.hpp>
#include <partita/kernels/math.hpp>
#include <string>

namespace partita::kernels {
namespace {

/// What a row leaves behind for the sum over rows.
struct RowResult {
  double loss;
  index_t correct;
};

constexpr int lanes = 32;  // of a row's sum: lane l adds v = l, l + 32, ...; part of the result's bits

/// Joins lanes by a binary tree.
template <class Number, class Operation>
KOKKOS_FUNCTION Number join(Number* lane, Operation operation) {
  for (int half = lanes / 2; half > 0; half /= 2)
    for (int l = 0; l < half; ++l) lane[l] = operation(lane[l], lane[l + half]);
  return lane[0];
}

/// The scores [v, v + lanes) of a row; beyond its end -infinity, whose exponential is 0.
template <class Number, class Scalar>
KOKKOS_FUNCTION void load(const Scalar* z, index_t v, index_t V, Number* lane) {
  if (v + lanes <= V) {
    for (int l = 0; l < lanes; ++l) lane[l] = Number(z[v + l]);
  } else {
    for (int l = 0; l < lanes; ++l) lane[l] = -Kokkos::Experimental::infinity_v<Number>;
    for (index_t l = 0; v + l < V; ++l) lane[l] = Number(z[v + l]);
  }
}

/// The largest score. NaN in z gives any number or NaN: then the sum of exponentials is NaN.
template <class Number, class Scalar>
KOKKOS_FUNCTION Number largest(const Scalar* z, index_t V) {
  Number top[lanes], lane[lanes];
  load(z, 0, V, top);
  for (index_t v = lanes; v < V; v += lanes) {
    load(z, v, V, lane);
    for (int l = 0; l < lanes; ++l) top[l] = lane[l] > top[l] ? lane[l] : top[l];
  }
  return join(top, [](Number a, Number b) { return a > b ? a : b; });
}

/// sum_v exp(z_v - top), in double. Keeps the exponentials in `gradient` where that can hold them and is asked for.
template <class Number, class Scalar>
KOKKOS_FUNCTION double sum_exponentials(const Scalar* z, index_t V, Number top, Scalar* gradient) {
  double sum[lanes] = {};
  Number lane[lanes];
  for (index_t v = 0; v < V; v += lanes) {
    load(z, v, V, lane);
    for (int l = 0; l < lanes; ++l) lane[l] = math::exp(lane[l] - top);
    for (int l = 0; l < lanes; ++l) sum[l] += double(lane[l]);
    if constexpr (std::is_same_v<Number, Scalar>) {
      if (gradient == nullptr) continue;
      if (v + lanes <= V)
        for (int l = 0; l < lanes; ++l) gradient[v + l] = lane[l];
      else
        for (index_t l = 0; v + l < V; ++l) gradient[v + l] = lane[l];
    }
  }
  return join(sum, [](double a, double b) { return a + b; });
}

/// One row's loss, and its gradient unless `gradient` is null. `gradient` may be `z`.
template <class Scalar>
KOKKOS_FUNCTION double cross_entropy_row(const Scalar* z, index_t V, index_t label, double scale, Scalar* gradient) {
  using Number = accumulate_t<Scalar>;
  const bool known = label >= 0 && label < V;
  const auto top = largest<Number>(z, V);
  const double target = known ? double(z[label]) : Kokkos::Experimental::quiet_NaN_v<double>;
  const double sum = sum_exponentials(z, V, top, gradient);
  if (gradient != nullptr) {
    const double factor = scale / sum;
    const auto narrow = Number(factor);
    const double at_label = known ? double(math::exp(Number(target) - top)) * factor - scale : 0;
#pragma GCC ivdep
    for (index_t v = 0; v < V; ++v) {
      if constexpr (std::is_same_v<Number, Scalar>)
        gradient[v] *= narrow;
      else
        gradient[v] = Scalar(math::exp(Number(z[v]) - top) * narrow);
    }
    if (known) gradient[label] = Scalar(Number(at_label));
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

/// Whether the largest score, the first of equals, is the label's.
template <class Scalar>
KOKKOS_FUNCTION bool hits(const Scalar* z, index_t V, index_t label) {
  using Number = accumulate_t<Scalar>;
  if (label < 0 || label >= V) return false;
  const auto top = largest<Number>(z, V);
  index_t before = 0;
  for (index_t v = 0; v < label; ++v) before += Number(z[v]) == top;
  return before == 0 && Number(z[label]) == top;
}

template <class Scalar>
struct Rows {
  Loss loss;
  index_t V, leading, d_leading;
  const Scalar* logits;
  const std::int32_t* label;
  double scale;
  const double* factor;  // of the scale; null: 1
  Scalar* dlogits;       // null: no gradient
  bool count;
  RowResult* row;

  KOKKOS_FUNCTION void operator()(index_t b) const {
    const Scalar* const z = logits + b * leading;
    Scalar* const gradient = dlogits == nullptr ? nullptr : dlogits + b * d_leading;
    const double by = factor == nullptr ? scale : scale * *factor;
    row[b].correct = count && hits(z, V, index_t(label[b])) ? 1 : 0;
    row[b].loss = loss == Loss::cross_entropy ? cross_entropy_row(z, V, index_t(label[b]), by, gradient)
                                              : mse_row(z, V, index_t(label[b]), by, gradient);
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
         const ConstMatrix<Scalar>& logits, const ConstVector<std::int32_t>& label, double scale, const double* factor,
         Scalar* dlogits, index_t d_leading, double* loss_sum, index_t* correct) {
  const index_t B = index_t(logits.extent(0)), V = index_t(logits.extent(1));
  if (V == 0 && B > 0) throw ShapeError("loss: logits has 0 columns: expected logits (B, V) with at least one class");
  auto* const row = static_cast<RowResult*>(context.scratch(std::size_t(B) * sizeof(RowResult)));
  Kokkos::parallel_for(rows_label, backend::range_policy(context.exec(), B),
                       Rows<Scalar>{loss, V, index_t(logits.stride(0)), d_leading, logits.data(), label.data(), scale,
                                    factor, dlogits, correct != nullptr, row});
  Kokkos::parallel_for(sum_label, backend::range_policy(context.exec(), 1), Sum{B, row, loss_sum, correct});
}

}  // namespace

std::string_view name(Loss loss) { return loss == Loss::cross_entropy ? "cross_entropy" : "mse"; }

template <class Scalar>
void loss_forward_backward(Context& context, Loss loss, std::type_identity_t<ConstMatrix<Scalar>> logits,
                           ConstVector<std::int32_t> label, double scale, Matrix<Scalar> dlogits,
                           Kokkos::View<double, Memory> loss_sum, Kokkos::View<const double, Memory> factor) {
  static const std::string rows_label = "partita::kernels::loss_forward_backward::rows";
  static const std::string sum_label = "partita::kernels::loss_forward_backward::sum";
  check_labels("loss_forward_backward", label.extent(0), logits.extent(0));
  if (dlogits.extent(0) != logits.extent(0) || dlogits.extent(1) != logits.extent(1))
    throw ShapeError("loss_forward_backward: dlogits is (" + std::to_string(dlogits.extent(0)) + ", " +
                     std::to_string(dlogits.extent(1)) + "), logits is (" + std::to_string(logits.extent(0)) + ", " +
                     std::to_string(logits.extent(1)) + "): expected the same shape (B, V)");
  run<Scalar>(context, rows_label, sum_label, loss, logits, label, scale, factor.data(), dlogits.data(),
              index_t(dlogits.stride(0)), loss_sum.data(), nullptr);
}

template <class Scalar>
void loss_forward(Context& context, Loss loss, ConstMatrix<Scalar> logits, ConstVector<std::int32_t> label,
                  Kokkos::View<double, Memory> loss_sum, Kokkos::View<index_t, Memory> correct) {
  static const std::string rows_label = "partita::kernels::loss_forward::rows";
  static const std::string sum_label = "partita::kernels::loss_forward::sum";
  check_labels("loss_forward", label.extent(0), logits.extent(0));
  run<Scalar>(context, rows_label, sum_label, loss, logits, label, 0, nullptr, nullptr, 0, loss_sum.data(),
              correct.data());
}

#define PARTITA_INSTANTIATE(Scalar)                                                                                   \
  template void loss_forward_backward<Scalar>(Context&, Loss, ConstMatrix<Scalar>, ConstVector<std::int32_t>, double, \
                                              Matrix<Scalar>, Kokkos::View<double, Memory>,                           \
                                              Kokkos::View<const double, Memory>);                                    \
  template void loss_forward<Scalar>(Context&, Loss, ConstMatrix<Scalar>, ConstVector<std::int32_t>,                  \
                                     Kokkos::View<double, Memory>, Kokkos::View<index_t, Memory>);
PARTITA_INSTANTIATE(float)
PARTITA_INSTANTIATE(double)
PARTITA_INSTANTIATE(bfloat16)
PARTITA_INSTANTIATE(float16)
#undef PARTITA_INSTANTIATE

}  // namespace partita::kernels
