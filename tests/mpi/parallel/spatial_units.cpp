// SPDX-License-Identifier: BSD-3-Clause
// Units of image rows that ranks share: what they make is the whole's, to the last bit where kernels are ours, and what
// backward says is the slope of what all ranks make.
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <partita/core/random.hpp>
#include <partita/nn/gradient_sum.hpp>
#include <partita/nn/model.hpp>
#include <partita/parallel/spatial/between.hpp>

#include <support/caught.hpp>
#include <support/collective.hpp>
#include <support/mpi.hpp>

namespace partita::parallel::test::spatial_units_tests {
namespace {

using nn::Image;
using partita::test::world;
using testing::caught;

constexpr index_t B = 3;

/// A layer between two images.
struct Case {
  std::string name;
  Image in, out;
  std::function<nn::Layer<double>(const nn::Between<double>&)> make;
};

Case convolution(index_t rows, index_t kernel, index_t stride, index_t padding) {
  const kernels::Conv2dShape shape{.rows = rows,
                                   .columns = 5,
                                   .channels = 2,
                                   .filters = 3,
                                   .kernel_rows = kernel,
                                   .kernel_columns = kernel,
                                   .stride = stride,
                                   .padding = padding};
  return {"conv " + std::to_string(kernel) + " stride " + std::to_string(stride) + " padding " +
              std::to_string(padding) + " of " + std::to_string(rows),
          {rows, 5, 2},
          {shape.out_rows(), shape.out_columns(), 3, stride},
          [=](const nn::Between<double>& between) { return between.conv2d("unit", shape, 1); }};
}

Case pooling(nn::Pool pool, index_t rows, index_t kernel, index_t stride, index_t padding) {
  const kernels::Pool2dShape shape{.rows = rows,
                                   .columns = 6,
                                   .channels = 2,
                                   .kernel_rows = kernel,
                                   .kernel_columns = kernel,
                                   .stride = stride,
                                   .padding = padding};
  return {(pool == nn::Pool::maximum ? "max " : "average ") + std::to_string(kernel) + " stride " +
              std::to_string(stride) + " padding " + std::to_string(padding) + " of " + std::to_string(rows),
          {rows, 6, 2},
          {shape.out_rows(), shape.out_columns(), 2, stride},
          [=](const nn::Between<double>& between) { return between.pool2d("unit", pool, shape, 1); }};
}

Case global_pool(index_t rows) {
  const Image image{rows, 4, 3};
  return {"global pool", image, {1, 1, 3, 0}, [=](const nn::Between<double>& between) {
            return between.global_average_pool("unit", image);
          }};
}

Case norm(index_t rows, bool relu) {
  const Image image{rows, 4, 3};
  return {"norm", image, image,
          [=](const nn::Between<double>& between) { return between.batchnorm2d("unit", image, relu); }};
}

std::vector<Case> cases() {
  std::vector<Case> all = {global_pool(14), global_pool(15), norm(14, false), norm(15, true)};
  for (const index_t rows : {28, 29})
    for (const auto& [kernel, stride, padding] :
         {std::array<index_t, 3>{3, 1, 1}, {3, 2, 1}, {1, 2, 0}, {1, 1, 0}, {5, 1, 2}, {3, 1, 0}, {5, 3, 2}, {2, 2, 0}})
      all.push_back(convolution(rows, kernel, stride, padding));
  for (const index_t rows : {28, 29})
    for (const nn::Pool pool : {nn::Pool::maximum, nn::Pool::average}) {
      all.push_back(pooling(pool, rows, 2, 2, 0));
      all.push_back(pooling(pool, rows, 3, 2, 1));
      all.push_back(pooling(pool, rows, 3, 1, 1));
    }
  return all;
}

double input(index_t b, index_t j) { return normal(3, Stream::test, static_cast<std::uint64_t>(b * 10000 + j)); }
double slope(index_t b, index_t j) { return normal(4, Stream::test, static_cast<std::uint64_t>(b * 10000 + j)); }

/// One layer, forward and back, on some rows of images.
class Layer {
 public:
  Layer(const nn::Layer<double>& layer, Slice in, Slice out, bool deterministic, std::uint64_t seed = 7)
      : in_(in),
        out_(out),
        context_(Exec(), {.backend = kernels::Backend::portable, .deterministic = deterministic, .per_kernel = {}}),
        model_({layer}, {1, out.extent}, {.seed = seed, .chunks = deterministic ? 4 : 1}),
        division_(nn::divide(B, 1, 0, 1, deterministic ? 1 : 0)),
        sum_(model_.table().size(), model_.statistics_table().size(), division_),
        x_("x", B, static_cast<std::size_t>(in.extent)),
        dx_("dx", B, static_cast<std::size_t>(in.extent)) {
    model_.stage(0).plan({.rows = B});
  }

