// SPDX-License-Identifier: BSD-3-Clause
// Sums of gradients against trees and chains that are added up here, bit for bit.
#include <algorithm>
#include <functional>
#include <optional>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/core/random.hpp>
#include <partita/parallel/server/gradient_store.hpp>

#include <support/caught.hpp>

namespace partita::parallel::server::gradient_store_tests {
namespace {

using Numbers = std::vector<float>;

constexpr index_t keys = 5;

// The leaf's gradient, of which another order of additions has other bits.
Numbers leaf(index_t update, index_t number) {
  Numbers values;
  for (index_t i = 0; i < keys; ++i)
    values.push_back(
        static_cast<float>(normal(7, Stream::test, static_cast<std::uint64_t>((update * 1000 + number) * keys + i))));
  return values;
}

Numbers sum(Numbers a, const Numbers& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

// The node of the tree by its definition; leaves that are not there are left out, a node without one is nothing.
std::optional<Numbers> tree(index_t update, Node node, const std::function<bool(index_t)>& there) {
  if (node.hi - node.lo == 1) return there(node.lo) ? std::optional(leaf(update, node.lo)) : std::nullopt;
  const auto left = tree(update, {node.lo, tree_middle(node)}, there);
  const auto right = tree(update, {tree_middle(node), node.hi}, there);
  if (!left || !right) return left ? left : right;
  return sum(*left, *right);
}
Numbers whole(index_t update, Node node) {
  return *tree(update, node, [](index_t) { return true; });
}

Numbers host(const ConstVector<float>& values) {
  const auto there = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), values);
  return {there.data(), there.data() + there.extent(0)};
}

// Leaves that are shared by workers as evenly as they can be.
struct Batch {
  index_t leaves;
  std::vector<Node> shares;
  GradientShape shape;

