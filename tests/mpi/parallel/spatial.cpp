// SPDX-License-Identifier: BSD-3-Clause
// A CNN whose image rows are shared by ranks trains what the whole one trains: the same bits in deterministic mode, and
// within roundings in fast mode; alone, and as replicas beside each other.
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <support/collective.hpp>
#include <support/mpi.hpp>
#include "spatial_problem.hpp"

namespace partita::parallel::test::spatial_tests {
namespace {

using comm::Allreduce;
using nn::CnnKind;
using nn::Recompute;
using partita::test::world;

std::vector<int> replicas() { return world().size() == 4 ? std::vector<int>{1, 2} : std::vector<int>{1}; }

/// How far a step is from that of one rank.
struct Distance {
  double loss = 0, norm = 0, gradients = 0, weights = 0, running = 0;
  double most() const { return std::max({loss, norm, gradients, weights, running}); }
};

template <class Scalar>
Distance steps_apart(const nn::CnnShape& shape, const SpatialCase& split, const SpatialCase& serial) {
  SpatialReplica<Scalar> many(world(), shape, split);
  WholeImages<Scalar> one(world(), shape, serial);
  Distance distance;
  const auto far = [](double& to, double value) { to = std::max(to, value); };
  for (index_t s = 0; s < 3; ++s) {
    one.replica.run(s);
    many.replica.run(s);
    // Terms of my rows, at their places among all.
    std::vector<double> terms(one.replica.losses.extent(0), 0.0);
    const std::vector<double> mine = many.replica.on_host(many.replica.losses);
    std::size_t first = 0;
    for (const Slice& piece : one.replica.share.division.pieces)
      if (piece.offset < many.replica.share.division.rows.offset) ++first;
    std::copy(mine.begin(), mine.end(), terms.begin() + static_cast<std::ptrdiff_t>(first));
    many.mesh["data"].allreduce(std::span<double>(terms), comm::Op::sum);
    far(distance.loss, apart(terms, one.replica.on_host(one.replica.losses)));
    far(distance.norm, std::abs(many.replica.grad_norm() - one.replica.grad_norm()));
    far(distance.gradients, apart(many.replica.gradients(), one.replica.gradients()));
    far(distance.weights, apart(many.replica.parameters(), one.replica.parameters()));
    far(distance.running, apart(many.replica.running(), one.replica.running()));
  }
  return distance;
}

void expect_close(const Distance& distance, double bound, const std::string& what) {
  EXPECT_ALL(world(), distance.most() <= bound)
      << what << ": loss " << distance.loss << ", norm " << distance.norm << ", gradients " << distance.gradients
      << ", weights " << distance.weights << ", running " << distance.running;
}

std::string text(const nn::CnnShape& shape, const SpatialCase& of) {
  return std::string(shape.kind == CnnKind::resnet ? "resnet" : "vgg") + " on " + std::to_string(shape.rows) +
         " rows, " + std::to_string(of.data) + " replicas";
}

template <class Scalar>
void expect_bits(const nn::CnnShape& shape, SpatialCase split) {
  SpatialCase serial = split;
  serial.data = 1;
  expect_close(steps_apart<Scalar>(shape, split, serial), 0, text(shape, split));
}

TEST(spatial, has_the_bits_of_whole_images_in_deterministic_mode) {
  for (const CnnKind kind : {CnnKind::resnet, CnnKind::vgg})
    for (const index_t rows : {28, 29})
      for (const int data : replicas()) {
        SpatialCase of{.data = data, .overlap = rows == 28, .options = by_sgd(Allreduce::ring)};
        of.options.chunks = 4;
        expect_bits<float>(tall_cnn(kind, rows), of);
        of.options.allreduce = Allreduce::mpi;
        of.options.micro_batches = 2;
        expect_bits<float>(tall_cnn(kind, rows, Recompute::block), of);
      }
}

TEST(spatial, stays_within_roundings_of_whole_images_in_fast_mode) {
  for (const CnnKind kind : {CnnKind::resnet, CnnKind::vgg})
    for (const index_t rows : {28, 29})
      for (const int data : replicas())
        for (const index_t micro_batches : {1, 2}) {
          SpatialCase split{.data = data, .overlap = micro_batches == 1, .options = by_sgd()};
          split.options.micro_batches = micro_batches;
          split.options.bucket_bytes = micro_batches == 1 ? 0 : 512;
          SpatialCase serial = split;
          serial.data = 1;
          serial.options.micro_batches = micro_batches * data;  // statistics are those of the same rows
          const auto recompute = rows == 28 ? Recompute::none : Recompute::block;
          expect_close(steps_apart<double>(tall_cnn(kind, rows, recompute), split, serial), 1e-11,
                       text(tall_cnn(kind, rows), split));
        }
}

// What a step sends is what its layers' shapes say, layer by layer, and nothing else.
TEST(spatial, halos_are_the_closed_form) {
  for (const CnnKind kind : {CnnKind::resnet, CnnKind::vgg})
    for (const index_t rows : {28, 29}) {
      const nn::CnnShape shape = tall_cnn(kind, rows);
      SpatialReplica<float> many(world(), shape, {.options = by_sgd()});
      many.replica.run(0);
      comm::Traffic& traffic = partita::test::environment().traffic();
      traffic.reset();
      many.replica.run(1);
      const comm::TrafficEntry* halo = many.rows.ranks().traffic_entry("halo", "direct");
      // Rows of an image go to each neighbour: of a 3 x 3 convolution one of x and one of dy, none of a 1 x 1 one.
      // A stride of 2 reads one row of one side, which side depends on where the cut lies; so does a 2 x 2 maximum.
      index_t bytes = 0;
      const auto layer = [&](index_t R, index_t reduction, index_t k, index_t s, index_t p, index_t row_of_x,
                             index_t row_of_dy, bool first, bool winners) {
        const index_t R_out = (R + 2 * p - k) / s + 1;
        const auto owner = [&](index_t r, index_t of, index_t by) {
          for (int rank = 0; rank < world().size(); ++rank)
            if (many.rows.slices().of(rank, of, by).contains(r)) return rank;
          return -1;
        };
        // By brute force: which of my rows does anybody else read?
        std::set<std::pair<index_t, int>> of_x, of_dy;
        for (index_t o = 0; o < R_out; ++o)
          for (index_t r = std::max<index_t>(o * s - p, 0); r < std::min(o * s - p + k, R); ++r) {
            const int from = owner(r, R, reduction), to = owner(o, R_out, reduction * s);
            if (from == to) continue;
            if (from == world().rank()) of_x.insert({r, to});
            if (to == world().rank()) of_dy.insert({o, from});
          }
        bytes += 8 * 4 * std::ssize(of_x) * row_of_x;
        if (!first) bytes += 8 * (4 + (winners ? 4 : 0)) * std::ssize(of_dy) * row_of_dy;
      };
      index_t R = rows, W = shape.columns, C = shape.channels, reduction = 1;
      const auto convolve = [&](index_t F, index_t k, index_t s, bool first = false) {
        const index_t W_out = (W + 2 * (k / 2) - k) / s + 1;
        layer(R, reduction, k, s, k / 2, W * C, W_out * F, first, false);
      };
      const auto move = [&](index_t F, index_t s) { R = (R - 1) / s + 1, W = (W - 1) / s + 1, C = F, reduction *= s; };
      if (kind == CnnKind::resnet) {
        convolve(shape.width[0], 3, 1, true), move(shape.width[0], 1);
        for (std::size_t g = 0; g < shape.width.size(); ++g) {
          const index_t F = shape.width[g], s = g > 0 ? 2 : 1;
          convolve(F, 3, s);
          if (s > 1) convolve(F, 1, s);
          move(F, s);
          convolve(F, 3, 1);
        }
      } else {
        for (std::size_t g = 0; g < shape.width.size(); ++g) {
          if (g > 0) {
            layer(R, reduction, 2, 2, 0, W * C, W / 2 * C, false, true);
            R /= 2, W /= 2, reduction *= 2;
          }
          convolve(shape.width[g], 3, 1, g == 0), move(shape.width[g], 1);
        }
      }
      EXPECT_EQ(halo->sent_bytes, bytes);
      EXPECT_EQ(halo->expected_bytes, static_cast<double>(halo->sent_bytes));
      EXPECT_EQ(halo->expected_messages, static_cast<double>(halo->messages));
    }
}

/// How often it hears of each unit.
struct Hearing final : nn::Observer {
  explicit Hearing(std::size_t units) : heard(units, 0) {}
  void before(const nn::Moment& moment, std::span<const Range>, const Exec&) override {
    if (moment.unit >= 0) ++heard[static_cast<std::size_t>(moment.unit)];
  }
  std::vector<index_t> heard;
};

// What events have room for: a unit that is made of another one speaks for both.
TEST(spatial, tells_no_more_moments_than_units_say) {
  for (const CnnKind kind : {CnnKind::resnet, CnnKind::vgg})
    for (const index_t rows : {28, 29}) {
      SpatialReplica<float> many(world(), tall_cnn(kind, rows), {.options = by_sgd()});
      const std::vector<const nn::Unit<float>*>& units = many.replica.model.units();
      Hearing hearing(units.size());
      many.replica.fill(0);
      many.replica.run(0, hearing);
      index_t most = 0, heard = 0;
      for (std::size_t u = 0; u < units.size(); ++u) {
        most += units[u]->moments();
        heard += hearing.heard[u];
        const bool goes_on = u + 1 < units.size() && units[u + 1]->name().starts_with(units[u]->name() + ".");
        if (goes_on) continue;
        EXPECT_ALL(world(), heard <= most) << units[u]->name() << ": " << heard << " of " << most;
        most = heard = 0;
      }
    }
}

// The time of halos is kept, of the steps that count.
TEST(spatial, says_how_long_halos_took) {
  SpatialReplica<float> many(world(), tall_cnn(CnnKind::resnet, 28), {.options = by_sgd()});
  many.replica.run(0);
  EXPECT_EQ(many.rows.step_time().exposed_s, 0);
  many.rows.end_step();
  many.rows.begin_step(true);
  many.replica.run(1);
  const nn::OverlapTime time = many.rows.end_step();
  EXPECT_EQ(many.rows.step_time().exposed_s, time.exposed_s);
  EXPECT_EQ(many.rows.step_time().hidden_s, time.hidden_s);
  EXPECT_EQ(time.exposed_s > 0 && time.hidden_s > 0, world().size() > 1);
}

}  // namespace
}  // namespace partita::parallel::test::spatial_tests
