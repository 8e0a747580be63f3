// SPDX-License-Identifier: BSD-3-Clause
#include <bit>
#include <limits>
#include <optional>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/nn/cnn.hpp>
#include <partita/nn/gpt.hpp>
#include <partita/nn/init.hpp>
#include <partita/nn/mlp.hpp>
#include <partita/nn/norm_cells.hpp>

#include <support/caught.hpp>
#include "problem.hpp"

// Two ranks in one process, each with an update of its share of the weights: what they hold together, and what each
// knows of the norm, is what one update of all weights has, bit for bit.

namespace partita::nn::sharded_update_tests {
namespace {

using kernels::Optimizer;
using ::partita::testing::caught;

constexpr std::uint64_t seed = 9;
constexpr int steps = 3, overflow = 1;  // the step whose gradient is not finite, in fp16

enum class Kind { mlp, gpt, gpt_deterministic, cnn };
enum class Share { halves, halves_of_tensors, uneven, all_and_nothing };

struct Case {
  const char* name;
  Kind kind;
  Share share;
  Layout layout;
  kernels::OptimizerOptions optimizer;
  double clip = 0;
};

template <class Scalar>
Model<Scalar> make(Kind kind, bool weights = true) {
  ModelOptions options{.seed = seed, .weights = weights};
  if (kind == Kind::cnn) return make_cnn<Scalar>({.rows = 8, .columns = 8, .width = {4, 24}, .depth = 1}, options);
  if (kind == Kind::mlp) return make_mlp<Scalar>({2100, {2100}, 7, kernels::Activation::relu}, options);
  // Cut so that cells of several blocks of columns lie beside each other on either side of a share's bound.
  if (kind == Kind::gpt_deterministic) options.chunks = 4;
  return make_gpt<Scalar>({.V = 50, .T = 7, .C = 96, .H = 2, .blocks = 1, .tied = true}, options);
}

std::vector<Range> owned(const ParameterTable& table, Share share, std::size_t rank) {
  const Range all{0, table.size()};
  std::vector<Range> mine;
  if (share == Share::all_and_nothing) {
    if (rank == 0) mine.push_back(all);
    return mine;
  }
  if (share == Share::uneven) {  // the second rank's norm and rule go along in several blocks of cells
    const index_t cut = cell_cuts(table, all, 40)[1];
    mine.push_back(rank == 0 ? Range{0, cut} : Range{cut, all.extent - cut});
    return mine;
  }
  const auto add_half = [&](Range within) {
    const std::vector<index_t> cuts = cell_cuts(table, within, 2);
    mine.push_back({cuts[rank], cuts[rank + 1] - cuts[rank]});
  };
  if (share == Share::halves) add_half(all);
  if (share == Share::halves_of_tensors)
    for (const Parameter& parameter : table.parameters()) add_half(parameter.range);
  return mine;
}

// The owned parts of a flat buffer, one after the other.
template <class T>
std::vector<T> packed(const std::vector<T>& flat, const std::vector<Range>& ranges) {
  std::vector<T> all;
  for (const Range& range : ranges) all.insert(all.end(), flat.begin() + range.offset, flat.begin() + range.end());
  return all;
}

template <class T>
std::vector<double> wide(const std::vector<T>& values) {
  std::vector<double> all;
  for (const T value : values) all.push_back(static_cast<double>(static_cast<accumulate_t<T>>(value)));
  return all;
}

template <class T>
Vector<T> on_device(const char* label, const std::vector<T>& values) {
  return test::filled(Vector<T>(label, values.size()), [&](std::size_t i) { return values[i]; });
}

template <class Scalar>
struct Rank {
  Rank(const Case& of, const UpdateOptions& options, std::size_t rank, kernels::Context& context,
       CompleteSquares complete)
      : model(make<Scalar>(of.kind, of.layout == Layout::flat)),
        own{owned(model.table(), of.share, rank), of.layout, of.layout},
        weights(model.parameters()) {
    if (of.layout == Layout::packed) {
      weights = Vector<Scalar>("weights", static_cast<std::size_t>(own.size()));
      index_t at = 0;
      for (const Range& range : own.ranges) {
        initialise(model.table(), seed, range,
                   Vector<Scalar>(weights.data() + at, static_cast<std::size_t>(range.extent)));
        at += range.extent;
      }
    }
    update.emplace(context.exec(), options, model, own, weights, std::move(complete));
  }
  void run(kernels::Context& context, const std::vector<Sum<Scalar>>& flat,
           const std::vector<Sum<Scalar>>& statistics) {
    const auto g = on_device("g", own.gradients == Layout::flat ? flat : packed(flat, own.ranges));
    update->run(context, g, on_device("statistics", statistics), norm);
  }

