// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/gpt_memory.hpp>

#include <algorithm>

namespace partita::nn {

GptMemory gpt_memory(const GptShape& shape, index_t B, std::size_t element, std::size_t statistic,
                     const GptSlices& slices, const BetweenMemory& between) {
  const auto here = [](const Slice& slice, index_t all) { return slice.extent > 0 ? slice.extent : all; };
  const auto lines = [&](index_t tokens, index_t columns, std::size_t size) {
    return (static_cast<std::size_t>(B * tokens * columns) * size + 63) / 64 * 64;
  };
  const auto numbers = [&](index_t columns) { return lines(shape.T, columns, element); };
  const index_t heads = here(slices.heads, shape.H), of_heads = heads * (shape.C / shape.H);
  const index_t F = here(slices.hidden, shape.hidden()), tokens = here(slices.tokens, shape.T);
  const std::size_t row = lines(tokens, shape.C, element);
  const std::size_t dropped = shape.dropout > 0 ? row : 0;  // what dropout reads: not kept
  const std::size_t norm =
      (shape.rms_norm ? 1 : 2) * lines(tokens, 1, statistic) + (between.kept > 0 ? between.kept : row);

  // In branches: what is kept, and what a call needs: two buffers for the gradients between units, and a unit's own.
  const std::size_t attend = norm + numbers(3 * of_heads) + lines(shape.T, heads, statistic) + numbers(of_heads);
  const std::size_t mlp = norm + 2 * numbers(F);
  const std::size_t attend_workspace =
      std::max(row, numbers(of_heads)) + std::max(numbers(3 * of_heads), dropped) +
      std::max({between.norm_workspace, between.into_heads_workspace, between.out_of_heads_workspace});
  const std::size_t mlp_workspace =
      std::max(row, numbers(F)) + std::max(numbers(F), dropped) +
      std::max({between.norm_workspace, between.into_hidden_workspace, between.out_of_hidden_workspace});

  GptMemory all{.embedding = row, .head = norm + numbers(here(slices.vocabulary, shape.V))};
  std::size_t of_units = std::max(attend_workspace, mlp_workspace);
  switch (shape.recompute) {
    case Recompute::none:
      all.block = attend + row + mlp + row;
      break;
    case Recompute::attention:
      all.block = row + mlp + row;
      of_units = std::max(attend + attend_workspace, mlp_workspace);
      break;
    case Recompute::block:
      all.block = row;
      of_units += attend + row + mlp + row;  // the last row: the gradient between the branches
      break;
  }
  all.workspace =
      2 * row + std::max({of_units, between.embedding_workspace, between.norm_workspace, between.into_words_workspace});
  return all;
}

}  // namespace partita::nn
