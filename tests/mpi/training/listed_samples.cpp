// SPDX-License-Identifier: BSD-3-Clause
// Samples of a data set by a list, and the labels of all.
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <partita/training/dataset.hpp>
#include <partita/training/train_options.hpp>

#include <support/caught.hpp>
#include <support/collective.hpp>
#include <support/mpi.hpp>
#include <support/temporary_folder.hpp>

namespace partita::training::listed_samples_tests {
namespace {

using partita::test::world;
using partita::testing::caught;
using partita::testing::TemporaryFolder;

constexpr index_t B = 6, N = 40;

TrainOptions train() {
  TrainOptions options;
  options.batch = B;
  options.steps = 10;
  return options;
}

DataOptions synthetic() {
  DataOptions options;
  options.source = Source::synthetic;
  options.synthetic.features = 12;
  options.synthetic.classes = 4;
  options.samples = N;
  options.held_out = 9;
  return options;
}

// A batch, the same rows by a list, and the labels of these samples.
void expect_same(const Dataset& data) {
  const std::vector<std::int32_t> labels = data.labels();
  const Rows<float> rows = data.allocate<float>(B), listed = data.allocate<float>(B);
  const Vector<index_t> list("partita::test::list", B);
  const auto samples = Kokkos::create_mirror_view(list);
  for (index_t b = 0; b < B; ++b) samples(b) = data.sampler().sample(8, b);
  Kokkos::deep_copy(list, samples);
  data.batch(Exec(), 8, whole(B), rows);
  data.samples(Exec(), list, listed);
  Exec().fence();
  const auto x = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), rows.x);
  const auto y = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), listed.x);
  const auto label = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), rows.label);
  const auto other = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), listed.label);
  bool same = std::equal(x.data(), x.data() + x.size(), y.data());
  for (index_t b = 0; b < B; ++b)
    same = same && label(b) == other(b) && label(b) == labels.at(static_cast<std::size_t>(samples(b)));
  EXPECT_ALL(world(), same);
  EXPECT_ALL(world(), labels.size() == static_cast<std::size_t>(N));
}

TEST(listed_samples, synthetic_ones_are_those_of_a_batch) { expect_same(Dataset(world(), synthetic(), train(), 1)); }

void write_idx(const std::string& path, std::uint8_t extent, bool images) {
  std::string file{0, 0, 8, images ? '\3' : '\1', 0, 0, 0, static_cast<char>(extent)};
  if (images) file += std::string{0, 0, 0, 3, 0, 0, 0, 4};
  for (int i = 0; i < extent * (images ? 12 : 1); ++i) file += static_cast<char>(images ? i * i % 251 : i * i % 4);
  std::ofstream(path, std::ios::binary) << file;
}

TEST(listed_samples, images_are_those_of_a_batch) {
  std::unique_ptr<TemporaryFolder> folder;
  DataOptions options;
  options.source = Source::idx;
  options.synthetic.classes = 4;
  if (world().is_root()) {
    folder = std::make_unique<TemporaryFolder>();
    options.path = folder->path();
    for (const std::string set : {"train", "t10k"}) {
      const std::uint8_t count = set == "train" ? N : 9;
      write_idx(*folder / (set + "-images-idx3-ubyte"), count, true);
      write_idx(*folder / (set + "-labels-idx1-ubyte"), count, false);
    }
  }
  world().broadcast(options.path);
  expect_same(Dataset(world(), options, train(), 1));
  world().barrier();
}

TEST(listed_samples, what_has_no_samples_with_one_label_is_refused) {
  DataOptions options = synthetic();
  options.tokens = 5;
  const auto message = [&] { return caught<UsageError>([&] { Dataset(world(), options, train(), 1).labels(); }); };
  EXPECT_EQ(message(),
            "Dataset::labels: samples are sequences of tokens: expected a set of samples with one label each: "
            "\"fashion_mnist\", \"idx\", or \"synthetic\" numbers or bags");
  const Dataset tokens(world(), options, train(), 1);
  EXPECT_THROW(tokens.samples(Exec(), ConstVector<index_t>(), tokens.allocate<float>(0)), UsageError);
  options.tokens = 0;
  options.source = Source::stream;
  EXPECT_NE(message().find("samples of a stream pass once"), std::string::npos) << message();
}

}  // namespace
}  // namespace partita::training::listed_samples_tests
