// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/gpt_memory.hpp>

#include <algorithm>

namespace partita::nn {

GptMemory gpt_memory(const GptShape& shape, index_t B, std::size_t element, std::size_t statistic,
                     const GptSlices& slices) {
  const auto lines = [&](index_t columns, std::size_t size) {  // of B T tokens
    return (static_cast<std::size_t>(B * shape.T * columns) * size + 63) / 64 * 64;
  };
  const auto numbers = [&](index_t columns) { return lines(columns, element); };
  const index_t heads = slices.heads.extent > 0 ? slices.heads.extent : shape.H;
  const index_t F = slices.hidden.extent > 0 ? slices.hidden.extent : shape.hidden();
  const index_t of_heads = heads * (shape.C / shape.H);
  const std::size_t row = numbers(shape.C), dropped = shape.dropout > 0 ? row : 0;  // what dropout reads: not kept
  const std::size_t norm = (shape.rms_norm ? 1 : 2) * lines(1, statistic) + row;

  // In branches: what is kept, and two buffers for the gradients between units.
  const std::size_t attend = norm + numbers(3 * of_heads) + lines(heads, statistic) + numbers(of_heads);
  const std::size_t mlp = norm + 2 * numbers(F);
  const std::size_t attend_gradients = std::max(row, numbers(of_heads)) + std::max(numbers(3 * of_heads), dropped);
  const std::size_t mlp_gradients = std::max(row, numbers(F)) + std::max(numbers(F), dropped);

  GptMemory all{.embedding = row, .head = norm + numbers(shape.V)};
  std::size_t of_units = std::max(attend_gradients, mlp_gradients);
  switch (shape.recompute) {
    case Recompute::none:
      all.block = attend + row + mlp + row;
      break;
    case Recompute::attention:
      all.block = row + mlp + row;
      of_units = std::max(attend + attend_gradients, mlp_gradients);
      break;
    case Recompute::block:
      all.block = row;
      of_units += attend + row + mlp + row;  // the last row: the gradient between the branches
      break;
  }
  all.workspace = 2 * row + of_units;
  return all;
}

}  // namespace partita::nn
