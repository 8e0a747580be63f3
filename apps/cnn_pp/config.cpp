// SPDX-License-Identifier: BSD-3-Clause
#include "config.hpp"

namespace partita::cnn_pp {

Config read_config(config::Deck& deck, int ranks) {
  Config config;
  config.run = driver::read_run_options(deck, "runs/cnn_pp.h5");
  config.train = training::read_train_options(deck);
  config.model = training::read_model_options(deck, training::ModelKind::cnn);
  config.data = training::read_data_options(deck, config.train.seed, config.model.reads());
  config.replicas = training::read_allreduce_options(deck);
  config.mesh = training::read_pipeline_mesh(deck, ranks);
  if (ranks == 0) return config;
  training::check(deck, config.data, config.train, config.model, config.mesh.replicas);
  training::check(deck, config.mesh, config.train, config.model, config.data);
  return config;
}

}  // namespace partita::cnn_pp
