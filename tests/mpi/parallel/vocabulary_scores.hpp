// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include <partita/core/partition.hpp>
#include <partita/core/random.hpp>
#include <partita/parallel/tensor/vocabulary_loss.hpp>

namespace partita::parallel::test {

inline constexpr double scale = 0.3, factor = 8;

/// B rows of scores of V classes for each of `labels` labels.
template <class Scalar>
struct Scores {
  index_t B, labels, V;
  std::vector<Scalar> z = {};
  std::vector<std::int32_t> label = {};

  index_t n() const { return B * labels; }
  Scalar& at(index_t row, index_t v) { return z[static_cast<std::size_t>(row * V + v)]; }

  /// Normal deviates; where `odd_labels`, some are ignored or outside of the classes.
  static Scores random(index_t B, index_t labels, index_t V, bool odd_labels) {
    Scores scores{B, labels, V};
    for (index_t i = 0; i < scores.n() * V; ++i)
      scores.z.push_back(static_cast<Scalar>(3 * static_cast<float>(normal(5, Stream::test, std::uint64_t(i)))));
    const std::int32_t odd[] = {kernels::ignore_index, -2, static_cast<std::int32_t>(V)};
    for (index_t i = 0; i < scores.n(); ++i)
      scores.label.push_back(odd_labels && i % 4 == 1 ? odd[i / 4 % 3] : static_cast<std::int32_t>((i * 37 + 1) % V));
    return scores;
  }
};

template <class T>
std::vector<T> on_host(const Vector<T>& values) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), values);
  return {host.data(), host.data() + host.size()};
}

template <class T>
Vector<T> on_device(const std::vector<T>& values) {
  const Vector<T> device("partita::test::values", values.size());
  const auto host = Kokkos::create_mirror_view(device);
  std::copy(values.begin(), values.end(), host.data());
  Kokkos::deep_copy(device, host);
  return device;
}

template <class Scalar>
struct Result {
  double sum = 0, evaluated = 0;
  index_t correct = 0;
  std::vector<Scalar> gradient;  // of the columns of a slice

  bool operator==(const Result& other) const {
    const auto bits = [](const Result& of) {
      std::vector<std::byte> all;
      const auto append = [&](const auto* data, std::size_t count) {
        const auto bytes = std::as_bytes(std::span(data, count));
        all.insert(all.end(), bytes.begin(), bytes.end());
      };
      append(&of.sum, 1);
      append(&of.evaluated, 1);
      append(&of.correct, 1);
      append(of.gradient.data(), of.gradient.size());
      return all;
    };
    return bits(*this) == bits(other);
  }
};

/// What a head makes of the columns `of` of all rows.
template <class Scalar>
Result<Scalar> result(const nn::LossHead<Scalar>& head, const Scores<Scalar>& scores, const Slice& of,
                      bool in_place = false) {
  kernels::Context context;
  std::vector<Scalar> mine;
  for (index_t i = 0; i < scores.n(); ++i)
    for (index_t v = of.offset; v < of.end(); ++v) mine.push_back(scores.z[static_cast<std::size_t>(i * scores.V + v)]);
  const Vector<Scalar> z = on_device(mine), dz = in_place ? z : Vector<Scalar>("partita::test::dz", mine.size());
  const Vector<std::int32_t> label = on_device(scores.label);
  const Kokkos::View<double, Memory> sum("sum"), evaluated("evaluated"), times("times");
  const Kokkos::View<index_t, Memory> correct("correct");
  Kokkos::deep_copy(times, factor);
  const auto rows = [&](const Vector<Scalar>& values) {
    return Matrix<Scalar>(values.data(), scores.B, scores.labels * of.extent);
  };
  head.evaluate(context, rows(z), label, evaluated, correct);
  head.run(context, rows(z), label, scale, times, rows(dz), sum);
  context.exec().fence();
  Result<Scalar> result{.gradient = on_host(dz)};
  Kokkos::deep_copy(result.sum, sum);
  Kokkos::deep_copy(result.evaluated, evaluated);
  Kokkos::deep_copy(result.correct, correct);
  return result;
}

/// What whole rows give, and of their gradient the columns of a slice.
template <class Scalar>
Result<Scalar> of_whole_rows(const Scores<Scalar>& scores, index_t blocks, const Slice& of) {
  const nn::WholeRows<Scalar> head(kernels::Loss::cross_entropy, {scores.labels, scores.V}, blocks);
  Result<Scalar> all = result<Scalar>(head, scores, whole(scores.V));
  std::vector<Scalar> mine;
  for (index_t i = 0; i < scores.n(); ++i)
    for (index_t v = of.offset; v < of.end(); ++v)
      mine.push_back(all.gradient[static_cast<std::size_t>(i * scores.V + v)]);
  all.gradient = mine;
  return all;
}

/// This rank's part of V classes: of blocks that ranks share, or, of one block, of V itself.
inline Slice share(index_t V, index_t blocks, const comm::Communicator& axis) {
  if (blocks == 1) return partition(V, axis.size(), axis.rank());
  const Slice mine = partition(blocks, axis.size(), axis.rank());
  const auto bound = [&](index_t leaf) { return leaf == blocks ? V : partition(V, blocks, leaf).offset; };
  return {bound(mine.offset), bound(mine.end()) - bound(mine.offset), V};
}

template <class Scalar>
VocabularyParallelLoss<Scalar> head_of(const comm::Communicator& axis, comm::Allreduce how,
                                       const Scores<Scalar>& scores, index_t blocks, std::optional<Slice> of = {}) {
  return {
      axis,  how, kernels::Loss::cross_entropy, {scores.labels, scores.V}, of.value_or(share(scores.V, blocks, axis)),
      blocks};
}

}  // namespace partita::parallel::test
