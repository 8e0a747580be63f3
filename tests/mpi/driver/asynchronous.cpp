// SPDX-License-Identifier: BSD-3-Clause
// Ranks with roles: rank 0 serves and hands on rows of steps, the others work at their own paces and talk to it by
// messages between two ranks alone. Step s is a unit of the worker whose turn it is.
#include <cmath>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <partita/comm/mesh.hpp>
#include <partita/core/clock.hpp>
#include <partita/driver/asynchronous.hpp>
#include <partita/io/hdf5_file.hpp>

#include <support/caught.hpp>
#include <support/collective.hpp>
#include <support/mpi.hpp>
#include <support/temporary_folder.hpp>

namespace partita::driver::asynchronous_tests {
namespace {

using Integers = std::vector<std::int64_t>;
using Names = std::vector<std::string>;
using Reals = std::vector<double>;
using partita::test::world;
using partita::testing::TemporaryFolder;

void nap(int ms = 1) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }
bool serves() { return world().is_root(); }
double loss_of(index_t s) { return 1.0 / static_cast<double>(1 + s); }

// Who makes step s: the server itself where it is alone.
int maker(index_t s) { return world().size() == 1 ? 0 : 1 + static_cast<int>(s % (world().size() - 1)); }

struct Report {  // of a step, from the worker that made it
  std::int64_t start_ns, end_ns;
  double work_s;
};

Report make(index_t s) {
  Report report{.start_ns = now_ns(), .end_ns = 0, .work_s = static_cast<double>(100 * world().rank() + s)};
  nap(world().rank());  // paces differ
  report.end_ns = now_ns();
  return report;
}

metrics::StepRows row_of(index_t s, const Report& report) {
  const auto P = static_cast<std::size_t>(world().size()), w = static_cast<std::size_t>(maker(s));
  metrics::StepRows rows{.first_step = s, .count = 1};
  rows.phase_s.assign(2 * P, 0);
  rows.start_ns.assign(P, report.start_ns);
  rows.end_ns.assign(P, report.start_ns);
  rows.end_ns[w] = report.end_ns;
  rows.phase_s[2 * w + 1] = report.work_s;
  rows.loss = {loss_of(s)};
  rows.grad_norm = {metrics::not_a_number};
  rows.samples = {10 + s};
  return rows;
}

struct Toy {
  explicit Toy(index_t steps) {
    run.output = folder / "x.h5";
    run.warmup = 3;
    run.flush_every = 8;
    run.calibration = CalibrationMode::off;
    work.strategy = "toy server";
    work.role = serves() ? "server" : "worker";
    work.attributes = {{"engine", "mpi"}, {"workers", std::int64_t{world().size() - 1}}};
    work.phases = {{"serve", metrics::PhaseClass::other}, {"work", metrics::PhaseClass::compute}};
    work.steps = steps;
    work.samples_per_step = 1;
    work.verify = [this](const metrics::RunResults&, std::span<const double> losses_) {
      losses.assign(losses_.begin(), losses_.end());
      return Verification{true, "as it should be"};
    };
  }

  // A server that serves all steps in their turn, and asks after each whether to go on; its answer is the worker's.
  void serve(AsynchronousRun& it) {
    for (index_t s = 0; s < work.steps; ++s) {
      it.beat(s, "serving");
      Report report{};
      if (maker(s) == 0)
        report = make(s);
      else
        world().receive(std::span<Report>(&report, 1), maker(s));
      it.add(row_of(s, report));
      if (added) added(it, s);
      const char go_on = s + 1 < work.steps && !it.should_stop() ? 1 : 0;
      if (go_on == 1 && maker(s) != 0) world().send(std::span<const char>(&go_on, 1), maker(s));
      if (go_on == 0) return dismiss(s);
    }
  }

  // All are told once that it is over: who made step s as an answer to it, the others in place of one to their next.
  void dismiss(index_t s) const {
    const char over = 0;
    for (int w = 1; w < world().size(); ++w) {
      Report ignored{};
      if (w != maker(s)) world().receive(std::span<Report>(&ignored, 1), w);
      world().send(std::span<const char>(&over, 1), w);
    }
  }

  void labour(AsynchronousRun& it) {
    char go_on = 1;
    for (index_t s = world().rank() - 1; go_on == 1; s += world().size() - 1) {
      it.beat(s, "working");
      const Report report = make(s);
      if (it.events().wants(s)) it.events().add({.step = s, .part = 0, .unit = 0, .bytes = s});
      if (made) made(it, s);
      world().send(std::span<const Report>(&report, 1), 0);
      world().receive(std::span<char>(&go_on, 1), 0);
    }
  }

  AsynchronousLoop loop() {
    return {.run = [this](AsynchronousRun& it) { serves() ? serve(it) : labour(it); }};
  }

