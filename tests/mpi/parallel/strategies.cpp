// SPDX-License-Identifier: BSD-3-Clause
// Every data-parallel strategy trains what one rank alone trains: the same bits in deterministic mode, within rounding
// in fast mode; it sends and allocates what its closed forms say.
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <partita/comm/closed_forms.hpp>

#include <support/collective.hpp>
#include <support/mpi.hpp>
#include "problem.hpp"

namespace partita::parallel::test {
namespace {

using comm::Allreduce;
using partita::test::world;

constexpr Kind mlp{"mlp", 48}, gpt{"gpt", 48}, cnn{"cnn", 48};

/// A strategy in one of its forms.
struct Form {
  Strategy strategy;
  index_t bucket_bytes = 0;
  ProgressMode progress = ProgressMode::test;

  Options options(Allreduce how = Allreduce::ring) const {
    Options options{.allreduce = how};
    options.strategy = strategy;
    options.bucket_bytes = bucket_bytes;
    options.progress = progress;
    return options;
  }
};

const std::vector<Form> forms = {{Strategy::allreduce},
                                 {Strategy::allreduce, 256},
                                 {Strategy::allreduce, 256, ProgressMode::none},
                                 {Strategy::gather_broadcast},
                                 {Strategy::zero1},
                                 {Strategy::zero1, 256},
                                 {Strategy::zero2},
                                 {Strategy::zero2, 600},
                                 {Strategy::zero3},
                                 {Strategy::zero3, 600},
                                 {Strategy::zero3, 0, ProgressMode::none}};

std::string name(const Form& form) {
  return std::string(name_of(strategies, form.strategy)) +
         (form.bucket_bytes > 0 ? "_in_" + std::to_string(form.bucket_bytes) : "") +
         (form.progress == ProgressMode::none ? "_unhelped" : "");
}

class strategies_of : public ::testing::TestWithParam<Form> {
 protected:
  // Training of one rank alone by the plain all-reduce, done once by every rank.
  template <class Scalar>
  static const Trained<Scalar>& alone(const Kind& kind, const Options& options, index_t steps) {
    static std::map<std::string, Trained<Scalar>> made;
    const std::string key = std::string(kind.name) + std::to_string(options.chunks) + "/" +
                            std::to_string(options.micro_batches) + "/" + std::to_string(steps);
    const auto found = made.find(key);
    if (found != made.end()) return found->second;
    Options plain{.allreduce = Allreduce::mpi, .micro_batches = options.micro_batches, .chunks = options.chunks};
    plain.update = options.update;
    return made.try_emplace(key, kind, world().split(world().rank(), 0, "alone"), plain, steps).first->second;
  }
};

TEST_P(strategies_of, deterministic_mode_gives_the_bits_of_one_rank) {
  for (const Kind& kind : {mlp, gpt, cnn})
    for (const index_t micro_batches : {1, 2})
      for (const Allreduce how : {Allreduce::mpi, Allreduce::ring}) {
        Options options = GetParam().options(how);
        options.chunks = 24;
        const Trained<float>& one = alone<float>(kind, options, 3);
        options.micro_batches = micro_batches;
        const Trained<float> many(kind, world(), options, 3);
        EXPECT_ALL(world(), many.agree) << kind.name;
        EXPECT_ALL(world(), many.parameters == one.parameters) << kind.name;
        EXPECT_ALL(world(), many.running == one.running) << kind.name;
        EXPECT_ALL(world(), many.norms == one.norms) << kind.name;
        EXPECT_ALL(world(), !world().is_root() || many.losses == one.losses) << kind.name;
      }
}

TEST_P(strategies_of, fast_mode_stays_within_the_agreed_bounds) {
  for (const Kind& kind : {mlp, gpt})
    for (const index_t micro_batches : {1, 3}) {
      Options options = GetParam().options();
      const Trained<float>& one = alone<float>(kind, options, 20);
      options.micro_batches = micro_batches;
      const Trained<float> many(kind, world(), options, 20);
      EXPECT_ALL(world(), many.agree);
      EXPECT_NEAR(many.norms.front() / one.norms.front(), 1, 1e-5);
      if (world().is_root()) {
        EXPECT_NEAR(many.losses.back() / one.losses.back(), 1, 1e-4);  // DESIGN.md section 6
      }
    }
}

TEST_P(strategies_of, sixteen_bit_models_skip_the_same_steps) {
  Options options = GetParam().options();
  options.update.loss_scale.initial = 0x1p30;  // overflows for some steps
  options.micro_batches = 2;
  const Trained<float16>& one = alone<float16>(gpt, options, 12);
  const Trained<float16> many(gpt, world(), options, 12);
  EXPECT_GT(one.skipped, 3);
  EXPECT_ALL(world(), many.skipped == one.skipped) << many.skipped << " and " << one.skipped;
  EXPECT_ALL(world(), many.agree);
}

INSTANTIATE_TEST_SUITE_P(by, strategies_of, ::testing::ValuesIn(forms), [](const auto& at) { return name(at.param); });

}  // namespace
}  // namespace partita::parallel::test
