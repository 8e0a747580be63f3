// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/calibration.hpp>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>

#include <fmt/format.h>

#include <partita/comm/probe.hpp>
#include <partita/core/build_info.hpp>
#include <partita/core/clock.hpp>
#include <partita/core/error.hpp>
#include <partita/core/machine.hpp>
#include <partita/core/text_file.hpp>
#include <partita/driver/calibration_cache.hpp>
#include <partita/kernels/cost.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/kernels/linear.hpp>
#include <partita/metrics/statistics.hpp>

namespace partita::driver {
namespace {

using Entries = std::vector<metrics::CalibrationEntry>;

// Seconds of each of `repeats` calls, after two that do not count.
std::vector<double> time_calls(const Exec& exec, int repeats, const std::function<void()>& call) {
  std::vector<double> times;
  for (int i = -2; i < repeats; ++i) {
    const std::int64_t start = now_ns();
    call();
    exec.fence("partita::driver::calibrate: end of a timed call");
    if (i >= 0) times.push_back(seconds(now_ns() - start));
  }
  return times;
}

std::vector<double> time_gemm(const Exec& exec, index_t n, int repeats) {
  kernels::Context context(exec);
  const Matrix<float> x("partita::driver::calibrate::x", n, n);
  const Matrix<float> W("partita::driver::calibrate::W", n, n);
  const Matrix<float> y("partita::driver::calibrate::y", n, n);
  const Vector<float> b("partita::driver::calibrate::b", n);
  kernels::fill<float>(exec, 0.5F, Vector<float>(x.data(), static_cast<std::size_t>(n * n)));
  kernels::fill<float>(exec, 0.25F, Vector<float>(W.data(), static_cast<std::size_t>(n * n)));
  return time_calls(exec, repeats, [&] { kernels::linear_forward<float>(context, {}, x, W, b, y); });
}

double triad_rate(const Exec& exec) {
  constexpr std::size_t n = std::size_t{32} * 1024 * 1024 / sizeof(float);
  const Vector<float> a("partita::driver::calibrate::a", n);
  const Vector<float> b("partita::driver::calibrate::b", n);
  const Vector<float> c("partita::driver::calibrate::c", n);
  const std::vector<double> times = time_calls(exec, 10, [&] { kernels::triad<float>(exec, 3.0F, a, b, c); });
  return 3.0 * n * sizeof(float) / metrics::median(times);
}

double clock_cost() {
  constexpr int reads = 10000;
  const std::int64_t start = now_ns();
  for (int i = 0; i < reads - 1; ++i) static_cast<void>(now_ns());
  return seconds(now_ns() - start) / reads;
}

Entries measure(const comm::Communicator& world, const Exec& exec) {
  const auto mean_over_ranks = [&](double mine) { return world.allreduce(mine, comm::Op::sum) / world.size(); };
  Entries entries;
  world.barrier();
  constexpr index_t n = 1024;
  const double gemm = kernels::cost::gemm(n, n, n, sizeof(float)).flop / metrics::median(time_gemm(exec, n, 10));
  entries.push_back({"gemm_flop_per_s", mean_over_ranks(gemm), "1/s", "fp32 matrix product, 1024 squared, one rank"});
  world.barrier();
  entries.push_back({"triad_byte_per_s", mean_over_ranks(triad_rate(exec)), "byte/s", "memory bandwidth, one rank"});
  world.barrier();
  const std::vector<double> work = time_gemm(exec, 128, 1000);
  entries.push_back({"fixed_work_noise", mean_over_ranks(metrics::quantile(work, 0.99) / metrics::median(work) - 1),
                     "1", "99th percentile over median of the same work, minus 1"});
  entries.push_back({"clock_read_s", mean_over_ranks(clock_cost()), "s", "one reading of the clock"});
  if (world.size() > 1) {
    const comm::Link link = comm::probe_link(world, 0, 1);
    entries.push_back({"ping_pong_latency_s", link.latency_s, "s", "one way, 8 bytes, ranks 0 and 1"});
    entries.push_back({"ping_pong_byte_per_s", link.bandwidth_byte_s, "byte/s", "one way, large messages"});
    entries.push_back({"shift_byte_per_s", comm::shift_byte_per_s(world), "byte/s",
                       "large messages, all ranks to the right at once, the slowest"});
  }
  return entries;
}

// What the numbers depend on; the file is named by its hash and holds it, so that a collision is noticed.
std::string cache_key(const comm::Environment& env) {
  const MachineInfo machine = machine_info();
  return fmt::format("with shift|{}|{}|{}|{}|{}|{}|{}|{} ranks|{} threads|{}", machine.hostname, machine.cpu_model,
                     machine.instruction_set, build_info().isa_compiled, build_info().compiler, build_info().build_type,
                     kernels::math_backend_name(), env.size(), Exec().concurrency(), env.mpi_library());
}

std::filesystem::path cache_file(const std::string& key) {
  const std::filesystem::path folder = cache_folder();
  if (folder.empty()) return {};
  return folder / "calibration" / fmt::format("{:016x}.json", std::hash<std::string>{}(key));
}

// What was measured before; nothing where that is not known. A file that is damaged is said and measured again.
Entries load(const std::string& key) {
  const std::filesystem::path path = cache_file(key);
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return {};
  try {
    if (auto entries = read_calibration(read_text_file(path.string(), "a calibration"), key)) return *entries;
  } catch (const UsageError&) {
  }
  fmt::print(stderr, "warning: {}: damaged: this machine is measured again\n", path.string());
  return {};
}

void store(const std::string& key, const Entries& entries) {
  const std::filesystem::path path = cache_file(key);
  std::error_code ignored;
  std::filesystem::create_directories(path.parent_path(), ignored);
  // Another run may read at this moment: it sees the old file or the new one.
  const std::filesystem::path draft = path.string() + fmt::format(".{}", now_ns());
  std::ofstream(draft) << write_calibration(key, utc_now(), entries);
  std::filesystem::rename(draft, path, ignored);
}

}  // namespace

Entries calibrate(const comm::Environment& env, CalibrationMode mode, const Exec& exec) {
  if (mode == CalibrationMode::off) return {};
  const comm::Communicator& world = env.world();
  const std::string key = cache_key(env);
  Entries entries;
  const bool known = world.on_root([&] {
    if (mode == CalibrationMode::cached) entries = load(key);
    return !entries.empty();
  });
  if (known) return entries;
  entries = measure(world, exec);
  world.on_root([&] { store(key, entries); });
  return entries;
}

}  // namespace partita::driver
