// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/workload.hpp>

#include <limits>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include <partita/core/tree.hpp>
#include <partita/parallel/replicas.hpp>
#include <partita/parallel/tensor/parts.hpp>
#include <partita/training/compression.hpp>
#include <partita/training/evaluation.hpp>
#include <partita/training/footprint.hpp>
#include <partita/training/inference.hpp>
#include <partita/training/published_flop.hpp>
#include <partita/training/soundness.hpp>
#include <partita/training/step_observer.hpp>
#include <partita/training/stream_input.hpp>
#include <partita/training/verification.hpp>

namespace partita::training {
namespace {

// What the functions of a workload share.
template <class Scalar>
struct State {
  explicit State(const Parts<Scalar>& of)
      : parts(of),
        infer(of.train.mode == Mode::infer ? std::make_unique<Inference<Scalar>>(of) : nullptr),
        phases(infer ? infer->phases() : StepPhases(of.listed != nullptr ? *of.listed : of.model, of.model)),
        rows(of.pass.division().rows),
        buffers(of.data.template allocate<Scalar>(rows.extent)),
        stream(open_stream<Scalar>(of.data, rows)),
        evaluation(of.model, of.head, of.data, of.pipeline),
        compression(compress_held_out(of.data)),
        steps(of.train.total_steps(of.data.steps_per_epoch())) {
    if (!reports()) unreported = Vector<double>("partita::training::losses", of.pass.division().pieces.size());
  }

  void step(index_t s, const driver::StepOutput& out, driver::Instruments& instruments) {
    const bool measures = next == 0 && instruments.warm_up;  // the first step of this run
    next = s + 1;
    const Exec& exec = parts.context.exec();
    if (measures) {
      parts.context.measure_backends(true);
      if (parts.axis != nullptr) parts.axis->overlap().measure();
    }
    instruments.timer.mark(StepPhases::input, exec);
    if (instruments.faults != nullptr) instruments.faults->enter(s, StepPhases::input);
    if (stream)
      stream->batch(exec, buffers);
    else if (parts.model.has_first_stage() || parts.model.has_last_stage())
      parts.data.template batch<Scalar>(exec, s, rows, buffers);
    if (std::exchange(damages_input, false))
      Kokkos::deep_copy(exec, Kokkos::View<Scalar, Memory>(buffers.x.data()),
                        Scalar(std::numeric_limits<float>::quiet_NaN()));
    if (infer) {
      infer->run(s, buffers, reports() ? out.losses : unreported, instruments);
    } else {
      StepObserver observer(phases, instruments, s);
      if (parts.pipeline != nullptr) parts.pipeline->time_steps(!instruments.warm_up);
      if (parts.rows != nullptr) parts.rows->begin_step(!instruments.warm_up);
      const TrainOptions& train = parts.train;
      if (train.schedule != nn::LearningRate::constant && parts.update != nullptr)
        parts.update->set_learning_rate(
            exec, train.update.learning_rate * nn::learning_rate_factor(train.schedule, s, steps));
      parts.step.run(buffers.batch(), s, reports() ? out.losses : unreported, out.grad_norm, observer);
    }
    instruments.timer.mark(metrics::PhaseTimer::no_phase, exec);
    const nn::OverlapTime time = take_overlap();
    if (!instruments.warm_up) {
      overlap.exposed_s += time.exposed_s;
      overlap.hidden_s += time.hidden_s;
      ++timed_steps;
    }
    if (measures) {
      agree_on_backends();
      if (parts.axis != nullptr) parts.axis->overlap().agree(parts.world);
    }
  }

  nn::OverlapTime take_overlap() const {
    nn::OverlapTime time = parts.exchange.take_overlap();
    if (parts.rows != nullptr) {
      const nn::OverlapTime halos = parts.rows->end_step();
      time.exposed_s += halos.exposed_s;
      time.hidden_s += halos.hidden_s;
    }
    return time;
  }

  /// Whether this rank's losses are the replica's.
  bool reports() const {
    return parts.model.has_last_stage() && (parts.axis == nullptr || parts.axis->ranks().is_root()) && first_of_rows();
  }
  bool first_of_rows() const { return parts.rows == nullptr || parts.rows->ranks().is_root(); }

  /// Each rank measured the calls that it made: all choose by the sums, so that they go on alike.
  void agree_on_backends() {
    kernels::Context& context = parts.context;
    context.measure_backends(false);
    const std::vector<std::string> texts = parts.world.gather(kernels::to_text(context.backend_choices()));
    const std::string agreed = parts.world.on_root([&] {
      std::vector<kernels::BackendTable> tables;
      for (const std::string& text : texts) tables.push_back(kernels::backend_table(text));
      return kernels::to_text(kernels::sum_of(tables));
    });
    context.set_backend_choices(kernels::backend_table(agreed));
  }

  index_t activation_bytes() const {
    std::size_t sum = 0;
    if (infer) sum += static_cast<std::size_t>(infer->bytes());
    for (const nn::Stage<Scalar>& stage : parts.model.stages()) sum += stage.allocated();
    return static_cast<index_t>(sum);
  }

