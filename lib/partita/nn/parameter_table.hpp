// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/core/types.hpp>
#include <string>
#include <vector>

namespace partita::nn {

/// One parameter tensor: where it lies in the flat buffer and which part of the global tensor it is.
struct Parameter {
  std::string name;                          ///< "linear0.weight"
  std::vector<Slice> slices;                 ///< one per dimension: my part of the global extent
  Range range;                               ///< elements of the flat parameter and gradient buffers
  double bound = 0;                          ///< initial values are uniform in [-bound, bound)
  std::vector<std::string> replicated_over;  ///< mesh axes that hold the same values (norms count them once)
};

/// The parameters of a model in flat order. Ranges are adjacent: the table covers [0, size()) without gaps.
class ParameterTable {
 public:
  /// Appends a tensor and returns its range. `slices` gives local and global extents, first dimension slowest.
  Range add(std::string name, std::vector<Slice> slices, double bound, std::vector<std::string> replicated_over);

  const std::vector<Parameter>& parameters() const { return parameters_; }
  index_t size() const { return size_; }

 private:
  std::vector<Parameter> parameters_;
  index_t size_ = 0;
};

}  // namespace partita::nn
