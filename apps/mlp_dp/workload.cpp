// SPDX-License-Identifier: BSD-3-Clause
#include "workload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <partita/parallel/held_out.hpp>
#include <partita/parallel/training_phases.hpp>

namespace partita::mlp_dp {
namespace {

double mean(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

// The verdict on what rank 0 knows: losses and evaluations.
driver::Verification judge(const Config& config, const metrics::Record& record, std::span<const double> losses) {
  if (!std::all_of(losses.begin(), losses.end(), [](double loss) { return std::isfinite(loss); }))
    return {false, "a loss is not finite"};
  std::string text;
  if (config.mode == Mode::train) {
    const std::size_t few = std::clamp<std::size_t>(losses.size() / 10, 1, 50);
    const double early = mean(losses.first(few));
    const double late = mean(losses.last(few));
    text = fmt::format("replicas agree, loss {:.4g} -> {:.4g}", early, late);
    // A handful of steps proves nothing: the loss of one batch differs from the next by more than they teach.
    if (losses.size() >= 20 && !(late < early)) return {false, text + ", which is no progress"};
  } else {
    text = fmt::format("loss {:.4g} is finite", mean(losses));
  }
  const double accuracy = record.evaluation.empty() ? 0 : record.evaluation.back().accuracy;
  if (!record.evaluation.empty()) text += fmt::format(", held-out accuracy {:.2f} %", 100 * accuracy);
  // A run that train.steps cut short was never meant to get there.
  const bool whole = config.epochs > 0 && (config.steps == 0 || static_cast<index_t>(losses.size()) < config.steps);
  if (whole && accuracy < config.least_accuracy)
    return {false, fmt::format("{}, less than verify.least_accuracy = {}", text, config.least_accuracy)};
  return {true, text};
}

}  // namespace

driver::Workload make_workload(const Config& config, const Dataset& data, const nn::Model<float>& model,
                               kernels::Context& context, const comm::Communicator& axis,
                               parallel::DataParallel<float>& replica) {
  const index_t batch = config.parallel.batch;
  const Slice rows = replica.rows();
  const Matrix<float> x("partita::mlp_dp::x", rows.extent, data.features());
  const Vector<std::int32_t> label("partita::mlp_dp::label", rows.extent);
  const bool trains = config.mode == Mode::train;

  driver::Workload work;
  work.strategy = fmt::format("data_parallel/{}{}", comm::to_string(config.parallel.allreduce),
                              config.parallel.deterministic ? "/deterministic" : "");
  work.description =
      fmt::format("mlp_dp: {} parameters; {} rank{} x {} thread{}, {} of {} rows on rank 0; {}",
                  model.parameters().size(), axis.size(), axis.size() > 1 ? "s" : "", context.exec().concurrency(),
                  context.exec().concurrency() > 1 ? "s" : "", rows.extent, batch, work.strategy);
  work.phases = parallel::training_phases();
  work.steps = config.total_steps(data.steps_per_epoch());
  work.samples_per_step = batch;
  work.flop_per_step = model.forward_flop(batch) + (trains ? model.backward_flop(batch) : 0);
  work.loss_terms = replica.loss_terms();
  work.evaluate_every = config.evaluate_every > 0 ? config.evaluate_every : data.steps_per_epoch();
  work.step = [&, x, label, rows, trains, steps = work.steps](index_t step, const driver::StepOutput& out,
                                                              driver::Instruments& instruments) {
    metrics::PhaseTimer& timer = instruments.timer;
    timer.mark(parallel::phase::input, context.exec());
    data.batch(context.exec(), step, rows, x, label);
    if (trains) {
      if (config.schedule != nn::Schedule::constant)
        replica.set_learning_rate(config.learning_rate * nn::schedule_factor(config.schedule, step, steps));
      replica.train_step(x, label, out.losses, timer);
    } else {
      replica.infer_step(x, label, out.losses, timer);
    }
  };
  work.loss = [&](std::span<const double> terms) { return replica.mean_loss(terms); };
  work.evaluate = [&] {
    const auto fill = [&](index_t first, Matrix<float> to, Vector<std::int32_t> to_label) {
      data.held_out(context.exec(), first, to, to_label);
    };
    const parallel::HeldOutResult result = parallel::evaluate_held_out<float>(
        model, context, axis, config.parallel.loss, data.held_out_samples(), evaluation_rows, fill);
    return metrics::EvaluationRow{0, result.loss, result.accuracy, data.held_out_samples()};
  };
  work.verify = [&](const metrics::Record& record, std::span<const double> losses) {
    if (!replica.replicas_agree()) return driver::Verification{false, "ranks hold different parameters"};
    driver::Verification verdict;
    verdict.text = axis.on_root([&] {
      verdict = judge(config, record, losses);
      return verdict.text;
    });
    axis.broadcast(verdict.passed);
    return verdict;
  };
  return work;
}

}  // namespace partita::mlp_dp
