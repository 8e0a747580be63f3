// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/activation.hpp>

#include <string>

#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/range.hpp>

namespace partita::kernels {
namespace {

// A task is one row's share of columns: rows may be padded, and a row of a wide layer feeds several threads.
inline constexpr index_t column_block = backend::runs_on_host ? 2048 : 1;

/// How tasks cover a matrix. Operands without padding are one long row: narrow layers make no short loops.
struct Cover {
  index_t rows, columns, per_row;

  Cover(index_t given_rows, index_t given_columns, bool padded)
      : rows(padded || given_rows == 0 ? given_rows : 1), columns(padded ? given_columns : given_rows * given_columns) {
    per_row = (columns + column_block - 1) / column_block;
  }
  index_t tasks() const { return rows * per_row; }

  struct Part {
    index_t row, begin, end;
  };
  KOKKOS_FUNCTION Part part(index_t task) const {
    const index_t begin = task % per_row * column_block;
    return {task / per_row, begin, begin + column_block < columns ? begin + column_block : columns};
  }
};

template <class First, class... Rest>
Cover cover_of(const First& first, const Rest&... rest) {
  const auto columns = index_t(first.extent(1));
  const auto padded = [&](const auto& operand) { return index_t(operand.stride(0)) != columns; };
  return {index_t(first.extent(0)), columns, (padded(first) || ... || padded(rest))};
}

template <class Scalar, Activation activation>
struct ActivationForward {
  Cover cover;
  index_t x_leading, y_leading;
  const Scalar* x;  // may be y
  Scalar* y;

  KOKKOS_FUNCTION void operator()(index_t task) const {
    const Cover::Part part = cover.part(task);
    const Scalar* const from = x + part.row * x_leading;
    Scalar* const to = y + part.row * y_leading;
#pragma GCC ivdep
    for (index_t j = part.begin; j < part.end; ++j) to[j] = Scalar(activate(activation, accumulate_t<Scalar>(from[j])));
  }
};

/// dx = dy times the slope at the output (from_output) or at the input.
template <class Scalar, Activation activation, bool from_output>
struct ActivationBackward {
  Cover cover;
  index_t at_leading, dy_leading, dx_leading;
  const Scalar* at;  // y or x
  const Scalar* dy;  // may be dx
  Scalar* dx;