  /// moved: what is added to number `at` of the whole first image.
  std::vector<double> forward(index_t at = -1, double moved = 0) {
    fill(x_,
         [&](index_t b, index_t j) { return input(b, in_.offset + j) + (b == 0 && in_.offset + j == at ? moved : 0); });
    placed_.emplace(model_.stage(0).place(call(), 0, 0));
    return host(model_.stage(0).forward(*placed_, x_));
  }
  /// dx, and then the gradients and statistics.
  std::vector<double> backward() {
    nn::Stage<double>& stage = model_.stage(0);
    fill(stage.output_gradient(*placed_, B), [&](index_t b, index_t j) { return slope(b, out_.offset + j); });
    const nn::Destination<double> gradients = sum_.destination(context_.exec(), 0, 0);
    placed_->gradients = &gradients;
    placed_->statistics = sum_.statistics(0);
    stage.backward(nn::Half::both, *placed_, x_, dx_);
    return host(dx_);
  }
  std::vector<double> gradients() const {
    context_.exec().fence();
    const auto all = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), sum_.node(0));
    return {all.data(), all.data() + all.size()};
  }

 private:
  nn::Call<double> call() {
    nn::Call<double> all = model_.call(context_, nobody_);
    all.rows = {0, B, B};
    return all;
  }
  template <class F>
  static void fill(const Matrix<double>& to, const F& f) {
    const auto on_host = Kokkos::create_mirror_view(to);
    for (index_t b = 0; b < B; ++b)
      for (index_t j = 0; j < static_cast<index_t>(to.extent(1)); ++j) on_host(b, j) = f(b, j);
    Kokkos::deep_copy(to, on_host);
  }
  template <class View>
  std::vector<double> host(const View& from) const {
    context_.exec().fence();
    const auto all = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), from);
    return {all.data(), all.data() + all.size()};
  }

  Slice in_, out_;
  kernels::Context context_;
  nn::Observer nobody_;
  nn::Model<double> model_;
  nn::Division division_;
  nn::FlatGradientSum<double> sum_;
  Matrix<double> x_, dx_;
  std::optional<nn::Call<double>> placed_;
};

/// Rows of the whole that are here: of images one after the other.
std::vector<double> part(const std::vector<double>& whole_images, Slice here) {
  std::vector<double> mine;
  for (index_t b = 0; b < B; ++b)
    for (index_t j = here.offset; j < here.end(); ++j)
      mine.push_back(whole_images[static_cast<std::size_t>(b * here.global + j)]);
  return mine;
}

struct Shared {
  Shared(const Case& of, bool deterministic, bool overlap)
      : axis(world(), {comm::Allreduce::ring, deterministic, overlap}, of.in.rows),
        norms(world(), comm::Allreduce::ring) {
    const auto numbers = [&](const Image& image) -> Slice {
      if (image.reduction == 0) return whole(image.size());  // the same on all ranks
      const Slice rows = axis.rows(image);
      const index_t row = image.columns * image.channels;
      return {rows.offset * row, rows.extent * row, rows.global * row};
    };
    in = numbers(of.in);
    out = numbers(of.out);
  }
  nn::Layer<double> layer(const Case& of) {
    return world().size() == 1 ? of.make(nn::Between<double>()) : of.make(SpatialBetween<double>(axis, norms));
  }

  SpatialAxis<double> axis;
  BatchNormAxis norms;
  Slice in, out;
};

double apart(const std::vector<double>& a, const std::vector<double>& b) {
  double most = a.size() == b.size() ? 0 : 1e300;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i)
    most = std::max(most, std::abs(a[i] - b[i]) / (1 + std::abs(b[i])));
  return most;
}

class spatial_units : public ::testing::TestWithParam<bool> {};

TEST_P(spatial_units, have_the_bits_of_the_whole_in_deterministic_mode) {
  for (const Case& of : cases()) {
    Shared shared(of, true, GetParam());
    Layer here(shared.layer(of), shared.in, shared.out, true);
    Layer all(of.make(nn::Between<double>()), whole(shared.in.global), whole(shared.out.global), true);
    for (int again = 0; again < 2; ++again) {
      EXPECT_ALL(world(), here.forward() == part(all.forward(), shared.out)) << of.name << ": y";
      EXPECT_ALL(world(), here.backward() == part(all.backward(), shared.in)) << of.name << ": dx";
      EXPECT_ALL(world(), here.gradients() == all.gradients()) << of.name << ": gradients";
    }
  }
}

