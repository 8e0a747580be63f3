// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/loss.hpp>

#include <string>

#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/cross_entropy.hpp>
#include <partita/kernels/backend/rows.hpp>

namespace partita::kernels {
namespace {

using backend::RowResult;

/// All rows. What a row reads of itself outside its own elements is read before the first reduction: `dlogits` may be
/// `logits`.
template <class Scalar, Loss loss>
struct LossRows {
  using Number = accumulate_t<Scalar>;
  index_t V, leaves, leading, d_leading;
  const Scalar* logits;
  const std::int32_t* label;
  double scale;
  const double* factor;  // of the scale; null: 1
  Scalar* dlogits;       // null: no gradient
  bool count;            // hits
  RowResult* result;

  template <class Row>
  KOKKOS_FORCEINLINE_FUNCTION void operator()(const Row& row, index_t b) const {
    const Scalar* const z = logits + b * leading;
    Scalar* const gradient = dlogits == nullptr ? nullptr : dlogits + b * d_leading;
    const index_t V_ = V, target = index_t(label[b]);
    if (target == ignore_index) [[unlikely]] {
      RowResult* const to = result + b;
      if (gradient != nullptr) row.each(V_, [=](index_t v) { gradient[v] = Scalar(Number(0)); });
      row.each(1, [=](index_t) { *to = {0, 0}; });
      return;
    }
    const bool known = target >= 0 && target < V_;
    const double nan = Kokkos::Experimental::quiet_NaN_v<double>;
    const double at_target = known ? double(z[target]) : nan;
    const double by = known ? (factor == nullptr ? scale : scale * *factor) : nan;
    Number top = 0;
    if (loss == Loss::cross_entropy || count)
      top = row.template most<Number>(V_, [=](index_t v) { return Number(z[v]); });
    index_t correct = 0;
    if (count) {  // the largest score, the first of equals
      const double ahead =
          row.template sum<double>(known ? target : 0, [=](index_t v) { return Number(z[v]) == top ? 1.0 : 0.0; });
      correct = known && ahead == 0 && Number(at_target) == top;
    }
    double value;
    if constexpr (loss == Loss::cross_entropy)
      value = cross_entropy(row, z, V_, leaves, known ? target : -1, at_target, top, by, gradient);
    else
      value = mse(row, z, V_, leaves, known ? target : -1, by, gradient);
    RowResult* const to = result + b;
    row.each(1, [=](index_t) { *to = {value, correct}; });
  }

  template <class Row>
  KOKKOS_FORCEINLINE_FUNCTION static double cross_entropy(const Row& row, const Scalar* z, index_t V, index_t leaves,
                                                          index_t target, double at_target, Number top, double scale,
                                                          Scalar* gradient) {
    const double sum = backend::sum_of_exponentials(row, z, V, leaves, top, gradient);
    if (gradient != nullptr) backend::softmax_gradient(row, z, V, target, at_target, top, sum, scale, gradient);
    return backend::cross_entropy_of(sum, double(top), at_target);
  }

