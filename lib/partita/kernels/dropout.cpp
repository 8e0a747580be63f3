// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>
#include <partita/core/random.hpp>
#include <partita/kernels/backend/range.hpp>
#include <partita/kernels/dropout.hpp>
#include <string>

namespace partita::kernels {
namespace {

constexpr index_t lanes = 64;         // blocks of Philox side by side: GCC would unroll 16, not vectorise them
constexpr index_t group = 4 * lanes;  // elements that they serve
constexpr index_t groups_per_task = 16;

/// Philox4x32-10 (core/random.hpp) for `lanes` consecutive counters at once: word w of block l is word[w * lanes + l].
struct Blocks {
  std::uint32_t word[group];

  Blocks(std::uint64_t key, std::uint64_t first) {
    std::uint32_t c0[lanes], c1[lanes], c2[lanes], c3[lanes];
    for (index_t l = 0; l < lanes; ++l) {
      const std::uint64_t index = first + std::uint64_t(l);
      c0[l] = std::uint32_t(index), c1[l] = std::uint32_t(index >> 32);
      c2[l] = std::uint32_t(Stream::dropout), c3[l] = 0;
    }
    auto key0 = std::uint32_t(key), key1 = std::uint32_t(key >> 32);
    for (int round = 0; round < 10; ++round, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u)
      for (index_t l = 0; l < lanes; ++l) {
        const std::uint64_t a = std::uint64_t{0xD2511F53u} * c0[l], b = std::uint64_t{0xCD9E8D57u} * c2[l];
        c0[l] = std::uint32_t(b >> 32) ^ c1[l] ^ key0;
        c1[l] = std::uint32_t(b);
        c2[l] = std::uint32_t(a >> 32) ^ c3[l] ^ key1;
        c3[l] = std::uint32_t(a);
      }
    for (index_t l = 0; l < lanes; ++l) {
      word[l] = c0[l], word[lanes + l] = c1[l];
      word[2 * lanes + l] = c2[l], word[3 * lanes + l] = c3[l];
    }
  }
};

template <class Scalar>
struct Dropout {
  std::uint64_t key;
  std::uint32_t dropped;  // words below it
  accumulate_t<Scalar> factor;
  index_t first, n;  // global index of x[0]; how many
  const Scalar* x;
  Scalar* y;

  index_t groups() const { return n == 0 ? 0 : (first + n + group - 1) / group - first / group; }

  KOKKOS_FUNCTION accumulate_t<Scalar> mask(std::uint32_t word) const {
    return static_cast<accumulate_t<Scalar>>(word >= dropped) * factor;
  }
  KOKKOS_FUNCTION void apply(index_t i, accumulate_t<Scalar> by) const {
    y[i] = Scalar(accumulate_t<Scalar>(x[i]) * by);
  }
};

/// A task is 16 groups of 256 elements, each with 64 blocks of Philox side by side; the range may cut off its ends.
template <class Scalar>
struct OnHost : Dropout<Scalar> {
  void operator()(index_t task) const {
    const Dropout<Scalar> local = *this;
    const index_t begin = local.first / group + task * groups_per_task, end = local.first / group + local.groups();
    for (index_t g = begin; g < begin + groups_per_task && g < end; ++g) {
      const Blocks random(local.key, std::uint64_t(g) * lanes);
      accumulate_t<Scalar> mask[group];
      for (index_t e = 0; e < group; ++e) mask[e] = local.mask(random.word[e]);
      const index_t at = g * group - local.first;
      const index_t from = at < 0 ? -at : 0, to = at + group > local.n ? local.n - at : group;
#pragma GCC ivdep
      for (index_t e = from; e < to; ++e) local.apply(at + e, mask[e]);
    }
  }
};

/// A task is one block of Philox: four elements, 64 apart.
template <class Scalar>
struct OnDevice : Dropout<Scalar> {
  KOKKOS_FUNCTION void operator()(index_t task) const {
    const index_t g = this->first / group + task / lanes, l = task % lanes;
    const PhiloxCounter block = random_block(this->key, Stream::dropout, std::uint64_t(g * lanes + l));
    for (int w = 0; w < 4; ++w) {
      const index_t i = g * group + w * lanes + l - this->first;
      if (i >= 0 && i < this->n) this->apply(i, this->mask(block.word[w]));
    }
  }
};

}  // namespace

template <class Scalar>
void dropout(const Exec& exec, const DropoutOptions& options, std::type_identity_t<ConstVector<Scalar>> x,
             Vector<Scalar> y) {
  static const std::string label = "partita::kernels::dropout";
  if (x.extent(0) != y.extent(0))
    throw ShapeError("dropout: x has " + std::to_string(x.extent(0)) + " elements, y has " +
                     std::to_string(y.extent(0)) + ": expected x (n) and y (n) with the same n");
  if (options.first < 0)
    throw ShapeError("dropout: the first element has global index " + std::to_string(options.first) +
                     ": expected at least 0");
  if (!(options.rate >= 0 && options.rate < 1))
    throw UsageError("dropout: a rate of " + std::to_string(options.rate) + "; expected 0 <= rate < 1");
  const std::uint64_t key = random_bits(options.seed, substream(Stream::dropout, options.layer), options.step);
  const Dropout<Scalar> task{key,
                             std::uint32_t(options.rate * 0x1p32),
                             accumulate_t<Scalar>(1 / (1 - options.rate)),
                             options.first,
                             index_t(x.extent(0)),
                             x.data(),
                             y.data()};
  if constexpr (backend::runs_on_host)
    Kokkos::parallel_for(label, backend::range_policy(exec, (task.groups() + groups_per_task - 1) / groups_per_task),
                         OnHost<Scalar>{task});
  else
    Kokkos::parallel_for(label, backend::range_policy(exec, task.groups() * lanes), OnDevice<Scalar>{task});
}

template void dropout<float>(const Exec&, const DropoutOptions&, ConstVector<float>, Vector<float>);
template void dropout<double>(const Exec&, const DropoutOptions&, ConstVector<double>, Vector<double>);
template void dropout<bfloat16>(const Exec&, const DropoutOptions&, ConstVector<bfloat16>, Vector<bfloat16>);
template void dropout<float16>(const Exec&, const DropoutOptions&, ConstVector<float16>, Vector<float16>);

}  // namespace partita::kernels
