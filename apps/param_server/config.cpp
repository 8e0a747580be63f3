// SPDX-License-Identifier: BSD-3-Clause
#include "config.hpp"

namespace partita::param_server {

Config read_config(config::Deck& deck, int ranks) {
  Config config;
  config.run = driver::read_run_options(deck, "runs/param_server.h5");
  config.train = training::read_train_options(deck);
  config.model = training::read_model_options(deck, training::ModelKind::mlp);
  config.data = training::read_data_options(deck, config.train.seed, config.model.reads());
  config.server = training::read_server_options(deck, config.train, ranks);
  training::check(deck, config.data, config.train, config.model, config.server.workers);
  if (config.data.streams())
    deck.reject("data.source", "a stream, of which workers cannot read their own part",
                "\"fashion_mnist\", \"idx\", \"synthetic\" or \"text\"");
  return config;
}

}  // namespace partita::param_server
