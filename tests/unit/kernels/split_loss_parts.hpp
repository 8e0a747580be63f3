// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include <partita/core/partition.hpp>
#include <partita/core/tree.hpp>
#include <partita/kernels/loss.hpp>
#include <partita/kernels/split_loss.hpp>

#include "numbers.hpp"

// Slices of the vocabulary, played one after the other in one process.

namespace partita::kernels::test::split_loss_tests {

inline constexpr std::int32_t none = ignore_index;
inline constexpr double scale = 0.3, huge = 1e4;

/// Labels of all kinds: hits and misses, first and last class, ignored, outside of the classes.
template <class Scalar>
struct Case {
  index_t B, V;
  std::vector<Scalar> logits;
  std::vector<std::int32_t> label;

  Case(index_t rows, index_t classes, bool odd_labels)
      : B(rows), V(classes), logits(random_values<Scalar>(5, rows * classes)) {
    for (Scalar& z : logits) z = Scalar(accumulate_t<Scalar>(z) * 3);
    const std::int32_t others[] = {none, 0, std::int32_t(V - 1), std::int32_t(V), -2};
    for (index_t b = 0; b < B; ++b)
      label.push_back(odd_labels && b % 3 == 1 ? others[b / 3 % 5] : std::int32_t((b * 37 + 1) % V));
  }
};

template <class Scalar>
struct Results {
  double sum = 0, evaluated = 0;
  index_t correct = 0;
  std::vector<Scalar> gradient;
};

template <class Scalar>
Results<Scalar> of_whole_rows(const Case<Scalar>& c, index_t blocks, double factor) {
  Context context;
  const Placed<Scalar> z(c.logits, c.B, c.V), dz(c.B, c.V);
  const Kokkos::View<double, Memory> sum("sum"), evaluated("evaluated"), times("times");
  const Kokkos::View<index_t, Memory> correct("correct");
  Kokkos::deep_copy(times, factor);
  const LossOptions options{.kind = Loss::cross_entropy, .vocabulary_blocks = blocks};
  loss_forward_backward(context, options, z.matrix(), to_device(c.label), scale, dz.matrix(), sum, times);
  loss_forward(context, options, z.matrix(), to_device(c.label), evaluated, correct);
  context.exec().fence();
  return {to_host(sum)[0], to_host(evaluated)[0], to_host(correct)[0], dz.values()};
}

/// One rank's part of the rows.
template <class Scalar>
struct Part {
  Context context;
  Slice vocabulary;
  std::vector<LossNode> nodes;
  Placed<Scalar> z, dz;
  Vector<std::int32_t> label;
  Vector<double> top, target, ahead;
  Matrix<double> sums;
  std::vector<double> sum;  // of all parts

  Part(const Exec& exec, const Case<Scalar>& c, const Slice& classes, const Slice& blocks, Placement p)
      : context(exec),
        vocabulary(classes),
        nodes(loss_nodes(classes, blocks)),
        z(columns(c), c.B, classes.extent, p),
        dz(c.B, classes.extent, p),
        label(to_device(c.label, p.offset)),
        top("top", c.B),
        target("target", c.B),
        ahead("ahead", c.B),
        sums("sums", nodes.size(), c.B) {}

