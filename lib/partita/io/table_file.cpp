// SPDX-License-Identifier: BSD-3-Clause
#include <partita/io/table_file.hpp>

#include <functional>
#include <numeric>

#include <fmt/format.h>

#include <partita/core/error.hpp>

namespace partita::io {
namespace {

std::string join(const std::string& group, const std::string& name) { return (group == "/" ? "" : group) + "/" + name; }

// The scale of a dimension, as this group names it.
std::string find_scale(File& file, const std::string& group, const std::string& column, const std::string& dimension) {
  const std::string here = join(group, dimension);
  if (file.exists(here)) return here;
  const std::string root = "/" + dimension;
  if (!file.exists(root)) {
    refuse<ShapeError>(join(group, column), fmt::format("no scale gives dimension {} its extent", dimension),
                       "one in the group or at the root");
  }
  file.link(root, here);
  return here;
}

void write_column(File& file, const std::string& group, const metrics::Column& column) {
  const std::string name = join(group, column.name);
  std::vector<std::string> scales;
  std::vector<index_t> extents;
  for (const std::string& dimension : column.dimensions) {
    scales.push_back(find_scale(file, group, column.name, dimension));
    extents.push_back(file.extents(scales.back()).at(0));
  }
  file.create_dataset(name, static_cast<File::Type>(column.data.index()), extents);
  for (std::size_t axis = 0; axis < scales.size(); ++axis)
    file.attach_scale(name, static_cast<int>(axis), scales[axis]);
  if (metrics::size(column.data) > 0) file.write(name, column.data);
  file.write_attributes(name, column.attributes);
}

}  // namespace

void write_table(File& file, const metrics::Table& table) {
  if (!file.exists(table.group)) file.create_group(table.group);
  for (const metrics::Column& scale : table.scales) {
    const std::string name = join(table.group, scale.name);
    file.create_dataset(name, static_cast<File::Type>(scale.data.index()),
                        {static_cast<index_t>(metrics::size(scale.data))});
    file.write(name, scale.data);
    file.make_scale(name, scale.name);
    file.write_attributes(name, scale.attributes);
  }
  for (const metrics::Column& column : table.columns) write_column(file, table.group, column);
  file.write_attributes(table.group, table.attributes);
}

}  // namespace partita::io
