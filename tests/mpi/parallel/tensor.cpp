// SPDX-License-Identifier: BSD-3-Clause
// A model that is split over ranks trains what the whole one trains: the same bits in deterministic mode, within
// rounding in fast mode; sequence mode, regathering, chunks, and replicas beside it included.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <partita/comm/closed_forms.hpp>
#include <partita/comm/mesh.hpp>
#include <partita/parallel/tensor/between.hpp>
#include <partita/parallel/tensor/slices.hpp>
#include <partita/parallel/tensor/tensor_parallel.hpp>
#include <partita/parallel/tensor/vocabulary_loss.hpp>

#include <support/caught.hpp>
#include <support/collective.hpp>
#include <support/mpi.hpp>
#include "problem.hpp"

namespace partita::parallel::test {
namespace {

using partita::test::world;

/// What is trained: a decoder (V > 0), or an MLP.
struct Shape {
  const char* name;
  nn::GptShape gpt;
  nn::MlpShape mlp;
  index_t batch = 12;

  bool language() const { return std::string_view(name) != "mlp"; }
  template <class Scalar>
  nn::Model<Scalar> whole(index_t chunks) const {
    const nn::ModelOptions options{.seed = 7, .chunks = chunks};
    return language() ? nn::make_gpt<Scalar>(gpt, options) : nn::make_mlp<Scalar>(mlp, options);
  }
};

// No extent divides by the ranks.
const Shape decoder{"gpt", {.V = 11, .T = 7, .C = 20, .H = 5, .blocks = 2, .F = 23, .dropout = 0.2}, {}};
const Shape tied{"tied", {.V = 13, .T = 5, .C = 12, .H = 4, .blocks = 1, .F = 17, .tied = true, .rms_norm = true}, {}};
const Shape perceptron{"mlp", {}, {9, {11, 6, 7}, 5, kernels::Activation::relu}};

struct Way {
  TensorOptions tensor = {};
  index_t micro_batches = 1;
  index_t bucket_bytes = 0;
};

/// The step of a split model on a mesh of replicas x parts.
template <class Scalar>
struct Split {
  Split(const Shape& of, const comm::Communicator& replicas, const comm::Communicator& parts, const Way& way,
        index_t chunks)
      : shape(of),
        context(Exec(), {.backend = kernels::Backend::automatic, .deterministic = chunks > 0, .per_kernel = {}}),
        division(nn::divide(of.batch, replicas.size(), replicas.rank(), way.micro_batches, chunks)),
        whole(of.whole<Scalar>(std::max<index_t>(chunks, 1))),
        axis(parts, options_of(way, chunks), of.language() ? of.gpt.T : 1,
             nn::gpt_leaves(of.gpt, std::max<index_t>(chunks, 1)).tokens),
        model(make(of, parts, std::max<index_t>(chunks, 1))),
        strategy(replicas, axis, {.how = way.tensor.how, .bucket_bytes = way.bucket_bytes}, model, whole.table(),
                 division, 7),
        pass(model, division, nn::in_turn(way.micro_batches), *head, &strategy.sum()),
        update(strategy.make_update(
            context.exec(), {.optimizer = {.kind = kernels::Optimizer::adam}, .learning_rate = 0.01, .clip_norm = 2})),
        step(context, pass, strategy.exchange(), update.get(), 5),
        inputs(model, division.rows, whole.output().classes),
        losses("losses", division.pieces.size()) {}

  static TensorOptions options_of(const Way& way, index_t chunks) {
    TensorOptions options = way.tensor;
    options.deterministic = chunks > 0;
    return options;
  }
  nn::Model<Scalar> make(const Shape& of, const comm::Communicator& parts, index_t chunks) {
    const TensorBetween<Scalar> between(axis);
    const nn::ModelOptions options{.seed = 7, .chunks = chunks};
    if (!of.language()) {
      head = std::make_unique<nn::WholeRows<Scalar>>(kernels::Loss::cross_entropy, nn::OutputShape{1, of.mlp.classes});
      return {nn::mlp_layers<Scalar>(of.mlp, chunks, mlp_slices(of.mlp, chunks, parts.size(), parts.rank()), between),
              {1, of.mlp.classes},
              options};
    }
    const nn::GptSlices slices = gpt_slices(of.gpt, chunks, axis.options().sequence, parts.size(), parts.rank());
    const Slice words = parts.size() == 1 ? partita::whole(of.gpt.V) : slices.vocabulary;
    head = std::make_unique<VocabularyParallelLoss<Scalar>>(parts, axis.options().how, kernels::Loss::cross_entropy,
                                                            nn::OutputShape{of.gpt.T, of.gpt.V}, words,
                                                            nn::gpt_leaves(of.gpt, chunks).vocabulary);
    return {nn::gpt_layers<Scalar>(of.gpt, chunks, slices, between), {of.gpt.T, words.extent}, options};
  }

