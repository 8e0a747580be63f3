// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/pipeline_options.hpp>

#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/driver/terminal.hpp>
#include <partita/parallel/pipeline/deadlock.hpp>
#include <partita/parallel/pipeline/schedule_check.hpp>
#include <partita/parallel/pipeline/schedule_text.hpp>
#include <partita/training/mesh_options.hpp>

namespace partita::training {
namespace {

using config::IntRange;
using parallel::Schedule;

// A kind by its name, or the name of a file.
void read_schedule(config::Deck& deck, PipelineMesh& mesh) {
  std::string words(name_of(parallel::schedules, mesh.schedule));
  deck.text("parallel.schedule", words,
            "order of a rank's passes: gpipe, 1f1b, interleaved, zb-h1, zb-v, or a file *.csv with a row a rank and "
            "cells <stage><F|B|I|W><micro-batch>");
  std::string names;
  for (const auto& [name, schedule] : parallel::schedules) {
    names += fmt::format("\"{}\", ", name);
    if (words == name) {
      mesh.schedule = schedule;
      return;
    }
  }
  if (!words.ends_with(".csv"))
    deck.reject("parallel.schedule", fmt::format("\"{}\"", words), names + "or a file that ends in .csv");
  mesh.file = words;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file)
    refuse<UsageError>("parallel.schedule", fmt::format("{} cannot be read", path),
                       "a file with a row for each rank of the pipeline");
  return text.str();
}

}  // namespace

PipelineMesh read_pipeline_mesh(config::Deck& deck, int ranks) {
  PipelineMesh mesh;
  const MeshExtents extents =
      read_mesh_extents(deck, "parallel.pipeline", "that have the stages of one replica of the model", ranks);
  mesh.replicas = extents.replicas;
  mesh.ranks = extents.parts;
  index_t one = 1;
  deck.integer("parallel.spatial", one, {1, 1}, {"that share the rows of an image: 1, no others yet", "ranks"});
  read_schedule(deck, mesh);
  const bool several = mesh.schedule == Schedule::interleaved || mesh.schedule == Schedule::zb_v;
  index_t stages = mesh.file.empty() && several ? 2 : 1;
  deck.integer("parallel.virtual_stages", stages, {1, 1 << 16},
               "stages of a rank: any number of interleaved, two of zb-v, one of others");
  mesh.virtual_stages = static_cast<int>(stages);
  if (mesh.file.empty() && mesh.schedule != Schedule::interleaved && stages != (several ? 2 : 1))
    deck.reject("parallel.virtual_stages",
                fmt::format("{} stages of a rank for {}", stages, name_of(parallel::schedules, mesh.schedule)),
                several ? "2" : "1, or parallel.schedule = \"interleaved\"");
  deck.choice("parallel.balance", mesh.balance, parallel::balances,
              "how layers are shared by the stages: in equal numbers, by their operations, or by their time, measured "
              "before the run");
  deck.integers("parallel.stages", mesh.stages, IntRange::extent(),
                "layers of each stage, in place of parallel.balance; [] = as that says");
  if (!mesh.stages.empty() && mesh.file.empty() && std::ssize(mesh.stages) != mesh.stage_count())
    deck.reject("parallel.stages", fmt::format("{} stages", mesh.stages.size()),
                fmt::format("{} of them: parallel.pipeline x parallel.virtual_stages", mesh.stage_count()));
  deck.boolean("parallel.step_barrier", mesh.step_barrier,
               "ranks of a pipeline wait for each other at the end of a step; false: steps follow each other");
  return mesh;
}

std::string PipelineMesh::text(const parallel::DataParallelOptions& gradients) const {
  std::string words = replicas > 1 ? fmt::format("data {}/{} x ", replicas, comm::to_string(gradients.how)) : "";
  words +=
      fmt::format("pipeline {}/{}", ranks, file.empty() ? std::string(name_of(parallel::schedules, schedule)) : file);
  if (virtual_stages > 1) words += fmt::format(", {} stages a rank", virtual_stages);
  if (!step_barrier) words += ", no barrier";
  if (replicas > 1 && gradients.bucket_bytes > 0) words += "/buckets";
  return words;
}

void check(const config::Deck& deck, const PipelineMesh& mesh, const TrainOptions& train, const ModelOptions& model) {
  if (train.mode == Mode::infer) deck.reject("run.mode", "inference through a pipeline is not there yet", "\"train\"");
  const bool splits = mesh.schedule == Schedule::zb_h1 || mesh.schedule == Schedule::zb_v;
  if (mesh.file.empty() && splits && model.recomputes())
    deck.reject("train.recompute",
                "parallel.schedule splits backward, and what is computed again lives in neither half",
                "\"none\", or another schedule");
  if (mesh.step_barrier) return;
  const auto one_norm = [&](const char* key, const std::string& found, const char* allowed) {
    deck.reject(key, fmt::format("{}, and with parallel.step_barrier = false no rank knows the whole norm", found),
                allowed);
  };
  if (train.update.clip_norm > 0) one_norm("train.clip_norm", fmt::format("{}", train.update.clip_norm), "0");
  if (train.precision == Precision::fp16)
    one_norm("train.precision", "\"fp16\" scales the loss", "\"fp32\" or \"bf16\"");
}

parallel::PipelinePlan plan_schedule(const comm::Communicator& world, const PipelineMesh& mesh, index_t micro_batches) {
  parallel::PipelinePlan plan;
  if (mesh.file.empty()) {
    const parallel::PipelineShape shape{mesh.ranks, mesh.virtual_stages, micro_batches};
    plan.schedule = parallel::make_schedule(mesh.schedule, shape);
  } else {
    plan.schedule = parallel::read_csv(world.on_root([&] { return read_file(mesh.file); }), mesh.file);
    if (plan.ranks() != mesh.ranks)
      refuse<UsageError>(mesh.file, fmt::format("{} rows", plan.ranks()),
                         fmt::format("parallel.pipeline = {} of them, one for each rank", mesh.ranks));
  }
  parallel::check_schedule(plan.schedule, micro_batches, mesh.file.empty() ? "schedule" : mesh.file);
  plan.rank_of_stage = parallel::ranks_of_stages(plan.schedule);
  parallel::require_no_deadlock(plan.schedule);
  return plan;
}

std::vector<config::Option> ScheduleFlags::options() {
  return {
      {"--show-schedule", "", "draw what each rank of the pipeline does in a step; run nothing", &show},
      {"--schedule-csv", "FILE", "write that, a row a rank, as torch.distributed.pipelining does; run nothing", &csv}};
}

bool ScheduleFlags::answer(const comm::Communicator& world, const parallel::PipelinePlan& plan) const {
  if (!asked()) return false;
  world.on_root([&] {
    if (csv) {
      std::ofstream file(*csv, std::ios::binary);
      file << parallel::to_csv(plan.schedule) << std::flush;
      if (!file) refuse<Error>("--schedule-csv", fmt::format("{} cannot be written", *csv), "a file in a folder");
    }
    if (!show) return;
    driver::say(parallel::draw(plan.schedule));
    driver::require_said();
  });
  return true;
}

}  // namespace partita::training