  // What each rank keeps, beside the strategy's closed form, and how its messages overlapped with computation.
  metrics::Table strategy_table() const {
    const comm::Communicator& axis = parts.world;
    const auto integers = [&](const char* name, index_t mine, const char* long_name) {
      return metrics::Column{
          name, {"rank"}, axis.gather(std::int64_t{mine}), {{"long_name", long_name}, {"units", "byte"}}};
    };
    const auto seconds = [&](const char* name, double all, const char* long_name) {
      const double mine = timed_steps > 0 ? all / static_cast<double>(timed_steps) : 0;
      return metrics::Column{name, {"rank"}, axis.gather(mine), {{"long_name", long_name}, {"units", "s"}}};
    };
    metrics::Table table{
        .group = "/strategy",
        .columns = {
            integers("weight_bytes", parts.memory.weights, "weights and running statistics, gathered ones"),
            integers("gradient_bytes", parts.memory.gradients, "sums of gradients and their buckets"),
            integers("activation_bytes", activation_bytes(), "slots of micro-batches, and workspace"),
            integers("optimizer_bytes", parts.memory.optimizer, "state of the update rule, master weights"),
            integers("expected_weight_bytes", parts.expected.weights, "weight_bytes, closed form"),
            integers("expected_gradient_bytes", parts.expected.gradients, "gradient_bytes, closed form"),
            integers("expected_optimizer_bytes", parts.expected.optimizer, "optimizer_bytes, closed form"),
            seconds("exposed_s", overlap.exposed_s, "of a step, in which it waits for or serves messages that overlap"),
            seconds("hidden_s", overlap.hidden_s, "of a step, in which messages travel and it computes")}};
    if (parts.train.mode == Mode::train && parts.model_options.language() && parts.pipeline == nullptr) {
      const std::size_t bytes = gpt_activation_bytes<Scalar>(
          parts.train, gpt_shape(parts.model_options, parts.data.shape()),
          {parts.model.stages().front().planned(), evaluation_plan(parts.data.held_out_samples())}, parts.axis);
      table.columns.push_back(
          integers("expected_activation_bytes", static_cast<index_t>(bytes), "activation_bytes of a GPT, closed form"));
    }
    return table;
  }

  /// Drills: damages what this rank has.
  void corrupt(driver::FaultKind kind) {
    if (kind != driver::FaultKind::input) return damage_weights(parts, kind);
    damages_input = true;
  }

  driver::Verification verify(const metrics::RunResults& results, std::span<const double> losses) const {
    const comm::Communicator& world = parts.world;
    std::uint64_t weights = parallel::hash_of_nothing;
    parts.exchange.visit_weights(
        parts.context.exec(), [&](ConstVector<Scalar> part) { weights = parallel::bits_hash<Scalar>(part, weights); });
    // Each is collective over an axis of its own: none may be left out where another says no.
    const bool same_weights = parallel::replicas_agree(parts.replicas, weights);
    const bool same_running = parallel::replicas_agree<nn::Sum<Scalar>>(parts.replicas, parts.model.running());
    const bool same_parts = parts.axis == nullptr || parallel::parts_agree(parts.axis->ranks(), parts.model);
    const bool same_beside = parts.rows == nullptr || parallel::replicas_agree(parts.rows->ranks(), weights);
    if (!world.all_of(same_weights && same_running && same_parts && same_beside))
      return {.passed = false, .text = "ranks hold different parameters"};
    driver::Verification verdict;
    verdict.text = world.on_root([&] {
      verdict = judge(parts.train, parts.data.shape().classes, results, losses, compression);
      return verdict.text;
    });
    world.broadcast(verdict.passed);
    if (parts.axis != nullptr) weights = parallel::hash_of_whole(parts.axis->ranks(), parts.model, parts.whole.table());
    if (parts.pipeline != nullptr)
      weights = parallel::hash_of_stages(parts.pipeline->axis(), parts.pipeline->plan(), parts.model);
    verdict.attributes["parameters_fnv1a"] = fmt::format("{:016x}", weights);
    if (const kernels::BackendTable& choices = parts.context.backend_choices(); !choices.empty())
      verdict.attributes["kernel_choices"] = kernels::to_text(choices);
    if (parts.axis != nullptr && !parts.axis->overlap().timings().empty())
      verdict.attributes["overlap_choices"] = parallel::to_text(parts.axis->overlap().timings());
    return verdict;
  }