  template <class Row>
  KOKKOS_FORCEINLINE_FUNCTION static double mse(const Row& row, const Scalar* z, index_t V, index_t leaves,
                                                index_t target, double scale, Scalar* gradient) {
    const double sum = backend::sum_of_leaves<double>(row, V, leaves, [=](index_t v) {
      const double difference = double(z[v]) - (v == target ? 1.0 : 0.0);
      return difference * difference;
    });
    const double factor = 2 * scale / double(V);
    if (gradient != nullptr)
      row.each(V,
               [=](index_t v) { gradient[v] = Scalar(Number(factor * (double(z[v]) - (v == target ? 1.0 : 0.0)))); });
    return target < 0 ? Kokkos::Experimental::quiet_NaN_v<double> : sum / double(V);
  }
};

void check_labels(const char* function, std::size_t labels, std::size_t rows) {
  backend::require_extent(function, "label", "elements", labels, "logits", "rows", rows,
                          "label (B) and logits (B, V) with the same B");
}

template <class Scalar>
void run_loss(Context& context, const std::string& rows_label, const std::string& sum_label, const LossOptions& options,
              const ConstMatrix<Scalar>& logits, const ConstVector<std::int32_t>& label, double scale,
              const double* factor, Scalar* dlogits, index_t d_leading, double* loss_sum, index_t* correct) {
  const index_t B = index_t(logits.extent(0)), V = index_t(logits.extent(1));
  if (V == 0 && B > 0) refuse<ShapeError>("loss", "logits has 0 columns", "logits (B, V) with at least one class");
  if (options.vocabulary_blocks < 1)
    refuse<ShapeError>("loss", "vocabulary_blocks is " + std::to_string(options.vocabulary_blocks), "at least 1");
  auto* const row = static_cast<RowResult*>(context.scratch(std::size_t(B) * sizeof(RowResult)));
  const auto rows = [&]<Loss constant>() {
    backend::for_rows<double>(
        context.exec(), rows_label, B,
        LossRows<Scalar, constant>{V, options.vocabulary_blocks, index_t(logits.stride(0)), d_leading, logits.data(),
                                   label.data(), scale, factor, dlogits, correct != nullptr, row});
  };
  if (options.kind == Loss::cross_entropy)
    rows.template operator()<Loss::cross_entropy>();
  else
    rows.template operator()<Loss::mse>();
  backend::sum_rows(context.exec(), sum_label, B, row, loss_sum, correct);
}

}  // namespace

std::string_view name(Loss loss) { return loss == Loss::cross_entropy ? "cross_entropy" : "mse"; }

template <class Scalar>
void loss_forward_backward(Context& context, const LossOptions& options,
                           std::type_identity_t<ConstMatrix<Scalar>> logits, ConstVector<std::int32_t> label,
                           double scale, Matrix<Scalar> dlogits, Kokkos::View<double, Memory> loss_sum,
                           Kokkos::View<const double, Memory> factor) {
  static const std::string rows_label = "partita::kernels::loss_forward_backward::rows";
  static const std::string sum_label = "partita::kernels::loss_forward_backward::sum";
  check_labels("loss_forward_backward", label.extent(0), logits.extent(0));
  backend::require_shape("loss_forward_backward", "dlogits", dlogits, "logits", logits, "(B, V)");
  run_loss<Scalar>(context, rows_label, sum_label, options, logits, label, scale, factor.data(), dlogits.data(),
                   index_t(dlogits.stride(0)), loss_sum.data(), nullptr);
}

template <class Scalar>
void loss_forward(Context& context, const LossOptions& options, ConstMatrix<Scalar> logits,
                  ConstVector<std::int32_t> label, Kokkos::View<double, Memory> loss_sum,
                  Kokkos::View<index_t, Memory> correct) {
  static const std::string rows_label = "partita::kernels::loss_forward::rows";
  static const std::string sum_label = "partita::kernels::loss_forward::sum";
  check_labels("loss_forward", label.extent(0), logits.extent(0));
  run_loss<Scalar>(context, rows_label, sum_label, options, logits, label, 0, nullptr, nullptr, 0, loss_sum.data(),
                   correct.data());
}

#define PARTITA_INSTANTIATE(Scalar)                                                                                \
  template void loss_forward_backward<Scalar>(Context&, const LossOptions&, ConstMatrix<Scalar>,                   \
                                              ConstVector<std::int32_t>, double, Matrix<Scalar>,                   \
                                              Kokkos::View<double, Memory>, Kokkos::View<const double, Memory>);   \
  template void loss_forward<Scalar>(Context&, const LossOptions&, ConstMatrix<Scalar>, ConstVector<std::int32_t>, \
                                     Kokkos::View<double, Memory>, Kokkos::View<index_t, Memory>);
PARTITA_INSTANTIATE(float)
PARTITA_INSTANTIATE(double)
PARTITA_INSTANTIATE(bfloat16)
PARTITA_INSTANTIATE(float16)
#undef PARTITA_INSTANTIATE

}  // namespace partita::kernels
