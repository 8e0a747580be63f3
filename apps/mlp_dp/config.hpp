// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>
#include <partita/comm/environment.hpp>
#include <partita/data/batch.hpp>
#include <partita/data/synthetic.hpp>
#include <partita/driver/session.hpp>
#include <partita/kernels/optimizer.hpp>
#include <partita/nn/mlp.hpp>
#include <partita/nn/schedule.hpp>
#include <partita/parallel/data_parallel.hpp>
#include <string>

namespace partita::mlp_dp {

enum class Source { fashion_mnist, idx, synthetic };
enum class Mode { train, infer };

struct DataConfig {
  Source source = Source::fashion_mnist;
  std::string path;
  data::Normalisation normalisation = data::fashion_mnist_normalisation;
  data::SyntheticOptions synthetic;
  index_t synthetic_samples = 60000;
  index_t synthetic_held_out = 10000;
};

/// The settings of a run; steps, features and classes are completed by what the data say.
struct Config {
  driver::RunOptions run;
  Mode mode = Mode::train;
  DataConfig data;
  std::vector<index_t> hidden;
  kernels::Activation activation = kernels::Activation::relu;
  std::uint64_t seed = 1;
  index_t steps = 0;   ///< the run ends after so many steps (0: no such limit) ...
  index_t epochs = 0;  ///< ... or so many passes over the data (0: no such limit), whichever comes first
  parallel::DataParallelOptions parallel;
  kernels::OptimizerOptions optimizer;
  double learning_rate = 1e-3;
  nn::Schedule schedule = nn::Schedule::constant;
  kernels::Options kernels;
  index_t evaluate_every = 0;  ///< steps; 0: every epoch
  double least_accuracy = 0;   ///< verify.least_accuracy

  index_t total_steps(index_t steps_per_epoch) const {
    if (epochs == 0) return steps;
    return steps == 0 ? epochs * steps_per_epoch : std::min(steps, epochs * steps_per_epoch);
  }
};

/// Declares and reads every key; checks what depends on several keys, or on the number of ranks.
Config read_config(driver::Session& session, int ranks);

}  // namespace partita::mlp_dp
