// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/worker_shares.hpp>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::training {

std::vector<index_t> rows_of_shares(index_t batch, std::span<const double> shares, index_t least) {
  const auto workers = static_cast<index_t>(shares.size());
  if (workers < 1 || batch < workers * least)
    refuse<UsageError>("train.batch", fmt::format("{} rows of {} workers", batch, workers),
                       fmt::format("at least {} each", least));
  double sum = 0;
  for (const double share : shares) sum += share;
  // All have the least; what is above that is shared out.
  const auto above = static_cast<double>(batch - workers * least);
  std::vector<index_t> rows;
  std::vector<std::pair<double, std::size_t>> rest;
  index_t left = batch - workers * least;
  for (std::size_t w = 0; w < shares.size(); ++w) {
    const double wanted = std::max(0.0, shares[w] / sum * static_cast<double>(batch) - static_cast<double>(least));
    const auto whole = std::min(static_cast<index_t>(std::min(wanted, above)), left);
    rows.push_back(least + whole);
    left -= whole;
    rest.emplace_back(static_cast<double>(whole) - wanted, w);
  }
  std::stable_sort(rest.begin(), rest.end());
  for (std::size_t k = 0; left > 0; k = (k + 1) % rest.size(), --left) ++rows[rest[k].second];
  return rows;
}

std::vector<double> shares_of_times(std::span<const double> times_s) {
  constexpr double least = 1e-6;  // of the longest
  const double longest = times_s.empty() ? 0 : *std::max_element(times_s.begin(), times_s.end());
  std::vector<double> shares;
  for (const double time_s : times_s) shares.push_back(longest > 0 ? 1 / std::max(time_s / longest, least) : 1);
  return shares;
}

}  // namespace partita::training