  double run(index_t s) {
    nn::Observer nobody;
    inputs.fill(s);
    step.run(inputs.batch(), s, losses, norm, nobody);
    context.exec().fence();
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), losses);
    terms.assign(host.data(), host.data() + host.extent(0));
    double value = 0;
    Kokkos::deep_copy(value, norm);
    return value;
  }

  const Shape& shape;
  kernels::Context context;
  nn::Division division;
  nn::Model<Scalar> whole;
  TensorAxis<Scalar> axis;
  std::unique_ptr<nn::LossHead<Scalar>> head;
  nn::Model<Scalar> model;
  TensorParallel<Scalar> strategy;
  nn::GradientPass<Scalar> pass;
  std::unique_ptr<nn::Update<Scalar>> update;
  nn::TrainStep<Scalar> step;
  Inputs<Scalar> inputs;
  Vector<double> losses;
  Kokkos::View<double, Memory> norm{"norm"};
  std::vector<double> terms;
};

// Whether the tensors of a split model are the slices of the whole one's, to a bound: largest difference.
template <class Scalar>
double difference(const Split<Scalar>& split, const Vector<Scalar>& of_whole) {
  const auto mine = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), split.model.parameters());
  const auto all = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), of_whole);
  double largest = 0;
  for (const nn::Parameter& parameter : split.model.table().parameters()) {
    const nn::Parameter& same = split.whole.table().at(parameter.name);
    for (index_t i = 0; i < parameter.range.extent; ++i) {
      index_t rest = i, at = 0, stride = 1;
      for (std::size_t d = parameter.dimensions.size(); d-- > 0;) {
        const Slice& slice = parameter.dimensions[d].slice;
        at += (slice.offset + rest % slice.extent) * stride;
        rest /= slice.extent;
        stride *= slice.global;
      }
      const auto real = [](const auto& host, index_t k) { return static_cast<double>(static_cast<float>(host(k))); };
      largest = std::max(largest, std::abs(real(mine, parameter.range.offset + i) - real(all, same.range.offset + at)));
    }
  }
  return largest;
}

/// Parts and replicas of all ranks: as many parts as ranks, and half of them.
struct Grid {
  explicit Grid(int parts) : mesh(world(), {{"data", world().size() / parts}, {"tensor", parts}}) {}
  comm::Mesh mesh;
  const comm::Communicator& replicas() const { return mesh["data"]; }
  const comm::Communicator& parts() const { return mesh["tensor"]; }

  static std::vector<int> all() {
    return world().size() == 4 ? std::vector<int>{4, 2} : std::vector<int>{world().size()};
  }
};

struct Bounds {
  double norm, loss, weights;  // relative, relative, absolute
};

// A few steps of the split model beside those of the whole one, on every rank.
template <class Scalar>
void expect_the_whole(const Shape& shape, int parts, const Way& way, index_t chunks, const Bounds& bounds,
                      index_t steps = 3) {
  const Grid grid(parts);
  const comm::Communicator alone = world().split(world().rank(), 0, "alone");
  Split<Scalar> one(shape, alone, alone, {{}, way.micro_batches}, chunks);
  Split<Scalar> split(shape, grid.replicas(), grid.parts(), way, chunks);
  for (index_t s = 0; s < steps; ++s) {
    const double expected = one.run(s), norm = split.run(s);
    EXPECT_ALL(world(), std::abs(norm - expected) <= bounds.norm * expected)
        << shape.name << " step " << s << ": norm " << norm << ", whole " << expected;
    const std::vector<double> terms = grid.replicas().allgather(std::span<const double>(split.terms));
    const double loss = tree_sum(terms), of_one = tree_sum(one.terms);
    EXPECT_ALL(world(), std::abs(loss - of_one) <= bounds.loss * of_one)
        << shape.name << " step " << s << ": loss " << loss << ", whole " << of_one;
  }
  const double apart = difference(split, one.model.parameters());
  EXPECT_ALL(world(), apart <= bounds.weights) << shape.name << ": weights differ by " << apart;
}

constexpr Bounds bits{0, 0, 0}, rounding{1e-5, 1e-5, 2e-3};  // Adam moves a weight by 0.01 whatever its gradient

