// SPDX-License-Identifier: BSD-3-Clause
#include "config.hpp"

namespace partita::transformer_tp {

Config read_config(config::Deck& deck, int ranks) {
  Config config;
  config.run = driver::read_run_options(deck, "runs/transformer_tp.h5");
  config.train = training::read_train_options(deck);
  config.model = training::read_model_options(deck, training::ModelKind::gpt);
  config.data = training::read_data_options(deck, config.train.seed, config.model.reads());
  if (config.model.language()) training::read_inference_options(deck, config.data.tokens, config.train);
  config.replicas = training::read_allreduce_options(deck);
  config.mesh = training::read_tensor_mesh(deck, config.replicas.how, config.train.deterministic, ranks);
  training::check(deck, config.data, config.train, config.model, config.mesh.replicas);
  training::check(deck, config.mesh, config.train, config.model, config.data, config.run.warmup);
  return config;
}

}  // namespace partita::transformer_tp
