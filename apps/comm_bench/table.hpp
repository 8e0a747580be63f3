// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "series.hpp"

namespace partita::comm_bench {

/// Text like that of the OSU benchmarks: comments, column heads, a line for each size and algorithm. Standard output.
class Table {
 public:
  Table(bool speaks, int ranks) : speaks_(speaks), ranks_(ranks) {}

  void heading(std::string_view title, std::string_view bus_formula, bool comparable) const;
  /// All algorithms of one size.
  void rows(std::span<const Series> same_size) const;
  /// A comment for each algorithm of the operation that has a fit.
  void fits(const std::vector<Series>& all, const std::string& operation) const;

 private:
  bool speaks_;
  int ranks_;
};

}  // namespace partita::comm_bench