std::vector<Way> ways(bool language) {
  std::vector<Way> all = {{{.how = comm::Allreduce::mpi}}, {{.how = comm::Allreduce::ring}, 2}};
  if (!language) return all;
  for (const bool regather : {false, true})
    all.push_back({{.how = comm::Allreduce::ring, .sequence = true, .regather = regather}, regather ? 2 : 1});
  return all;
}

TEST(tensor, deterministic_mode_gives_the_bits_of_the_whole_model) {
  for (const int parts : Grid::all())
    for (const Shape* shape : {&decoder, &tied, &perceptron})
      for (const Way& way : ways(shape->language())) expect_the_whole<float>(*shape, parts, way, 12, bits);
}

TEST(tensor, fast_mode_stays_within_the_agreed_bounds) {
  for (const int parts : Grid::all())
    for (const Shape* shape : {&decoder, &tied, &perceptron}) {
      for (const Way& way : ways(shape->language())) expect_the_whole<float>(*shape, parts, way, 0, rounding);
      expect_the_whole<float>(*shape, parts, {{.overlap_chunks = 3}}, 0, rounding);
      expect_the_whole<float>(*shape, parts, {{}, 2, 256}, 0, rounding);
    }
}

TEST(tensor, doubles_agree_to_their_rounding) {
  for (const int parts : Grid::all())
    for (const Way& way : ways(true)) expect_the_whole<double>(decoder, parts, way, 0, {1e-12, 1e-12, 1e-9});
}

TEST(tensor, sixteen_bits_give_the_bits_of_the_whole_model) {
  for (const int parts : Grid::all())
    for (const Way& way : ways(true)) expect_the_whole<bfloat16>(decoder, parts, way, 12, bits);
}

TEST(tensor, ranks_without_work_are_refused) {
  const auto text = testing::caught<UsageError>([] { gpt_slices(decoder.gpt, 1, false, 6, 0); });
  EXPECT_EQ(text,
            "tensor parallelism: 5 heads over 6 ranks: the last would have nothing to do: expected at most 5 ranks");
}

// 2 (t-1)/t b s h e for each all-reduce: two forward and two backward in a block, the embedding's and the head's.
TEST(tensor, bytes_are_the_published_ones) {
  using comm::closed_forms::ring_allreduce_bytes;
  for (const bool sequence : {false, true})
    for (const bool regather : {false, true}) {
      if (regather && !sequence) continue;
      const Grid grid(world().size());
      const int t = grid.parts().size(), rank = grid.parts().rank();
      Split<float> split(decoder, grid.replicas(), grid.parts(),
                         {{.how = comm::Allreduce::ring, .sequence = sequence, .regather = regather}}, 0);
      const auto sent = [&](const char* operation) {
        const comm::TrafficEntry* entry = grid.parts().traffic_entry(operation, "ring");
        return entry == nullptr ? index_t{0} : entry->sent_bytes;
      };
      const std::array before{sent("allreduce"), sent("all_gather"), sent("reduce_scatter")};
      split.run(0);
      const index_t moved = sent("all_gather") + sent("reduce_scatter") - before[1] - before[2];
      const nn::GptShape& gpt = decoder.gpt;
      const index_t B = decoder.batch, n = B * gpt.T * gpt.C, labels = B * gpt.T;
      const auto whole = [&](index_t elements, index_t bytes) {
        return ring_allreduce_bytes(elements, t, rank, bytes);
      };
      // Of the loss: the maximum, the target's score and the sum of exponentials of each label; of the norm one double.
      const index_t loss = 3 * labels;
      if (!sequence) {
        const index_t all = sent("allreduce") - before[0];
        EXPECT_GE(all, (4 * gpt.blocks + 2) * whole(n, 4));
        EXPECT_LE(all, (4 * gpt.blocks + 2) * whole(n, 4) + loss * 8 * 2 + 64);
        EXPECT_EQ(moved, 0);
      } else {
        // Pairs of a gather and a scatter in a block, over all ranks (t-1) n each; a third gather, of the gathered
        // input, only with regather.
        const index_t gathers = (2 + 2 + (regather ? 2 : 0)) * gpt.blocks, scatters = 4 * gpt.blocks;
        const index_t of_ends = 2 + 2 + (regather ? 1 : 0);  // embedding and head
        EXPECT_EQ(grid.parts().allreduce(moved, comm::Op::sum), (gathers + scatters + of_ends) * (t - 1) * n * 4);
      }
    }
}

}  // namespace
}  // namespace partita::parallel::test
