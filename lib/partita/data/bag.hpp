// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/random.hpp>
#include <partita/core/types.hpp>
#include <partita/data/sampler.hpp>
#include <partita/data/synthetic.hpp>

namespace partita::data {

/// Hashed features made of numbers alone: sample i has a random class c(i) and a bag of T keys. Each key is a draw from
/// a Zipf law, with probability `noise` the one that all classes share, else that of the class:
///
///     key = hash(law, rank),   P(rank = r) = r^-exponent / sum over s <= ranks of s^-exponent,   1 <= r <= ranks
///
/// hash goes to [0, V) and may collide, within a law and between laws. Everything is a function of (seed, i).
struct BagOptions {
  std::uint64_t seed = 1;
  index_t V = 1024;  ///< keys
  index_t T = 16;    ///< of a sample
  index_t classes = 10;
  index_t ranks = 1024;   ///< features of each law, before they are hashed
  double exponent = 1.0;  ///< of the law, >= 0; 0: all ranks are equally likely
  double noise = 0.5;     ///< in [0, 1]
};

/// Bags of such options, with the table of the law in the memory of Exec.
class Bags {
 public:
  /// Allocates ranks numbers; fences.
  /// Throws   UsageError for extents below 1, more than 2^31 - 1 keys, and numbers outside of what is said above.
  explicit Bags(const BagOptions& options);

  const BagOptions& options() const { return options_; }
  /// P(rank <= r) at r - 1; the last is 1.
  ConstVector<double> law() const { return law_; }

 private:
  BagOptions options_;
  ConstVector<double> law_;
};

/// The key of a rank, 1 <= rank, in the law of a class c, or in the common one for c = -1.
KOKKOS_INLINE_FUNCTION std::int32_t bag_key(const BagOptions& options, std::int32_t c, index_t rank) {
  const Stream law = substream(Stream::zipf_key, static_cast<std::uint64_t>(c + 1));
  return static_cast<std::int32_t>(random_bits(options.seed, law, static_cast<std::uint64_t>(rank)) %
                                   static_cast<std::uint64_t>(options.V));
}

/// The class of sample i of Split::train.
KOKKOS_INLINE_FUNCTION std::int32_t bag_label(const BagOptions& options, index_t i) {
  const double u = uniform(options.seed, Stream::bag_label, static_cast<std::uint64_t>(i));
  return static_cast<std::int32_t>(u * static_cast<double>(options.classes));
}

/// My rows of the global batch of a step: row r is sample i = sampler.sample(step, rows.offset + r).
///
/// Shapes   -> tokens (rows.extent, T), label (rows.extent), overwritten.
/// Runs     enqueued on exec; no fence, no allocation; a thread writes a sample.
/// Throws   ShapeError unless rows.global = sampler.batch() and the extents fit.
/// Cost     T bisections of the law.
/// Source   Zipf draws by inversion: Devroye, "Non-uniform random variate generation", 1986, III.2.
void bag_batch(const Exec& exec, const Bags& bags, const Sampler& sampler, index_t step, Slice rows,
               const Matrix<std::int32_t>& tokens, const Vector<std::int32_t>& label);

/// Samples first, first + 1, ... of a split, in order; the rows of tokens say how many. Otherwise the same.
void bag_rows(const Exec& exec, const Bags& bags, Split split, index_t first, const Matrix<std::int32_t>& tokens,
              const Vector<std::int32_t>& label);

/// Samples of Split::train in the order of a list, which is read on exec. Otherwise the same.
void bag_samples(const Exec& exec, const Bags& bags, const ConstVector<index_t>& samples,
                 const Matrix<std::int32_t>& tokens, const Vector<std::int32_t>& label);

}  // namespace partita::data
