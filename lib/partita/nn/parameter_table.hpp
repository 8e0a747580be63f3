// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <partita/core/types.hpp>
#include <partita/kernels/blocks.hpp>

namespace partita::nn {

/// How a tensor begins: uniform in [-value, value), normal with deviation `value`, or `value` throughout.
struct Initial {
  enum class Kind { uniform, normal, constant };
  Kind kind = Kind::uniform;
  double value = 0;

  static constexpr Initial uniform(double bound) { return {Kind::uniform, bound}; }
  static constexpr Initial normal(double deviation) { return {Kind::normal, deviation}; }
  static constexpr Initial constant(double value) { return {Kind::constant, value}; }
};

/// One dimension of a tensor: my part of it, and into how many blocks (partition(global, blocks, .)) the whole is cut
/// where a strategy may split it; sums of norms keep to blocks.
struct Dimension {
  Slice slice;
  index_t blocks = 1;

  Dimension(Slice part, index_t cut = 1) : slice(part), blocks(cut) {}  // NOLINT(google-explicit-constructor)
  /// Blocks that are here.
  /// Throws   UsageError unless the slice is whole blocks.
  index_t leaves() const;

  Dimension(index_t n, index_t cut = 1)
      : slice(partita::whole(n)), blocks(cut) {}  // NOLINT(google-explicit-constructor)
};

/// One tensor: where it lies in the flat buffer and which part of the global tensor it is.
struct Parameter {
  std::string name;                   ///< "linear0.weight": the key of its random numbers and of weight files
  std::vector<Dimension> dimensions;  ///< the first one slowest
  Range range;                        ///< elements of the flat buffer
  Initial initial;
  std::vector<std::string> replicated_over;  ///< mesh axes that hold the same values (norms count them once)
};

/// The tensors of a flat buffer, in order. Ranges are adjacent: the table covers [0, size()) without gaps.
class ParameterTable {
 public:
  /// Appends a tensor and returns its range.
  /// Throws   UsageError for a name that is there already, or a dimension that is negative or not inside its whole.
  Range add(std::string name, std::vector<Dimension> dimensions, Initial initial,
            std::vector<std::string> replicated_over = {"data"});

  const std::vector<Parameter>& parameters() const { return parameters_; }
  index_t size() const { return size_; }
  /// Null for a name that is not there.
  const Parameter* find(std::string_view name) const;
  /// Throws   UsageError for a name that is not there.
  const Parameter& at(std::string_view name) const;

 private:
  std::vector<Parameter> parameters_;
  index_t size_ = 0;
};

/// What a model is built from: its weights, its statistics (running means and variances, which no optimizer touches),
/// and how sums are cut that a strategy may split (deterministic mode, DESIGN.md section 6).
struct Tables {
  ParameterTable parameters;
  ParameterTable statistics;
  index_t chunks = 1;  ///< blocks of a sum over hidden columns, vocabulary or tokens; 1: sums are not cut

  bool cut() const { return chunks > 1; }
  /// Leaves for a dimension of n elements that is cut into at most `chunks` blocks, or, when sums are cut, into `own`
  /// ones (heads, image rows).
  index_t blocks(index_t n) const { return std::clamp<index_t>(n, 1, chunks); }
  index_t blocks_of_their_own(index_t own) const { return cut() ? std::max<index_t>(own, 1) : 1; }
};

}  // namespace partita::nn
