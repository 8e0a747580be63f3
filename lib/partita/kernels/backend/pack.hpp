// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstring>
#include <type_traits>

#include <partita/core/types.hpp>
#include <partita/kernels/backend/microkernel.hpp>
#include <partita/kernels/backend/range.hpp>

// Kernels whose columns are independent are written once for a Value: a number, or on hosts a pack of neighbouring
// columns in vector registers. Both round alike.

namespace partita::kernels::backend {

/// `vectors` vectors of Real.
template <class Real, int vectors>
struct Pack {
  using Simd = typename host::RegisterTile<Real>::Simd;
  static constexpr int lanes = host::RegisterTile<Real>::lanes;
  static constexpr index_t width = vectors * lanes;
  Simd v[vectors];

  template <class Operation>
  static inline __attribute__((always_inline)) Pack each(const Operation& operation) {
    Pack result;
    host::unrolled(
        [&](int i) __attribute__((always_inline)) { result.v[i] = operation(i); },
        std::make_integer_sequence<int, vectors>());
    return result;
  }
  friend inline __attribute__((always_inline)) Pack operator+(const Pack& a, const Pack& b) {
    return each([&](int i) __attribute__((always_inline)) { return a.v[i] + b.v[i]; });
  }
  friend inline __attribute__((always_inline)) Pack operator-(const Pack& a, const Pack& b) {
    return each([&](int i) __attribute__((always_inline)) { return a.v[i] - b.v[i]; });
  }
  friend inline __attribute__((always_inline)) Pack operator*(const Pack& a, const Pack& b) {
    return each([&](int i) __attribute__((always_inline)) { return a.v[i] * b.v[i]; });
  }
  /// a where m > 0, else 0.
  friend inline __attribute__((always_inline)) Pack where_positive(const Pack& m, const Pack& a) {
    const Simd zero = {};
    return each([&](int i) __attribute__((always_inline)) { return m.v[i] > zero ? a.v[i] : zero; });
  }
  /// 0 where a < 0, else a: keeps NaN.
  friend inline __attribute__((always_inline)) Pack rectified(const Pack& a) {
    const Simd zero = {};
    return each([&](int i) __attribute__((always_inline)) { return a.v[i] < zero ? zero : a.v[i]; });
  }
};

template <class Real>
requires std::is_arithmetic_v<Real> KOKKOS_INLINE_FUNCTION Real where_positive(Real m, Real a) {
  return m > Real(0) ? a : Real(0);
}
template <class Real>
requires std::is_arithmetic_v<Real> KOKKOS_INLINE_FUNCTION Real rectified(Real a) { return a < Real(0) ? Real(0) : a; }

template <class Value>
inline constexpr bool is_pack = false;
template <class Real, int vectors>
inline constexpr bool is_pack<Pack<Real, vectors>> = true;

template <class Value, class Real>
KOKKOS_FORCEINLINE_FUNCTION Value scaled(const Value& value, Real factor) {
  if constexpr (is_pack<Value>)
    return Value::each([&](int i) __attribute__((always_inline)) { return value.v[i] * factor; });
  else
    return value * factor;
}

/// The value at `from`, which may be stored in another type.
template <class Value, class Scalar>
KOKKOS_FORCEINLINE_FUNCTION Value load(const Scalar* from) {
  if constexpr (!is_pack<Value>) {
    return Value(*from);
  } else if constexpr (sizeof(from[0]) * Value::width == sizeof(Value)) {
    Value value;
    std::memcpy(&value, from, sizeof value);
    return value;
  } else {
    float wide[Value::width];  // of 16 bits
    for (index_t j = 0; j < Value::width; ++j) wide[j] = float(from[j]);
    Value value;
    std::memcpy(&value, wide, sizeof value);
    return value;
  }
}

template <class Value, class Scalar>
KOKKOS_FORCEINLINE_FUNCTION void store(const Value& value, Scalar* to) {
  if constexpr (!is_pack<Value>) {
    *to = Scalar(value);
  } else if constexpr (sizeof(to[0]) * Value::width == sizeof(Value)) {
    std::memcpy(to, &value, sizeof value);
  } else {
    float wide[Value::width];
    std::memcpy(wide, &value, sizeof value);
    for (index_t j = 0; j < Value::width; ++j) to[j] = Scalar(wide[j]);
  }
}

/// Runs body.template run<Value>(first row, end row, column) for the rows of a task and every column, as wide as the
/// columns left allow.
template <class Real, class Body>
struct ColumnTasks {
  Body body;
  index_t rows, columns, task_rows;

  KOKKOS_FUNCTION void operator()(index_t task) const {
    if constexpr (runs_on_host) {
      const Body local = body;
      const index_t begin = task * task_rows, end = begin + task_rows < rows ? begin + task_rows : rows;
      index_t c = 0;
      for (; c + Pack<Real, 4>::width <= columns; c += Pack<Real, 4>::width)
        local.template run<Pack<Real, 4>>(begin, end, c);
      if (c + Pack<Real, 2>::width <= columns) {
        local.template run<Pack<Real, 2>>(begin, end, c);
        c += Pack<Real, 2>::width;
      }
      if (c + Pack<Real, 1>::width <= columns) {
        local.template run<Pack<Real, 1>>(begin, end, c);
        c += Pack<Real, 1>::width;
      }
      for (; c < columns; ++c) local.template run<Real>(begin, end, c);
    } else {
      const index_t begin = task / columns * task_rows, end = begin + task_rows < rows ? begin + task_rows : rows;
      body.template run<Real>(begin, end, task % columns);
    }
  }
};

/// Rows are cut into tasks of task_rows.
template <class Real, class Body>
void for_columns(const Exec& exec, const std::string& label, index_t rows, index_t columns, index_t task_rows,
                 const Body& body) {
  const index_t row_tasks = (rows + task_rows - 1) / task_rows;
  Kokkos::parallel_for(label, range_policy(exec, runs_on_host ? row_tasks : row_tasks * columns),
                       ColumnTasks<Real, Body>{body, rows, columns, task_rows});
}

}  // namespace partita::kernels::backend