  std::vector<Scalar> columns(const Case<Scalar>& c) const {
    std::vector<Scalar> values;
    for (index_t b = 0; b < c.B; ++b)
      for (index_t v = vocabulary.offset; v < vocabulary.end(); ++v) values.push_back(c.logits[b * c.V + v]);
    return values;
  }
};

/// The slices' bounds in V: blocks shared out as ranks share them, or, of one block, V.
inline std::vector<std::pair<Slice, Slice>> shares(index_t V, index_t blocks, index_t parts) {
  std::vector<std::pair<Slice, Slice>> all;
  for (index_t part = 0; part < parts; ++part) {
    const Slice mine = partition(blocks, parts, part);
    const auto bound = [&](index_t leaf) { return leaf == blocks ? V : partition(V, blocks, leaf).offset; };
    all.emplace_back(
        blocks == 1 ? partition(V, parts, part) : Slice{bound(mine.offset), bound(mine.end()) - bound(mine.offset), V},
        blocks == 1 ? whole(1) : mine);
  }
  return all;
}

template <class Scalar>
Results<Scalar> in_parts(const Exec& exec, const Case<Scalar>& c, index_t blocks, index_t count, double factor,
                         Placement p = {}, bool in_place = false) {
  std::vector<Part<Scalar>> parts;
  for (const auto& [classes, leaves] : shares(c.V, blocks, count)) parts.emplace_back(exec, c, classes, leaves, p);
  const auto over_parts = [&](auto member, const auto& combine) {
    std::vector<double> all = to_host(parts.front().*member);
    for (std::size_t k = 1; k < parts.size(); ++k) {
      const std::vector<double> of = to_host(parts[k].*member);
      for (std::size_t b = 0; b < all.size(); ++b) all[b] = combine(all[b], of[b]);
    }
    for (Part<Scalar>& part : parts) part.*member = to_device(all);
  };
  const auto largest = [](double a, double b) { return std::max(a, b); };
  const auto plus = [](double a, double b) { return a + b; };
  for (Part<Scalar>& part : parts)
    loss_max<Scalar>(exec, part.vocabulary, part.z.matrix(), part.label, part.top, part.target);
  exec.fence();
  over_parts(&Part<Scalar>::top, largest);
  over_parts(&Part<Scalar>::target, plus);

  std::vector<std::vector<double>> of_nodes;
  std::vector<Node> nodes;
  for (Part<Scalar>& part : parts) {
    loss_ahead<Scalar>(exec, part.vocabulary, part.z.matrix(), part.label, part.top, part.ahead);
    loss_sums<Scalar>(exec, part.nodes, part.z.matrix(), part.label, part.top, part.sums,
                      in_place ? part.z.matrix() : part.dz.matrix());
    exec.fence();
    const std::vector<double> values = to_host(part.sums);
    for (std::size_t k = 0; k < part.nodes.size(); ++k) {
      const index_t lo = nodes.empty() ? 0 : nodes.back().hi;
      nodes.push_back({lo, lo + part.nodes[k].leaves});
      of_nodes.emplace_back(values.begin() + index_t(k) * c.B, values.begin() + index_t(k + 1) * c.B);
    }
  }
  over_parts(&Part<Scalar>::ahead, plus);
  const auto add = [&](index_t into, index_t from) {
    for (index_t b = 0; b < c.B; ++b) of_nodes[into][b] += of_nodes[from][b];
  };
  if (blocks == 1)
    for (std::size_t k = 1; k < of_nodes.size(); ++k) add(0, index_t(k));
  else
    for (const Merge& merge : tree_merges(blocks, nodes)) add(merge.into, merge.from);

  Results<Scalar> results;
  results.gradient.resize(c.logits.size());
  const Kokkos::View<double, Memory> sum("sum"), evaluated("evaluated"), times("times");
  const Kokkos::View<index_t, Memory> correct("correct");
  Kokkos::deep_copy(times, factor);
  const Vector<double> total = to_device(of_nodes.front());
  for (Part<Scalar>& part : parts) {
    const Placed<Scalar>& gradient = in_place ? part.z : part.dz;
    loss_finish<Scalar>(part.context, part.vocabulary, part.z.matrix(), part.label, part.top, part.target, total, scale,
                        gradient.matrix(), sum, times);
    loss_finish(part.context, c.V, part.label, part.top, part.target, total, part.ahead, evaluated, correct);
    exec.fence();
    EXPECT_TRUE(gradient.surroundings_untouched());
    const std::vector<Scalar> values = gradient.values();
    for (index_t b = 0; b < c.B; ++b)
      std::copy_n(values.begin() + b * part.vocabulary.extent, part.vocabulary.extent,
                  results.gradient.begin() + b * c.V + part.vocabulary.offset);
    const double before = results.sum;
    results = {to_host(sum)[0], to_host(evaluated)[0], to_host(correct)[0], std::move(results.gradient)};
    EXPECT_TRUE(&part == &parts.front() || same_bits<double>({before}, {results.sum}));  // what every part finds
  }
  return results;
}

template <class Scalar>
void expect_the_same(const Results<Scalar>& got, const Results<Scalar>& expected) {
  EXPECT_TRUE(same_bits<double>({got.sum, got.evaluated}, {expected.sum, expected.evaluated}));
  EXPECT_EQ(got.correct, expected.correct);
  EXPECT_TRUE(same_bits(got.gradient, expected.gradient));
}

}  // namespace partita::kernels::test::split_loss_tests
