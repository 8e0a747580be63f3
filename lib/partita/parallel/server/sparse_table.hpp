// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <partita/kernels/context.hpp>
#include <partita/nn/window.hpp>

namespace partita::parallel::server {

/// A model whose first weights are the rows of a table, of which a gradient touches some: only these travel. A worker
/// has them in a window of its own, one after the other, and behind them all other weights, so that what a server has
/// of a window is one piece:
///
///     weights   row 0, row 1, ..., row V-1, others                 (keys)
///     window    what is left of `most` rows, row r_0, row r_1, ..., others   with r_0 < r_1 < ... touched
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
  Range list;            ///< of the list
  index_t of_table = 0;  ///< of the server's keys, the first ones
  Range window;          ///< of a worker's window: these rows, and the server's keys that are not of the table
};

/// rows   All that a gradient touches, or of these those of the server: then window.offset says nothing.
/// Without a table the window is the keys.
/// Throws   UsageError for keys that cut a row.
TouchedPart touched_part(const SparseTable& table, Range keys, std::span<const std::int32_t> rows);

/// Elements of the longest part of a window that a server with these keys can have.
index_t longest_part(const SparseTable& table, Range keys);

/// The weights of these rows, and those behind the table, of a server's (keys.extent) into its part of a worker's
/// window, touched_part(...).window. Enqueued; allocates; fences.
template <class Scalar>
void gather_touched(const Exec& exec, const SparseTable& table, Range keys, std::span<const std::int32_t> rows,
                    ConstVector<Scalar> weights, Vector<Scalar> window);

/// A gradient of the extent of the server's part of a window as one of its keys: 0 where it touches nothing.
/// Allocates; fences.
template <class Real>
void spread_touched(kernels::Context& context, const SparseTable& table, Range keys, std::span<const std::int32_t> rows,
                    ConstVector<Real> window, Vector<Real> gradient);

}  // namespace partita::parallel::server
