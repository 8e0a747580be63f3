// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/tensor/overlap.hpp>

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include <fmt/format.h>

namespace partita::parallel {

index_t OverlapTiming::chosen() const {
  const double least = *std::ranges::min_element(seconds);
  for (std::size_t c = 0; c < seconds.size(); ++c)
    if (seconds[c] <= 1.03 * least) return chunk_candidates[c];
  return 1;  // none was measured
}

std::string to_text(const OverlapTable& table) {
  std::string text;
  for (const auto& [product, timing] : table) {
    text += fmt::format("rows {} N {} K {}", product.rows, product.N, product.K);
    for (std::size_t c = 0; c < timing.seconds.size(); ++c)
      if (std::isfinite(timing.seconds[c])) text += fmt::format(" {}_s {}", chunk_candidates[c], timing.seconds[c]);
    text += fmt::format(" chunks {}\n", timing.chosen());
  }
  return text;
}

void OverlapChoices::agree(const comm::Communicator& ranks) {
  if (asked_ > 0) return;
  struct Entry {
    ProductShape product;
    OverlapTiming timing;
  };
  std::vector<Entry> mine;
  for (const auto& [product, timing] : timings_) mine.push_back({product, timing});
  timings_.clear();
  for (const Entry& entry : ranks.allgather(std::span<const Entry>(mine))) {  // in the same order everywhere
    OverlapTiming& sum = timings_[entry.product];
    for (std::size_t c = 0; c < sum.seconds.size(); ++c) sum.seconds[c] += entry.timing.seconds[c];
  }
  measuring_ = false;
}

index_t OverlapChoices::chunks(const ProductShape& product) const {
  if (asked_ > 0) return asked_;
  const auto found = measuring_ ? timings_.end() : timings_.find(product);
  return found == timings_.end() ? 1 : found->second.chosen();
}

}  // namespace partita::parallel
