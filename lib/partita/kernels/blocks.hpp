// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/index.hpp>

namespace partita::kernels {

/// How a sum over a dimension is cut, so that the unsplit run adds as a split one would (deterministic mode): the
/// dimension of N elements is (outer, N / outer), the second of these is cut by partition(N / outer, leaves, .), and
/// the leaves are added as the tree of core/tree.hpp. A leaf is one chain: over the outer index, then over its
/// elements. One leaf: no tree.
struct Blocks {
  index_t leaves = 1;
  index_t outer = 1;
};

/// The same for a sum over rows that are (samples, tokens): cut over tokens, so a leaf is the chain over samples, and
/// over the tokens of its block within each.
struct TokenBlocks {
  index_t tokens = 1;        ///< T: of a sample
  index_t token_blocks = 1;  ///< leaves
};

}  // namespace partita::kernels