  Parts<Scalar> parts;
  std::unique_ptr<Inference<Scalar>> infer;
  StepPhases phases;
  Slice rows;
  Rows<Scalar> buffers;
  std::unique_ptr<StreamInput<Scalar>> stream;
  Evaluation<Scalar> evaluation;
  std::optional<Compression> compression;  // of a text
  index_t steps, next = 0, timed_steps = 0;
  bool damages_input = false;
  nn::OverlapTime overlap;
  std::vector<metrics::SummaryRow> inference;  // its summary, once the run is over
  Vector<double> unreported;                   // losses of a rank whose replica's first rank reports them
};

template <class Scalar>
std::string describe(const State<Scalar>& state) {
  const Parts<Scalar>& parts = state.parts;
  const TrainOptions& train = parts.train;
  const nn::Division& division = parts.pass.division();
  return fmt::format(
      "{}: {} parameters in {}\n{} ranks x {} threads, {}, batch {}: {} rows a rank in {} micro-batch{}\nkernels: {}",
      to_string(parts.model_options, parts.data.shape()), parts.whole.table().size(),
      name_of(precisions, train.precision), parts.world.size(), Exec().concurrency(), parts.strategy, train.batch,
      division.rows.extent, division.micro_batches.size(), division.micro_batches.size() == 1 ? "" : "es",
      train.deterministic ? fmt::format("portable, deterministic in {} chunks", division.leaves)
                          : kernels::math_backend_name());
}

}  // namespace

template <class Scalar>
driver::Workload make_workload(const Parts<Scalar>& parts) {
  const auto state = std::make_shared<State<Scalar>>(parts);
  const TrainOptions& train = parts.train;
  const index_t pieces = std::ssize(parts.pass.division().pieces);

  driver::Workload work;
  work.strategy = parts.strategy + (train.deterministic ? "/deterministic" : "");
  work.description = describe(*state);
  work.phases = state->phases.phases();
  work.steps = state->steps;
  work.samples_per_step = train.batch;
  work.tokens_per_sample = parts.data.shape().sequence();
  work.flop_per_step = train.flop(parts.whole, train.batch);
  if (train.mode == Mode::train)
    work.flop_formulas =
        published_flop(parts.model_options, parts.whole.table(), train.batch, parts.data.shape().sequence());
  work.loss_terms = state->reports() ? pieces : 0;  // all parts of a model have the same loss
  if (parts.pipeline != nullptr && !parts.pipeline->step_barrier())
    work.norm_part = parts.replicas.is_root() && state->first_of_rows();
  work.evaluate_every = train.evaluate_every > 0 ? train.evaluate_every : parts.data.steps_per_epoch();
  work.events_per_step =
      state->infer ? state->infer->events()
                   : state->phases.events(pieces, parts.model.stages().size(), parts.exchange.reads_together());
  work.event_parts = StepPhases::part_names();
  work.event_units = state->phases.unit_names();
  work.step = [state](index_t s, const driver::StepOutput& out, driver::Instruments& instruments) {
    state->step(s, out, instruments);
  };
  if (state->stream) {
    work.await = [state](index_t s, const driver::Stop& stop, driver::Instruments& instruments) {
      instruments.timer.mark(StepPhases::input, state->parts.context.exec());
      return state->stream->await(s, stop, instruments.warm_up);
    };
  }
  work.tables = [state] {
    std::vector<metrics::Table> tables = {state->strategy_table()};
    if (state->stream) tables.push_back(state->stream->table());
    if (state->infer) state->inference = state->infer->summary();
    return tables;
  };
  work.summary = [state](const metrics::RunResults& results) {
    std::vector<metrics::SummaryRow> rows = state->inference;
    if (const nn::Update<Scalar>* update = state->parts.update;
        update != nullptr && !state->infer && state->parts.train.update.not_finite == nn::NotFinite::skip)
      rows.push_back({.metric = "skipped_steps",
                      .value = static_cast<double>(update->counters(state->parts.context.exec()).loss_scale.skipped),
                      .n = state->next,
                      .kind = "cost",
                      .scope = "within run",
                      .unit = "1"});
    if (state->compression && state->parts.train.loss == kernels::Loss::cross_entropy)
      for (metrics::SummaryRow& row : summarise(*state->compression, results.evaluation))
        rows.push_back(std::move(row));
    return rows;
  };
  const double labels = static_cast<double>(train.batch * parts.data.shape().labels());
  work.loss = [labels](std::span<const double> terms) { return tree_sum(terms) / labels; };
  work.evaluate = [state](const driver::Stop& stop) {
    const EvaluationResult result =
        state->evaluation.run(state->parts.context, state->parts.exchange, state->next, state->parts.replicas, stop);
    state->take_overlap();  // of no step
    return metrics::EvaluationRow{0, result.loss, result.accuracy, state->parts.data.held_out_samples()};
  };
  if (!state->infer) work.corrupt = [state](driver::FaultKind kind) { state->corrupt(kind); };
  work.reads_numbers = parts.model.has_first_stage() && state->buffers.x.size() > 0;
  work.sound = [state](const metrics::StepRows& rows, int bad_rank) {
    return find_unsound(state->parts, rows, bad_rank);
  };
  if (!state->infer && parts.one_model) work.replicas = [state] { return find_difference(state->parts); };
  work.verify = [state](const metrics::RunResults& results, std::span<const double> losses) {
    return state->verify(results, losses);
  };
  return work;
}

template driver::Workload make_workload(const Parts<float>&);
template driver::Workload make_workload(const Parts<bfloat16>&);
template driver::Workload make_workload(const Parts<float16>&);

}  // namespace partita::training
