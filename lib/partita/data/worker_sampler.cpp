// SPDX-License-Identifier: BSD-3-Clause
#include <partita/data/worker_sampler.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>
#include <partita/data/dirichlet.hpp>

namespace partita::data {
namespace {

// What is left of each class, in a random order.
class Pools {
 public:
  Pools(std::uint64_t seed, std::span<const std::int32_t> labels)
      : left_(static_cast<std::size_t>(*std::max_element(labels.begin(), labels.end())) + 1) {
    std::vector<std::vector<index_t>> classes(left_.size());
    for (std::size_t i = 0; i < labels.size(); ++i)
      classes[static_cast<std::size_t>(labels[i])].push_back(static_cast<index_t>(i));
    const std::uint64_t order = random_bits(seed, Stream::label_skew, 0);
    for (std::size_t k = 0; k < classes.size(); ++k)
      for (index_t j = 0; j < std::ssize(classes[k]); ++j)
        left_[k].push_back(classes[k][static_cast<std::size_t>(permute(order, k, j, std::ssize(classes[k])))]);
  }

  std::size_t classes() const { return left_.size(); }
  index_t left(std::size_t k) const { return std::ssize(left_[k]); }
  index_t take(std::size_t k) {
    const index_t sample = left_[k].back();
    left_[k].pop_back();
    return sample;
  }

 private:
  std::vector<std::vector<index_t>> left_;
};

// The proportions of one worker over the classes that are left.
class Chooser {
 public:
  Chooser(Draws& draws, std::vector<double> log_q, const Pools& pools)
      : draws_(draws), log_q_(std::move(log_q)), upto_(log_q_.size()) {
    renormalise(pools);
  }

  index_t choose(Pools& pools) {
    const auto above = std::upper_bound(upto_.begin(), upto_.end(), draws_.uniform() * upto_.back());
    const auto k = static_cast<std::size_t>(above - upto_.begin());
    const index_t sample = pools.take(k);
    if (pools.left(k) == 0) renormalise(pools);
    return sample;
  }

 private:
  // From logarithms anew, so that there is a weight left however small those that remain were. A class without samples
  // adds nothing to the sum, so that no number lies in it.
  void renormalise(const Pools& pools) {
    double largest = -HUGE_VAL, sum = 0;
    for (std::size_t k = 0; k < log_q_.size(); ++k)
      if (pools.left(k) > 0) largest = std::max(largest, log_q_[k]);
    for (std::size_t k = 0; k < log_q_.size(); ++k)
      upto_[k] = sum += pools.left(k) > 0 ? std::exp(log_q_[k] - largest) : 0;
  }

  Draws& draws_;
  std::vector<double> log_q_, upto_;
};

}  // namespace

std::vector<index_t> equal_rows(index_t batch, index_t workers) {
  std::vector<index_t> rows;
  for (index_t w = 0; w < workers; ++w) rows.push_back(partition(batch, workers, w).extent);
  return rows;
}

WorkerSampler::WorkerSampler(const Sampler& sampler, std::span<const index_t> rows, const LabelSkew& skew,
                             std::span<const std::int32_t> labels)
    : sampler_(sampler), skew_(skew) {
  index_t offset = 0;
  for (const index_t extent : rows) {
    if (extent < 1)
      refuse<UsageError>("WorkerSampler",
                         "worker " + std::to_string(shares_.size()) + " has " + std::to_string(extent) + " rows",
                         "at least 1");
    shares_.push_back({offset, extent, sampler.batch()});
    offset += extent;
  }
  if (offset != sampler.batch())
    refuse<UsageError>(
        "WorkerSampler",
        "workers have " + std::to_string(offset) + " rows together, the batch has " + std::to_string(sampler.batch()),
        "the same number");
  if (!(skew.alpha >= 0) || !std::isfinite(skew.alpha) || skew.reshuffle_at < 0)
    refuse<UsageError>("WorkerSampler",
                       "alpha is " + std::to_string(skew.alpha) + ", reshuffle_at " + std::to_string(skew.reshuffle_at),
                       "both >= 0 and finite");
  if (skew.alpha > 0) divide(labels);
}

void WorkerSampler::divide(std::span<const std::int32_t> labels) {
  const index_t N = sampler_.samples(), B = sampler_.batch();
  if (std::ssize(labels) != N || std::any_of(labels.begin(), labels.end(), [](std::int32_t c) { return c < 0; }))
    refuse<UsageError>("WorkerSampler", std::to_string(labels.size()) + " labels of " + std::to_string(N) + " samples",
                       "one for each, >= 0");
  Pools pools(sampler_.seed(), labels);
  std::vector<double> a;
  for (std::size_t k = 0; k < pools.classes(); ++k)
    a.push_back(skew_.alpha * static_cast<double>(pools.left(k)) / static_cast<double>(N));
  owned_.reserve(labels.size());
  for (std::size_t w = 0; w < shares_.size(); ++w) {
    // At least N / B >= 1 samples a row, so that an epoch holds a batch.
    const index_t first = N * shares_[w].offset / B, end = N * shares_[w].end() / B;
    Draws draws(sampler_.seed(), substream(Stream::label_skew, w));
    walks_.emplace_back(draws.bits(), end - first, shares_[w].extent);
    parts_.push_back({first, end - first});
    Chooser chooser(draws, log_dirichlet_draw(draws, a), pools);
    for (index_t i = first; i < end; ++i) owned_.push_back(chooser.choose(pools));
  }
}

std::span<const index_t> WorkerSampler::owned(index_t w) const {
  if (owned_.empty()) return {};
  const Range part = parts_[static_cast<std::size_t>(w)];
  return std::span(owned_).subspan(static_cast<std::size_t>(part.offset), static_cast<std::size_t>(part.extent));
}

index_t WorkerSampler::sample(index_t w, index_t c, index_t b) const {
  if (!skewed(c)) return sampler_.sample(c, share(w).offset + b);
  return owned(w)[static_cast<std::size_t>(walks_[static_cast<std::size_t>(w)].sample(c, b))];
}

void WorkerSampler::samples(index_t w, index_t c, std::span<index_t> to) const {
  for (std::size_t b = 0; b < to.size(); ++b) to[b] = sample(w, c, static_cast<index_t>(b));
}

}  // namespace partita::data
