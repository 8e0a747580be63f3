// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/driver/session.hpp>
#include <partita/training/model_options.hpp>
#include <partita/training/parallel_options.hpp>
#include <partita/training/pipeline_options.hpp>

namespace partita::cnn_pp {

/// The settings of a run.
struct Config {
  driver::RunOptions run;
  training::ModelOptions model;
  training::DataOptions data;
  training::TrainOptions train;
  training::PipelineMesh mesh;
  parallel::DataParallelOptions replicas;  ///< how their gradients become one
};

/// Declares and reads every key; checks what depends on several keys, or on the number of ranks (0: there will be no
/// run, and a schedule is all that is asked for).
Config read_config(config::Deck& deck, int ranks);

}  // namespace partita::cnn_pp
