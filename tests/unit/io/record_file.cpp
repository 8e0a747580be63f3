// SPDX-License-Identifier: BSD-3-Clause
#include <sys/resource.h>

#include <cmath>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <signal.h>

#include <partita/core/error.hpp>
#include <partita/io/record_file.hpp>

#include <support/caught.hpp>
#include <support/temporary_folder.hpp>

namespace partita::io::record_file_tests {
namespace {

using namespace partita;
using io::File;
using io::RecordFile;
using metrics::PhaseClass;
using partita::testing::caught;
using partita::testing::TemporaryFolder;
using std::filesystem::exists;
using Reals = std::vector<double>;
using Integers = std::vector<std::int64_t>;

metrics::RunHeader make_record(index_t steps = 6) {
  metrics::RunHeader record;
  record.attributes = {{"app", "test"}};
  record.deck_toml = "[train]\nsteps = 6\n";
  record.ranks.resize(2);
  record.phases = {{"forward", PhaseClass::compute}, {"wait", PhaseClass::wait}};
  record.steps = steps;
  record.evaluations = 2;
  return record;
}

metrics::StepRows make_rows(index_t first, index_t count) {
  metrics::StepRows rows{.first_step = first, .count = count};
  for (index_t i = first; i < first + count; ++i) {
    for (int k = 0; k < 4; ++k) rows.phase_s.push_back(static_cast<double>(10 * i + k));
    rows.start_ns.insert(rows.start_ns.end(), {i, i});
    rows.end_ns.insert(rows.end_ns.end(), {i + 1, i + 1});
    rows.loss.push_back(static_cast<double>(i));
    rows.grad_norm.push_back(0.5);
    rows.samples.push_back(32);
    rows.warmup.push_back(0);
    rows.flushed.push_back(0);
  }
  return rows;
}

std::int64_t complete(const File& file) { return std::get<std::int64_t>(file.read_attribute("/", "complete")); }
std::string reason(const File& file) { return std::get<std::string>(file.read_attribute("/", "exit_reason")); }
Integers written(const File& file) { return std::get<Integers>(file.read("/steps_written")); }

// The file as another process sees it: HDF5 shares an open file within a process.
File seen(const TemporaryFolder& folder, const std::string& path) {
  std::filesystem::copy_file(path, folder / "seen.h5", std::filesystem::copy_options::overwrite_existing);
  return File::open(folder / "seen.h5");
}

TEST(record_file, a_finished_run_has_its_name_and_all_rows) {
  const TemporaryFolder folder;
  const std::string path = folder / "sub/folder/x.h5";
  RecordFile out(path, make_record());
  out.write_steps(make_rows(0, 4));
  out.write_steps(make_rows(4, 2));
  metrics::RunResults results;
  results.summary = {{.metric = "step_s", .value = 0.5, .n = 6, .kind = "cost", .scope = "within run", .unit = "s"}};
  out.finish(results, true, "done");

  EXPECT_FALSE(exists(path + ".part"));
  EXPECT_FALSE(exists(path + ".tmp"));
  const File file = File::open(path);
  EXPECT_EQ(complete(file), 1);
  EXPECT_EQ(reason(file), "done");
  EXPECT_EQ(written(file), Integers{6});
  EXPECT_EQ(std::get<Reals>(file.read("/steps/loss")), (Reals{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(std::get<Reals>(file.read("/steps/phase_s")), make_rows(0, 6).phase_s);
  EXPECT_EQ(std::get<Reals>(file.read("/summary/value")), Reals{0.5});
  EXPECT_EQ(std::get<std::vector<std::string>>(file.read("/config/toml")).at(0), make_record().deck_toml);
  EXPECT_EQ(std::get<std::string>(file.read_attribute("/", "app")), "test");
}

TEST(record_file, part_holds_what_was_written_so_far) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  {
    RecordFile out(path, make_record());
    EXPECT_EQ(written(seen(folder, out.part_path())), Integers{0});
    out.write_steps(make_rows(0, 3));
    out.write_evaluation({.step = 3, .loss = 0.5, .accuracy = 0.75, .samples = 10});
    const File part = seen(folder, out.part_path());
    EXPECT_EQ(complete(part), 0);
    EXPECT_EQ(reason(part), "running");
    EXPECT_EQ(written(part), Integers{3});
    const Reals loss = std::get<Reals>(part.read("/steps/loss"));
    EXPECT_EQ(Reals(loss.begin(), loss.begin() + 3), (Reals{0, 1, 2}));
    EXPECT_TRUE(std::isnan(loss.at(3)));
    EXPECT_EQ(std::get<Integers>(part.read("/evaluation/step")), (Integers{3, -1}));
    EXPECT_EQ(std::get<Reals>(part.read("/evaluation/accuracy")).at(0), 0.75);
  }
  EXPECT_TRUE(exists(path + ".part"));  // never finished
  EXPECT_FALSE(exists(path));
}

TEST(record_file, an_orderly_incomplete_run_ends_at_its_last_step) {
  const TemporaryFolder folder;
  for (const auto detail : {metrics::Detail::full, metrics::Detail::stats}) {
    for (const index_t steps : {0, 4}) {
      metrics::RunHeader record = make_record();
      record.detail = detail;
      record.full_every = 3;
      RecordFile out(folder / "x.h5", record);
      out.write_steps(make_rows(0, steps));
      out.finish({}, false, "signal 15");
      const File file = File::open(folder / "x.h5");
      EXPECT_FALSE(exists(out.part_path()));
      EXPECT_EQ(complete(file), 0);
      EXPECT_EQ(reason(file), "signal 15");
      EXPECT_EQ(file.extents("/step"), std::vector<index_t>{steps});
      EXPECT_EQ(std::get<Reals>(file.read("/steps/loss")), make_rows(0, steps).loss);
      if (detail == metrics::Detail::stats) {
        const index_t kept = steps == 0 ? 0 : 2;
        EXPECT_EQ(file.extents("/steps/phase_full_s"), (std::vector<index_t>{kept, 2, 2}));
        if (kept > 0) {
          EXPECT_EQ(std::get<Reals>(file.read("/steps/phase_full_s")), (Reals{0, 1, 2, 3, 30, 31, 32, 33}));
        }
      }
    }
  }
}

TEST(record_file, rows_come_in_order_and_no_more_than_were_announced) {
  const TemporaryFolder folder;
  RecordFile out(folder / "x.h5", make_record());
  EXPECT_THROW(out.write_steps(make_rows(1, 1)), ShapeError);
  out.write_steps(make_rows(0, 2));
  EXPECT_THROW(out.write_steps(make_rows(0, 2)), ShapeError);
  EXPECT_EQ(caught<ShapeError>([&] { out.write_steps(make_rows(2, 5)); }),
            "RecordFile: rows 2 .. 6 are given: expected rows from 2 on, 6 in all");
  EXPECT_EQ(out.steps_written(), 2);
  EXPECT_EQ(caught<ShapeError>([&] {
              out.write_grad_norms(Reals{1, 2, 3});
            }),
            "RecordFile: gradient norms of 3 steps are given: expected at most of the 2 steps that are written");
  out.write_grad_norms(Reals{7});
  out.finish({}, true, "done");
  EXPECT_EQ(std::get<Reals>(File::open(folder / "x.h5").read("/steps/grad_norm")), (Reals{7, 0.5}));
}

TEST(record_file, attributes_of_the_start_stay_unless_the_end_says_otherwise) {
  const TemporaryFolder folder;
  metrics::RunHeader record = make_record();
  record.attributes = {{"app", "test"}, {"strategy", "data"}};
  RecordFile out(folder / "x.h5", record);
  const auto created = seen(folder, out.part_path()).read_attribute("/", "created_utc");
  metrics::RunResults results;
  results.attributes = {{"strategy", "other"}, {"verdict", "passed"}};
  out.finish(results, true, "done");
  const File file = File::open(folder / "x.h5");
  EXPECT_EQ(file.read_attribute("/", "app"), metrics::Attribute("test"));
  EXPECT_EQ(file.read_attribute("/", "strategy"), metrics::Attribute("other"));
  EXPECT_EQ(file.read_attribute("/", "verdict"), metrics::Attribute("passed"));
  EXPECT_EQ(file.read_attribute("/", "created_utc"), created);
}

TEST(record_file, more_evaluations_than_planned_are_left_to_the_end) {
  const TemporaryFolder folder;
  RecordFile out(folder / "x.h5", make_record());
  metrics::RunResults results;
  for (index_t step = 1; step <= 3; ++step) {
    results.evaluation.push_back({.step = step, .loss = 0, .accuracy = 0, .samples = 1});
    out.write_evaluation(results.evaluation.back());
  }
  EXPECT_EQ(std::get<Integers>(seen(folder, out.part_path()).read("/evaluation/step")), (Integers{1, 2}));
  out.finish(results, true, "done");
  EXPECT_EQ(std::get<Integers>(File::open(folder / "x.h5").read("/evaluation/step")), (Integers{1, 2, 3}));
}

metrics::RunHeader with_events() {
  metrics::RunHeader record = make_record();
  record.events = {.first_step = 1, .last_step = 2, .capacity = 4, .parts = {"forward"}, .units = {"linear0", "head"}};
  return record;
}

std::vector<metrics::EventRow> make_events(index_t first, index_t count) {
  std::vector<metrics::EventRow> rows;
  for (index_t i = first; i < first + count; ++i) rows.push_back({i % 2, {.step = 1 + i / 2, .bytes = 10 * i}});
  return rows;
}

TEST(record_file, events_are_in_the_part_as_they_come_and_alone_in_the_end) {
  const TemporaryFolder folder;
  RecordFile out(folder / "x.h5", with_events());
  EXPECT_EQ(std::get<Integers>(seen(folder, out.part_path()).read("/events/rank")), Integers(4, -1));
  out.write_events(make_events(0, 2), 0);
  out.write_events(make_events(2, 1), 5);
  {
    const File part = seen(folder, out.part_path());
    EXPECT_EQ(std::get<Integers>(part.read("/events/events_written")), Integers{3});
    EXPECT_EQ(std::get<Integers>(part.read("/events/events_dropped")), Integers{5});
    EXPECT_EQ(std::get<Integers>(part.read("/events/rank")), (Integers{0, 1, 0, -1}));
    EXPECT_EQ(std::get<Integers>(part.read("/events/bytes")), (Integers{0, 10, 20, 0}));
  }
  EXPECT_EQ(caught<ShapeError>([&] { out.write_events(make_events(3, 2), 5); }),
            "RecordFile: 2 events are given, 3 are written: expected at most 4 in all");
  out.finish({}, true, "done");  // whoever ends it need not know of them
  const File file = File::open(folder / "x.h5");
  EXPECT_EQ(std::get<Integers>(file.read("/events/step")), (Integers{1, 1, 2}));
  EXPECT_EQ(std::get<Integers>(file.read("/events/bytes")), (Integers{0, 10, 20}));
  EXPECT_EQ(std::get<Integers>(file.read("/events/events_written")), Integers{3});
  EXPECT_EQ(std::get<Integers>(file.read("/events/events_dropped")), Integers{5});
  EXPECT_EQ(std::get<std::vector<std::string>>(file.read("/events/unit_name")).at(1), "head");
}

TEST(record_file, chosen_steps_that_never_came_leave_an_empty_table) {
  const TemporaryFolder folder;
  RecordFile(folder / "x.h5", with_events()).finish({}, false, "signal 15");
  const File file = File::open(folder / "x.h5");
  EXPECT_EQ(file.extents("/events/rank"), std::vector<index_t>{0});
  EXPECT_EQ(std::get<Integers>(file.read("/events/events_written")), Integers{0});
}

TEST(record_file, an_app_adds_tables_of_its_own) {
  const TemporaryFolder folder;
  metrics::RunHeader record;
  record.ranks.resize(3);
  metrics::RunResults results;
  results.tables = {{.group = "/pingpong",
                     .scales = {metrics::index_scale("size", 2, "message size")},
                     .columns = {{"latency_s", {"size", "rank"}, Reals{1, 2, 3, 4, 5, 6}, {{"units", "s"}}}},
                     .attributes = {{"note", "x"}}}};
  io::write_record(folder / "x.h5", record, results);
  const File file = File::open(folder / "x.h5");
  EXPECT_EQ(file.extents("/pingpong/latency_s"), (std::vector<index_t>{2, 3}));
  EXPECT_EQ(std::get<Integers>(file.read("/pingpong/rank")), (Integers{0, 1, 2}));  // the root's scale, seen from here
  EXPECT_EQ(std::get<std::string>(file.read_attribute("/pingpong", "note")), "x");
  EXPECT_FALSE(file.exists("/steps"));
  EXPECT_EQ(complete(file), 1);
}

TEST(record_file, a_dimension_nobody_knows_is_named) {
  const TemporaryFolder folder;
  metrics::RunHeader record = make_record();
  metrics::RunResults results;
  results.tables = {{.group = "/strategy", .columns = {{"x", {"stage"}, Reals{1}}}}};
  EXPECT_EQ(caught<ShapeError>([&] { io::write_record(folder / "x.h5", record, results); }),
            "/strategy/x: no scale gives dimension stage its extent: expected one in the group or at the root");
  EXPECT_FALSE(exists(folder / "x.h5"));
  EXPECT_TRUE(exists(folder / "x.h5.part")) << "what was known before";
  EXPECT_FALSE(exists(folder / "x.h5.tmp"));
}

TEST(record_file, a_finished_run_replaces_an_older_one_at_its_end) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  io::write_record(path, make_record(), {});
  { const RecordFile killed(path, make_record(7)); }
  RecordFile out(path, make_record());
  EXPECT_EQ(written(seen(folder, path)), Integers{0});
  out.write_steps(make_rows(0, 6));
  out.finish({}, true, "done");
  EXPECT_EQ(written(File::open(path)), Integers{6});
  EXPECT_FALSE(exists(path + ".part"));
}

TEST(record_file, an_output_path_that_cannot_be_written_is_the_users_to_mend) {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << "x";
  const std::string below_a_file = folder / "file/x.h5", a_folder = folder / "";
  for (const std::string& path : {below_a_file, a_folder, std::string("/proc/x.h5"), std::string()}) {
    const std::string message = caught<UsageError>([&] { RecordFile(path, make_record()); });
    EXPECT_TRUE(message.starts_with(path)) << message;
    EXPECT_NE(message.find("expected the name of a new file"), std::string::npos) << message;
  }
}

// Lets no file grow beyond a size: what a full disk does to a writer.
class SizeLimit {
 public:
  explicit SizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &old_);
    handler_ = ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~SizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    ::signal(SIGXFSZ, handler_);
  }
  SizeLimit(const SizeLimit&) = delete;
  SizeLimit& operator=(const SizeLimit&) = delete;

