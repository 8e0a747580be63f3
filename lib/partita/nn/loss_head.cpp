// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/loss_head.hpp>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::nn {

template <class Scalar>
void WholeRows<Scalar>::check(ConstMatrix<Scalar> y, ConstVector<std::int32_t> label) const {
  if (label.extent(0) != y.extent(0) * static_cast<std::size_t>(output_.labels))
    refuse<ShapeError>("loss",
                       fmt::format("label has {} elements, the model's output {} rows", label.extent(0), y.extent(0)),
                       fmt::format("{} for each row", output_.labels));
}

template <class Scalar>
void WholeRows<Scalar>::run(kernels::Context& context, ConstMatrix<Scalar> y, ConstVector<std::int32_t> label,
                            double scale, Kokkos::View<const double, Memory> factor, Matrix<Scalar> dy,
                            Kokkos::View<double, Memory> sum) const {
  check(y, label);
  kernels::loss_forward_backward<Scalar>(context, options_, split_rows(y, output_.classes), label, scale,
                                         split_rows(dy, output_.classes), sum, factor);
}

template <class Scalar>
void WholeRows<Scalar>::evaluate(kernels::Context& context, ConstMatrix<Scalar> y, ConstVector<std::int32_t> label,
                                 Kokkos::View<double, Memory> sum, Kokkos::View<index_t, Memory> correct) const {
  check(y, label);
  kernels::loss_forward<Scalar>(context, options_, split_rows(y, output_.classes), label, sum, correct);
}

template class WholeRows<float>;
template class WholeRows<double>;
template class WholeRows<bfloat16>;
template class WholeRows<float16>;

}  // namespace partita::nn
