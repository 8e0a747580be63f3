// SPDX-License-Identifier: BSD-3-Clause
#include <filesystem>
#include <fstream>
#include <numeric>
#include <sstream>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/io/checkpoint_file.hpp>
#include <partita/io/record_file.hpp>

#include <support/caught.hpp>
#include <support/full_disk.hpp>
#include <support/temporary_folder.hpp>

namespace partita::io::checkpoint_file_tests {
namespace {

namespace fs = std::filesystem;
using partita::testing::caught;
using partita::testing::FullDisk;
using partita::testing::TemporaryFolder;

std::vector<float> numbers(index_t n, float first = 0.25F) {
  std::vector<float> values(static_cast<std::size_t>(n));
  std::iota(values.begin(), values.end(), first);
  return values;
}

index_t write(const std::string& path, std::int64_t step, index_t rows = 4000) {
  CheckpointWriter writer(path);
  writer.attributes({{"step", step}, {"loss_scale", 0.5}, {"optimizer", "adam"}});
  writer.text("config", "[train]\nsteps = 6\n");
  writer.column("losses", {2.5, 1.25});
  writer.tensor("weights", "a.weight", {rows, 2, 3}, numbers(rows * 6));
  writer.tensor("weights", "a.bias", {3}, numbers(3, -1));
  writer.tensor("m", "a.bias", {3}, numbers(3, 7));
  return writer.finish();
}

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void replace(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

std::string refusal(const std::string& path) {
  return caught<UsageError>([&] { const CheckpointFile readable(path); });
}

TEST(checkpoint_file, reads_what_was_written) {
  const TemporaryFolder folder;
  const std::string path = folder / "c.h5";
  const index_t bytes = write(path, 2);
  EXPECT_EQ(bytes, static_cast<index_t>(fs::file_size(path)));
  EXPECT_FALSE(fs::exists(path + ".part"));
  const CheckpointFile file(path);
  EXPECT_EQ(file.integer("step"), 2);
  EXPECT_EQ(file.real("loss_scale"), 0.5);
  EXPECT_EQ(file.text_attribute("optimizer"), "adam");
  EXPECT_EQ(file.text("config"), "[train]\nsteps = 6\n");
  EXPECT_EQ(file.column("losses"), (std::vector<double>{2.5, 1.25}));
  EXPECT_EQ(file.tensors("weights"), (std::vector<std::string>{"a.bias", "a.weight"}));
  EXPECT_TRUE(file.tensors("v").empty());
  EXPECT_EQ(file.tensor("weights", "a.weight", {4000, 2, 3}), numbers(24000));
  EXPECT_EQ(file.tensor("m", "a.bias", {3}), numbers(3, 7));
}

TEST(checkpoint_file, says_what_is_missing_or_of_another_kind) {
  const TemporaryFolder folder;
  const std::string path = folder / "c.h5";
  write(path, 2);
  const CheckpointFile file(path);
  EXPECT_EQ(caught<UsageError>([&] { file.real("step"); }),
            path + ": its attribute step is missing or of another type: expected a checkpoint of Partita");
  EXPECT_EQ(caught<UsageError>([&] { file.integer("nothing"); }),
            path + ": its attribute nothing is missing or of another type: expected a checkpoint of Partita");
  EXPECT_EQ(caught<UsageError>([&] { file.column("config"); }),
            path + ": /config is missing or of another type: expected a checkpoint of Partita");
  EXPECT_EQ(caught<UsageError>([&] { file.tensor("v", "a.bias", {3}); }),
            path + ": /v/a.bias: it is not there: expected every tensor of the model and its optimizer");
  EXPECT_EQ(caught<UsageError>([&] {
              file.tensor("m", "a.bias", {3, 1});
            }),
            path + ": /m/a.bias: it has the shape [3]: expected float32 of [3, 1], as the model's");
}

// What HDF5 says of it comes as a refusal of this file.
TEST(checkpoint_file, a_tensor_in_the_place_of_a_group_is_refused) {
  const TemporaryFolder folder;
  const std::string path = folder / "c.h5";
  CheckpointWriter writer(path);
  writer.column("v", {1});
  writer.finish();
  const CheckpointFile file(path);
  for (const std::string& said :
       {caught<UsageError>([&] { file.tensors("v"); }), caught<UsageError>([&] { file.tensor("v", "a.bias", {3}); })})
    EXPECT_TRUE(said.starts_with(path + ": ")) << said;
}

// Every byte is covered: by the seal, or by its checksum. HDF5 is never shown a damaged file.
TEST(checkpoint_file, damage_is_found_wherever_it_is) {
  const TemporaryFolder folder;
  const std::string path = folder / "c.h5";
  write(path, 2, 3);
  const std::string whole = content(path);
  for (std::size_t at = 512; at < whole.size(); at += 61) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    replace(path, damaged);
    ASSERT_EQ(refusal(path), path + ": it is damaged: its checksum is another one: expected a checkpoint of Partita")
        << at;
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{511}, std::size_t{600}, whole.size() - 1}) {
    replace(path, whole.substr(0, size));
    EXPECT_NE(refusal(path), "nothing was thrown") << size;
  }
  replace(path, whole);
  EXPECT_EQ(refusal(path), "nothing was thrown");
}

// At whatever call the disk is full: one error, the checkpoint before is whole, and nothing lies beside it.
TEST(checkpoint_file, the_one_before_outlives_a_full_disk) {
  FullDisk::leaves_files_open();
  const TemporaryFolder folder;
  int calls = 0;
  for (bool met = true; met; ++calls) {
    const std::string path = folder / ("c" + std::to_string(calls) + ".h5");  // what HDF5 could not close has its name
    write(path, 1);
    const std::string before = content(path);
    std::string said;
    {
      const FullDisk disk(calls);
      said = caught<Error>([&] { write(path, 2); });
      met = disk.met();
    }
    if (said == "nothing was thrown") {  // none failed, or the one that brings the folder's names to disk
      EXPECT_EQ(CheckpointFile(path).integer("step"), 2) << calls;
      continue;
    }
    ASSERT_NE(said.find(path), std::string::npos) << calls << ": " << said;
    ASSERT_EQ(content(path), before) << calls;
    ASSERT_FALSE(fs::exists(path + ".part")) << calls;
    ASSERT_EQ(CheckpointFile(path).integer("step"), 1);
    ASSERT_LT(calls, 1000);
  }
  EXPECT_GT(calls, 5);
}

metrics::StepRows rows_from(index_t first) {
  return {.first_step = first,
          .count = 2,
          .phase_s = {0.5, 0.5},
          .start_ns = {1, 2},
          .end_ns = {2, 3},
          .loss = {1, 2},
          .grad_norm = {1, 1},
          .samples = {4, 4},
          .warmup = {0, 0},
          .flushed = {0, 0}};
}

// The same of a record: steps that were announced are there, and it opens.
TEST(checkpoint_file, steps_of_a_record_outlive_a_full_disk) {
  FullDisk::leaves_files_open();
  const TemporaryFolder folder;
  metrics::RunHeader header;
  header.ranks.resize(1);
  header.phases = {{"forward", metrics::PhaseClass::compute}};
  header.steps = 8;
  int calls = 0;
  for (bool met = true; met; calls += calls < 20 ? 1 : 7) {
    const std::string path = folder / ("r" + std::to_string(calls) + ".h5");
    auto record = std::make_unique<RecordFile>(path, header);
    record->write_steps(rows_from(0));
    std::string said;
    {
      const FullDisk disk(calls);
      said = caught<Error>([&] {
        record->write_steps(rows_from(2));
        record->finish({}, true, "done");
      });
      met = disk.met();
      record.reset();
    }
    if (!met) break;
    const std::string readable = fs::exists(path + ".part") ? path + ".part" : path;
    if (said == "nothing was thrown") {  // as above
      ASSERT_EQ(readable, path) << calls;
      continue;
    }
    ASSERT_NE(said.find(path), std::string::npos) << calls << ": " << said;
    const std::string copy = folder / "copy.h5";  // as another process sees it
    replace(copy, content(readable));
    const auto written = std::get<std::vector<std::int64_t>>(File::open(copy).read("/steps_written")).front();
    ASSERT_GE(written, 2) << calls;
    const auto losses = std::get<std::vector<double>>(File::open(copy).read("/steps/loss"));
    for (std::int64_t s = 0; s < written; ++s) ASSERT_EQ(losses[static_cast<std::size_t>(s)], 1 + s % 2) << calls;
    ASSERT_LT(calls, 1000);
  }
  EXPECT_GT(calls, 5);
}

TEST(checkpoint_file, goes_nowhere_but_where_nothing_or_a_checkpoint_is) {
  const TemporaryFolder folder;
  write(folder / "c.h5", 1);
  EXPECT_EQ(caught<UsageError>([&] { try_checkpoint(folder / "c.h5"); }), "nothing was thrown");
  EXPECT_EQ(caught<UsageError>([&] { try_checkpoint(folder / "new.h5"); }), "nothing was thrown");
  replace(folder / "notes.txt", "mine");
  EXPECT_NE(caught<UsageError>([&] { try_checkpoint(folder / "notes.txt"); }).find("which is no checkpoint"),
            std::string::npos);
  EXPECT_NE(caught<UsageError>([&] { try_checkpoint("/dev/null"); }).find("it is a device"), std::string::npos);
  EXPECT_NE(caught<UsageError>([&] { try_checkpoint(folder.path()); }).find("it is a folder"), std::string::npos);
  EXPECT_NE(caught<UsageError>([&] { try_checkpoint(folder / "none/c.h5"); }).find("No such file"), std::string::npos);
  EXPECT_EQ(content(folder / "notes.txt"), "mine");
}

}  // namespace
}  // namespace partita::io::checkpoint_file_tests