 private:
  rlimit old_{};
  void (*handler_)(int) = SIG_DFL;
};

TEST(record_file, a_full_disk_at_the_start_is_an_error_that_names_the_file) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  ::testing::internal::CaptureStderr();
  {
    const SizeLimit limit(64 << 10);
    const std::string message = caught<Error>([&] { RecordFile(path, make_record(100'000)); });
    EXPECT_NE(message.find(path), std::string::npos) << message;
    EXPECT_NE(message.find("File too large"), std::string::npos) << message;
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_FALSE(exists(path + ".part"));
  EXPECT_FALSE(exists(path + ".tmp"));
}

TEST(record_file, a_full_disk_at_the_end_leaves_the_part) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  {
    RecordFile out(path, make_record(100'000));
    out.write_steps(make_rows(0, 50'000));
    const SizeLimit limit(64 << 10);
    const std::string message = caught<Error>([&] { out.finish({}, true, "done"); });
    EXPECT_NE(message.find(path), std::string::npos) << message;
  }
  EXPECT_FALSE(exists(path));
  EXPECT_FALSE(exists(path + ".tmp"));
  const File part = File::open(path + ".part");
  EXPECT_EQ(written(part), Integers{50'000});
  EXPECT_EQ(std::get<Reals>(part.read("/steps/loss")).at(49'999), 49'999);
}

}  // namespace
}  // namespace partita::io::record_file_tests
