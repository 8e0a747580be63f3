// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include <partita/kernels/norm.hpp>
#include <partita/nn/parameter_table.hpp>

namespace partita::nn {

/// The cells in which the norm of a table's gradients is added up: a tensor's part within one block of each of its
/// dimensions, cut again where it has more than 4,096 elements; in (tensor, block, element) order. A cell is the same
/// elements in the same order whoever holds it, so that its sum is the same bits in any split along blocks.
std::vector<kernels::NormCell> norm_cells(const ParameterTable& table);

/// The tensor that a cell of the table is of.
const Parameter& tensor_of_cell(const ParameterTable& table, index_t cell);

/// For each cell of a table of slices its index among the cells of the whole model's table.
/// Throws   UsageError for a tensor that the whole does not have, or that is not split along blocks.
std::vector<index_t> cell_places(const ParameterTable& part, const ParameterTable& whole);

}  // namespace partita::nn
