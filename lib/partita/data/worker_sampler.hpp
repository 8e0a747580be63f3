// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <vector>

#include <partita/data/sampler.hpp>

namespace partita::data {

/// How unlike the labels of workers are.
struct LabelSkew {
  double alpha = 0;          ///< concentration: large is near equal, small near one class a worker; 0: no skew
  index_t reshuffle_at = 0;  ///< from this gradient of a worker on there is no skew; 0: never
};

/// Which sample is row b of gradient c of worker w.
///
/// Worker w has rows(w) rows of every global batch. Without skew they are those of step c that a rank with the same
/// slice reads: sampler.sample(c, offset(w) + b). With it every sample belongs to one worker, whose share of them is as
/// its share of the rows, and which walks them by a Sampler of its own. Workers choose in turn: worker w draws class
/// proportions q from Dirichlet(alpha p), p those of the whole set, then the class of each of its samples from q, and
/// takes one of that class that nobody has; q is renormalised when a class runs out.
///
/// Source   Hsu, Qi and Brown, "Measuring the effects of non-identical data distribution for federated visual
///          classification", 2019.
/// Runs     on the host. A skew takes 8 byte a sample.
class WorkerSampler {
 public:
  /// labels   Of all samples, each >= 0; only a skew reads them.
  /// Throws   UsageError unless every worker has rows, these sum to sampler.batch(), alpha and reshuffle_at are >= 0,
  ///          and a skew has a label for each sample.
  WorkerSampler(const Sampler& sampler, std::span<const index_t> rows, const LabelSkew& skew = {},
                std::span<const std::int32_t> labels = {});

  index_t workers() const { return static_cast<index_t>(shares_.size()); }
  /// Its rows of a global batch.
  Slice share(index_t w) const { return shares_[static_cast<std::size_t>(w)]; }
  index_t rows(index_t w) const { return share(w).extent; }
  bool skewed(index_t c) const { return !owned_.empty() && (skew_.reshuffle_at == 0 || c < skew_.reshuffle_at); }
  /// The samples that belong to a worker; none without skew.
  std::span<const index_t> owned(index_t w) const;

  /// Needs    0 <= w < workers(), c >= 0, 0 <= b < rows(w).
  index_t sample(index_t w, index_t c, index_t b) const;
  /// All rows of a gradient; `to` has rows(w) elements.
  void samples(index_t w, index_t c, std::span<index_t> to) const;

 private:
  void divide(std::span<const std::int32_t> labels);

  Sampler sampler_;
  LabelSkew skew_;
  std::vector<Slice> shares_;
  std::vector<index_t> owned_;  // worker by worker
  std::vector<Range> parts_;    // of owned_
  std::vector<Sampler> walks_;  // of the elements of a part
};

/// Rows of a batch that workers share equally: partition(batch, workers, w).
std::vector<index_t> equal_rows(index_t batch, index_t workers);

}  // namespace partita::data
