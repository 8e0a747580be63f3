// SPDX-License-Identifier: BSD-3-Clause
#include <string>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/metrics/record.hpp>

namespace partita::metrics::record_tests {
namespace {

using namespace partita;
using namespace partita::metrics;

// Two steps of 3 ranks and 2 phases.
StepRows fitting() {
  return {.first_step = 0,
          .count = 2,
          .phase_s = std::vector<double>(12),
          .start_ns = std::vector<std::int64_t>(6),
          .end_ns = std::vector<std::int64_t>(6),
          .loss = std::vector<double>(2),
          .grad_norm = std::vector<double>(2),
          .samples = std::vector<std::int64_t>(2),
          .warmup = std::vector<std::int8_t>(2),
          .flushed = std::vector<std::int8_t>(2)};
}

template <class Change>
std::string complaint(Change change) {
  StepRows rows = fitting();
  change(rows);
  try {
    rows.check(3, 2);
  } catch (const ShapeError& error) {
    return error.what();
  }
  return "none";
}

TEST(record, rows_that_fit_pass) { EXPECT_NO_THROW(fitting().check(3, 2)); }

TEST(record, a_misfit_is_named_with_both_extents) {
  EXPECT_EQ(complaint([](StepRows& rows) { rows.phase_s.pop_back(); }),
            "StepRows: phase_s has 11 values: expected 12 = count x ranks x phases (count 2, ranks 3, phases 2)");
  EXPECT_NE(complaint([](StepRows& rows) { rows.start_ns.clear(); }).find("start_ns has 0"), std::string::npos);
  EXPECT_NE(complaint([](StepRows& rows) { rows.end_ns.push_back(0); }).find("end_ns has 7"), std::string::npos);
  EXPECT_NE(complaint([](StepRows& rows) { rows.loss.clear(); }).find("loss has 0"), std::string::npos);
  EXPECT_NE(complaint([](StepRows& rows) { rows.grad_norm.clear(); }).find("grad_norm has 0"), std::string::npos);
  EXPECT_NE(complaint([](StepRows& rows) { rows.samples.clear(); }).find("samples has 0"), std::string::npos);
  EXPECT_NE(complaint([](StepRows& rows) { rows.warmup.clear(); }).find("warmup has 0"), std::string::npos);
  EXPECT_NE(complaint([](StepRows& rows) { rows.flushed.clear(); }).find("flushed has 0"), std::string::npos);
  EXPECT_NE(complaint([](StepRows& rows) { rows.first_step = -1; }).find("first_step is -1"), std::string::npos);
}

TEST(record, class_names_are_those_of_the_format) {
  EXPECT_STREQ(to_string(PhaseClass::compute), "compute");
  EXPECT_STREQ(to_string(PhaseClass::communication), "communication");
  EXPECT_STREQ(to_string(PhaseClass::wait), "wait");
  EXPECT_STREQ(to_string(PhaseClass::input), "input");
  EXPECT_STREQ(to_string(PhaseClass::other), "other");
}

TEST(record, scales_name_and_number_their_dimension) {
  const Column index = index_scale("step", 3, "training step");
  EXPECT_EQ(index.name, "step");
  EXPECT_EQ(index.dimensions, std::vector<std::string>{"step"});
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(index.data), (std::vector<std::int64_t>{0, 1, 2}));
  EXPECT_EQ(size(name_scale("phase", {"a", "b"}, "").data), 2u);
}

}  // namespace
}  // namespace partita::metrics::record_tests
