// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/describe.hpp>

#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <partita/comm/probe.hpp>
#include <partita/core/build_info.hpp>
#include <partita/core/clock.hpp>
#include <partita/core/machine.hpp>
#include <partita/io/hdf5_file.hpp>
#include <partita/kernels/context.hpp>

namespace partita::driver {
namespace {

// Environment variables that shape a run, or say where it ran. Never the whole environment: it may hold secrets.
constexpr const char* recorded_variables[] = {"OMP_NUM_THREADS",
                                              "OMP_PROC_BIND",
                                              "OMP_PLACES",
                                              "KOKKOS_NUM_THREADS",
                                              "KOKKOS_DEVICE_ID",
                                              "SLURM_JOB_ID",
                                              "SLURM_JOB_PARTITION",
                                              "SLURM_CPUS_PER_TASK",
                                              "SLURM_NTASKS",
                                              "SLURM_JOB_NUM_NODES",
                                              "PBS_JOBID",
                                              "LSB_JOBID",
                                              "FLUX_JOB_ID",
                                              "UCX_TLS",
                                              "UCX_NET_DEVICES",
                                              "FI_PROVIDER",
                                              "MPICH_OFI_NIC_POLICY",
                                              "MPIR_CVAR_CH4_NETMOD",
                                              "CUDA_VISIBLE_DEVICES",
                                              "ONEDNN_MAX_CPU_ISA"};

std::string mask_text(const std::vector<int>& cores) {
  std::string text;
  for (std::size_t i = 0; i < cores.size();) {
    std::size_t last = i;
    while (last + 1 < cores.size() && cores[last + 1] == cores[last] + 1) ++last;
    text += fmt::format("{}{}", text.empty() ? "" : ",", cores[i]);
    if (last > i) text += fmt::format("-{}", cores[last]);
    i = last + 1;
  }
  return text;
}

// Ranks of a node read one clock, whatever a busy core made of the look at it, unless the look rules that out.
comm::ClockOffset known_better(const comm::ClockOffset& look, bool same_node) {
  if (!same_node || std::abs(look.offset_ns) > look.error_ns) return look;
  return {.offset_ns = 0, .at_ns = look.at_ns, .error_ns = 0};
}

std::string uuid() {
  std::random_device random;
  const auto word = [&] { return static_cast<unsigned>(random()); };
  const unsigned a = word();
  const unsigned b = word();
  const unsigned c = word();
  const unsigned d = word();
  return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:04x}{:08x}", a, b >> 16U, b & 0xfffU, 0x8000U | (c & 0x3fffU),
                     c >> 16U, d);
}

std::string kokkos_configuration() {
  std::ostringstream text;
  Kokkos::print_configuration(text, false);
  return text.str();
}

std::map<std::string, std::string> environment_of(const comm::Environment& env) {
  const MachineInfo machine = machine_info();
  const BuildInfo& build = build_info();
  std::map<std::string, std::string> all = {{"hostname", machine.hostname},
                                            {"operating_system", machine.operating_system},
                                            {"cpu_model", machine.cpu_model},
                                            {"instruction_set", machine.instruction_set},
                                            {"instruction_set_compiled", build.isa_compiled},
                                            {"cores_online", std::to_string(machine.cores_online)},
                                            {"l1d_bytes", std::to_string(machine.l1d_bytes)},
                                            {"l2_bytes", std::to_string(machine.l2_bytes)},
                                            {"l3_bytes", std::to_string(machine.l3_bytes)},
                                            {"memory_bytes", std::to_string(machine.memory_bytes)},
                                            {"compiler", build.compiler},
                                            {"compiler_flags", build.flags},
                                            {"build_type", build.build_type},
                                            {"partita_version", build.version},
                                            {"kokkos_version", build.kokkos_version},
                                            {"kokkos_execution_space", Exec::name()},
                                            {"kokkos_configuration", kokkos_configuration()},
                                            {"threads_per_rank", std::to_string(Exec().concurrency())},
                                            {"mpi_library", env.mpi_library()},
                                            {"mpi_thread_level", env.thread_level()},
                                            {"mpi_gpu_aware", env.gpu_aware() ? "yes" : "no"},
                                            {"hdf5_version", io::hdf5_version()},
                                            {"math_backend", kernels::math_backend_name()}};
  for (const char* variable : recorded_variables)
    if (const char* value = std::getenv(variable)) all[std::string("variable_") + variable] = value;
  return all;
}

}  // namespace

