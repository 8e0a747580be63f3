// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/server/sparse_table.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/kernels/embedding.hpp>
#include <partita/parallel/buffers.hpp>

namespace partita::parallel::server {
namespace {

// Rows of the list that are this server's, counted from its first one.
Vector<std::int32_t> upload(const Exec& exec, std::span<const std::int32_t> rows, Range list, index_t first) {
  std::vector<std::int32_t> mine(rows.begin() + list.offset, rows.begin() + list.end());
  for (std::int32_t& row : mine) row -= static_cast<std::int32_t>(first);
  const auto there = make_buffer<std::int32_t>("partita::parallel::SparseTable::rows", list.extent);
  Kokkos::deep_copy(exec, there, Kokkos::View<const std::int32_t*, Kokkos::HostSpace>(mine.data(), mine.size()));
  exec.fence("partita::parallel::SparseTable: a list of rows goes");
  return there;
}

template <class S>
Matrix<S> matrix(S* data, index_t rows, index_t columns) {
  return {data, static_cast<std::size_t>(rows), static_cast<std::size_t>(columns)};
}

}  // namespace

TouchedPart touched_part(const SparseTable& table, Range keys, std::span<const std::int32_t> rows) {
  const index_t in_table = std::clamp<index_t>(table.size() - keys.offset, 0, keys.extent);
  TouchedPart part;
  part.rest = {in_table, keys.extent - in_table};
  part.behind = table.most * table.width + keys.offset + in_table - table.size();
  if (in_table == 0) return part;
  if (keys.offset % table.width != 0 || in_table % table.width != 0)
    refuse<UsageError>("touched_part", fmt::format("keys {} to {} of rows of {}", keys.offset, keys.end(), table.width),
                       "whole rows");
  const auto first = std::lower_bound(rows.begin(), rows.end(), keys.offset / table.width);
  const auto last = std::lower_bound(first, rows.end(), (keys.offset + in_table) / table.width);
  part.list = {first - rows.begin(), last - first};
  return part;
}

template <class Scalar>
void gather_touched(const Exec& exec, const SparseTable& table, Range keys, std::span<const std::int32_t> rows,
                    ConstVector<Scalar> weights, Vector<Scalar> window) {
  const TouchedPart of = touched_part(table, keys, rows);
  if (of.list.extent > 0)
    kernels::embedding_forward<Scalar>(
        exec, 1, upload(exec, rows, of.list, keys.offset / table.width),
        matrix<const Scalar>(weights.data(), of.rest.offset / table.width, table.width), {},
        matrix(window.data() + of.list.offset * table.width, of.list.extent, table.width));
  kernels::copy<Scalar>(exec, part(weights, of.rest), part(window, Range{of.behind, of.rest.extent}));
}

template <class Real>
void spread_touched(kernels::Context& context, const SparseTable& table, Range keys, std::span<const std::int32_t> rows,
                    ConstVector<Real> window, Vector<Real> gradient) {
  const Exec& exec = context.exec();
  const TouchedPart of = touched_part(table, keys, rows);
  if (of.rest.offset > 0)
    kernels::embedding_backward_weights<Real>(
        context, {}, kernels::Store::overwrite, upload(exec, rows, of.list, keys.offset / table.width),
        matrix<const Real>(window.data() + of.list.offset * table.width, of.list.extent, table.width),
        matrix(gradient.data(), of.rest.offset / table.width, table.width), {});
  kernels::copy<Real>(exec, part(window, Range{of.behind, of.rest.extent}), part(gradient, of.rest));
}

template void gather_touched(const Exec&, const SparseTable&, Range, std::span<const std::int32_t>, ConstVector<float>,
                             Vector<float>);
template void gather_touched(const Exec&, const SparseTable&, Range, std::span<const std::int32_t>, ConstVector<double>,
                             Vector<double>);
template void spread_touched(kernels::Context&, const SparseTable&, Range, std::span<const std::int32_t>,
                             ConstVector<float>, Vector<float>);
template void spread_touched(kernels::Context&, const SparseTable&, Range, std::span<const std::int32_t>,
                             ConstVector<double>, Vector<double>);

}  // namespace partita::parallel::server
