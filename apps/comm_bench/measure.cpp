// SPDX-License-Identifier: BSD-3-Clause
#include "measure.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <partita/comm/probe.hpp>
#include <partita/core/clock.hpp>
#include <partita/core/random.hpp>
#include <partita/driver/describe.hpp>

namespace partita::comm_bench {
namespace {

/// As many calls as move 64 KiB, at most 32.
index_t calls_per_sample(index_t bytes) { return std::clamp<index_t>(64 * 1024 / bytes, 1, 32); }

/// What rank r gives for element i; never 0, so that a rank that is missing in the sum is missed.
double term(int rank, index_t i) { return static_cast<double>(1 + i % 64 + rank); }

void fill(Vector<float> x, int rank) {
  const auto host = Kokkos::create_mirror_view(x);
  for (index_t i = 0; i < static_cast<index_t>(host.extent(0)); ++i) host(i) = static_cast<float>(term(rank, i));
  Kokkos::deep_copy(x, host);
}

/// Elements off by more than P roundings: none below some thousand ranks, where all sums are exact.
index_t count_wrong(Vector<float> x, int ranks) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), x);
  const double P = ranks;
  index_t wrong = 0;
  for (index_t i = 0; i < static_cast<index_t>(host.extent(0)); ++i) {
    const double sum = P * term(0, i) + P * (P - 1) / 2;
    wrong += !(std::abs(host(i) - sum) <= P * std::numeric_limits<float>::epsilon() * sum);
  }
  return wrong;
}

/// One buffer, one plan for each algorithm: all that a size needs.
class AllreduceBench {
 public:
  AllreduceBench(const comm::Communicator& axis, const Config& config, index_t bytes)
      : axis_(axis), config_(config), x_("partita::comm_bench::x", bytes / static_cast<index_t>(sizeof(float))) {
    for (const comm::Allreduce how : config.algorithms()) {
      plans_.emplace_back(axis, how, static_cast<index_t>(x_.extent(0)), config.ring);
      series_.push_back({"allreduce", std::string(comm::to_string(how)), bytes, calls_per_sample(bytes), {}, 0});
    }
  }

  std::vector<Series> run() {
    check();
    Kokkos::deep_copy(x_, 0.0F);  // sums of zeros stay in range, however often
    for (index_t i = -config_.warmup; i < config_.repeats; ++i) {
      // All ranks draw the same order.
      const bool swap = (random_bits(static_cast<std::uint64_t>(config_.seed), Stream::test,
                                     static_cast<std::uint64_t>(i + config_.warmup)) &
                         1U) != 0;
      for (std::size_t k = 0; k < plans_.size(); ++k) {
        const std::size_t which = swap ? plans_.size() - 1 - k : k;
        const double s = sample(plans_[which], series_[which].calls);
        if (i >= 0) series_[which].time_s.push_back(s);
      }
    }
    for (Series& series : series_) axis_.allreduce(std::span<double>(series.time_s), comm::Op::max);
    return std::move(series_);
  }

 private:
  void check() {
    for (std::size_t k = 0; k < plans_.size(); ++k) {
      fill(x_, axis_.rank());
      plans_[k].run(exec_, x_);
      series_[k].wrong = axis_.allreduce(count_wrong(x_, axis_.size()), comm::Op::sum);
    }
  }

  double sample(comm::AllreducePlan<float>& plan, index_t calls) {
    axis_.barrier();
    const std::int64_t start = now_ns();
    for (index_t c = 0; c < calls; ++c) plan.run(exec_, x_);
    return seconds(now_ns() - start) / static_cast<double>(calls);
  }

  const comm::Communicator& axis_;
  const Config& config_;
  Exec exec_;
  Vector<float> x_;
  std::vector<comm::AllreducePlan<float>> plans_;
  std::vector<Series> series_;
};

Series ping_pong(const comm::Communicator& axis, const Config& config, index_t bytes) {
  Series series{"ping_pong", "mpi", bytes, 1, {}, 0};
  series.time_s = comm::ping_pong_s(axis, 0, axis.size() - 1, bytes, config.repeats, config.warmup);
  axis.broadcast(series.time_s, 0);
  return series;
}

}  // namespace

std::vector<Series> measure(const comm::Communicator& axis, const Config& config, const Table& table) {
  std::vector<Series> all;
  const bool comparable = axis.size() > 1 && !driver::examine_placement(axis).oversubscribed;
  const auto add = [&](std::vector<Series> same_size) {
    for (Series& series : same_size) series.comparable = comparable;
    table.rows(same_size);
    all.insert(all.end(), same_size.begin(), same_size.end());
  };
  if (config.operation != Operation::allreduce && axis.size() > 1) {
    table.heading("ping-pong between the first and the last rank, one way", true);
    for (const index_t bytes : config.sizes()) add({ping_pong(axis, config, bytes)});
  }
  if (config.operation != Operation::ping_pong) {
    table.heading("all-reduce, sum of floats", comparable);
    for (const index_t bytes : config.sizes()) add(AllreduceBench(axis, config, bytes).run());
  }
  return all;
}

}  // namespace partita::comm_bench