Placement examine_placement(const comm::Communicator& world) {
  const comm::Communicator node = world.split_by_node();
  const std::vector<int> cores = node.allgather(std::span<const int>(cpu_mask()));
  const auto distinct = static_cast<int>(std::set<int>(cores.begin(), cores.end()).size());
  const int threads = node.allreduce(HostExec().concurrency(), comm::Op::sum);
  Placement placement;
  placement.oversubscribed = !world.all_of(threads <= distinct);
  // The fullest node speaks; on most machines all are alike.
  const int most = world.allreduce(threads, comm::Op::max);
  const int fewest = world.allreduce(distinct, comm::Op::min);
  placement.message = fmt::format("{} threads of {} ranks share {} cores on a node", most, world.size(), fewest);
  return placement;
}

void describe_run(const comm::Environment& env, const comm::Mesh& mesh, const RunOptions& run,
                  const Placement& placement, const std::string& role, metrics::RunHeader& header) {
  const comm::Communicator& world = env.world();
  const comm::Communicator node = world.split_by_node();
  const std::vector<int> leaders = world.allgather(node.allgather(world.rank()).front());
  const std::set<int> nodes(leaders.begin(), leaders.end());

  const std::vector<std::string> hosts = world.gather(machine_info().hostname);
  const std::vector<std::string> roles = world.gather(role);
  const std::vector<std::string> masks = world.gather(mask_text(cpu_mask()));
  const std::vector<int> local_ranks = world.gather(node.rank());
  const std::vector<comm::ClockOffset> clocks = comm::clock_offsets(world);
  const std::vector<int> coordinates = world.gather(std::span<const int>(mesh.coordinates()));
  header.mesh_axes.clear();
  for (const comm::Axis& axis : mesh.axes()) header.mesh_axes.push_back(axis.name);
  const auto axes = static_cast<std::ptrdiff_t>(header.mesh_axes.size());

  // Other ranks get rows of the right number; only rank 0 knows what is in them.
  header.ranks.assign(static_cast<std::size_t>(world.size()), {});
  if (world.is_root()) {
    for (std::size_t r = 0; r < header.ranks.size(); ++r) {
      metrics::RankInfo& rank = header.ranks[r];
      rank.hostname = hosts[r];
      rank.node = std::distance(nodes.begin(), nodes.find(leaders[r]));
      rank.local_rank = local_ranks[r];
      rank.cores = masks[r];
      rank.role = roles[r];
      const comm::ClockOffset clock = known_better(clocks[r], leaders[r] == leaders[0]);
      rank.clock_offset_ns = clock.offset_ns;
      rank.clock_begin_ns = clock.at_ns;
      rank.clock_error_ns = clock.error_ns;
      const auto first = coordinates.begin() + static_cast<std::ptrdiff_t>(r) * axes;
      rank.coordinates.assign(first, first + axes);
    }
  }

  std::string id = world.on_root(uuid);
  header.environment = environment_of(env);
  header.deck_toml = run.origin.deck;
  header.attributes["app"] = run.origin.app;
  header.attributes["study"] = run.study;
  header.attributes["point"] = run.point;
  header.attributes["run_uuid"] = id;
  header.attributes["created_utc"] = utc_now();
  header.attributes["git_sha"] = build_info().git_sha;
  header.attributes["git_dirty"] = std::int64_t{build_info().git_dirty};
  header.attributes["config_hash"] = run.origin.config_hash;
  header.attributes["command"] = run.origin.command;
  header.attributes["ranks"] = std::int64_t{world.size()};
  header.attributes["threads_per_rank"] = std::int64_t{Exec().concurrency()};
  header.attributes["nodes"] = static_cast<std::int64_t>(nodes.size());
  header.attributes["oversubscribed"] = std::int64_t{placement.oversubscribed};
}

void describe_end(const comm::Communicator& world, const metrics::RunHeader& header,
                  const std::vector<double>& compute_s, metrics::RunResults& results) {
  std::size_t r = 0;
  for (const comm::ClockOffset& look : comm::clock_offsets(world)) {
    const comm::ClockOffset clock = known_better(look, header.ranks[r++].node == header.ranks[0].node);
    results.clock_offset_end_ns.push_back(clock.offset_ns);
    results.clock_end_ns.push_back(clock.at_ns);
    results.clock_error_end_ns.push_back(clock.error_ns);
  }
  results.peak_memory_bytes = world.gather(peak_memory_bytes());
  if (world.is_root()) results.compute_s = compute_s;
}

}  // namespace partita::driver