  Model<Scalar> model;
  Ownership own;
  Vector<Scalar> weights;
  std::optional<Update<Scalar>> update;
  Kokkos::View<double, Memory> norm{"norm"};
};

std::uint64_t bits(const Kokkos::View<double, Memory>& value) {
  return std::bit_cast<std::uint64_t>(test::on_host(value)[0]);
}

template <class Scalar>
void expect_the_bits_of_one(const Case& of) {
  kernels::Context context;
  const UpdateOptions options{.optimizer = of.optimizer, .learning_rate = 0.01, .clip_norm = of.clip};
  Model<Scalar> model = make<Scalar>(of.kind);
  const Update<Scalar> update(context.exec(), options, model);
  const Kokkos::View<double, Memory> norm("norm");
  std::vector<Sum<Scalar>> g(static_cast<std::size_t>(model.table().size()));
  std::vector<Sum<Scalar>> statistics(static_cast<std::size_t>(model.statistics_table().size()));

  // The second rank runs while the first one waits for its squares; the sum is what both have then.
  Vector<double> of_first;
  std::function<void()> second_runs;
  Rank<Scalar> first(of, options, 0, context, [&](const Exec&, Vector<double> squares) -> ConstVector<double> {
    of_first = squares;
    second_runs();
    return squares;
  });
  Rank<Scalar> second(of, options, 1, context, [&](const Exec& exec, Vector<double> squares) -> ConstVector<double> {
    kernels::add<double>(exec, of_first, squares);
    kernels::copy<double>(exec, squares, of_first);
    return squares;
  });
  second_runs = [&] { second.run(context, g, statistics); };

  if (of.kind == Kind::gpt_deterministic) {
    EXPECT_GT(cell_runs(first.own.ranges, norm_cells(model.table())).size(), first.own.ranges.size());
  }
  for (int s = 0; s < steps; ++s) {
    const auto value = [&](std::uint64_t i) {
      return static_cast<Sum<Scalar>>(uniform(4, Stream::test, static_cast<std::uint64_t>(s) * 10000000 + i) - 0.5);
    };
    for (std::size_t i = 0; i < g.size(); ++i) g[i] = value(i);
    for (std::size_t i = 0; i < statistics.size(); ++i) statistics[i] = value(g.size() + i);
    if (s == overflow && std::is_same_v<Scalar, float16>) g.back() = std::numeric_limits<float>::infinity();
    update.run(context, on_device("g", g), on_device("statistics", statistics), norm);
    first.run(context, g, statistics);
    context.exec().fence();
    const std::vector<double> weights = wide(test::on_host(model.parameters()));
    for (const Rank<Scalar>* rank : {&first, &second}) {
      const std::vector<Range>& own = rank->own.ranges;
      EXPECT_EQ(bits(rank->norm), bits(norm)) << s;
      const std::vector<double> mine = wide(test::on_host(rank->weights));
      EXPECT_EQ(of.layout == Layout::flat ? packed(mine, own) : mine, packed(weights, own)) << s;
      EXPECT_EQ(test::on_host(rank->model.running()), test::on_host(model.running())) << s;
      for (auto state : {&Update<Scalar>::m, &Update<Scalar>::v, &Update<Scalar>::master}) {
        const auto expected = test::on_host((update.*state)());
        EXPECT_EQ(test::on_host((*rank->update.*state)()), expected.empty() ? expected : packed(expected, own)) << s;
      }
      EXPECT_EQ(test::on_host(rank->update->loss_scale_state())[0].scale,
                test::on_host(update.loss_scale_state())[0].scale);
    }
  }
  const index_t skipped = std::is_same_v<Scalar, float16> ? 1 : 0;
  EXPECT_EQ(test::on_host(second.update->loss_scale_state())[0].skipped, skipped);
}

class sharded_update : public ::testing::TestWithParam<Case> {};

TEST_P(sharded_update, has_the_bits_of_one_in_fp32) { expect_the_bits_of_one<float>(GetParam()); }
TEST_P(sharded_update, has_the_bits_of_one_in_bf16) { expect_the_bits_of_one<bfloat16>(GetParam()); }
TEST_P(sharded_update, has_the_bits_of_one_in_fp16) { expect_the_bits_of_one<float16>(GetParam()); }

constexpr kernels::OptimizerOptions momentum{.kind = Optimizer::sgd, .momentum = 0.9}, adam{.kind = Optimizer::adam},
    adamw{.kind = Optimizer::adamw, .weight_decay = 0.1}, adagrad{.kind = Optimizer::adagrad};

INSTANTIATE_TEST_SUITE_P(
    shares, sharded_update,
    ::testing::Values(Case{"gpt_flat", Kind::gpt, Share::halves, Layout::flat, momentum},
                      Case{"gpt_packed_clipped", Kind::gpt, Share::halves, Layout::packed, adam, 1},
                      Case{"interleaved", Kind::gpt_deterministic, Share::halves_of_tensors, Layout::packed, adamw},
                      Case{"interleaved_clipped", Kind::gpt_deterministic, Share::halves_of_tensors, Layout::flat,
                           adamw, 1},
                      Case{"cnn_by_tensor", Kind::cnn, Share::halves_of_tensors, Layout::packed, adagrad},
                      Case{"cnn_root_alone", Kind::cnn, Share::all_and_nothing, Layout::flat, adam, 0.5},
                      Case{"blocks_of_cells", Kind::mlp, Share::uneven, Layout::packed, momentum}),
    [](const auto& at) { return at.param.name; });

TEST(sharded_update, buffers_that_do_not_fit_are_refused) {
  kernels::Context context;
  const Model<float> model = make<float>(Kind::gpt, false);
  const Ownership own{owned(model.table(), Share::halves, 1), Layout::packed, Layout::packed};
  const auto n = static_cast<std::size_t>(own.size());
  EXPECT_NE(caught<ShapeError>([&] {
              Update<float>(context.exec(), {}, model, own, Vector<float>("weights", n - 1));
            }).find("weights are given"),
            std::string::npos);
  EXPECT_NE(caught<ShapeError>([&] { Update<float>(context.exec(), {}, model); }).find("0 weights are given"),
            std::string::npos);
  const Update<float> update(context.exec(), {}, model, own, Vector<float>("weights", n));
  const Kokkos::View<double, Memory> norm("norm");
  EXPECT_NE(caught<ShapeError>([&] { update.run(context, Vector<float>("g", n - 1), {}, norm); }).find("gradients and"),
            std::string::npos);
}

}  // namespace
}  // namespace partita::nn::sharded_update_tests
