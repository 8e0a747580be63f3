// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <partita/kernels/context.hpp>
#include <partita/nn/window.hpp>

namespace partita::parallel::server {

/// A model whose first weights are the rows of a table, of which a gradient touches some: only these travel. A worker
/// has them in a window of its own, one after the other, and behind them all other weights:
///
///     weights   row 0, row 1, ..., row V-1, others          (keys)
///     window    row r_0, row r_1, ..., room for `most`, others   with r_0 < r_1 < ... touched
struct SparseTable {
  index_t rows = 0;   ///< V; 0: there is no such table, and the window is all weights
  index_t width = 0;  ///< of a row
  index_t most = 0;   ///< rows that a gradient touches at most

  index_t size() const { return rows * width; }
  /// Of a model with so many weights.
  index_t window(index_t keys) const { return keys - size() + most * width; }
};

/// Ascending, each once.
using TouchedRows = std::vector<std::int32_t>;

/// What of a list of rows and of the weights behind the table lies in a server's keys, which cut no row.
struct TouchedPart {
  Range list;          ///< of the list
  Range rest;          ///< of the server's keys: not of the table
  index_t behind = 0;  ///< where these begin in the window

  /// Weights among them.
  index_t weights(const SparseTable& table) const { return list.extent * table.width + rest.extent; }
};

/// Throws   UsageError for keys that cut a row.
TouchedPart touched_part(const SparseTable& table, Range keys, std::span<const std::int32_t> rows);

/// The weights of these rows, and those behind the table, of a server's (keys.extent) into a worker's window.
/// Enqueued; allocates; fences.
template <class Scalar>
void gather_touched(const Exec& exec, const SparseTable& table, Range keys, std::span<const std::int32_t> rows,
                    ConstVector<Scalar> weights, Vector<Scalar> window);

/// A gradient of a window's extent as one of the server's keys: 0 where it touches nothing. Allocates; fences.
template <class Real>
void spread_touched(kernels::Context& context, const SparseTable& table, Range keys, std::span<const std::int32_t> rows,
                    ConstVector<Real> window, Vector<Real> gradient);

}  // namespace partita::parallel::server