  ExitCode go(const AsynchronousLoop& how) {
    char name[] = "toy";
    char* arguments[] = {name, nullptr};
    Session session(partita::test::environment(), 1, arguments, "toy", "a run for tests", false);
    session.start(run);
    const comm::Mesh mesh(world(), {{"data", world().size()}});
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const ExitCode code = run_asynchronous(session, mesh, run, Exec(), work, how);
    ::testing::internal::GetCapturedStdout();
    error = ::testing::internal::GetCapturedStderr();
    return code;
  }

  TemporaryFolder folder;
  RunOptions run;
  Workload work;
  std::function<void(AsynchronousRun&, index_t)> added, made;  // what else happens after a step, on rank 0; a worker
  Reals losses;
  std::string error;
};

template <class T>
std::vector<T> read(const io::File& file, const std::string& dataset) {
  return std::get<std::vector<T>>(file.read(dataset));
}

TEST(asynchronous, all_rows_are_in_the_record_with_roles_and_marks) {
  Toy toy(21);
  index_t in_part = -1;
  toy.added = [&](AsynchronousRun& it, index_t s) {
    EXPECT_EQ(it.added(), s + 1);
    if (s != 9) return;
    std::filesystem::copy_file(toy.run.output + ".part", toy.folder / "seen.h5");  // as another process would see it
    in_part = read<std::int64_t>(io::File::open(toy.folder / "seen.h5"), "/steps_written").at(0);
  };
  ASSERT_ALL(world(), toy.go(toy.loop()) == ExitCode::done);
  if (!serves()) return;
  EXPECT_EQ(in_part, 8) << "written while the loop went on";
  const auto P = static_cast<std::size_t>(world().size());
  const io::File file = io::File::open(toy.run.output);
  Names roles(P, "worker");
  roles[0] = "server";
  EXPECT_EQ(read<std::string>(file, "/ranks/role"), roles);

  Reals losses, work_s(2 * P * 21, 0);
  Integers samples;
  std::vector<std::int8_t> warmup, flushed;
  for (index_t s = 0; s < 21; ++s) {
    losses.push_back(loss_of(s));
    samples.push_back(10 + s);
    warmup.push_back(s < 3 ? 1 : 0);
    flushed.push_back(s == 8 || s == 16 ? 1 : 0);
    const int w = maker(s);
    work_s[2 * (static_cast<std::size_t>(s) * P + static_cast<std::size_t>(w)) + 1] = static_cast<double>(100 * w + s);
  }
  EXPECT_EQ(read<double>(file, "/steps/loss"), losses);
  EXPECT_EQ(toy.losses, losses) << "as they were verified";
  EXPECT_EQ(read<double>(file, "/steps/phase_s"), work_s);
  EXPECT_EQ(read<std::int64_t>(file, "/steps/samples"), samples);
  EXPECT_EQ(read<std::int8_t>(file, "/steps/warmup"), warmup);
  EXPECT_EQ(read<std::int8_t>(file, "/steps/flushed"), flushed);
  for (const double norm : read<double>(file, "/steps/grad_norm")) EXPECT_TRUE(std::isnan(norm));
  EXPECT_EQ(std::get<std::string>(file.read_attribute("/", "engine")), "mpi");
  EXPECT_EQ(std::get<std::int64_t>(file.read_attribute("/", "complete")), 1);
}

TEST(asynchronous, what_comes_late_and_what_warm_up_sends) {
  Toy toy(12);
  toy.run.first_event_step = 4;
  toy.run.last_event_step = 7;
  toy.work.events_per_step = 1;
  toy.work.event_parts = {"work"};
  toy.work.event_units = {"unit"};
  toy.work.evaluate_every = 6;
  index_t counted = 0;
  toy.made = [&](AsynchronousRun& it, index_t s) {
    if (s >= it.first_counted() && counted++ == 0) it.warm_up_over();
    test::environment().traffic().entry("push", "toy", "world").sent_bytes += 100;
  };
  AsynchronousLoop loop = toy.loop();
  loop.after = [&](AfterLoop& after) {
    const Reals norms{0.5, 1.5, 2.5, 3.5};
    after.grad_norms(norms);
    for (const index_t step : {6, 12}) {
      EXPECT_FALSE(after.stop());
      after.evaluated({.step = step, .loss = 0.1 * static_cast<double>(step), .accuracy = 0.5, .samples = 3});
    }
  };
  test::environment().traffic().entry("push", "toy", "world").sent_bytes = 0;
  ASSERT_ALL(world(), toy.go(loop) == ExitCode::done);
  const std::vector<index_t> of_ranks = world().gather(counted);
  if (!serves()) return;
  const io::File file = io::File::open(toy.run.output);
  const auto norms = read<double>(file, "/steps/grad_norm");
  for (std::size_t s = 0; s < 4; ++s) EXPECT_EQ(norms.at(s), 0.5 + static_cast<double>(s));
  EXPECT_TRUE(std::isnan(norms.at(4)));
  EXPECT_EQ(read<std::int64_t>(file, "/evaluation/step"), (Integers{6, 12}));
  EXPECT_EQ(read<double>(file, "/evaluation/loss"), (Reals{0.1 * 6, 0.1 * 12}));
  if (world().size() == 1) return;
  EXPECT_EQ(read<std::int64_t>(file, "/events/step"), (Integers{4, 5, 6, 7}));
  EXPECT_EQ(read<std::int64_t>(file, "/events/rank"), (Integers{maker(4), maker(5), maker(6), maker(7)}));
  const auto sent = read<std::int64_t>(file, "/traffic/sent_bytes");
  const auto P = static_cast<std::size_t>(world().size());
  const auto names = read<std::string>(file, "/traffic/kind");
  for (std::size_t k = 0; k < names.size(); ++k)
    for (std::size_t r = 1; names[k] == "push" && r < P; ++r) EXPECT_EQ(sent[k * P + r], 100 * of_ranks[r]);
}

// One of them is done long before the others: it neither holds them up, nor is it taken for hung.
TEST(asynchronous, who_is_done_waits_for_the_others) {
  for (const bool server_is_last : {true, false}) {
    Toy toy(5);
    toy.run.hang_timeout_s = 4;  // on a busy machine the begin of a run takes some seconds
    std::int64_t left_ns = 0;
    const auto linger = [](AsynchronousRun& it) {
      for (const std::int64_t start = now_ns(); seconds(now_ns() - start) < 6; nap(20)) it.beat(1, "lingering");
    };
    const AsynchronousLoop loop{.run = [&](AsynchronousRun& it) {
      const bool last = serves() == server_is_last;
      if (last) linger(it);
      if (serves())
        for (index_t s = 0; s < 5; ++s) it.add(row_of(s, {.start_ns = 0, .end_ns = 1, .work_s = 0}));
      left_ns = now_ns();
    }};
    ASSERT_ALL(world(), toy.go(loop) == ExitCode::done);
    const std::vector<std::int64_t> left = world().gather(left_ns);
    if (!serves()) continue;
    EXPECT_EQ(io::File::open(toy.run.output).extents("/steps/loss"), std::vector<index_t>{5});
    for (std::size_t r = 1; r < left.size(); ++r)
      EXPECT_GT(seconds(server_is_last ? left[0] - left[r] : left[r] - left[0]), 1.5) << "nobody waits within the loop";
  }
}

// Rank 0 sees the signal, the time limit or its own reason; the record holds the rows so far.
TEST(asynchronous, stopping_early_keeps_the_rows_so_far) {
  for (const std::string why : {"signal SIGTERM", "run.time_limit_s = 5 s are over", "the well is dry"}) {
    Toy toy(60000);
    if (why.starts_with("run.")) toy.run.time_limit_s = 5;
    toy.work.evaluate_every = 20000;
    index_t rows = 0;
    toy.added = [&](AsynchronousRun& it, index_t s) {
      if (s == 20 && why.starts_with("signal")) std::raise(SIGTERM);
      if (s == 20 && why.starts_with("the well")) it.stop(why);
      nap();
      rows = it.added();
    };
    bool met = false;
    AsynchronousLoop loop = toy.loop();
    loop.after = [&](AfterLoop& after) {
      met = after.stop();
      after.evaluated({.step = 20, .loss = 1, .accuracy = 1, .samples = 1});
    };
    ASSERT_ALL(world(), toy.go(loop) == ExitCode::incomplete);
    EXPECT_ALL(world(), met);
    if (!serves()) continue;
    EXPECT_NE(toy.error.find("error: the run ended early: " + why), std::string::npos) << toy.error;
    EXPECT_TRUE(why.starts_with("run.") || rows == 21) << rows;
    const io::File file = io::File::open(toy.run.output);
    EXPECT_EQ(file.extents("/steps/loss"), std::vector<index_t>{rows});
    EXPECT_EQ(std::get<std::int64_t>(file.read_attribute("/", "complete")), 0);
    EXPECT_EQ(std::get<std::string>(file.read_attribute("/", "exit_reason")), why);
    EXPECT_EQ(file.extents("/evaluation/step"), std::vector<index_t>{0}) << "none was made";
  }
}

TEST(asynchronous, a_loop_that_ends_without_its_steps_ended_early) {
  Toy toy(7);
  const AsynchronousLoop loop{.run = [](AsynchronousRun& it) {
    const metrics::StepRows wrong = row_of(1, {});
    const char* const where = serves() ? "steps 1 .. 1 are added" : "rows of steps on rank ";
    const std::string what = testing::caught<ShapeError>([&] { it.add(wrong); });
    EXPECT_NE(what.find(where), std::string::npos) << what;
    if (serves()) it.add(row_of(0, {}));
  }};
  ASSERT_ALL(world(), toy.go(loop) == ExitCode::incomplete);
  if (!serves()) return;
  EXPECT_NE(toy.error.find("its loop was over after 1 of 7 steps"), std::string::npos) << toy.error;
  EXPECT_EQ(io::File::open(toy.run.output).extents("/steps/loss"), std::vector<index_t>{1});
}

}  // namespace
}  // namespace partita::driver::asynchronous_tests
