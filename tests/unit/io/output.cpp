// SPDX-License-Identifier: BSD-3-Clause
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include <gtest/gtest.h>
#include <signal.h>

#include <partita/core/error.hpp>
#include <partita/io/output.hpp>
#include <partita/io/record_file.hpp>

#include <support/caught.hpp>
#include <support/temporary_folder.hpp>

namespace partita::io::output_tests {
namespace {

namespace fs = std::filesystem;
using partita::testing::caught;
using partita::testing::TemporaryFolder;

metrics::RunHeader small(const std::string& name) {
  metrics::RunHeader header;
  header.attributes["name"] = name;
  header.ranks.resize(1);
  return header;
}

void write(const std::string& path, const std::string& name, bool complete = true) {
  RecordFile(path, small(name)).finish({}, complete, complete ? "done" : "signal 15");
}

std::string name_in(const std::string& path) {
  return std::get<std::string>(File::open(path).read_attribute("/", "name"));
}

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::string refusal(const std::string& path) {
  const std::string message = caught<UsageError>([&] { Output{path}; });
  EXPECT_EQ(caught<UsageError>([&] { try_output(path); }), message) << "a try says the same";
  return message;
}

TEST(output, replaces_nothing_but_an_ordinary_file_that_is_a_record) {
  const TemporaryFolder folder;
  const std::string expected =
      ": expected the name of a new file or of a record of Partita, in a folder that can be written";
  std::ofstream(folder / "deck.toml") << "[train]\n";
  fs::create_directory(folder / "folder");
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0666), 0);
  fs::create_symlink("nowhere", folder / "dangling");
  fs::create_symlink("deck.toml", folder / "link");
  fs::create_symlink("/dev/null", folder / "null");
  const std::string other = "another file has this name, which is no record of Partita";
  EXPECT_EQ(refusal("/dev/null"), "/dev/null: it is a device" + expected);
  EXPECT_EQ(refusal(folder / "null"), "/dev/null: it is a device" + expected);
  EXPECT_EQ(refusal(folder / "pipe"), folder / "pipe: it is a pipe" + expected);
  EXPECT_EQ(refusal(folder / "folder"), folder / "folder: it is a folder" + expected);
  EXPECT_EQ(refusal(folder / "deck.toml"), folder / "deck.toml: " + other + expected);
  EXPECT_EQ(refusal(folder / "link"), fs::canonical(folder / "deck.toml").string() + ": " + other + expected);
  EXPECT_EQ(refusal(folder / "dangling"), folder / "dangling: it is a link that leads to no file" + expected);
  EXPECT_EQ(refusal(""), ": an empty path" + expected);
  EXPECT_EQ(text_of(folder / "deck.toml"), "[train]\n");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST(output, a_part_that_is_no_record_and_a_draft_that_is_no_file_stay_too) {
  const TemporaryFolder folder;
  std::ofstream(folder / "x.h5.part") << "mine";
  fs::create_symlink("x.h5.part", folder / "y.h5.tmp");
  EXPECT_NE(refusal(folder / "x.h5").find("x.h5.part: another file"), std::string::npos);
  EXPECT_NE(refusal(folder / "y.h5").find("y.h5.tmp: it is a link"), std::string::npos);
  EXPECT_EQ(text_of(folder / "x.h5.part"), "mine");
}

TEST(output, a_record_that_may_only_be_read_stays) {
  const TemporaryFolder folder;
  write(folder / "x.h5", "old");
  fs::permissions(folder / "x.h5", fs::perms::owner_read);
  EXPECT_NE(refusal(folder / "x.h5").find("it may only be read"), std::string::npos);
}

TEST(output, a_link_to_a_record_stands_for_it) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "runs");
  write(folder / "runs/x.h5", "old");
  fs::create_symlink("runs/x.h5", folder / "link.h5");
  write(folder / "link.h5", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link.h5"));
  EXPECT_EQ(name_in(folder / "runs/x.h5"), "new");
}

TEST(output, a_complete_record_outlives_a_run_that_ended_early) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  write(path, "first");
  RecordFile early(path, small("early"));
  EXPECT_EQ(early.finish({}, false, "signal 15"), path + ".part");
  EXPECT_EQ(name_in(path), "first");
  EXPECT_EQ(name_in(path + ".part"), "early");
  // The next whole one takes both places.
  RecordFile whole(path, small("second"));
  EXPECT_EQ(name_in(path), "first") << "until the end";
  EXPECT_EQ(whole.finish({}, true, "done"), path);
  EXPECT_EQ(name_in(path), "second");
  EXPECT_FALSE(fs::exists(path + ".part"));
}

TEST(output, an_incomplete_record_is_replaced_by_an_incomplete_one) {
  const TemporaryFolder folder;
  write(folder / "x.h5", "first", false);
  write(folder / "x.h5", "second", false);
  EXPECT_EQ(name_in(folder / "x.h5"), "second");
  EXPECT_FALSE(fs::exists(folder / "x.h5.part"));
}

TEST(output, two_runs_on_one_name_are_refused_before_and_after_the_part_is_there) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  const std::string expected = path + ": another run is writing this record: expected a name of its own for each run";
  {
    const Output mine(path);
    EXPECT_EQ(refusal(path), expected);
  }
  EXPECT_TRUE(fs::is_empty(folder.path())) << "nothing was begun";
  RecordFile mine(path, small("mine"));
  EXPECT_EQ(refusal(path), expected);
  EXPECT_EQ(name_in(path + ".part"), "mine") << "readers are welcome";
  EXPECT_EQ(refusal(path), expected) << "also after one has looked";
  EXPECT_EQ(mine.finish({}, true, "done"), path);
  EXPECT_EQ(caught<UsageError>([&] { Output{path}; }), "nothing was thrown");
}

TEST(output, a_run_that_was_killed_keeps_no_lock) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  int pipes[2];
  ASSERT_EQ(::pipe(pipes), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const RecordFile record(path, small("killed"));
    static_cast<void>(!::write(pipes[1], "x", 1));
    while (true) ::pause();
  }
  char ready = 0;
  ASSERT_EQ(::read(pipes[0], &ready, 1), 1);
  EXPECT_NE(refusal(path).find("another run"), std::string::npos);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(name_in(path + ".part"), "killed");
  write(path, "next");
  EXPECT_EQ(name_in(path), "next");
  EXPECT_FALSE(fs::exists(path + ".part"));
  ::close(pipes[0]);
  ::close(pipes[1]);
}

TEST(output, a_try_leaves_nothing_behind) {
  const TemporaryFolder folder;
  try_output(folder / "x.h5");
  try_output(folder / "a/b/x.h5");
  EXPECT_TRUE(fs::is_empty(folder.path()));
  EXPECT_NE(caught<UsageError>([] { try_output("/proc/nowhere/x.h5"); }), "nothing was thrown");
  std::ofstream(folder / "file") << "x";
  EXPECT_NE(caught<UsageError>([&] { try_output(folder / "file/x.h5"); }), "nothing was thrown");
}

}  // namespace
}  // namespace partita::io::output_tests
