// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/comm/mesh.hpp>
#include <partita/data/batch.hpp>
#include <partita/data/sampler.hpp>

#include "config.hpp"

namespace partita::mlp_dp {

/// Training and held-out samples, whatever their source. Files are read by one rank of each node and passed on there;
/// synthetic samples are computed where they are needed.
class Dataset {
 public:
  /// Throws  UsageError on all ranks alike: files that are missing or damaged, a batch larger than the set. Collective.
  Dataset(const comm::Communicator& world, const DataConfig& config, std::uint64_t seed, index_t batch);

  index_t features() const { return features_; }
  index_t classes() const { return classes_; }
  index_t held_out_samples() const { return held_out_samples_; }
  index_t steps_per_epoch() const { return sampler_->steps_per_epoch(); }

  /// My rows of the global batch of a step -> x (rows, features), label (rows). Enqueued; no allocation.
  void batch(const Exec& exec, index_t step, Slice rows, Matrix<float> x, Vector<std::int32_t> label) const;
  /// Held-out samples first, first + 1, ...; x says how many. Enqueued; no allocation.
  void held_out(const Exec& exec, index_t first, Matrix<float> x, Vector<std::int32_t> label) const;

 private:
  DataConfig config_;
  index_t features_ = 0;
  index_t classes_ = 0;
  index_t held_out_samples_ = 0;
  data::DeviceImages train_;
  data::DeviceImages test_;
  std::optional<data::Sampler> sampler_;
};

}  // namespace partita::mlp_dp
