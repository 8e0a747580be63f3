// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <type_traits>

#include <partita/core/types.hpp>

// Over flat ranges. All are enqueued on exec, without a fence or an allocation; each element depends on its own inputs
// alone. Two operands of different lengths: ShapeError.

namespace partita::kernels {

/// b += a.
template <class Scalar>
void add(const Exec& exec, std::type_identity_t<ConstVector<Scalar>> a, Vector<Scalar> b);

/// a = value.
template <class Scalar>
void fill(const Exec& exec, std::type_identity_t<Scalar> value, Vector<Scalar> a);

/// a *= factor.
template <class Scalar>
void scale(const Exec& exec, std::type_identity_t<Scalar> factor, Vector<Scalar> a);

/// b = a. Copies bits.
template <class Scalar>
void copy(const Exec& exec, std::type_identity_t<ConstVector<Scalar>> a, Vector<Scalar> b);

/// c = a + factor * b: the STREAM triad, 3 elements moved an element.
template <class Scalar>
void triad(const Exec& exec, std::type_identity_t<ConstVector<Scalar>> a, std::type_identity_t<Scalar> factor,
           std::type_identity_t<ConstVector<Scalar>> b, Vector<Scalar> c);

}  // namespace partita::kernels
