// SPDX-License-Identifier: BSD-3-Clause
// Ranks that read a text hold the same windows of it, and agree on what is wrong with it.
#include <cmath>
#include <fstream>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include <partita/core/partition.hpp>
#include <partita/nn/exchange.hpp>
#include <partita/nn/gradient_sum.hpp>
#include <partita/training/compression.hpp>
#include <partita/training/evaluation.hpp>
#include <partita/training/train_options.hpp>

#include <support/caught.hpp>
#include <support/mpi.hpp>
#include <support/temporary_folder.hpp>

namespace partita::training::text_tests {
namespace {

using partita::test::world;
using partita::testing::caught;
using partita::testing::TemporaryFolder;

constexpr index_t B = 5, T = 7, bytes = 700;

class text : public ::testing::Test {
 protected:
  text() {
    std::string path;
    if (world().is_root()) {
      folder = std::make_unique<TemporaryFolder>();
      path = *folder / "text";
    }
    world().broadcast(path);
    options.source = Source::text;
    options.path = path;
    options.tokens = T;
    options.synthetic.classes = data::byte_vocabulary;
    train.batch = B;
    train.steps = 10;
    train.kernels.backend = kernels::Backend::portable;
    for (index_t i = 0; i < bytes; ++i) content += static_cast<char>('a' + i * i % 23);
    write(content);
  }
  ~text() override { world().barrier(); }

  void write(const std::string& what) {
    if (world().is_root()) std::ofstream(options.path, std::ios::binary) << what;
    world().barrier();
  }
  std::string problem() const {
    return caught<UsageError>([&] { Dataset(world(), options, train, world().size()); });
  }

  std::string content;
  DataOptions options;
  TrainOptions train;
  std::unique_ptr<TemporaryFolder> folder;
};

TEST_F(text, joined_batches_of_all_ranks_are_those_of_one) {
  const Dataset data(world(), options, train, world().size());
  const Slice mine = partition(B, world().size(), world().rank());
  const Rows<float> part = data.allocate<float>(mine.extent), all = data.allocate<float>(B);
  const auto gathered = [&](const auto& view) {
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, view);
    return world().gather(std::span<const std::int32_t>(host.data(), host.size()));
  };
  for (index_t step = 0; step < 3 * data.steps_per_epoch(); ++step) {
    data.batch<float>(Exec(), step, mine, part);
    data.batch<float>(Exec(), step, whole(B), all);
    const auto tokens = gathered(part.tokens), label = gathered(part.label);
    if (!world().is_root()) continue;
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, all.tokens);
    const auto host_label = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, all.label);
    EXPECT_EQ(tokens, std::vector<std::int32_t>(host.data(), host.data() + host.size())) << step;
    EXPECT_EQ(label, std::vector<std::int32_t>(host_label.data(), host_label.data() + host_label.size())) << step;
    for (std::size_t i = 0; i < label.size(); ++i) EXPECT_NE(label[i], data::no_label);
  }
  EXPECT_EQ(data.steps_per_epoch(), (bytes * 9 / 10 / T - 1) / B);
}

TEST_F(text, padding_is_what_the_loss_passes_over) { EXPECT_EQ(data::no_label, kernels::ignore_index); }

// A head whose weights are 0 gives every byte the same probability: the mean loss over the bytes that are asked for is
// ln V whatever the padding, and is not if padding or windows were counted wrongly.
TEST_F(text, mean_loss_is_over_the_bytes_that_are_asked_for) {
  for (const index_t length : {70, 71, 75, 700}) {
    write(content.substr(0, static_cast<std::size_t>(length)));
    options.held_out_share = 0.3;
    train.batch = 4;
    const Dataset data(world(), options, train, 1);
    const index_t held_out = length * 3 / 10;
    EXPECT_EQ(data.held_out_labels(), held_out - 1);
    EXPECT_EQ(data.held_out_samples(), (held_out - 1 + T - 1) / T);
    ModelOptions model_options;
    model_options.kind = ModelKind::gpt;
    model_options.gpt.blocks = 1;
    model_options.gpt.C = 8;
    model_options.gpt.H = 2;
    auto model = make_model<float>(model_options, data.shape(), {.seed = 3});
    Kokkos::deep_copy(model.parameters(), 0);
    const nn::WholeRows<float> head(train.loss, model);
    kernels::Context context(Exec(), train.kernels);
    const nn::FlatGradientSum<float> sum(model.table().size(), 0, nn::divide(4, 1, 0, 1, 0));
    nn::NoExchange<float> exchange(model.parameters(), sum);
    const Evaluation<float> evaluation(model, head, data, nullptr, 2);
    const EvaluationResult result = evaluation.run(context, exchange, 0, world(), [] { return false; });
    EXPECT_NEAR(result.loss, std::log(256.0), 1e-6) << length;
    EXPECT_EQ(result.accuracy, 0);  // the first of equal scores is byte 0, which the text has not got
  }
}

TEST_F(text, compression_is_known_to_all_ranks_and_of_the_held_out_bytes_alone) {
  const Dataset data(world(), options, train, world().size());
  const std::optional<Compression> found = compress_held_out(data);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->bytes, bytes / 10);
  EXPECT_EQ(found->scored, bytes / 10 - 1);
  EXPECT_EQ(std::string(data.held_out_text().begin(), data.held_out_text().end()), content.substr(bytes * 9 / 10));
  // 18 bytes of header and trailer and a block of two bytes at least; 70 bytes as they are and 23 more at most.
  EXPECT_GT(found->gzip, 8 * 20.0 / 70);
  EXPECT_LT(found->gzip, 8 * (70 + 23.0) / 70);
  EXPECT_GT(found->xz, found->gzip);  // its container is larger
  options.source = Source::synthetic;
  EXPECT_FALSE(compress_held_out(Dataset(world(), options, train, world().size())).has_value());
}

TEST_F(text, ranks_agree_on_what_is_wrong) {
  train.batch = 100;
  EXPECT_EQ(problem(), "data.path: " + options.path +
                           ": 700 bytes, 630 of them for training: expected at least 707 of these, for train.batch = "
                           "100 windows of model.tokens = 7");
  train.batch = B;
  options.held_out_share = 0.001;
  EXPECT_NE(problem().find("0 of them held out: expected at least 2"), std::string::npos) << problem();
  options.path += "x";
  EXPECT_NE(problem().find("textx: no such file: expected"), std::string::npos) << problem();
}

}  // namespace
}  // namespace partita::training::text_tests
