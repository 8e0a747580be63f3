// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <type_traits>

#include <partita/core/float16.hpp>
#include <partita/core/types.hpp>
#include <partita/kernels/store.hpp>

// Over flat ranges. All are enqueued on exec, without a fence or an allocation; each element depends on its own inputs
// alone. Two operands of different lengths: ShapeError. Scalar is float, double, bfloat16 or float16, computed in
// accumulate_t<Scalar> and rounded once. Costs: cost::add, cost::add_relu. Stores are ordinary ones, as the triad's
// are.

namespace partita::kernels {

/// b += a.
template <class Scalar>
void add(const Exec& exec, std::type_identity_t<ConstVector<Scalar>> a, Vector<Scalar> b);

/// c = a + b: a residual connection, not in place. c may be a or b.
template <class Scalar>
void add(const Exec& exec, std::type_identity_t<ConstVector<Scalar>> a, std::type_identity_t<ConstVector<Scalar>> b,
         Vector<Scalar> c);

/// c = max(a + b, 0), NaN kept. c may be a or b. Backward: activation_backward of relu with c gives da = db.
template <class Scalar>
void add_relu(const Exec& exec, std::type_identity_t<ConstVector<Scalar>> a,
              std::type_identity_t<ConstVector<Scalar>> b, Vector<Scalar> c);

/// a = value.
template <class Scalar>
void fill(const Exec& exec, std::type_identity_t<Scalar> value, Vector<Scalar> a);

/// a *= factor.
template <class Scalar>
void scale(const Exec& exec, accumulate_t<Scalar> factor, Vector<Scalar> a);

/// y = factor x, or with Store::accumulate y += factor x: in double, rounded once. y may be x. float and double.
template <class Scalar>
void scale(const Exec& exec, Store store, double factor, std::type_identity_t<ConstVector<Scalar>> x, Vector<Scalar> y);

/// b = a. Copies bits.
template <class Scalar>
void copy(const Exec& exec, std::type_identity_t<ConstVector<Scalar>> a, Vector<Scalar> b);

/// The same for matrices (rows, columns), whose rows may be padded; also of tokens, std::int32_t.
template <class Scalar>
void copy(const Exec& exec, std::type_identity_t<ConstMatrix<Scalar>> a, Matrix<Scalar> b);

/// b(at(i)) = a(i) where at(i) >= 0; no two the same. What is not named stays. Positions are not checked.
template <class Scalar>
void scatter(const Exec& exec, ConstVector<index_t> at, std::type_identity_t<ConstVector<Scalar>> a, Vector<Scalar> b);

/// c = a + factor * b: the STREAM triad, 3 elements moved an element.
template <class Scalar>
void triad(const Exec& exec, accumulate_t<Scalar> factor, std::type_identity_t<ConstVector<Scalar>> a,
           std::type_identity_t<ConstVector<Scalar>> b, Vector<Scalar> c);

}  // namespace partita::kernels
