// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <Kokkos_Core.hpp>

#include <partita/core/index.hpp>

// Letters of extents, one meaning each across the suite:
//
//     B  batch: samples                  V  classes or vocabulary
//     T  tokens of a sequence            M N K  of a matrix product, (M, K) x (K, N) -> (M, N)
//     C  channels, or model width;       P  ranks
//        chunks, where the deterministic tree is spoken of
//     H  attention heads
//     F  hidden columns
//
// Images are channels-last (B, rows, columns, C). A gradient is `d` + the name of what it belongs to.

namespace partita {

using Exec = Kokkos::DefaultExecutionSpace;
using HostExec = Kokkos::DefaultHostExecutionSpace;
using Memory = Exec::memory_space;

/// Arrays in the memory of Exec, row-major whatever the backend: one layout on the wire, on disk and in vendor calls.
template <class Scalar>
using Vector = Kokkos::View<Scalar*, Kokkos::LayoutRight, Memory>;
template <class Scalar>
using ConstVector = Vector<const Scalar>;
template <class Scalar>
using Matrix = Kokkos::View<Scalar**, Kokkos::LayoutRight, Memory>;
template <class Scalar>
using ConstMatrix = Matrix<const Scalar>;

}  // namespace partita
