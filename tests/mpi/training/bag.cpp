// SPDX-License-Identifier: BSD-3-Clause
// Bags as a deck says them: their keys, their model, their samples, which have one label each.
#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <partita/training/dataset.hpp>
#include <partita/training/extents.hpp>
#include <partita/training/model_options.hpp>
#include <partita/training/train_options.hpp>

#include <support/caught.hpp>
#include <support/collective.hpp>
#include <support/mpi.hpp>

namespace partita::training::bag_tests {
namespace {

using partita::test::world;
using partita::testing::caught;

struct Read {
  ModelOptions model;
  DataOptions data;
};

Read read(const std::vector<std::string>& settings, const std::string& kind = "bag") {
  std::vector<std::string> all = {"model.kind=" + kind};
  all.insert(all.end(), settings.begin(), settings.end());
  config::Deck deck = config::Deck::parse("", "", all);
  Read options;
  options.model = read_model_options(deck, ModelKind::mlp);
  options.data = read_data_options(deck, 7, options.model.reads());
  deck.finish();
  return options;
}

std::string refused(const std::vector<std::string>& settings, const std::string& kind = "bag") {
  return caught<UsageError>([&] { read(settings, kind); });
}

TrainOptions train(index_t batch) {
  TrainOptions options;
  options.batch = batch;
  options.steps = 10;
  return options;
}

const std::vector<std::string> small = {"model.vocabulary=31", "model.embedding=6",  "model.hidden=[5]",
                                        "data.classes=4",      "data.samples=40",    "data.held_out=9",
                                        "data.noise=0.25",     "data.zipf_ranks=50", "data.keys_per_sample=3"};

TEST(bag, its_keys_are_read) {
  const auto [model, data] = read(small);
  ASSERT_TRUE(data.bag);
  const data::BagOptions& bag = *data.bag;
  EXPECT_EQ(bag.seed, 7u);
  EXPECT_EQ(std::vector({bag.V, bag.T, bag.classes, bag.ranks}), std::vector<index_t>({31, 3, 4, 50}));
  EXPECT_EQ(bag.exponent, 1.1);
  EXPECT_EQ(bag.noise, 0.25);
  EXPECT_EQ(model.reads(), SampleKind::bags);
  EXPECT_EQ(to_string(model, shape_of_keys(data)), "bag of 3 keys, table 31 x 6, mlp 6-5-4");
  EXPECT_EQ(data.source, Source::synthetic) << "by default";
}

TEST(bag, ranks_are_ten_times_the_vocabulary_unless_they_are_said) {
  EXPECT_EQ(read({"model.vocabulary=123"}).data.bag->ranks, 1230);
  EXPECT_EQ(read({"model.vocabulary=2000000000"}).data.bag->ranks, index_t{1} << 27);
}

TEST(bag, keys_of_other_models_and_sources_are_refused) {
  EXPECT_EQ(refused({"data.source=fashion_mnist"}),
            "--set data.source=fashion_mnist: a model of bags reads hashed features: expected \"synthetic\"");
  for (const std::string source : {"idx", "stream", "text"})
    EXPECT_NE(refused({"data.source=" + source}).find("reads hashed features"), std::string::npos) << source;
  EXPECT_EQ(refused({"data.noise=1.5"}),
            "--set data.noise=1.5: more than all keys would say nothing of the class: expected at most 1 for a bag");
  EXPECT_EQ(refused({"model.width=8"}),
            "--set model.width=8: it says nothing of model.kind = \"bag\": expected its default, or model.kind = "
            "\"gpt\"");
  EXPECT_EQ(refused({"train.recompute=block"}),
            "--set train.recompute=block: model.kind = \"bag\" has no blocks: expected \"none\"");
  EXPECT_NE(refused({"data.zipf_exponent=inf"}).find("data.zipf_exponent=inf"), std::string::npos);
  for (const std::string kind : {"mlp", "gpt", "cnn"}) {
    for (const std::string setting : {"data.keys_per_sample=3", "data.zipf_exponent=1", "data.zipf_ranks=9"})
      EXPECT_EQ(refused({setting}, kind), "--set " + setting +
                                              ": this model reads no bags of keys: expected its default, or "
                                              "model.kind = \"bag\"");
    EXPECT_NE(refused({"model.embedding=8"}, kind).find("model.kind = \"" + kind + "\""), std::string::npos);
    EXPECT_FALSE(read({}, kind).data.bag) << kind;
  }
}

TEST(bag, a_table_that_cannot_be_counted_is_refused_by_its_key) {
  const auto problem = [](const std::vector<std::string>& settings, index_t batch) {
    const auto [model, data] = read(settings);
    return find_extent_problem(model, shape_of_keys(data), batch).value_or(KeyProblem{"none", "", ""}).key;
  };
  EXPECT_EQ(problem({}, 64), "none");
  EXPECT_EQ(problem({"model.vocabulary=2000000000", "model.embedding=1000"}, 64), "model.vocabulary");
  EXPECT_EQ(problem({"model.vocabulary=1000", "model.embedding=2000000000"}, 64), "model.embedding");
  EXPECT_EQ(problem({"data.keys_per_sample=2000000000"}, 1024), "data.keys_per_sample");
}

TEST(bag, its_model_is_a_table_and_a_perceptron) {
  const auto [options, data] = read(small);
  const auto model = make_model<float>(options, shape_of_keys(data), {});
  EXPECT_EQ(model.table().size(), 31 * 6 + 6 * 5 + 5 + 5 * 4 + 4);
  EXPECT_TRUE(model.reads_tokens());
  EXPECT_EQ(model.inputs(), 3);
  SampleShape numbers;
  numbers.features = 3;
  numbers.classes = 4;
  EXPECT_EQ(caught<UsageError>([&] { make_model<float>(options, numbers, {}); }),
            "model.kind: \"bag\" reads bags of keys, and samples are none: expected data of bags");
}

// A batch, the same rows by a list, and the labels of these samples: one each.
TEST(bag, samples_are_those_of_their_options_and_have_one_label) {
  constexpr index_t B = 6;
  const Dataset data(world(), read(small).data, train(B), 1);
  EXPECT_ALL(world(), data.shape().labels() == 1 && data.shape().sequence() == 0 && data.shape().tokens == 3);
  EXPECT_ALL(world(), data.held_out_labels() == 9);
  EXPECT_ALL(world(), data.bytes() == 50 * 8);
  const std::vector<std::int32_t> labels = data.labels();
  const Rows<float> rows = data.allocate<float>(B), listed = data.allocate<float>(B), wanted = data.allocate<float>(B);
  EXPECT_ALL(world(), rows.x.size() == 0 && rows.tokens.extent(1) == 3 && rows.label.size() == 6);
  EXPECT_ALL(world(), rows.top(2).tokens.size() == 6 && rows.top(2).label.size() == 2);
  const Vector<index_t> list("partita::test::list", B);
  const auto samples = Kokkos::create_mirror_view(list);
  for (index_t b = 0; b < B; ++b) samples(b) = data.sampler().sample(8, b);
  Kokkos::deep_copy(list, samples);
  const data::Bags bags(*data.options().bag);
  const auto same = [&](const Rows<float>& a, const Rows<float>& b) {
    Exec().fence();
    const auto tokens = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), a.tokens);
    const auto others = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), b.tokens);
    const auto label = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), a.label);
    const auto other = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), b.label);
    return std::equal(tokens.data(), tokens.data() + tokens.size(), others.data()) &&
           std::equal(label.data(), label.data() + label.size(), other.data());
  };
  data.batch(Exec(), 8, whole(B), rows);
  data.samples(Exec(), list, listed);
  data::bag_batch(Exec(), bags, data.sampler(), 8, whole(B), wanted.tokens, wanted.label);
  EXPECT_ALL(world(), same(rows, wanted));
  EXPECT_ALL(world(), same(listed, wanted));
  const auto label = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), rows.label);
  bool as_listed = labels.size() == 40;
  for (index_t b = 0; b < B; ++b) as_listed = as_listed && label(b) == labels.at(static_cast<std::size_t>(samples(b)));
  EXPECT_ALL(world(), as_listed);
  data.held_out(Exec(), 3, rows);
  data::bag_rows(Exec(), bags, data::Split::held_out, 3, wanted.tokens, wanted.label);
  EXPECT_ALL(world(), same(rows, wanted));
}

TEST(bag, no_other_source_makes_them) {
  DataOptions options = read(small).data;
  options.source = Source::stream;
  EXPECT_EQ(caught<UsageError>([&] { Dataset(world(), options, train(4), 1); }),
            "data.source: bags of keys come from no file and no stream: expected \"synthetic\"");
}

}  // namespace
}  // namespace partita::training::bag_tests
