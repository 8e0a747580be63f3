// SPDX-License-Identifier: BSD-3-Clause
#include <map>
#include <memory>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <partita/core/clock.hpp>
#include <partita/core/error.hpp>

#include "report.hpp"

namespace partita::kernel_bench {
namespace {

// Google Benchmark prints as its flags say; on the way, times are kept.
class Keeper final : public benchmark::BenchmarkReporter {
 public:
  explicit Keeper(std::map<std::string, Measured*> known)
      : known_(std::move(known)), display_(benchmark::CreateDefaultDisplayReporter()) {}

  bool ReportContext(const Context& context) override { return display_->ReportContext(context); }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs)
      if (run.run_type == Run::RT_Iteration && !run.error_occurred)
        known_.at(run.run_name.function_name)
            ->time_s.push_back(run.real_accumulated_time / static_cast<double>(run.iterations));
    display_->ReportRuns(runs);
  }
  void Finalize() override { display_->Finalize(); }

 private:
  std::map<std::string, Measured*> known_;
  std::unique_ptr<benchmark::BenchmarkReporter> display_;
};

void measure(benchmark::State& state, const Bench& bench, kernels::Context& context, const Peaks& peaks) {
  static const std::string done = "partita::kernel_bench: end of a timed call";
  const Call call = bench.prepare(context);
  call();  // primitives are made, scratch grows
  context.exec().fence(done);
  const std::int64_t start = now_ns();
  for (auto _ : state) {
    call();
    context.exec().fence(done);
  }
  const double calls = static_cast<double>(state.iterations()), elapsed_s = seconds(now_ns() - start);
  using benchmark::Counter;
  state.counters["FLOP"] = Counter(calls * bench.cost.flop, Counter::kIsRate);
  state.counters["byte"] = Counter(calls * bench.cost.byte, Counter::kIsRate);
  state.counters["peak_share"] = calls * peaks.least_s(bench.cost) / elapsed_s;
}

}  // namespace

std::vector<Measured> run(const Suite& suite, kernels::Context& context, const Peaks& peaks,
                          std::span<char* const> flags) {
  std::vector<Measured> all;
  for (const Bench& bench : suite.benches()) all.push_back({&bench, {}});
  std::map<std::string, Measured*> known;
  for (Measured& one : all) {
    if (!known.emplace(one.bench->name, &one).second) throw Error("two benchmarks are named " + one.bench->name);
    benchmark::RegisterBenchmark(one.bench->name.c_str(), measure, std::cref(*one.bench), std::ref(context),
                                 std::cref(peaks))
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
  }

  std::vector<char*> arguments(flags.begin(), flags.end());
  int count = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);
  benchmark::Initialize(&count, arguments.data());
  if (count > 1)
    refuse<UsageError>("kernel_bench", fmt::format("{}: Google Benchmark does not know this flag", arguments[1]),
                       "one of --help");
  Keeper keeper(std::move(known));
  if (benchmark::RunSpecifiedBenchmarks(&keeper) == 0)
    refuse<UsageError>("kernel_bench",
                       fmt::format("--benchmark_filter={} matches no benchmark", benchmark::GetBenchmarkFilter()),
                       "one of --benchmark_list_tests");
  std::erase_if(all, [](const Measured& one) { return one.time_s.empty(); });
  return all;
}

}  // namespace partita::kernel_bench
