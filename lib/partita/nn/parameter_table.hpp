// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/types.hpp>
#include <string>
#include <vector>

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

/// One parameter tensor: where it lies in the flat buffer and which part of the global tensor it is.
struct Parameter {
  std::string name;           ///< "linear0.weight"
  std::vector<Slice> slices;  ///< one per dimension: my part of the global extent
  Range range;                ///< elements of the flat parameter and gradient buffers
  Initial initial;
  std::vector<std::string> replicated_over;  ///< mesh axes that hold the same values (norms count them once)
};

/// The tensors of a flat buffer, in order. Ranges are adjacent: the table covers [0, size()) without gaps.
class ParameterTable {
 public:
  /// Appends a tensor and returns its range. `slices` gives local and global extents, first dimension slowest.
  Range add(std::string name, std::vector<Slice> slices, Initial initial,
            std::vector<std::string> replicated_over = {"data"});

  const std::vector<Parameter>& parameters() const { return parameters_; }
  index_t size() const { return size_; }

 private:
  std::vector<Parameter> parameters_;
  index_t size_ = 0;
};

/// What a model is built from: its weights, and its state (running statistics), which no optimizer touches.
struct Tables {
  ParameterTable parameters;
  ParameterTable state;
};

}  // namespace partita::nn
