// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/virtual_run.hpp>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <optional>

#include <fmt/format.h>

#include <partita/parallel/server/accumulated.hpp>
#include <partita/training/evaluation.hpp>
#include <partita/training/step_observer.hpp>
#include <partita/training/worker_shares.hpp>
#include <partita/training/workers_model.hpp>

namespace partita::training {
namespace {

namespace ps = parallel::server;

std::vector<int> all_of(int workers) {
  std::vector<int> all(static_cast<std::size_t>(workers));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

// By the time of a worker's first gradients, as somebody would measure it.
std::vector<double> shares_in_virtual_time(const TrainOptions& train, const ServerOptions& server) {
  constexpr index_t probes = 20;
  const ps::ComputeTimes times(server.compute, train.seed);
  ps::SlowDowns slow(server.slow, train.seed, server.workers);
  std::vector<double> all;
  for (int w = 0; w < server.workers; ++w) {
    double seconds = 0;
    for (index_t n = 0; n < probes; ++n) seconds += times.draw(w, n) * slow.factor(w, n, seconds);
    all.push_back(seconds);
  }
  return shares_of_times(all);
}

// The law of compute times is that of an even share.
std::vector<double> work_of(const TrainOptions& train, const WorkersData& has) {
  std::vector<double> work;
  for (const index_t rows : has.rows)
    work.push_back(static_cast<double>(rows * std::ssize(has.rows)) / static_cast<double>(train.batch));
  return work;
}

// Calibrated times are as long as gradients of this model at an even share are.
template <class Scalar>
ps::ComputeTimeOptions compute_of(const ServerParts<Scalar>& of) {
  ps::ComputeTimeOptions compute = of.server.compute;
  if (compute.kind != ps::ComputeTime::calibrated) return compute;
  const double rows = static_cast<double>(of.train.batch) / of.server.workers;
  const double flop = of.model.flop(of.train.batch).total() / static_cast<double>(of.train.batch);
  compute.scale_trace = true;
  compute.mean_s = of.server.calibration->mean_s(flop, rows);
  return compute;
}

// By the messages of a server that has these keys.
ps::NetworkOptions network_of(const ServerOptions& server, Range keys) {
  if (!server.calibrated_network) return server.network;
  return server.calibration->network(static_cast<double>(keys.extent) * sizeof(float));
}

template <class Scalar>
ps::VirtualOptions virtual_options(const ServerParts<Scalar>& of, const WorkersData& has, Range keys, index_t updates) {
  const TrainOptions& train = of.train;
  const ServerOptions& server = of.server;
  return {.workers = server.workers,
          .updates = updates,
          .protocol = server.protocol,
          .alpha = server.alpha,
          .seed = train.seed,
          .compute = compute_of(of),
          .slow = server.slow,
          .network = network_of(of.server, keys),
          .work = work_of(train, has),
          .changes = server.changes};
}

// What the functions of the workload share.
template <class Scalar>
struct VirtualRun {
  explicit VirtualRun(const ServerParts<Scalar>& of)
      : parts(of),
        updates(updates_of(of.train, of.server, of.data.steps_per_epoch())),
        phases(of.model, of.model),
        workers(of, workers_data(
                        of.train, of.server,
                        of.server.measure_shares ? shares_in_virtual_time(of.train, of.server) : of.server.shares)),
        learner(of.context, of.train, of.data, workers.model(), workers.head(), of.server.workers,
                all_of(of.server.workers), workers.data()),
        accumulated(of.context.exec(), learner, of.server.protocol.accumulate),
        loads(ps::measure_loads<Scalar>(learner, of.server.workers)),
        keys(ps::key_ranges(of.model.table(), of.server.servers, of.server.balance, loads)),
        rate(rate_of(of.train, updates)),
        engine(
            of.context, virtual_options(of, workers.data(), keys.front(), updates),
            of.server.protocol.accumulate > 1 && of.server.protocol.protocol != ps::Protocol::elastic
                ? static_cast<ps::Learner<Scalar>&>(accumulated)
                : learner,
            of.model.parameters(), keys,
            [this](Range mine, Vector<Scalar> weights_of) { return make_rule(parts, rate, mine, weights_of); }, rate),
        weights(nn::Window<const Scalar>(ConstVector<Scalar>(of.model.parameters()))),
        evaluation(of.model, of.head, of.data) {}

  // Virtual time goes on to the next update, which there may not be: the driver asks here, ahead of the step.
  std::string await(index_t s, driver::Instruments& instruments) {
    StepObserver observer(phases, instruments, s);
    learner.observe(&observer);
    next = engine.next();
    learner.observe(nullptr);
    if (!next) return "no worker is left";
    time_s.push_back(next->time_s);
    staleness.push_back(next->staleness);
    samples.push_back(next->samples);
    return {};
  }

  void step(const driver::StepOutput& out) const {
    const Exec& exec = parts.context.exec();
    const auto put = [&](double* at, double value) {
      Kokkos::deep_copy(exec, Kokkos::View<double, Memory>(at), value);
    };
    put(out.losses.data(), next->loss);
    put(out.grad_norm.data(), next->norm);
  }

  std::vector<metrics::Table> tables() const {
    metrics::Table times{.group = "/virtual"};
    times.columns = {{"end_virtual_s", {"step"}, time_s, {{"long_name", "virtual time of the update"}, {"units", "s"}}},
                     {"staleness",
                      {"step"},
                      staleness,
                      {{"long_name", "mean staleness of the gradients of the update"}, {"units", "1"}}}};
    return {strategy_of(learner, loads, engine.workers(), engine.servers(), true), std::move(times)};
  }

  std::vector<metrics::SummaryRow> summary(const metrics::RunResults& results) const {
    std::vector<metrics::SummaryRow> rows = ps::summarise(engine.workers());
    const auto steps = std::ssize(time_s);
    const double all_s = time_s.empty() ? metrics::not_a_number : time_s.back();
    const double all = static_cast<double>(std::accumulate(samples.begin(), samples.end(), index_t{0}));
    rows.push_back(ps::summary_row("conflict_rate", engine.conflict_rate(), steps, "ratio", "1"));
    rows.push_back(
        ps::summary_row("virtual_s_per_step", all_s / static_cast<double>(steps), steps, "cost", "virtual s"));
    rows.push_back(ps::summary_row("samples_per_virtual_s", all / all_s, steps, "rate", "1/virtual s"));
    for (metrics::SummaryRow& row :
         time_to_target(parts.server, 0, results.evaluation, time_s, samples, "virtual_s_to_target"))
      rows.push_back(std::move(row));
    return rows;
  }

  driver::Verification verify(const metrics::RunResults& results, std::span<const double> losses) const {
    const bool at_once = parts.server.changes.empty() && ps::Network(network_of(parts.server, keys.front()), 1).free();
    for (const ps::ServerStatistics& server : engine.servers()) {  // else some is on its way, or to who is dead
      if (at_once && static_cast<double>(server.sent_bytes) != server.expected_sent_bytes)
        return {.passed = false, .text = "weights that servers sent and workers were given differ"};
      if (at_once && static_cast<double>(server.received_bytes) != server.expected_received_bytes)
        return {.passed = false, .text = "gradients that workers handed in and servers received differ"};
    }
    driver::Verification verdict = judge_servers(parts, results, losses);
    verdict.attributes["parameters_fnv1a"] = weights_hash(parts);
    return verdict;
  }

  ServerParts<Scalar> parts;
  index_t updates;
  StepPhases phases;
  WorkersModel<Scalar> workers;
  ModelLearner<Scalar> learner;
  ps::Accumulated<Scalar> accumulated;
  ps::KeyLoads loads;
  std::vector<Range> keys;
  std::function<double(index_t)> rate;
  ps::VirtualEngine<Scalar> engine;
  PulledWeights<Scalar> weights;
  Evaluation<Scalar> evaluation;
  std::optional<ps::ServerUpdate> next;
  std::vector<double> time_s, staleness;  // of each step
  std::vector<index_t> samples;
};

}  // namespace

template <class Scalar>
driver::Workload make_virtual_workload(const ServerParts<Scalar>& parts) {
  const auto run = std::make_shared<VirtualRun<Scalar>>(parts);
  driver::Workload work = describe_servers(parts, fmt::format("{} virtual workers", parts.server.workers));
  work.role = "engine";
  work.attributes["engine"] = "virtual";
  work.phases = run->phases.phases();
  work.loss_terms = 1;
  work.await = [run](index_t s, const driver::Stop&, driver::Instruments& instruments) {
    return run->await(s, instruments);
  };
  work.step = [run](index_t, const driver::StepOutput& out, driver::Instruments&) { run->step(out); };
  work.samples = [run](index_t s) { return run->samples[static_cast<std::size_t>(s)]; };
  work.loss = [](std::span<const double> terms) { return terms.front(); };
  work.evaluate = [run](const driver::Stop& stop) {
    const EvaluationResult result = run->evaluation.run(run->parts.context, run->weights, 0, run->parts.world, stop);
    return metrics::EvaluationRow{0, result.loss, result.accuracy, run->parts.data.held_out_samples()};
  };
  work.tables = [run] { return run->tables(); };
  work.summary = [run](const metrics::RunResults& results) { return run->summary(results); };
  work.verify = [run](const metrics::RunResults& results, std::span<const double> losses) {
    return run->verify(results, losses);
  };
  return work;
}

template driver::Workload make_virtual_workload(const ServerParts<float>&);

}  // namespace partita::training
