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

// Of a server's keys, the first ones.
index_t keys_of_table(const SparseTable& table, Range keys) {
  return std::clamp<index_t>(table.size() - keys.offset, 0, keys.extent);
}

}  // namespace

TouchedPart touched_part(const SparseTable& table, Range keys, std::span<const std::int32_t> rows) {
  TouchedPart part;
  part.of_table = keys_of_table(table, keys);
  if (part.of_table == 0) {
    part.window = {table.most * table.width + keys.offset - table.size(), keys.extent};
    return part;
  }
  if (keys.offset % table.width != 0 || part.of_table % table.width != 0)
    refuse<UsageError>("touched_part", fmt::format("keys {} to {} of rows of {}", keys.offset, keys.end(), table.width),
                       "whole rows");
  const auto first = std::lower_bound(rows.begin(), rows.end(), keys.offset / table.width);
  const auto last = std::lower_bound(first, rows.end(), (keys.offset + part.of_table) / table.width);
  part.list = {first - rows.begin(), last - first};
  part.window = {(table.most - (rows.end() - first)) * table.width,
                 part.list.extent * table.width + keys.extent - part.of_table};
  return part;
}

index_t longest_part(const SparseTable& table, Range keys) {
  const index_t of_table = keys_of_table(table, keys);
  return std::min(of_table, table.most * table.width) + keys.extent - of_table;
}

template <class Scalar>
void gather_touched(const Exec& exec, const SparseTable& table, Range keys, std::span<const std::int32_t> rows,
                    ConstVector<Scalar> weights, Vector<Scalar> window) {
  const TouchedPart of = touched_part(table, keys, rows);
  const index_t touched = of.list.extent * table.width;
  if (touched > 0)
    kernels::embedding_forward<Scalar>(exec, 1, upload(exec, rows, of.list, keys.offset / table.width),
                                       matrix(weights.data(), of.of_table / table.width, table.width), {},
                                       matrix(window.data(), of.list.extent, table.width));
  const index_t others = keys.extent - of.of_table;
  kernels::copy<Scalar>(exec, part(weights, Range{of.of_table, others}), part(window, Range{touched, others}));
}

template <class Real>
void spread_touched(kernels::Context& context, const SparseTable& table, Range keys, std::span<const std::int32_t> rows,
                    ConstVector<Real> window, Vector<Real> gradient) {
  const Exec& exec = context.exec();
  const TouchedPart of = touched_part(table, keys, rows);
  const index_t touched = of.list.extent * table.width;
  if (of.of_table > 0)
    kernels::embedding_backward_weights<Real>(context, {}, kernels::Store::overwrite,
                                              upload(exec, rows, of.list, keys.offset / table.width),
                                              matrix(window.data(), of.list.extent, table.width),
                                              matrix(gradient.data(), of.of_table / table.width, table.width), {});
  const index_t others = keys.extent - of.of_table;
  kernels::copy<Real>(exec, part(window, Range{touched, others}), part(gradient, Range{of.of_table, others}));
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
