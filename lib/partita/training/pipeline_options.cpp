// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/pipeline_options.hpp>

#include <fstream>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/core/printable.hpp>
#include <partita/core/text_file.hpp>
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
    deck.reject("parallel.schedule", fmt::format("\"{}\"", printable(words)), names + "or a file that ends in .csv");
  mesh.file = words;
}

// Of so many ranks; 0: nobody knows.
void read_spatial(config::Deck& deck, PipelineMesh& mesh, int ranks) {
  index_t spatial = 1;
  deck.integer("parallel.spatial", spatial, {1, 1 << 20},
               {"cnn: that share the rows of every image, and have the same stages of the model", "ranks"});
  deck.boolean("parallel.overlap_halo", mesh.overlap_halo,
               "parallel.spatial: rows of neighbours travel while rows are computed that need none of them; false: "
               "they are waited for");
  mesh.spatial = static_cast<int>(spatial);
  if (ranks > 0 && ranks % mesh.spatial != 0)
    deck.reject("parallel.spatial", fmt::format("{} ranks that share images, of {}", spatial, ranks), "a divisor");
}

std::string read_schedule_file(const std::string& path) {
  try {
    return read_text_file(path, "a file with a row for each rank of the pipeline");
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("parallel.schedule: {}", error.what()));
  }
}

void check_spatial(const config::Deck& deck, const PipelineMesh& mesh, const ModelOptions& model,
                   const DataOptions& data) {
  const std::string shared = fmt::format("parallel.spatial = {} ranks share the rows of an image", mesh.spatial);
  if (model.kind != ModelKind::cnn)
    deck.reject("parallel.spatial", fmt::format("{}, and the model reads none", mesh.spatial),
                "1, or model.kind = \"cnn\"");
  if (model.cnn.groups > 0)
    deck.reject("model.norm_groups",
                fmt::format("{}: {}, whose statistics would be of all of it", model.cnn.groups, shared),
                "0: batch norms, whose sums cross the ranks");
  if (data.streams()) deck.reject("data.source", "a stream gives whole samples: " + shared, "files, or \"synthetic\"");
}

}  // namespace

PipelineMesh read_pipeline_mesh(config::Deck& deck, int ranks) {
  PipelineMesh mesh;
  read_spatial(deck, mesh, ranks);
  const MeshExtents extents = read_mesh_extents(
      deck, "parallel.pipeline", "that have the stages of one replica of the model", ranks / mesh.spatial);
  mesh.replicas = extents.replicas;
  mesh.ranks = extents.parts;
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
  if (spatial > 1) {
    words += fmt::format("spatial {}/{}", spatial, comm::to_string(gradients.how));
    if (!overlap_halo) words += ", halos waited for";
    if (ranks == 1) return words + (gradients.bucket_bytes > 0 ? "/buckets" : "");
    words += " x ";
  }
  words +=
      fmt::format("pipeline {}/{}", ranks, file.empty() ? std::string(name_of(parallel::schedules, schedule)) : file);
  if (virtual_stages > 1) words += fmt::format(", {} stages a rank", virtual_stages);
  if (!step_barrier) words += ", no barrier";
  if (replicas * spatial > 1 && gradients.bucket_bytes > 0) words += "/buckets";
  return words;
}

void check(const config::Deck& deck, const PipelineMesh& mesh, const TrainOptions& train, const ModelOptions& model,
           const DataOptions& data) {
  if (model.kind == ModelKind::bag)
    deck.reject("model.kind", "a bag is no model for a pipeline", "\"cnn\", \"gpt\" or \"mlp\"");
  if (mesh.spatial > 1) check_spatial(deck, mesh, model, data);
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
    plan.schedule = parallel::read_csv(world.on_root([&] { return read_schedule_file(mesh.file); }), mesh.file);
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
