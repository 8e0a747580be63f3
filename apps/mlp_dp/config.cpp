// SPDX-License-Identifier: BSD-3-Clause
#include "config.hpp"

namespace partita::mlp_dp {

Config read_config(config::Deck& deck, int ranks) {
  Config config;
  config.run = driver::read_run_options(deck, "runs/mlp_dp.h5");
  config.train = training::read_train_options(deck);
  config.model = training::read_model_options(deck, training::ModelKind::mlp);
  config.data = training::read_data_options(deck, config.train.seed, config.model.reads());
  config.parallel = training::read_parallel_options(deck);
  training::check(deck, config.data, config.train, config.model, ranks);
  if (config.model.sync_batchnorm && config.parallel.strategy == parallel::Strategy::local_sgd)
    deck.reject("model.sync_batchnorm",
                "parallel.strategy = \"local_sgd\", whose ranks have weights and so activations of their own",
                "false, or another parallel.strategy");
  return config;
}

}  // namespace partita::mlp_dp
