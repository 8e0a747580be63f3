// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/checkpoint_options.hpp>

#include <filesystem>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/io/checkpoint_file.hpp>
#include <partita/training/key_problem.hpp>

namespace partita::training {
namespace {

constexpr const char* resume_flag = "--resume";
constexpr const char* every_key = "checkpoint.every";
constexpr const char* path_key = config::checkpoint_key.data();

}  // namespace

std::vector<config::Option> CheckpointOptions::flags() {
  return {{resume_flag, "FILE", "go on from this checkpoint, on any number of ranks and under any strategy", &resume}};
}

void CheckpointOptions::read(config::Deck& deck, const std::string& record) {
  deck.integer(every_key, every, config::IntRange::count(),
               {"leave a checkpoint after every so many steps, and at the end; 0 = only with checkpoint.path: at the "
                "end, also of a run that a signal or the time limit ends",
                "steps"});
  deck.text(path_key, path, {"the checkpoint to write (HDF5); \"\" = beside the record, where there is one to write"});
  if (path.empty() && every > 0) {
    std::filesystem::path name(record);
    if (name.extension() == ".h5") name.replace_extension();
    path = name.string() + ".checkpoint.h5";
  }
}

void CheckpointOptions::check(const comm::Communicator& world, const DataOptions& data, const TrainOptions& train,
                              const std::string& record, parallel::Strategy strategy) const {
  if (!saves() && !resume) return;
  const char* const asked = saves() ? (every > 0 ? every_key : path_key) : resume_flag;
  if (train.mode == Mode::infer)
    refuse<UsageError>(asked, "run.mode = \"infer\", which has nothing to go on with", "run.mode = \"train\"");
  if (data.streams())
    refuse<UsageError>(asked, "data that are streamed: what was read is gone", "data that can be read again");
  if (strategy == parallel::Strategy::local_sgd)
    refuse<UsageError>(asked, "parallel.strategy = \"local_sgd\", whose ranks have a state each", "another strategy");
  world.on_root([&] {
    const auto same = [](const std::string& a, const std::string& b) {
      return std::filesystem::absolute(a).lexically_normal() == std::filesystem::absolute(b).lexically_normal();
    };
    if (saves() && same(path, record)) refuse<UsageError>(path_key, path + " is the record, too", "another name");
    if (resume) naming(resume_flag, [&] { const io::CheckpointFile readable(*resume); });
    if (saves()) naming(path_key, [&] { io::try_checkpoint(path); });
  });
}

}  // namespace partita::training
