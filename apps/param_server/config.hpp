// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/driver/session.hpp>
#include <partita/training/model_options.hpp>
#include <partita/training/server_options.hpp>

namespace partita::param_server {

/// The settings of a run.
struct Config {
  driver::RunOptions run;
  training::ModelOptions model;
  training::DataOptions data;
  training::TrainOptions train;
  training::ServerOptions server;
};

/// Declares and reads every key; checks what depends on several keys, or on the number of ranks.
Config read_config(config::Deck& deck, int ranks);

}  // namespace partita::param_server
