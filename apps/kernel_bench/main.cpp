// SPDX-License-Identifier: BSD-3-Clause
// kernel_bench: every kernel, and whole training steps, at the machine's speed and as a share of its roof.
//
//     share of the peak = max(flop / GEMM rate, byte / triad rate) / time      (Williams et al. 2009)
//
// Sample runs (each is a test; * only by hand):
//     kernel_bench inputs/kernel_bench/tiny.toml --benchmark_filter=gemm/128 --benchmark_min_time=0.001  # gemm
//     kernel_bench inputs/kernel_bench/tiny.toml --benchmark_filter=^add/ --benchmark_min_time=0.001
//         --set kernels.backend=portable  # portable
//     kernel_bench --benchmark_list_tests  # list
//   * kernel_bench --benchmark_repetitions=9 --output x.h5
//   * kernel_bench --benchmark_filter=model/ --benchmark_out=x.json
#include "config.hpp"
#include "report.hpp"

using namespace partita;

int main(int argc, char** argv) {
  // Google Benchmark's own flags pass by; the rest is ours.
  std::vector<char*> own{argv[0]}, google{argv[0]};
  bool lists = false;
  auto verdict = driver::Verdict::output;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    (flag.starts_with("--benchmark_") ? google : own).push_back(argv[i]);
    lists = lists || flag == "--benchmark_list_tests" || flag == "--benchmark_list_tests=true";
    if (flag == "--benchmark_format=json" || flag == "--benchmark_format=csv") verdict = driver::Verdict::aside;
  }

  comm::Environment env(argc, argv);  // 1. MPI, then Kokkos; undone on every path
  return env.guard([&] {
    // 2. Deck and overrides, checked.
    driver::Session session(env, static_cast<int>(own.size()), own.data(), "kernel_bench",
                            "Kernels and training steps, timed by Google Benchmark (--benchmark_...)", false);
    kernel_bench::Config config = kernel_bench::read_config(session);
    if (session.settled(config.run)) return ExitCode::done;
    session.start(config.run);
    for (std::size_t i = 1; i < google.size(); ++i) config.run.origin.command += " " + driver::quoted(google[i]);
    if (env.size() > 1) refuse<UsageError>("kernel_bench", "measures one rank", "no mpiexec, or -n 1");

    // 3. The suite, and the roof that it is held against.
    kernels::Context context(Exec(), config.kernels);
    const kernel_bench::Suite suite;
    if (lists) return run(suite, context, {}, google), ExitCode::done;
    const comm::Mesh mesh(env.world(), {{"data", 1}});
    kernel_bench::Report report(env, mesh, config);
    const kernel_bench::Peaks peaks = measure_peaks(context, config);

    // 4. Measure; one HDF5 file; the figure of merit.
    return report.finish(run(suite, context, peaks, google), peaks, verdict);
  });
}
