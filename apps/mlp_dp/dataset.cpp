// SPDX-License-Identifier: BSD-3-Clause
#include "dataset.hpp"

#include <fmt/format.h>

#include <exception>
#include <partita/core/error.hpp>
#include <partita/data/images.hpp>

namespace partita::mlp_dp {
namespace {

data::ImageSet read(const DataConfig& config, bool train) {
  if (config.source == Source::fashion_mnist) return data::load_fashion_mnist(config.path, train);
  return data::load_idx_folder(config.path, train, config.synthetic.classes);
}

// The leader of each node reads, the others on the node get a copy through memory: a thousand ranks open one file a
// node.
data::ImageSet load(const comm::Communicator& world, const DataConfig& config, bool train) {
  const comm::Communicator node = world.split_by_node();
  data::ImageSet set;
  std::string problem;
  if (node.is_root()) {
    try {
      set = read(config, train);
    } catch (const UsageError& error) {
      problem = error.what();
    }
  }
  // A file may be missing on one node alone: all ranks learn the first complaint.
  const std::vector<std::string> problems = world.gather(problem);
  const std::string first = world.on_root([&] {
    for (const std::string& each : problems)
      if (!each.empty()) return each;
    return std::string();
  });
  if (!first.empty()) throw UsageError(first);

  node.broadcast(set.pixels);
  node.broadcast(set.labels);
  for (index_t* extent : {&set.count, &set.height, &set.width, &set.channels, &set.classes}) node.broadcast(*extent);
  return set;
}

}  // namespace

Dataset::Dataset(const comm::Communicator& world, const DataConfig& config, std::uint64_t seed, index_t batch)
    : config_(config) {
  index_t samples = config.synthetic_samples;
  if (config.source == Source::synthetic) {
    features_ = config.synthetic.features;
    classes_ = config.synthetic.classes;
    held_out_samples_ = config.synthetic_held_out;
  } else {
    const data::ImageSet train = load(world, config, true);
    const data::ImageSet test = load(world, config, false);
    if (train.features() != test.features())
      throw UsageError(
          fmt::format("data.path: training images have {} pixels, held-out ones {}; give a folder where they "
                      "agree",
                      train.features(), test.features()));
    samples = train.count;
    features_ = train.features();
    classes_ = train.classes;
    held_out_samples_ = test.count;
    train_ = data::upload(train);
    test_ = data::upload(test);
  }
  sampler_.emplace(seed, samples, batch);
}

void Dataset::batch(const Exec& exec, index_t step, Slice rows, Matrix<float> x, Vector<std::int32_t> label) const {
  if (config_.source == Source::synthetic)
    data::synthetic_batch<float>(exec, config_.synthetic, *sampler_, step, rows, x, label);
  else
    data::gather_batch<float>(exec, config_.normalisation, train_, *sampler_, step, rows, x, label);
}

void Dataset::held_out(const Exec& exec, index_t first, Matrix<float> x, Vector<std::int32_t> label) const {
  if (config_.source == Source::synthetic)
    data::synthetic_rows<float>(exec, config_.synthetic, data::Split::held_out, first, x, label);
  else
    data::gather_rows<float>(exec, config_.normalisation, test_, first, x, label);
}

}  // namespace partita::mlp_dp
