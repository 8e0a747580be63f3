// SPDX-License-Identifier: BSD-3-Clause
// Every schedule at every number of ranks, without MPI: nobody waits in a circle, the result is right, and what is sent
// is what the closed forms say.
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <partita/comm/closed_forms.hpp>
#include <partita/core/error.hpp>

#include "play.hpp"
#include "support/caught.hpp"

namespace partita::comm::schedules_tests {
namespace {

using test::Play;

constexpr int most_ranks = 9;
const index_t sizes[] = {0, 1, 2, 7, 24, 37};
const index_t chunks[] = {1, 3, 100};

/// Rank r's element i; sums of them are exact.
double value(int rank, index_t i) { return static_cast<double>(1000 * (rank + 1) + i); }

std::vector<double> values(int rank, index_t n, index_t first = 0) {
  std::vector<double> made;
  for (index_t i = 0; i < n; ++i) made.push_back(value(rank, first + i));
  return made;
}

double sum(int P, index_t i) {
  double total = 0;
  for (int r = 0; r < P; ++r) total += value(r, i);
  return total;
}

/// schedule(rank), played on buffers of n values in place.
template <class Make>
Play in_place(index_t n, int P, unsigned seed, const Make& schedule) {
  std::vector<Play::Rank> ranks;
  for (int r = 0; r < P; ++r)
    ranks.push_back({.schedule = schedule(r), .input = {}, .output = values(r, n), .in_place = true});
  Play play(std::move(ranks), seed);
  EXPECT_TRUE(play.run()) << "P=" << P << " n=" << n;
  EXPECT_EQ(play.mismatched_ + play.overlaps_, 0) << "P=" << P << " n=" << n;
  return play;
}

/// f(n, P, chunk, seed) for all of them.
template <class F>
void for_all(const F& f) {
  unsigned seed = 1;
  for (int P = 1; P <= most_ranks; ++P)
    for (const index_t n : sizes)
      for (const index_t chunk : chunks)
        for (int again = 0; again < 3; ++again) f(n, P, chunk, seed++);
}

/// Segments of all shapes: even, some empty, all on one rank.
std::vector<Segments> shapes(index_t n, int P, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<index_t> bounds = {0};
  for (int r = 1; r < P; ++r)
    bounds.push_back(std::min(n, bounds.back() + static_cast<index_t>(random() % static_cast<unsigned>(n + 1))));
  bounds.push_back(n);
  return {Segments(n, P), Segments(bounds), Segments::on(static_cast<int>(seed) % P, n, P)};
}

void expect_sums(const Play& play, index_t n) {
  const int P = static_cast<int>(play.ranks().size());
  for (const Play::Rank& rank : play.ranks())
    for (index_t i = 0; i < n; ++i)
      ASSERT_EQ(rank.output[static_cast<std::size_t>(i)], sum(P, i)) << "P=" << P << " n=" << n;
}

TEST(schedules, ring_allreduce) {
  for_all([](index_t n, int P, index_t chunk, unsigned seed) {
    for (const Segments& segments : shapes(n, P, seed)) {
      const Play play =
          in_place(n, P, seed, [&](int r) { return ring_schedule(segments, r, RingPart::allreduce, chunk); });
      expect_sums(play, n);
      for (int r = 0; r < P; ++r)
        EXPECT_EQ(play.ranks()[static_cast<std::size_t>(r)].elements,
                  closed_forms::ring_reduce_scatter_bytes(segments, r, 1) +
                      closed_forms::ring_all_gather_bytes(segments, r, 1));
    }
  });
}

TEST(schedules, ring_halves) {
  for_all([](index_t n, int P, index_t chunk, unsigned seed) {
    for (const Segments& segments : shapes(n, P, seed)) {
      const Play scattered =
          in_place(n, P, seed, [&](int r) { return ring_schedule(segments, r, RingPart::reduce_scatter, chunk); });
      std::vector<Play::Rank> ranks;
      for (int r = 0; r < P; ++r) {
        const Play::Rank& rank = scattered.ranks()[static_cast<std::size_t>(r)];
        const Range mine = segments[r];
        std::vector<double> input;
        for (index_t i = mine.offset; i < mine.end(); ++i) {
          ASSERT_EQ(rank.output[static_cast<std::size_t>(i)], sum(P, i));
          input.push_back(sum(P, i));
        }
        EXPECT_EQ(rank.elements, closed_forms::ring_reduce_scatter_bytes(segments, r, 1));
        ranks.push_back({.schedule = ring_schedule(segments, r, RingPart::all_gather, chunk),
                         .input = input,
                         .output = std::vector<double>(static_cast<std::size_t>(n), -1)});
      }
      Play gathered(std::move(ranks), seed);
      ASSERT_TRUE(gathered.run());
      expect_sums(gathered, n);
      for (int r = 0; r < P; ++r)
        EXPECT_EQ(gathered.ranks()[static_cast<std::size_t>(r)].elements,
                  closed_forms::ring_all_gather_bytes(segments, r, 1));
    }
  });
}

TEST(schedules, recursive_allreduce) {
  for_all([](index_t n, int P, index_t chunk, unsigned seed) {
    const Play doubling = in_place(n, P, seed, [&](int r) { return doubling_schedule(n, P, r, chunk); });
    const Play halving = in_place(n, P, seed, [&](int r) { return halving_schedule(n, P, r, chunk); });
    expect_sums(doubling, n);
    expect_sums(halving, n);
    index_t p = 1, rounds = 0, all_doubling = 0, all_halving = 0;
    for (; 2 * p <= P; p *= 2) ++rounds;
    for (int r = 0; r < P; ++r) {
      const auto at = static_cast<std::size_t>(r);
      EXPECT_EQ(doubling.ranks()[at].elements, closed_forms::doubling_allreduce_bytes(n, P, r, 1));
      EXPECT_EQ(halving.ranks()[at].elements, closed_forms::halving_allreduce_bytes(n, P, r, 1));
      all_doubling += doubling.ranks()[at].elements;
      all_halving += halving.ranks()[at].elements;
    }
    EXPECT_EQ(all_doubling, (p * rounds + 2 * (P - p)) * n);
    EXPECT_EQ(all_halving, (2 * (p - 1) + 2 * (P - p)) * n);
  });
}

/// Every rank ends with the same bits: sums in another order would differ.
TEST(schedules, allreduces_give_the_same_bits_everywhere) {
  for (int P = 2; P <= most_ranks; ++P)
    for (int kind = 0; kind < 3; ++kind) {
      const index_t n = 29;
      std::vector<Play::Rank> ranks;
      for (int r = 0; r < P; ++r) {
        std::vector<double> x;
        for (index_t i = 0; i < n; ++i) x.push_back(1.0 / static_cast<double>(3 * i + r + 1));
        ranks.push_back({.schedule = kind == 0   ? ring_schedule(Segments(n, P), r, RingPart::allreduce, 3)
                                     : kind == 1 ? doubling_schedule(n, P, r, 3)
                                                 : halving_schedule(n, P, r, 3),
                         .input = {},
                         .output = x,
                         .in_place = true});
      }
      Play play(std::move(ranks), 7);
      ASSERT_TRUE(play.run());
      for (const Play::Rank& rank : play.ranks()) EXPECT_EQ(rank.output, play.ranks()[0].output) << P << " " << kind;
    }
}

TEST(schedules, trees_from_and_to_any_root) {
  for_all([](index_t n, int P, index_t chunk, unsigned seed) {
    const int root = static_cast<int>(seed) % P;
    for (const Tree tree : {Tree::binomial, Tree::chain}) {
      const Play down = in_place(n, P, seed, [&](int r) { return broadcast_schedule(n, P, r, root, tree, chunk); });
      const Play up = in_place(n, P, seed, [&](int r) { return reduce_schedule(n, P, r, root, tree, chunk); });
      index_t sent = 0;
      for (int r = 0; r < P; ++r) {
        const auto at = static_cast<std::size_t>(r);
        EXPECT_EQ(down.ranks()[at].output, values(root, n));
        EXPECT_EQ(down.ranks()[at].elements, closed_forms::broadcast_bytes(n, P, r, root, tree, 1));
        EXPECT_EQ(up.ranks()[at].elements, r == root ? 0 : n);
        sent += down.ranks()[at].elements;
      }
      EXPECT_EQ(sent, (P - 1) * n);
      for (index_t i = 0; i < n; ++i)
        EXPECT_EQ(up.ranks()[static_cast<std::size_t>(root)].output[static_cast<std::size_t>(i)], sum(P, i));
    }
    const Play central = in_place(n, P, seed, [&](int r) { return central_reduce_schedule(n, P, r, root, chunk); });
    for (index_t i = 0; i < n; ++i)
      EXPECT_EQ(central.ranks()[static_cast<std::size_t>(root)].output[static_cast<std::size_t>(i)], sum(P, i));
  });
}

TEST(schedules, gather_scatter_and_shuffle) {
  for_all([](index_t n, int P, index_t, unsigned seed) {
    const int root = static_cast<int>(seed) % P;
    for (const Segments& segments : shapes(n, P, seed)) {
      std::vector<Play::Rank> gather, scatter, shuffle;
      for (int r = 0; r < P; ++r) {
        const Range mine = segments[r];
        const auto all = static_cast<std::size_t>(n), part = static_cast<std::size_t>(mine.extent);
        gather.push_back({.schedule = gather_schedule(segments, r, root),
                          .input = values(0, mine.extent, mine.offset),
                          .output = std::vector<double>(r == root ? all : 0, -1)});
        scatter.push_back({.schedule = scatter_schedule(segments, r, root),
                           .input = r == root ? values(0, n) : std::vector<double>{},
                           .output = std::vector<double>(part, -1)});
        shuffle.push_back({.schedule = all_to_all_schedule(segments, r),
                           .input = values(r, n),
                           .output = std::vector<double>(part * static_cast<std::size_t>(P), -1)});
      }
      Play gathered(std::move(gather), seed), scattered(std::move(scatter), seed), shuffled(std::move(shuffle), seed);
      ASSERT_TRUE(gathered.run() && scattered.run() && shuffled.run());
      EXPECT_EQ(gathered.ranks()[static_cast<std::size_t>(root)].output, values(0, n));
      for (int r = 0; r < P; ++r) {
        const auto at = static_cast<std::size_t>(r);
        const Range mine = segments[r];
        EXPECT_EQ(scattered.ranks()[at].output, values(0, mine.extent, mine.offset));
        std::vector<double> expected;
        for (int from = 0; from < P; ++from)
          for (index_t i = mine.offset; i < mine.end(); ++i) expected.push_back(value(from, i));
        EXPECT_EQ(shuffled.ranks()[at].output, expected);
        EXPECT_EQ(shuffled.ranks()[at].elements, n - mine.extent);
      }
    }
  });
}

TEST(schedules, halos_of_a_line_and_a_circle) {
  for (int P = 1; P <= most_ranks; ++P)
    for (const bool periodic : {false, true})
      for (const index_t halo : {0, 1, 3}) {
        const index_t interior = 5, n = interior + 2 * halo;
        const Play play = in_place(n, P, 3, [&](int r) { return halo_schedule(interior, halo, P, r, periodic); });
        for (int r = 0; r < P; ++r) {
          std::vector<double> expected = values(r, n);
          const int left = (r - 1 + P) % P, right = (r + 1) % P;
          for (index_t i = 0; i < halo; ++i) {
            if (P > 1 && (periodic || r > 0)) expected[static_cast<std::size_t>(i)] = value(left, interior + i);
            if (P > 1 && (periodic || r + 1 < P))
              expected[static_cast<std::size_t>(halo + interior + i)] = value(right, halo + i);
          }
          EXPECT_EQ(play.ranks()[static_cast<std::size_t>(r)].output, expected) << P << " " << periodic;
          EXPECT_EQ(play.ranks()[static_cast<std::size_t>(r)].elements,
                    closed_forms::halo_bytes(halo, P, r, periodic, 1));
        }
      }
}

TEST(schedules, borders_of_a_line_are_unlike) {
  std::mt19937 random(11);
  for (int P = 1; P <= most_ranks; ++P)
    for (int again = 0; again < 20; ++again) {
      std::vector<Borders> line(static_cast<std::size_t>(P));
      for (std::size_t r = 0; r + 1 < line.size(); ++r) {
        const auto draw = [&] { return std::max<index_t>(0, static_cast<index_t>(random() % 8) - 2); };
        line[r].to_right = line[r + 1].from_left = draw();
        line[r + 1].to_left = line[r].from_right = draw();
      }
      std::vector<Play::Rank> ranks;
      for (int r = 0; r < P; ++r) {
        const Borders& my = line[static_cast<std::size_t>(r)];
        ranks.push_back({.schedule = borders_schedule(my, r),
                         .input = values(r, my.to_left + my.to_right),
                         .output = values(-1, my.from_left + my.from_right)});
      }
      Play play(std::move(ranks), static_cast<unsigned>(again));
      ASSERT_TRUE(play.run()) << P;
      EXPECT_EQ(play.mismatched_ + play.overlaps_, 0) << P;
      for (int r = 0; r < P; ++r) {
        const auto at = static_cast<std::size_t>(r);
        std::vector<double> expected;
        if (r > 0) expected = values(r - 1, line[at].from_left, line[at - 1].to_left);
        if (r + 1 < P)
          for (index_t i = 0; i < line[at].from_right; ++i) expected.push_back(value(r + 1, i));
        EXPECT_EQ(play.ranks()[at].output, expected) << r << " of " << P;
        EXPECT_EQ(play.ranks()[at].elements, closed_forms::borders_bytes(line[at], 1));
        EXPECT_EQ(play.ranks()[at].messages, (line[at].to_left > 0) + (line[at].to_right > 0));
      }
    }
}

TEST(schedules, a_transfer_is_between_two) {
  for (int from = 0; from < 3; ++from)
    for (int to = 0; to < 3; ++to) {
      const Play play = in_place(4, 3, 5, [&](int r) { return transfer_schedule(4, r, from, to); });
      for (int r = 0; r < 3; ++r)
        EXPECT_EQ(play.ranks()[static_cast<std::size_t>(r)].output, values(r == to ? from : r, 4));
    }
}

TEST(schedules_segments, refuse_bounds_that_do_not_ascend) {
  using Bounds = std::vector<index_t>;
  for (const Bounds& bounds : {Bounds{0, 3, 2}, Bounds{1, 2}, Bounds{0}})
    EXPECT_EQ(partita::testing::caught<ShapeError>([&] { Segments{bounds}; }),
              "Segments: " + std::to_string(bounds.size()) + " bounds: expected P + 1 of them, ascending from 0");
  EXPECT_EQ(Segments::on(1, 7, 3)[0], (Range{0, 0}));
  EXPECT_EQ(Segments::on(1, 7, 3)[1], (Range{0, 7}));
  EXPECT_EQ(Segments::on(1, 7, 3)[2], (Range{7, 0}));
}

}  // namespace
}  // namespace partita::comm::schedules_tests
