// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace partita::metrics {

using Attribute = std::variant<std::string, std::int64_t, double>;
using Attributes = std::map<std::string, Attribute>;
using ColumnData =
    std::variant<std::vector<double>, std::vector<std::int64_t>, std::vector<std::int8_t>, std::vector<std::string>>;

/// One array of a table.
///
/// Shapes   the extents of `dimensions`, row-major; no dimensions: a scalar, `data` holds one value. `data` may be
///          empty although the extents are not: the array is then reserved and filled (NaN or 0).
/// Units    attribute "units" (UDUNITS: "s", "ns", "byte", "1"), with "long_name" and for timings "cell_methods".
struct Column {
  std::string name;
  std::vector<std::string> dimensions = {};
  ColumnData data = {};
  Attributes attributes = {};
};

/// One group of a record: columns over named dimensions. Every app may add its own to RunResults::tables.
///
/// A scale gives a dimension its name, extent and values (a column whose only dimension is itself). A dimension that is
/// not among `scales` is one of the record's own: "step", "rank", "phase".
struct Table {
  std::string group;  ///< absolute: "/traffic"
  std::vector<Column> scales = {};
  std::vector<Column> columns = {};
  Attributes attributes = {};
};

/// A scale with values first, first + 1, ..., n of them.
Column index_scale(std::string name, std::int64_t n, std::string long_name, std::int64_t first = 0);
/// A scale of names; they should differ, so that a value can be selected by its name.
Column name_scale(std::string name, std::vector<std::string> names, std::string long_name);
/// Number of values that a column holds.
std::size_t size(const ColumnData& data);

}  // namespace partita::metrics