  Batch(index_t all, int workers) : leaves(all), shape{keys, all, all} {
    for (int w = 0; w < workers; ++w) {
      shares.push_back({all * w / workers, all * (w + 1) / workers});
      shape.covers.push_back(tree_cover(all, shares.back().lo, shares.back().hi));
    }
  }
};

// A worker hands in its nodes, and a leaf is a sample.
void hand_in(GradientStore<float>& store, const Batch& batch, index_t update, int worker) {
  const auto w = static_cast<std::size_t>(worker);
  ASSERT_EQ(store.nodes(worker), std::ssize(batch.shape.covers[w]));
  for (index_t k = 0; k < store.nodes(worker); ++k) {
    const Numbers values = whole(update, batch.shape.covers[w][static_cast<std::size_t>(k)]);
    const Vector<float> place = store.place(update, worker, k);
    ASSERT_EQ(place.extent(0), static_cast<std::size_t>(keys));
    Kokkos::deep_copy(place, Kokkos::View<const float*, Kokkos::HostSpace>(values.data(), values.size()));
  }
  store.keep(Exec(), update, worker, batch.shares[w].hi - batch.shares[w].lo);
}

TEST(gradient_store, a_tree_has_the_bits_of_all_leaves_whoever_comes_first) {
  for (const index_t leaves : {1, 7, 24})
    for (int workers = 1; workers <= std::min<index_t>(leaves, 6); ++workers) {
      const Batch batch(leaves, workers);
      GradientStore<float> store(batch.shape, true);
      std::vector<int> order;
      for (int w = 0; w < workers; ++w) order.push_back(w);
      index_t update = 0, allocated = 0;
      do {
        for (const int w : order) hand_in(store, batch, update, w);
        const auto mean = store.mean(Exec(), update);
        EXPECT_EQ(mean.samples, leaves);
        ASSERT_EQ(host(mean.gradient), whole(update, {0, leaves})) << workers << " workers, " << leaves << " leaves";
        store.release(update);
        if (++update == 1) allocated = store.allocated();
      } while (update < 24 && std::next_permutation(order.begin(), order.end()));
      EXPECT_EQ(store.allocated(), allocated) << "the memory of one update serves all";
    }
}

TEST(gradient_store, updates_may_be_under_way_together) {
  const Batch batch(12, 3);
  GradientStore<float> store(batch.shape, true);
  for (const int w : {1, 0, 2}) {
    hand_in(store, batch, 4, w);
    hand_in(store, batch, 3, 2 - w);
  }
  EXPECT_EQ(host(store.mean(Exec(), 3).gradient), whole(3, {0, 12}));
  store.release(3);
  EXPECT_EQ(host(store.mean(Exec(), 4).gradient), whole(4, {0, 12}));
}

TEST(gradient_store, what_is_there_of_a_tree_is_added_as_the_tree_is_and_made_a_mean) {
  const index_t leaves = 13;
  for (const int workers : {3, 5}) {
    const Batch batch(leaves, workers);
    GradientStore<float> store(batch.shape, true);
    for (int present = 1; present < 1 << workers; ++present) {
      index_t samples = 0;
      for (int w = workers - 1; w >= 0; --w) {
        if (!(present >> w & 1)) continue;
        hand_in(store, batch, present, w);
        samples += batch.shares[static_cast<std::size_t>(w)].hi - batch.shares[static_cast<std::size_t>(w)].lo;
      }
      Numbers expected = *tree(present, {0, leaves}, [&](index_t number) {
        for (int w = 0; w < workers; ++w) {
          const Node share = batch.shares[static_cast<std::size_t>(w)];
          if (share.lo <= number && number < share.hi) return (present >> w & 1) != 0;
        }
        return false;
      });
      if (samples != leaves)
        for (float& value : expected)
          value *= static_cast<float>(static_cast<double>(leaves) / static_cast<double>(samples));
      const auto mean = store.mean(Exec(), present);
      EXPECT_EQ(mean.samples, samples);
      EXPECT_EQ(host(mean.gradient), expected) << "present: " << present;
      store.release(present);
    }
  }
}

// Fast mode: one sum of each, in the order in which they are kept.
TEST(gradient_store, a_chain_is_added_in_the_order_of_arrival) {
  GradientStore<float> store({keys, 6, 0}, true);
  const auto keep = [&](index_t update, int worker, index_t samples) {
    const Numbers values = leaf(update, worker);
    Kokkos::deep_copy(store.place(update, worker, 0),
                      Kokkos::View<const float*, Kokkos::HostSpace>(values.data(), values.size()));
    store.keep(Exec(), update, worker, samples);
  };
  for (const int worker : {2, 0, 1}) {
    keep(0, worker, 2);
    keep(1, 3 - worker, 1);
  }
  const auto chain = [](index_t update, const std::vector<int>& workers) {
    Numbers all = leaf(update, workers[0]);
    for (std::size_t k = 1; k < workers.size(); ++k) all = sum(all, leaf(update, workers[k]));
    return all;
  };
  EXPECT_EQ(host(store.mean(Exec(), 0).gradient), chain(0, {2, 0, 1}));
  EXPECT_NE(chain(0, {2, 0, 1}), chain(0, {0, 1, 2})) << "else the test could not tell";
  Numbers twice = chain(1, {1, 3, 2});  // 3 of 6 samples
  for (float& value : twice) value *= 2;
  const auto mean = store.mean(Exec(), 1);
  EXPECT_EQ(host(mean.gradient), twice);
  EXPECT_EQ(mean.samples, 3);
  store.release(0);
  keep(2, 1, 6);
  EXPECT_EQ(host(store.mean(Exec(), 2).gradient), leaf(2, 1)) << "nothing is left of update 0";
}

// Deterministic mode, gradients of different batches: a worker's nodes are added as its own trees, and then in turn.
TEST(gradient_store, a_chain_of_nodes_adds_a_workers_trees_in_turn) {
  const Batch batch(13, 3);
  ASSERT_GT(batch.shape.covers[1].size(), 1u);
  GradientStore<float> store(batch.shape, false);
  for (const int worker : {1, 0, 1}) hand_in(store, batch, 0, worker);
  std::optional<Numbers> expected;
  for (const std::size_t worker : {1, 0, 1})
    for (const Node& node : batch.shape.covers[worker])
      expected = expected ? sum(*expected, whole(0, node)) : whole(0, node);
  const index_t samples = 2 * (batch.shares[1].hi - batch.shares[1].lo) + batch.shares[0].hi;
  for (float& value : *expected) value *= static_cast<float>(13.0 / static_cast<double>(samples));
  EXPECT_EQ(host(store.mean(Exec(), 0).gradient), *expected);
}

TEST(gradient_store, an_update_of_nothing_is_a_mistake) {
  GradientStore<float> store({keys, 6, 0}, false);
  EXPECT_EQ(testing::caught<Error>([&] { store.mean(Exec(), 0); }),
            "GradientStore: an update without a gradient: expected at least one");
  store.release(5);  // of which nobody has heard
}

}  // namespace
}  // namespace partita::parallel::server::gradient_store_tests
