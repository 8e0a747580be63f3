// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/nn/gpt_memory.hpp>
#include <partita/parallel/tensor/tensor_axis.hpp>

namespace partita::parallel {

/// What the units of this folder take between those of a GPT that is split over `ranks`: the closed form beside
/// nn::gpt_memory. With A = B T C element, the rows of all tokens, and S = A where B > 1, else 0, what travels rank by
/// rank:
///
///     sequence        each product into a split keeps A and needs A + S; the embedding and products out of one: A + S
///     regathered      a product into a split keeps nothing and needs 2 A + S
///     deterministic   a product needs (k + 1) B T C statistic on top, k nodes that the rank's blocks of its sum fill;
///                     a norm in sequence mode 3 A + S and the statistics of all tokens
///     else            nothing
///
/// Source   Korthikanti et al. 2022, section 4.2, for what is kept; nothing is asked of the units.
nn::BetweenMemory between_memory(const nn::GptShape& shape, index_t B, std::size_t element, std::size_t statistic,
                                 const TensorOptions& options, index_t chunks, int ranks, int rank);

}  // namespace partita::parallel
