// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/norm.hpp>

#include "support.hpp"

namespace partita::kernels::test {

/// norm_squared and norm_total of all of g.
template <class Real>
Kokkos::View<double, Memory> squared_norm(const Vector<Real>& g) {
  Context context;
  const auto cells = to_device(norm_cells({0, index_t(g.extent(0))}));
  const Vector<double> sums("sums", cells.extent(0));
  const Kokkos::View<double, Memory> sum("sum");
  norm_squared<Real>(context, cells, g, sums);
  norm_total(context.exec(), sums, sum);
  context.exec().fence();
  return sum;
}

}  // namespace partita::kernels::test
