// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>
#include <partita/kernels/activation.hpp>
#include <partita/kernels/backend/range.hpp>
#include <string>

namespace partita::kernels {
namespace {

// A task is one row's share of columns: rows may be padded, and a row of a wide layer feeds several threads.
inline constexpr index_t column_block = backend::runs_on_host ? 1024 : 1;

template <class Scalar, Activation activation>
struct Forward {
  index_t columns, per_row, leading;
  Scalar* y;

  KOKKOS_FUNCTION void operator()(index_t task) const {
    const index_t begin = task % per_row * column_block;
    const index_t end = begin + column_block < columns ? begin + column_block : columns;
    Scalar* const row = y + task / per_row * leading;
    for (index_t j = begin; j < end; ++j) row[j] = activate(activation, row[j]);
  }
};

template <class Scalar, Activation activation>
struct Backward {
  index_t columns, per_row, y_leading, dy_leading;
  const Scalar* y;
  Scalar* dy;

  KOKKOS_FUNCTION void operator()(index_t task) const {
    const index_t begin = task % per_row * column_block;
    const index_t end = begin + column_block < columns ? begin + column_block : columns;
    const Scalar* const value = y + task / per_row * y_leading;
    Scalar* const gradient = dy + task / per_row * dy_leading;
#pragma GCC ivdep
    for (index_t j = begin; j < end; ++j) gradient[j] *= activate_slope(activation, value[j]);
  }
};

/// Calls launch.template operator()<activation>() with the activation as a constant: no switch in the inner loop.
template <class Launch>
void with_constant(Activation activation, Launch launch) {
  switch (activation) {
    case Activation::identity:
      return;
    case Activation::relu:
      return launch.template operator()<Activation::relu>();
    case Activation::tanh:
      return launch.template operator()<Activation::tanh>();
    case Activation::sigmoid:
      return launch.template operator()<Activation::sigmoid>();
  }
}

}  // namespace

std::string_view name(Activation activation) {
  constexpr std::string_view names[] = {"identity", "relu", "tanh", "sigmoid"};
  return names[static_cast<int>(activation)];
}

template <class Scalar>
void activation_forward(const Exec& exec, Activation activation, Matrix<Scalar> y) {
  static const std::string label = "partita::kernels::activation_forward";
  const index_t rows = index_t(y.extent(0)), columns = index_t(y.extent(1));
  const index_t per_row = (columns + column_block - 1) / column_block;
  with_constant(activation, [&]<Activation constant>() {
    Kokkos::parallel_for(label, backend::range_policy(exec, rows * per_row),
                         Forward<Scalar, constant>{columns, per_row, index_t(y.stride(0)), y.data()});
  });
}

template <class Scalar>
void activation_backward(const Exec& exec, Activation activation, std::type_identity_t<ConstMatrix<Scalar>> y,
                         Matrix<Scalar> dy) {
  static const std::string label = "partita::kernels::activation_backward";
  if (y.extent(0) != dy.extent(0) || y.extent(1) != dy.extent(1))
    throw ShapeError("activation_backward: dy is (" + std::to_string(dy.extent(0)) + ", " +
                     std::to_string(dy.extent(1)) + "), y is (" + std::to_string(y.extent(0)) + ", " +
                     std::to_string(y.extent(1)) + "): expected the same shape (B, N)");
  const index_t rows = index_t(y.extent(0)), columns = index_t(y.extent(1));
  const index_t per_row = (columns + column_block - 1) / column_block;
  with_constant(activation, [&]<Activation constant>() {
    Kokkos::parallel_for(
        label, backend::range_policy(exec, rows * per_row),
        Backward<Scalar, constant>{columns, per_row, index_t(y.stride(0)), index_t(dy.stride(0)), y.data(), dy.data()});
  });
}

template void activation_forward<float>(const Exec&, Activation, Matrix<float>);
template void activation_forward<double>(const Exec&, Activation, Matrix<double>);
template void activation_backward<float>(const Exec&, Activation, ConstMatrix<float>, Matrix<float>);
template void activation_backward<double>(const Exec&, Activation, ConstMatrix<double>, Matrix<double>);

}  // namespace partita::kernels
