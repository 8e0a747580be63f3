// SPDX-License-Identifier: BSD-3-Clause
// Records: what the input changes of a valid one, read by all that reads records in the library.
#include <cmath>

#include <partita/io/hdf5_file.hpp>
#include <partita/io/output.hpp>
#include <partita/io/record_file.hpp>
#include <partita/training/server_calibration.hpp>

#include <support/temporary_folder.hpp>
#include "hdf5_mutations.hpp"

namespace partita::fuzz {
namespace {

// Of a server and a worker with a profile.
void write_base(const std::string& path) {
  using metrics::PhaseClass;
  metrics::RunHeader header;
  header.attributes = {{"app", "param_server"}, {"flop_per_step", 640.}};
  header.calibration = {{"ping_pong_latency_s", 1e-6, "s", "one way"}, {"triad_byte_per_s", 1e10, "byte/s", "triad"}};
  header.mesh_axes = {"data"};
  for (index_t r = 0; r < 2; ++r)
    header.ranks.push_back({.hostname = "here", .role = r == 0 ? "server" : "worker", .coordinates = {r}});
  header.phases = {{"compute", PhaseClass::compute},
                   {"update", PhaseClass::compute},
                   {"pull", PhaseClass::communication},
                   {"push", PhaseClass::communication}};
  header.steps = 3;
  metrics::RunResults results;
  const training::ServerProfile profile{{10, 20}, {4, 8}, {1e-3, 2e-3, 2e-3, 4e-3}, {64, 128}, {1e-5, 2e-5}};
  results.tables = {training::profile_table(profile),
                    {.group = "/strategy", .columns = {{"keys", {}, std::vector<std::int64_t>{24}, {}}}}};
  results.attributes = {{"fom", 1.}};
  io::RecordFile record(path, header);
  metrics::StepRows rows{.first_step = 0, .count = 3};
  for (int step = 0; step < 3; ++step) {
    for (int rank = 0; rank < 2; ++rank) {
      for (int phase = 0; phase < 4; ++phase) rows.phase_s.push_back(1e-3 * (1 + phase + rank));
      rows.start_ns.push_back(20'000'000 * step);
      rows.end_ns.push_back(20'000'000 * (step + 1));
    }
    rows.loss.push_back(1);
    rows.grad_norm.push_back(1);
    rows.samples.push_back(8);
    rows.warmup.push_back(step == 0 ? 1 : 0);
    rows.flushed.push_back(0);
  }
  record.write_steps(rows);
  record.finish(results, true, "done");
}

void read_everything(const std::string& path, const std::vector<std::string>& objects) {
  accepted("", [&] {
    const io::File file = io::File::open(path);
    for (const char* name : {"complete", "Conventions", "flop_per_step", "units"})
      for (const char* object : {"/", "/steps", "/steps/loss"})
        accepted("", [&] { static_cast<void>(file.read_attribute(object, name)); });
    for (const std::string& object : objects) {
      accepted("", [&] { static_cast<void>(file.exists(object)); });
      accepted("", [&] {
        static_cast<void>(file.type(object));
        static_cast<void>(file.extents(object));
      });
      accepted("", [&] { static_cast<void>(file.read(object)); });
    }
  });
}

void calibrate(const std::string& path) {
  accepted(path, [&] {
    const training::ServerCalibration of = training::read_server_calibration(path);
    const auto sound = [](double value) { return value >= 0 && !std::isinf(value); };
    const auto network = of.network(96);
    if (!sound(of.mean_s(15, 6)) || !sound(network.latency_s) || !sound(network.update_s_per_byte) ||
        !sound(network.byte_per_s))
      report("a calibration that is no number");
  });
}

}  // namespace

void record(Bytes input) {
  static const BaseFile base(write_base);
  static const testing::TemporaryFolder folder;  // HDF5 wants the real path of a file; scripts/fuzz has it in memory
  const std::string path = folder / "x.h5";
  base.write_changed(path, input);
  read_everything(path, base.objects());
  calibrate(path);
}

}  // namespace partita::fuzz