  KOKKOS_FUNCTION void operator()(index_t task) const {
    const Cover::Part part = cover.part(task);
    const Scalar* const point = at + part.row * at_leading;
    const Scalar* const from = dy + part.row * dy_leading;
    Scalar* const to = dx + part.row * dx_leading;
    using Number = accumulate_t<Scalar>;
#pragma GCC ivdep
    for (index_t j = part.begin; j < part.end; ++j) {
      const Number slope = from_output ? activate_slope(activation, Number(point[j]))
                                       : activate_slope_from_input(activation, Number(point[j]));
      to[j] = Scalar(Number(from[j]) * slope);
    }
  }
};

/// Calls launch.template operator()<activation>() with the activation as a constant: no switch in the inner loop.
template <class Launch>
void with_constant(Activation activation, Launch launch) {
  switch (activation) {
    case Activation::identity:
      return launch.template operator()<Activation::identity>();
    case Activation::relu:
      return launch.template operator()<Activation::relu>();
    case Activation::tanh:
      return launch.template operator()<Activation::tanh>();
    case Activation::sigmoid:
      return launch.template operator()<Activation::sigmoid>();
    case Activation::gelu:
      return launch.template operator()<Activation::gelu>();
    case Activation::gelu_tanh:
      return launch.template operator()<Activation::gelu_tanh>();
    case Activation::silu:
      return launch.template operator()<Activation::silu>();
  }
}

template <class Scalar>
void launch_forward(const Exec& exec, Activation activation, const ConstMatrix<Scalar>& x, const Matrix<Scalar>& y) {
  static const std::string label = "partita::kernels::activation_forward";
  const Cover cover = cover_of(x, y);
  with_constant(activation, [&]<Activation constant>() {
    Kokkos::parallel_for(
        label, backend::range_policy(exec, cover.tasks()),
        ActivationForward<Scalar, constant>{cover, index_t(x.stride(0)), index_t(y.stride(0)), x.data(), y.data()});
  });
}

template <bool from_output, class Scalar>
void launch_backward(const Exec& exec, const std::string& label, Activation activation, const ConstMatrix<Scalar>& at,
                     const ConstMatrix<Scalar>& dy, const Matrix<Scalar>& dx) {
  const Cover cover = cover_of(at, dy, dx);
  with_constant(activation, [&]<Activation constant>() {
    if constexpr (!from_output || slope_from_output(constant))
      Kokkos::parallel_for(
          label, backend::range_policy(exec, cover.tasks()),
          ActivationBackward<Scalar, constant, from_output>{cover, index_t(at.stride(0)), index_t(dy.stride(0)),
                                                            index_t(dx.stride(0)), at.data(), dy.data(), dx.data()});
  });
}

}  // namespace

std::string_view name(Activation activation) {
  constexpr std::string_view names[] = {"identity", "relu", "tanh", "sigmoid", "gelu", "gelu_tanh", "silu"};
  return names[static_cast<int>(activation)];
}

template <class Scalar>
void activation_forward(const Exec& exec, Activation activation, Matrix<Scalar> y) {
  if (activation != Activation::identity) launch_forward<Scalar>(exec, activation, y, y);
}

template <class Scalar>
void activation_forward(const Exec& exec, Activation activation, std::type_identity_t<ConstMatrix<Scalar>> x,
                        Matrix<Scalar> y) {
  backend::require_shape("activation_forward", "y", y, "x", x, "(B, N)");
  launch_forward<Scalar>(exec, activation, x, y);
}

template <class Scalar>
void activation_backward(const Exec& exec, Activation activation, std::type_identity_t<ConstMatrix<Scalar>> y,
                         Matrix<Scalar> dy) {
  static const std::string label = "partita::kernels::activation_backward";
  backend::require_shape("activation_backward", "dy", dy, "y", y, "(B, N)");
  if (!slope_from_output(activation))
    refuse<Error>("activation_backward",
                  "the slope of " + std::string(name(activation)) + " is no function of its output",
                  "activation_backward_from_input");
  if (activation != Activation::identity) launch_backward<true, Scalar>(exec, label, activation, y, dy, dy);
}

template <class Scalar>
void activation_backward_from_input(const Exec& exec, Activation activation,
                                    std::type_identity_t<ConstMatrix<Scalar>> x,
                                    std::type_identity_t<ConstMatrix<Scalar>> dy, Matrix<Scalar> dx) {
  static const std::string label = "partita::kernels::activation_backward_from_input";
  backend::require_shape("activation_backward_from_input", "dy", dy, "x", x, "(B, N)");
  backend::require_shape("activation_backward_from_input", "dx", dx, "x", x, "(B, N)");
  launch_backward<false, Scalar>(exec, label, activation, x, dy, dx);
}

#define PARTITA_INSTANTIATE(Scalar)                                                                        \
  template void activation_forward<Scalar>(const Exec&, Activation, Matrix<Scalar>);                       \
  template void activation_forward<Scalar>(const Exec&, Activation, ConstMatrix<Scalar>, Matrix<Scalar>);  \
  template void activation_backward<Scalar>(const Exec&, Activation, ConstMatrix<Scalar>, Matrix<Scalar>); \
  template void activation_backward_from_input<Scalar>(const Exec&, Activation, ConstMatrix<Scalar>,       \
                                                       ConstMatrix<Scalar>, Matrix<Scalar>);
PARTITA_INSTANTIATE(float)
PARTITA_INSTANTIATE(double)
PARTITA_INSTANTIATE(bfloat16)
PARTITA_INSTANTIATE(float16)
#undef PARTITA_INSTANTIATE

}  // namespace partita::kernels
