// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <partita/core/types.hpp>
#include <partita/data/sampler.hpp>

// Any file as a stream of bytes, which a language model takes for tokens of a vocabulary of 256. Its last bytes are
// held out: no training window reaches them.

namespace partita::data {

inline constexpr index_t byte_vocabulary = 256;

/// A file is held in memory whole.
inline constexpr index_t most_text_bytes = index_t{1} << 30;

/// A label that counts in neither loss nor gradient: that of the kernels.
inline constexpr std::int32_t no_label = -1;

struct Text {
  std::vector<std::uint8_t> train, held_out;
};

/// The bytes of a file, the last floor(share n) of n of them held out.
///
/// Throws   UsageError "<path>: <what is wrong>: expected <what is allowed>": missing, no file, not to be read, empty,
///          larger than most_text_bytes.
Text read_text(const std::string& path, double held_out_share);

/// The corpus that the set-up makes, kjv.txt in cache_folder(): where it has to be, there or not; empty where there is
/// no such folder.
std::string default_text();

/// What a run with windows of T bytes in batches of B needs of a text.
/// Throws   UsageError "<path>: ..." where training bytes do not make B windows, or no held-out byte follows another.
void require_text_size(const std::string& path, const Text& text, index_t T, index_t B);

/// Which T tokens are window k of an epoch: those from offset + k T on, and as labels the bytes that follow them. The
/// offset, in [0, T), is drawn for each epoch, so that no epoch cuts the text where another does. The windows of an
/// epoch have nothing in common and leave out less than 2 T bytes, at the two ends. Trivially copyable.
///
/// Bits     a function of (seed, epoch, k), whatever the ranks.
class TextWindows {
 public:
  /// Throws   UsageError unless T >= 1 and `bytes`, those for training, make a window: at least 2 T.
  TextWindows(std::uint64_t seed, index_t bytes, index_t T);

  index_t count() const { return bytes_ / T_ - 1; }  ///< of every epoch
  index_t tokens() const { return T_; }
  index_t bytes() const { return bytes_; }
  index_t offset(index_t epoch) const;
  index_t begin(index_t epoch, index_t k) const { return offset(epoch) + k * T_; }

 private:
  std::uint64_t seed_;
  index_t bytes_;
  index_t T_;
};

/// Held-out windows of T tokens: those from k T on, the last one padded. Every byte but the first is a label once.
constexpr index_t held_out_windows(index_t bytes, index_t T) { return (bytes - 1 + T - 1) / T; }
constexpr index_t held_out_labels(index_t bytes) { return bytes - 1; }

/// Copies bytes to the memory of Exec. Allocates; fences.
ConstVector<std::uint8_t> upload(const std::vector<std::uint8_t>& bytes, const std::string& label);

/// My rows of the global batch of a step: row r is window sampler.sample(step, rows.offset + r) of the step's epoch.
///
/// Shapes   text (windows.bytes())   ->   tokens (rows.extent, T), label (rows.extent T), overwritten.
/// Runs     enqueued on exec; no fence, no allocation.
/// Throws   ShapeError unless rows.global = sampler.batch(), sampler.samples() = windows.count() and the extents fit.
/// Cost     rows.extent x T x (2 + 8) byte.
void text_batch(const Exec& exec, const ConstVector<std::uint8_t>& text, const TextWindows& windows,
                const Sampler& sampler, index_t step, Slice rows, const Matrix<std::int32_t>& tokens,
                const Vector<std::int32_t>& label);

/// Held-out windows first, first + 1, ...; the rows of tokens say how many. Beyond the last byte tokens are 0 and
/// labels no_label.
///
/// Shapes   text (bytes)   ->   tokens (B, T), label (B T), overwritten.
/// Runs     as text_batch.
/// Throws   ShapeError unless they are some of held_out_windows(bytes, T) and the extents fit.
void text_rows(const Exec& exec, const ConstVector<std::uint8_t>& text, index_t first,
               const Matrix<std::int32_t>& tokens, const Vector<std::int32_t>& label);

}  // namespace partita::data
