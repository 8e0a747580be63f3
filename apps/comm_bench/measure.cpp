// SPDX-License-Identifier: BSD-3-Clause
#include "measure.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <partita/comm/probe.hpp>
#include <partita/core/clock.hpp>
#include <partita/core/random.hpp>
#include <partita/driver/describe.hpp>

#include "compute.hpp"
#include "operations.hpp"

namespace partita::comm_bench {
namespace {

/// As many calls as move 64 KiB, at most 32.
index_t calls_per_sample(index_t bytes) { return std::clamp<index_t>(64 * 1024 / bytes, 1, 32); }

/// Elements of one size that all algorithms of an operation share, and a plan for each of them.
class OperationBench {
 public:
  OperationBench(const comm::Communicator& axis, const Config& config, const Operation& operation, index_t bytes,
                 bool comparable)
      : axis_(axis), config_(config) {
    for (const Algorithm& algorithm : operation.algorithms) {
      if (!config.wants_algorithm(algorithm.word)) continue;
      calls_.push_back(algorithm.plan(axis, bytes / static_cast<index_t>(sizeof(float)), config.ring));
      series_.push_back({.operation = std::string(operation.word),
                         .algorithm = std::string(algorithm.word),
                         .bus_factor = operation.bus_factor(axis.size()),
                         .bytes = bytes,
                         .calls = calls_per_sample(bytes),
                         .comparable = comparable});
    }
    if (calls_.empty()) return;
    const Call& any = calls_.front();
    output_ = Vector<float>("partita::comm_bench::output", any.output);
    input_ = any.in_place ? output_ : Vector<float>("partita::comm_bench::input", any.input);
  }

  std::vector<Series> run(Compute& compute) {
    if (calls_.empty()) return {};
    check();
    Kokkos::deep_copy(input_, 0.0F);  // sums of zeros stay in range, however often
    Kokkos::deep_copy(output_, 0.0F);
    for (index_t i = -config_.warmup; i < config_.repeats; ++i)
      for (const std::size_t k : order(i)) keep(i, series_[k].time_s, sample(k, [&] { run_call(calls_[k]); }));
    if (config_.overlap && series_.front().comparable) overlap(compute);
    for (Series& series : series_)
      for (std::vector<double>* times : {&series.time_s, &series.alone_s, &series.compute_s, &series.overlapped_s})
        axis_.allreduce(std::span<double>(*times), comm::Op::max);
    return std::move(series_);
  }

 private:
  /// A random order of the algorithms; all ranks draw the same.
  std::vector<std::size_t> order(index_t repeat) const {
    std::vector<std::size_t> order(calls_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto draw = [&](std::size_t k) {
      const auto at = static_cast<std::uint64_t>(repeat + config_.warmup) * 64 + k;
      return random_bits(static_cast<std::uint64_t>(config_.seed), Stream::test, at);
    };
    std::ranges::sort(order, {}, draw);
    return order;
  }

  static void keep(index_t repeat, std::vector<double>& times, double s) {
    if (repeat >= 0) times.push_back(s);
  }

  /// Seconds of one call of f, of a sample's many.
  template <class F>
  double sample(std::size_t k, const F& f) const {
    axis_.barrier();
    const std::int64_t start = now_ns();
    for (index_t c = 0; c < series_[k].calls; ++c) f();
    return seconds(now_ns() - start) / static_cast<double>(series_[k].calls);
  }

  void run_call(Call& call) { call.in_place ? call.plan->run(exec_, output_) : call.plan->run(exec_, input_, output_); }
  void start(Call& call) {
    call.in_place ? call.plan->start(exec_, output_) : call.plan->start(exec_, input_, output_);
  }

  void check() {
    for (std::size_t k = 0; k < calls_.size(); ++k) {
      fill(calls_[k]);
      run_call(calls_[k]);
      series_[k].wrong = axis_.allreduce(count_wrong(calls_[k]), comm::Op::sum);
    }
  }

  void fill(const Call& call) const {
    Kokkos::deep_copy(output_, -1.0F);
    const auto host = Kokkos::create_mirror_view(input_);
    for (index_t i = 0; i < call.input; ++i) host(i) = static_cast<float>(call.given(i));
    Kokkos::deep_copy(input_, host);
  }

  /// Elements off by more than a rounding for each rank (or chunk of a tree): none below some thousand ranks, where all
  /// sums are exact.
  index_t count_wrong(const Call& call) const {
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), output_);
    const double roundings = std::numeric_limits<float>::epsilon() * static_cast<double>(std::max(axis_.size(), 24));
    index_t wrong = 0;
    for (index_t i = 0; i < call.output; ++i)
      if (const double wanted = call.wanted(i); !std::isnan(wanted))
        wrong += !(std::abs(host(i) - wanted) <= roundings * std::abs(wanted));
    return wrong;
  }

