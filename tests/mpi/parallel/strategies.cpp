// SPDX-License-Identifier: BSD-3-Clause
// Every data-parallel strategy trains what one rank alone trains: the same bits in deterministic mode, within rounding
// in fast mode; it sends and allocates what its closed forms say.
#include <algorithm>
#include <array>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <Kokkos_Core.hpp>

#include <partita/comm/closed_forms.hpp>
#include <partita/nn/norm_cells.hpp>

#include <support/collective.hpp>
#include <support/mpi.hpp>
#include "problem.hpp"

namespace partita::parallel::test::strategies_tests {
namespace {

using comm::Allreduce;
using partita::test::world;

constexpr Kind mlp{"mlp", 48}, gpt{"gpt", 48}, cnn{"cnn", 48};
// Backward computes parts of forward again, for which weights are read once more.
constexpr Kind gpt_branches{"gpt", 48, nn::Recompute::attention}, gpt_blocks{"gpt", 48, nn::Recompute::block},
    cnn_blocks{"cnn", 48, nn::Recompute::block};

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
  // 0 or 1, in turn over the forms and the kinds of a test: a form meets both values of what is chosen by it, and all
  // forms together have every combination.
  static std::size_t turn(std::size_t kind) {
    const auto same = [](const Form& form) { return name(form) == name(GetParam()); };
    return (static_cast<std::size_t>(std::ranges::find_if(forms, same) - forms.begin()) + kind) % 2;
  }

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
  std::size_t k = 0;
  for (const Kind& kind : {mlp, gpt, cnn}) {
    const bool as_is = turn(k++) == 0;
    for (const index_t micro_batches : {1, 2}) {
      Options options = GetParam().options((micro_batches == 1) == as_is ? Allreduce::mpi : Allreduce::ring);
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
}

TEST_P(strategies_of, recomputation_gives_the_bits_of_one_rank_that_keeps_all) {
  std::size_t k = 0;
  for (const Kind& kind : {gpt_branches, gpt_blocks, cnn_blocks}) {
    Options options = GetParam().options();
    options.chunks = 2 * world().size() + 1;  // unlike numbers of pieces
    const Trained<float>& one = alone<float>({kind.name, kind.batch}, options, 3);
    options.micro_batches = turn(k++) == 0 ? 1 : 2;
    const Trained<float> many(kind, world(), options, 3);
    EXPECT_ALL(world(), many.agree) << kind.name;
    EXPECT_ALL(world(), many.parameters == one.parameters && many.running == one.running) << kind.name;
    EXPECT_ALL(world(), many.norms == one.norms) << kind.name;
    EXPECT_ALL(world(), !world().is_root() || many.losses == one.losses) << kind.name;
  }
}

// Ranks have unlike numbers of chunks, and so of pieces.
TEST_P(strategies_of, chunks_that_do_not_divide_give_the_bits_of_one_rank) {
  for (const index_t micro_batches : {1, 2}) {
    Options options = GetParam().options();
    options.chunks = 2 * world().size() + 1;
    const Trained<float>& one = alone<float>(mlp, options, 3);
    options.micro_batches = micro_batches;
    const Trained<float> many(mlp, world(), options, 3);
    EXPECT_ALL(world(), many.agree && many.parameters == one.parameters && many.norms == one.norms);
  }
}

TEST_P(strategies_of, fast_mode_stays_within_the_agreed_bounds) {
  std::size_t k = 0;
  for (const Kind& kind : {mlp, gpt}) {
    Options options = GetParam().options();
    const Trained<float>& one = alone<float>(kind, options, 20);
    options.micro_batches = turn(k++) == 0 ? 1 : 3;
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

/// What is allocated under labels of nn and parallel while this lives.
class Allocated {
 public:
  Allocated() {
    sizes().clear();
    Kokkos::Tools::Experimental::set_allocate_data_callback(
        [](Kokkos_Profiling_SpaceHandle, const char* label, const void*, std::uint64_t size) {
          for (const char* what :
               {"partita::nn::Model", "partita::nn::Update", "partita::nn::FlatGradientSum", "partita::parallel"})
            if (std::string_view(label).starts_with(what)) sizes().push_back(static_cast<index_t>(size));
        });
  }
  ~Allocated() { Kokkos::Tools::Experimental::set_allocate_data_callback(nullptr); }

  /// Whether these are so many bytes. Kokkos rounds each View up to whole 8, and tells of one without elements that it
  /// has the 128 of its header.
  static bool are(index_t bytes) {
    index_t sum = 0, perhaps_empty = 0;
    for (const index_t size : sizes()) {
      sum += size;
      perhaps_empty += size == 128 ? 1 : 0;
    }
    for (index_t empty = 0; empty <= perhaps_empty; ++empty)
      if (const index_t spare = sum - 128 * empty - bytes; 0 <= spare && spare < 8 * std::ssize(sizes())) return true;
    return false;
  }

 private:
  static std::vector<index_t>& sizes() {
    static std::vector<index_t> all;
    return all;
  }
};

template <class Scalar>
void expect_closed_form(const Kind& kind, const Options& options) {
  const Allocated allocated;
  const Replica<Scalar> replica(kind, world(), options);
  const StrategyBytes form =
      strategy_bytes<Scalar>(options.parallel(), replica.model.tables(), replica.model.units(), world().size(),
                             world().rank(), replica.division, options.update.optimizer);
  EXPECT_EQ(replica.strategy.allocated(*replica.update), form) << kind.name;
  EXPECT_TRUE(allocated.are(form.weights + form.gradients + form.optimizer)) << kind.name;
  EXPECT_FALSE(allocated.are(form.weights + form.gradients + form.optimizer + 2048)) << kind.name;
}

TEST_P(strategies_of, memory_is_the_closed_form) {
  for (const Kind& kind : {mlp, gpt, cnn})
    for (const index_t chunks : {0, 24})
      for (const index_t micro_batches : {1, 2}) {
        Options options = GetParam().options();
        options.chunks = chunks;
        options.micro_batches = micro_batches;
        expect_closed_form<float>(kind, options);
        expect_closed_form<bfloat16>(kind, options);
      }
}

/// Bytes a parameter with Adam, as published, for a model whose groups share out evenly enough: the large one below.
TEST(strategies, bytes_a_parameter_are_those_of_the_paper) {
  const int N = world().size();
  const auto model = nn::make_mlp<bfloat16>({640, {512, 512}, 10, kernels::Activation::relu}, {.weights = false});
  const auto single = nn::make_mlp<float>({640, {512, 512}, 10, kernels::Activation::relu}, {.weights = false});
  const kernels::OptimizerOptions adam{.kind = kernels::Optimizer::adam};
  const nn::Division division = nn::divide(64, N, world().rank(), 1, 0);
  const auto n = static_cast<double>(model.table().size());
  const auto expect = [&](const auto& of, Strategy strategy, double expected, double spare) {
    using Scalar = typename std::remove_cvref_t<decltype(of)>::Type;
    StrategyBytes sum;
    for (int r = 0; r < N; ++r) {
      const StrategyBytes bytes =
          strategy_bytes<Scalar>({.strategy = strategy}, of.model.tables(), of.model.units(), N, r, division, adam);
      sum.weights += bytes.weights;
      sum.gradients += bytes.gradients;
      sum.optimizer += bytes.optimizer;
    }
    const double a_parameter = static_cast<double>(sum.weights + sum.gradients + sum.optimizer) / N / n;
    EXPECT_NEAR(a_parameter, expected + spare, 0.05 * expected) << name_of(strategies, strategy);
  };
  struct Half {
    using Type = bfloat16;
    const nn::Model<bfloat16>& model;
  };
  struct Full {
    using Type = float;
    const nn::Model<float>& model;
  };
  // On top: two buckets and two gathered groups of the largest unit, 640 x 512 + 512 of n.
  const double group = (640.0 * 512 + 512) / n;
  expect(Half{model}, Strategy::allreduce, 18, 0);
  expect(Half{model}, Strategy::zero1, 6 + 12.0 / N, 0);
  expect(Half{model}, Strategy::zero2, 2 + 16.0 / N, 2 * 4 * group);
  expect(Half{model}, Strategy::zero3, 18.0 / N, 2 * (4 + 2) * group);
  expect(Full{single}, Strategy::allreduce, 16, 0);
  expect(Full{single}, Strategy::zero1, 8 + 8.0 / N, 0);
  expect(Full{single}, Strategy::zero2, 4 + 12.0 / N, 2 * 4 * group);
  expect(Full{single}, Strategy::zero3, 16.0 / N, 2 * (4 + 4) * group);
}

/// Writes down which weights a step reads, in order.
struct Reads final : nn::Observer {
  void before(const nn::Moment& moment, std::span<const Range> reads, const Exec&) override {
    if (!reads.empty()) of.push_back({moment.part != nn::Part::forward || moment.replay, reads.front().offset});
  }
  struct Read {
    bool backward;  // with what it computes again
    index_t offset;
  };
  std::vector<Read> of;
};

/// Elements of the groups that a rank must be given in a step, by the rule of GatheredWeights: two groups have room,
/// the next one of a pass comes while one is used, and nothing outlives the update.
index_t gathered_elements(const std::vector<Reads::Read>& reads, const Cuts& groups) {
  const auto group = [&](std::size_t i) { return groups.holding(reads[i].offset); };
  std::array<int, 2> room = {-1, -1};
  std::size_t current = 0;
  index_t elements = 0;
  const auto fetch = [&](int g) {
    if (room[0] == g || room[1] == g) return;
    room[1 - current] = g;
    elements += groups[g].extent;
  };
  for (std::size_t i = 0; i < reads.size(); ++i) {
    const int now = group(i);
    fetch(now);
    current = room[0] == now ? 0 : 1;
    std::size_t next = i + 1;
    while (next < reads.size() && reads[next].backward == reads[i].backward && group(next) == now) ++next;
    if (next < reads.size() && reads[next].backward == reads[i].backward) fetch(group(next));
  }
  return elements;
}

/// Elements that all ranks together send in a step, from the papers' counts.
void expect_counted_bytes(const Kind& kind, const Form& form) {
  comm::Traffic& traffic = partita::test::environment().traffic();
  const index_t P = world().size(), steps = 3;
  for (const index_t micro_batches : {1, 2}) {
    Options options = form.options();
    options.micro_batches = micro_batches;
    Replica<float> replica(kind, world(), options);
    nn::Observer nobody;
    replica.fill(0);
    replica.run(0, nobody);  // what is next is learnt
    Reads reads;
    replica.run(0, reads);
    traffic.reset();
    for (index_t s = 1; s <= steps; ++s) {
      replica.fill(s);
      replica.run(s, nobody);
    }
    const index_t n = replica.model.table().size(), statistics = replica.model.statistics_table().size();
    const auto cells = std::ssize(nn::norm_cells(replica.model.table()));
    std::map<std::string, index_t> sent;
    for (const comm::TrafficEntry& entry : traffic.entries()) {
      EXPECT_EQ(static_cast<double>(entry.sent_bytes), entry.expected_bytes) << entry.operation;
      EXPECT_EQ(static_cast<double>(entry.messages), entry.expected_messages) << entry.operation;
      sent[entry.operation] += entry.sent_bytes;
    }
    for (const char* operation : {"allreduce", "reduce", "reduce_scatter", "all_gather", "broadcast"})
      sent[operation] = world().allreduce(sent[operation], comm::Op::sum) / steps;
    index_t doubling = 0;  // of the squares: short
    for (int r = 0; r < P; ++r) doubling += comm::closed_forms::doubling_allreduce_bytes(cells, P, r, 8);
    const index_t once = (P - 1) * n * 4, tail = 2 * (P - 1) * statistics * 4;
    switch (form.strategy) {
      case Strategy::allreduce:
        EXPECT_EQ(sent["allreduce"], 2 * once + tail);
        break;
      case Strategy::gather_broadcast:
        EXPECT_EQ(sent["reduce"], once + tail / 2);
        EXPECT_EQ(sent["broadcast"], once + tail / 2 + (P - 1) * cells * 8);
        break;
      case Strategy::zero1:
      case Strategy::zero2:
      case Strategy::zero3:
        EXPECT_EQ(sent["allreduce"], tail + doubling);
        EXPECT_EQ(sent["reduce_scatter"], (form.strategy == Strategy::zero1 ? 1 : micro_batches) * once);
        EXPECT_EQ(sent["all_gather"],
                  form.strategy != Strategy::zero3
                      ? once
                      : (P - 1) * 4 *
                            gathered_elements(reads.of, unit_groups<float>(replica.model.table(), replica.model.units(),
                                                                           form.bucket_bytes / 4)));
        break;
      case Strategy::local_sgd:
        break;
    }
  }
}

TEST_P(strategies_of, counted_bytes_are_the_closed_form) { expect_counted_bytes(cnn, GetParam()); }

// Weights that are gathered are gathered for the replays, too; all else is as without.
TEST_P(strategies_of, counted_bytes_with_recomputation_are_the_closed_form) {
  for (const Kind& kind : {gpt_branches, gpt_blocks, cnn_blocks}) expect_counted_bytes(kind, GetParam());
}

INSTANTIATE_TEST_SUITE_P(by, strategies_of, ::testing::ValuesIn(forms), [](const auto& at) { return name(at.param); });

}  // namespace
}  // namespace partita::parallel::test::strategies_tests