TEST_P(spatial_units, add_up_to_the_whole_in_fast_mode) {
  for (const Case& of : cases()) {
    Shared shared(of, false, GetParam());
    Layer here(shared.layer(of), shared.in, shared.out, false);
    Layer all(of.make(nn::Between<double>()), whole(shared.in.global), whole(shared.out.global), false);
    EXPECT_ALL(world(), apart(here.forward(), part(all.forward(), shared.out)) < 1e-12) << of.name << ": y";
    EXPECT_ALL(world(), apart(here.backward(), part(all.backward(), shared.in)) < 1e-12) << of.name << ": dx";
    std::vector<double> sum = here.gradients();
    world().allreduce(std::span<double>(sum), comm::Op::sum);
    EXPECT_ALL(world(), apart(sum, all.gradients()) < 1e-12) << of.name << ": gradients and statistics";
  }
}

// Of every number of the first image in the rows beside a cut, and a few others: what all ranks make moves as backward
// says, wherever the number is.
TEST_P(spatial_units, have_the_slopes_of_what_all_ranks_make) {
  for (const Case& of : cases()) {
    if (of.name.starts_with("max")) continue;  // not smooth; its bits are the whole's
    Shared shared(of, false, GetParam());
    Layer here(shared.layer(of), shared.in, shared.out, false);
    const bool copies = of.out.reduction == 0;  // y is the same everywhere: it counts once
    const auto total = [&](index_t at, double moved) {
      const std::vector<double> y = here.forward(at, moved);
      double sum = 0;
      for (index_t b = 0; b < B; ++b)
        for (index_t j = 0; j < shared.out.extent; ++j)
          sum += y[static_cast<std::size_t>(b * shared.out.extent + j)] * slope(b, shared.out.offset + j);
      if (copies && !world().is_root()) sum = 0;
      world().allreduce(std::span<double>(&sum, 1), comm::Op::sum);
      return sum;
    };
    here.forward();
    const std::vector<double> dx = here.backward();
    const index_t row = of.in.columns * of.in.channels;
    std::vector<index_t> numbers;
    for (int r = 1; r < world().size(); ++r) {
      const index_t cut = shared.axis.slices().of(r, of.in.rows, 1).offset * row;
      for (const index_t at : {cut - row - 1, cut - 2, cut - row / 2, cut, cut + 1, cut + row, cut + 2 * row - 1})
        numbers.push_back(at);
    }
    numbers.push_back(0);
    numbers.push_back(of.in.size() - 1);
    for (const index_t at : numbers) {
      constexpr double h = 1e-4;
      const double expected = (total(at, h) - total(at, -h)) / (2 * h);
      const bool mine = shared.in.contains(at);
      const double found = mine ? dx[static_cast<std::size_t>(at - shared.in.offset)] : 0;
      EXPECT_ALL(world(), !mine || std::abs(found - expected) < 1e-6 * (1 + std::abs(expected)))
          << of.name << ", number " << at << ": " << found << ", not " << expected;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(overlap, spatial_units, ::testing::Bool());

TEST(spatial_units_refuse, slices_that_a_neighbour_reads_beyond) {
  const auto message = [](const Case& of) {
    return caught<UsageError>([&] {
      Shared shared(of, false, true);
      Layer here(shared.layer(of), shared.in, shared.out, false);
    });
  };
  const int P = world().size();
  if (P == 1) return;
  const auto refused = [&](index_t rows, int rank, const std::string& has) {
    return "parallel.spatial: " + std::to_string(P) + " ranks share " + std::to_string(rows) +
           " input rows of unit, and rank " + std::to_string(rank) + " would have " + has +
           ": expected fewer ranks, or images of more rows";
  };
  EXPECT_EQ(message(convolution(P - 1, 3, 1, 1)), refused(P - 1, P - 1, "0"));
  // Both neighbours of a rank in the middle are there to be read.
  if (P > 2) {
    EXPECT_EQ(message(convolution(P, 5, 1, 2)), refused(P, 1, "1, of which a neighbour reads 2"));
  }
  EXPECT_EQ(message(convolution(P, 3, 1, 1)), "nothing was thrown");  // a row each will do
  SpatialAxis<double> axis(world(), {}, 28);
  BatchNormAxis norms(world(), comm::Allreduce::ring);
  EXPECT_EQ(caught<UsageError>([&] {
              SpatialBetween<double>(axis, norms).groupnorm("unit", {28, 4, 6}, 2);
            }),
            "model.norm_groups: 2 groups for unit, and ranks share the rows of an image: expected 0 (batch norms), or "
            "parallel.spatial = 1");
}

}  // namespace
}  // namespace partita::parallel::test::spatial_units_tests
