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

#include <support/caught.hpp>
#include <support/collective.hpp>
#include <support/mpi.hpp>
#include "tensor_problem.hpp"

namespace partita::parallel::test::tensor_tests {
namespace {

using partita::test::world;

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
}  // namespace partita::parallel::test::tensor_tests
