// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/tensor/memory.hpp>

#include <partita/core/partition.hpp>
#include <partita/core/tree.hpp>

namespace partita::parallel {

nn::BetweenMemory between_memory(const nn::GptShape& shape, index_t B, std::size_t element, std::size_t statistic,
                                 const TensorOptions& options, index_t chunks, int ranks, int rank) {
  if (ranks == 1) return {};
  const auto lines = [&](std::size_t times, index_t columns, std::size_t size) {
    return (times * static_cast<std::size_t>(B * shape.T * columns) * size + 63) / 64 * 64;
  };
  const std::size_t all = lines(1, shape.C, element), staging = B > 1 ? all : 0;
  const std::size_t into = options.sequence ? all + (options.regather ? all : 0) + staging : 0;
  const std::size_t out_of = options.sequence ? all + staging : 0;
  const auto sums = [&](index_t leaves) -> std::size_t {
    if (!options.deterministic) return 0;
    const Slice mine = partition(leaves, ranks, rank);
    return lines(tree_cover(leaves, mine.offset, mine.end()).size(), shape.C, statistic) + lines(1, shape.C, statistic);
  };
  const nn::GptSlices::Leaves leaves = nn::gpt_leaves(shape, chunks);
  nn::BetweenMemory units{.kept = options.sequence && !options.regather ? all : 0,
                          .embedding_workspace = out_of,
                          .into_heads_workspace = into + sums(leaves.heads),
                          .out_of_heads_workspace = out_of + sums(leaves.heads),
                          .into_hidden_workspace = into + sums(leaves.hidden),
                          .out_of_hidden_workspace = out_of + sums(leaves.hidden),
                          .into_words_workspace = into + sums(leaves.vocabulary)};
  if (options.sequence && options.deterministic)
    units.norm_workspace = 3 * all + staging + (shape.rms_norm ? 1 : 2) * lines(1, 1, statistic);
  return units;
}

}  // namespace partita::parallel