  /// Each algorithm started and finished at once, the computing alone, and one within the other.
  void overlap(Compute& compute) {
    std::vector<index_t> rounds;
    for (std::size_t k = 0; k < calls_.size(); ++k) {
      std::vector<double> times;
      for (index_t i = 0; i <= config_.warmup; ++i) times.push_back(sample(k, [&] { alone(calls_[k]); }));
      const double own = config_.compute_us > 0 ? 1e-6 * config_.compute_us : metrics::median(times);
      rounds.push_back(compute.rounds(axis_.allreduce(own, comm::Op::max) / static_cast<double>(config_.slices)));
    }
    for (index_t i = 0; i < config_.repeats; ++i)
      for (const std::size_t k : order(i)) {
        Call& call = calls_[k];
        const auto work = [&](const auto& between) {
          for (index_t s = 0; s < config_.slices; ++s) {
            compute.run(rounds[k]);
            between();
          }
        };
        series_[k].alone_s.push_back(sample(k, [&] { alone(call); }));
        series_[k].compute_s.push_back(sample(k, [&] { work([] {}); }));
        series_[k].overlapped_s.push_back(sample(k, [&] {
          start(call);
          work([&] { call.plan->progress(); });
          call.plan->finish();
        }));
      }
  }

  void alone(Call& call) {
    start(call);
    call.plan->finish();
  }

  const comm::Communicator& axis_;
  const Config& config_;
  Exec exec_;
  Vector<float> input_, output_;
  std::vector<Call> calls_;
  std::vector<Series> series_;
};

Series ping_pong(const comm::Communicator& axis, const Config& config, index_t bytes) {
  Series series{.operation = std::string(ping_pong_word), .algorithm = "mpi", .bytes = bytes};
  series.time_s = comm::ping_pong_s(axis, 0, axis.size() - 1, bytes, config.repeats, config.warmup);
  axis.broadcast(series.time_s, 0);
  return series;
}

}  // namespace

std::vector<Series> measure(const comm::Communicator& axis, const Config& config, const Table& table) {
  std::vector<Series> all;
  const bool comparable = axis.size() > 1 && !driver::examine_placement(axis).oversubscribed;
  const auto add = [&](std::vector<Series> same_size) {
    table.rows(same_size);
    all.insert(all.end(), same_size.begin(), same_size.end());
  };
  if (config.wants(ping_pong_word) && axis.size() > 1) {
    table.heading("ping-pong between the first and the last rank, one way", "1", true);
    for (const index_t bytes : config.sizes()) {
      Series series = ping_pong(axis, config, bytes);
      series.comparable = comparable;
      add({series});
    }
    table.fits(all, std::string(ping_pong_word));
  }
  Compute compute;
  for (const Operation& operation : operations()) {
    const auto measured = [&](const Algorithm& algorithm) { return config.wants_algorithm(algorithm.word); };
    if (!config.wants(operation.word) || std::ranges::none_of(operation.algorithms, measured)) continue;
    table.heading(operation.title, operation.bus_formula, comparable);
    for (const index_t bytes : config.sizes())
      add(OperationBench(axis, config, operation, bytes, comparable).run(compute));
    table.fits(all, std::string(operation.word));
  }
  return all;
}

}  // namespace partita::comm_bench
