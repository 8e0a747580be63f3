// SPDX-License-Identifier: BSD-3-Clause
// What batch norms over all ranks' rows send, and what the observer hears of it.
#include <array>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <partita/comm/closed_forms.hpp>

#include <support/collective.hpp>
#include <support/mpi.hpp>
#include "cnn_problem.hpp"

namespace partita::parallel::test::sync_batchnorm_counts_tests {
namespace {

using comm::Allreduce;
using nn::CnnKind;
using nn::Part;
using nn::Recompute;
using partita::test::world;
namespace closed_forms = comm::closed_forms;

/// A norm of the network, as it is drawn: channels, and whether it lies in a block.
struct Norm {
  index_t C;
  bool in_block;
};
// Stem; two of the first block; two of the second and one beside it. Of vgg one for each convolution.
const std::vector<Norm> of_resnet = {{3, false}, {3, true}, {3, true}, {4, true}, {4, true}, {4, true}};
const std::vector<Norm> of_vgg = {{3, true}, {4, true}};

/// Bytes of a rank for so many numbers.
index_t allreduced(Allreduce how, index_t n, index_t bytes) {
  const index_t P = world().size(), rank = world().rank();
  if (P == 1) return 0;
  if (how == Allreduce::mpi) return n * bytes;
  return how == Allreduce::ring ? closed_forms::ring_allreduce_bytes(n, P, rank, bytes)
                                : closed_forms::doubling_allreduce_bytes(n, P, rank, bytes);
}

template <class Scalar>
void expect_bytes(CnnKind kind, Recompute recompute, index_t micro_batches, Allreduce how) {
  CnnReplica<Scalar> replica(small_cnn(kind, recompute), world(), split_share(world(), 29, micro_batches), by_sgd(how),
                             true);
  replica.run(0);
  comm::Traffic& traffic = partita::test::environment().traffic();
  traffic.reset();
  replica.run(1);
  index_t expected = 0, calls = 0;
  for (const Norm& norm : kind == CnnKind::resnet ? of_resnet : of_vgg) {
    const index_t forwards = recompute == Recompute::block && norm.in_block ? 2 : 1;
    expected += forwards * allreduced(how, 2 * norm.C + 1, 8) + allreduced(how, 2 * norm.C, sizeof(nn::Sum<Scalar>));
    calls += forwards + 1;
  }
  const comm::TrafficEntry* entry = world().traffic_entry("sync_batchnorm", comm::to_string(how));
  EXPECT_EQ(entry->sent_bytes, micro_batches * expected);
  EXPECT_EQ(entry->calls, world().size() == 1 ? 0 : micro_batches * calls);
  EXPECT_EQ(entry->expected_bytes, static_cast<double>(entry->sent_bytes));
  EXPECT_EQ(entry->expected_messages, static_cast<double>(entry->messages));
}

TEST(sync_batchnorm_counts, bytes_are_the_closed_form) {
  for (const CnnKind kind : {CnnKind::resnet, CnnKind::vgg})
    for (const Recompute recompute : {Recompute::none, Recompute::block})
      for (const Allreduce how : {Allreduce::mpi, Allreduce::ring, Allreduce::recursive}) {
        expect_bytes<float>(kind, recompute, 2, how);
        expect_bytes<double>(kind, recompute, 1, how);
      }
  expect_bytes<bfloat16>(CnnKind::resnet, Recompute::none, 1, Allreduce::ring);
}

TEST(sync_batchnorm_counts, nothing_travels_without_training) {
  CnnReplica<float> replica(small_cnn(CnnKind::resnet), world(), split_share(world(), 29, 1), by_sgd(), true);
  const nn::GradientPass<float> pass(replica.model, replica.share.division, nn::forward_only(1), replica.head, nullptr);
  nn::Observer nobody;
  nn::Progress nothing;
  replica.fill(0);
  comm::Traffic& traffic = partita::test::environment().traffic();
  traffic.reset();
  nn::Call<float> call = replica.model.call(replica.context, nobody);
  call.training = false;
  pass.run(call, replica.batch(), nothing, {replica.losses, Vector<index_t>("correct", 1)});
  replica.context.exec().fence();
  for (const comm::TrafficEntry& entry : traffic.entries()) EXPECT_EQ(entry.calls, 0) << entry.operation;
}

/// Writes down what it hears of one unit and of its messages.
struct Heard final : nn::Observer {
  explicit Heard(const nn::Model<float>& of) : units(of.units()), moments(units.size()) {}
  void before(const nn::Moment& moment, std::span<const Range> reads, const Exec&) override {
    if (moment.unit < 0) return;
    EXPECT_FALSE(within) << "one at a time";
    within = true;
    const nn::Unit<float>& unit = *units[static_cast<std::size_t>(moment.unit)];
    ++moments[static_cast<std::size_t>(moment.unit)];
    if (!unit.name().starts_with("stem.norm")) return;
    constexpr std::array parts = {"forward", "backward input", "backward weights"};
    said.push_back(unit.tag() + " " + parts[static_cast<std::size_t>(moment.part)] + (reads.empty() ? "" : " reads"));
  }
  void after(const nn::Moment& moment, std::span<const Range>, const Exec&) override {
    if (moment.unit >= 0) within = false;
  }

  const std::vector<const nn::Unit<float>*>& units;
  std::vector<index_t> moments;
  std::vector<std::string> said;
  bool within = false;
};

TEST(sync_batchnorm_counts, messages_are_told_apart_from_the_norm) {
  CnnReplica<float> replica(small_cnn(CnnKind::resnet), world(), split_share(world(), 29, 1), by_sgd(), true);
  Heard heard(replica.model);
  replica.fill(0);
  replica.run(0, heard);
  if (world().size() == 1) {
    EXPECT_EQ(heard.said,
              (std::vector<std::string>{"norm forward reads", "norm backward input reads", "norm backward weights"}));
    return;
  }
  EXPECT_EQ(heard.said, (std::vector<std::string>{"norm forward", "all-reduce forward", "norm forward reads",
                                                  "norm backward input", "all-reduce backward input",
                                                  "norm backward input reads", "norm backward weights"}));
  index_t most = 0, told = 0;
  for (std::size_t u = 0; u < heard.units.size(); ++u) {
    most += heard.units[u]->moments();
    told += heard.moments[u];
    EXPECT_EQ(heard.units[u]->communicates(), heard.units[u]->tag() == "all-reduce");
  }
  EXPECT_LE(told, most);  // what a record has room for
}

}  // namespace
}  // namespace partita::parallel::test::sync_batchnorm_counts_tests
