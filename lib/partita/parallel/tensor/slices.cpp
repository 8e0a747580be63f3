// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/tensor/slices.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>

namespace partita::parallel {
namespace {

// Every rank must have something of it.
Slice busy_share(const char* what, index_t n, index_t leaves, int ranks, int rank) {
  const index_t parts = leaves > 1 ? leaves : n;
  if (parts < ranks)
    refuse<UsageError>(
        "tensor parallelism",
        fmt::format("{} {}{} over {} ranks: the last would have nothing to do", n, what,
                    parts < n ? fmt::format(" in {} blocks of a deterministic sum", parts) : std::string(), ranks),
        fmt::format("at most {} ranks", parts));
  return share_of(n, leaves, ranks, rank);
}

}  // namespace

Slice share_of(index_t n, index_t leaves, int ranks, int rank) {
  if (leaves <= 1) return partition(n, ranks, rank);
  const Slice blocks = partition(leaves, ranks, rank);
  if (blocks.extent == 0) return {n, 0, n};
  const index_t first = partition(n, leaves, blocks.offset).offset;
  return {first, partition(n, leaves, blocks.end() - 1).end() - first, n};
}

nn::GptSlices gpt_slices(const nn::GptShape& shape, index_t chunks, bool sequence, int ranks, int rank) {
  if (ranks == 1) return {};
  const auto leaves = nn::gpt_leaves(shape, chunks);
  nn::GptSlices slices;
  slices.heads = busy_share("heads", shape.H, leaves.heads, ranks, rank);
  slices.hidden = busy_share("hidden columns", shape.hidden(), leaves.hidden, ranks, rank);
  slices.vocabulary = busy_share("words", shape.V, leaves.vocabulary, ranks, rank);
  if (sequence) slices.tokens = busy_share("tokens", shape.T, leaves.tokens, ranks, rank);
  return slices;
}

nn::MlpSlices mlp_slices(const nn::MlpShape& shape, index_t chunks, int ranks, int rank) {
  if (ranks == 1) return {};
  nn::MlpSlices slices;
  if (shape.hidden.empty())
    refuse<UsageError>("tensor parallelism", "an MLP without a hidden layer", "at least one, which is split");
  for (std::size_t l = 0; l < shape.hidden.size(); ++l) {
    const index_t n = shape.hidden[l], leaves = chunks > 1 ? std::clamp<index_t>(n, 1, chunks) : 1;
    slices.hidden.push_back(nn::MlpSlices::may_split(l) ? busy_share("hidden columns", n, leaves, ranks, rank)
                                                        : whole(n));
  }
  return slices;
}

}  // namespace partita::parallel
