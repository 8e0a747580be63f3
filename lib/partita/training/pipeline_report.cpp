// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/pipeline_report.hpp>

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/metrics/record.hpp>
#include <partita/parallel/pipeline/idle_split.hpp>
#include <partita/training/evaluation.hpp>

namespace partita::training {

std::string tied_table(const ModelOptions& model) {
  return model.language() && model.gpt.tied ? "embedding.token" : "";
}

template <class Scalar>
std::string describe(const parallel::PipelinePlan& plan, const nn::Model<Scalar>& whole) {
  std::string text = whole.describe();
  const auto& units = whole.stages().front().chain().units();
  auto at = units.begin();
  for (int s = 0; s < plan.stages(); ++s) {
    const auto here = static_cast<std::size_t>(s);
    const auto first = at, end = at + plan.layers[here];
    double flop = 0;
    for (; at != end; ++at) {
      const nn::PassFlop of = at == units.begin() ? (*at)->flop_without_dx(1) : (*at)->flop(1);
      flop += of.total();
    }
    text += fmt::format("stage {} on rank {}: {} layers, {} to {}; {:.4g} flop a row\n", s, plan.rank_of_stage[here],
                        plan.layers[here], (*first)->name(), (*(end - 1))->name(), flop);
  }
  return text;
}

namespace {

using metrics::Column;
using parallel::IdleSplit;

// What the ranks of the axis measured, the same on all of them.
template <class Scalar>
std::vector<parallel::MeasuredRank> measured_ranks(const parallel::Pipeline<Scalar>& pipeline) {
  const parallel::ActionClock& times = pipeline.times();
  std::vector<double> mine = times.work_s();
  const std::vector<double> waits = times.wait_s();
  mine.insert(mine.end(), waits.begin(), waits.end());
  mine.push_back(times.lead_s() + (waits.empty() ? 0 : waits.front()));
  mine.push_back(times.tail_s());
  const std::vector<double> all = pipeline.axis().allgather(std::span<const double>(mine));
  std::vector<parallel::MeasuredRank> ranks;
  auto at = all.begin();
  for (const nn::Actions& actions : pipeline.plan().schedule) {
    const auto n = std::ssize(actions);
    ranks.push_back({{at, at + n}, {at + n, at + 2 * n}, *(at + 2 * n), *(at + 2 * n + 1)});
    at += 2 * n + 2;
  }
  return ranks;
}

// Mean seconds of a pass, over all ranks; a fused backward is taken in halves.
parallel::PassTimes mean_times(const std::vector<nn::Actions>& schedule,
                               const std::vector<parallel::MeasuredRank>& ranks) {
  using Kind = nn::Action::Kind;
  const auto mean = [&](Kind kind) {
    double sum = 0, n = 0;
    for (std::size_t r = 0; r < schedule.size(); ++r)
      for (std::size_t k = 0; k < schedule[r].size(); ++k)
        if (schedule[r][k].kind == kind) {
          sum += ranks[r].action_s[k];
          ++n;
        }
    return n > 0 ? sum / n : 0;
  };
  const double fused = mean(Kind::backward);
  return {mean(Kind::forward), mean(Kind::backward_input) + fused / 2, mean(Kind::backward_weights) + fused / 2};
}

template <class Scalar>
metrics::Table ranks_table(const PipelineMesh& mesh, const Parts<Scalar>& parts) {
  const parallel::Pipeline<Scalar>& pipeline = *parts.pipeline;
  const auto& schedule = pipeline.plan().schedule;
  const std::vector<parallel::MeasuredRank> ranks = measured_ranks(pipeline);
  const auto mine = static_cast<std::size_t>(pipeline.axis().rank());
  const bool timed = pipeline.times().steps() > 0;
  parallel::StepIdle idle;
  if (timed) idle = parallel::split_idle(schedule, ranks, mesh.step_barrier);
  const IdleSplit split = timed ? idle.measured[mine] : IdleSplit();
  const parallel::RankIdle replayed = timed ? idle.replayed[mine] : parallel::RankIdle();
  const parallel::PassTimes pass = mean_times(schedule, ranks);
  std::optional<double> closed;
  if (timed && mesh.file.empty())
    closed = parallel::bubble_closed_form(
        mesh.schedule, {mesh.ranks, mesh.virtual_stages, std::ssize(parts.pass.division().micro_batches)}, pass,
        mesh.step_barrier);

  const auto seconds = [&](const char* name, double value, const char* long_name) {
    return Column{name, {"rank"}, parts.world.gather(value), {{"long_name", long_name}, {"units", "s"}}};
  };
  const auto count = [&](const char* name, index_t value, const char* long_name, const char* units = "1") {
    return Column{
        name, {"rank"}, parts.world.gather(std::int64_t{value}), {{"long_name", long_name}, {"units", units}}};
  };
  index_t slots = 0, expected = 0;
  for (const nn::Stage<Scalar>& stage : parts.model.stages()) {
    slots += stage.planned().slots;
    const nn::StagePlan evaluation = evaluation_plan(parts.data.held_out_samples());
    const parallel::StageBuffers n =
        parallel::stage_buffers(pipeline.actions(), stage.number(), std::ssize(parts.pass.division().micro_batches));
    nn::StagePlan plan = stage.planned();
    plan.slots = n.slots;
    plan.pending = n.pending;
    expected += static_cast<index_t>(stage.bytes({plan, evaluation}));
  }
  return {.group = "/strategy",
          .columns = {seconds("busy_s", split.busy_s, "of a step, within actions, without what they wait for"),
                      seconds("fill_s", split.fill_s, "of a step, before the first action"),
                      seconds("steady_idle_s", split.steady_idle_s,
                              "of a step, between actions, as in a replay without a network"),
                      seconds("wait_s", split.wait_s, "of a step, between actions, for a peer, beyond that"),
                      seconds("drain_s", split.drain_s, "of a step, after the last action"),
                      seconds("replayed_idle_s", replayed.sum(),
                              "idle time of a replay of the measured actions, network free"),
                      seconds("replayed_fill_s", replayed.fill, "of these, before the first action"),
                      seconds("replayed_drain_s", replayed.drain, "of these, after the last action"),
                      seconds("closed_form_idle_s", closed.value_or(metrics::not_a_number),
                              "idle time in closed form, of the mean times of a pass, where it is exact"),
                      count("live_micro_batches", parallel::peak_live(pipeline.actions()),
                            "most micro-batches of all stages between forward and the end of backward"),
                      count("slots", slots, "micro-batches that the stages have room for"),
                      count("expected_activation_bytes", expected, "activation_bytes, closed form", "byte"),
                      count("message_bytes", pipeline.message_bytes(), "buffers of inputs and their gradients", "byte"),
                      count("expected_message_bytes", pipeline.expected_message_bytes(), "message_bytes, closed form",
                            "byte")},
          .attributes = {
              {"schedule", mesh.file.empty() ? std::string(name_of(parallel::schedules, mesh.schedule)) : mesh.file},
              {"step_barrier", std::int64_t{mesh.step_barrier}},
              {"micro_batches", std::int64_t{std::ssize(parts.pass.division().micro_batches)}},
              {"forward_s", pass.forward},
              {"backward_input_s", pass.backward_input},
              {"backward_weights_s", pass.backward_weights}}};
}

// The share of each stage, and the cost of each layer.
template <class Scalar>
metrics::Table stages_table(const StageLayers& shared, const Parts<Scalar>& parts) {
  const parallel::PipelinePlan& plan = parts.pipeline->plan();
  const char* const units = shared.measured ? "s" : "1";
  std::vector<std::int64_t> rank(plan.rank_of_stage.begin(), plan.rank_of_stage.end());
  return {.group = "/strategy/stages",
          .scales = {metrics::index_scale("stage", plan.stages(), "stage of the model")},
          .columns = {{"layers",
                       {"stage"},
                       std::vector<std::int64_t>(plan.layers.begin(), plan.layers.end()),
                       {{"long_name", "layers of the stage"}, {"units", "1"}}},
                      {"pipeline_rank",
                       {"stage"},
                       std::move(rank),
                       {{"long_name", "rank of the pipeline that has the stage"}, {"units", "1"}}},
                      {"cost",
                       {"stage"},
                       parallel::stage_costs(shared.cost, plan.layers),
                       {{"long_name", shared.measured ? "seconds of a micro-batch, forward and back, as calibrated"
                                                      : "floating-point operations of a row, forward and back"},
                        {"units", units}}}},
          .attributes = {{"largest_over_mean", shared.largest_over_mean}, {"gain_over_equal", shared.gain_over_equal}}};
}

}  // namespace

template <class Scalar>
void attach(const PipelineMesh& mesh, const StageLayers& shared, const Parts<Scalar>& parts, driver::Workload& work) {
  work.tables = [&mesh, &shared, parts, before = std::move(work.tables)] {
    std::vector<metrics::Table> tables = before();
    tables.push_back(ranks_table(mesh, parts));
    tables.push_back(stages_table(shared, parts));
    return tables;
  };
}

#define PARTITA_PIPELINE_REPORT(S)                                                   \
  template std::string describe(const parallel::PipelinePlan&, const nn::Model<S>&); \
  template void attach(const PipelineMesh&, const StageLayers&, const Parts<S>&, driver::Workload&);
PARTITA_PIPELINE_REPORT(float)
PARTITA_PIPELINE_REPORT(bfloat16)
PARTITA_PIPELINE_REPORT(float16)
#undef PARTITA_PIPELINE_REPORT

}  // namespace partita::training
