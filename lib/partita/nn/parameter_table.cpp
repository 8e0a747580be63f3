// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/parameter_table.hpp>

#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>

namespace partita::nn {

index_t Dimension::leaves() const {
  if (blocks == 1 || slice.extent == slice.global) return blocks;
  const auto at = [&](index_t element) {  // the block that begins there
    if (element == slice.global) return blocks;
    const index_t block = owner(slice.global, blocks, element);
    if (partition(slice.global, blocks, block).offset != element)
      refuse<UsageError>(
          "Dimension",
          fmt::format("elements [{}, {}) of {} in {} blocks", slice.offset, slice.end(), slice.global, blocks),
          "whole blocks");
    return block;
  };
  return at(slice.end()) - at(slice.offset);
}

Range ParameterTable::add(std::string name, std::vector<Dimension> dimensions, Initial initial,
                          std::vector<std::string> replicated_over) {
  index_t elements = 1;
  for (const auto& [slice, blocks] : dimensions) {
    if (slice.offset < 0 || slice.extent < 0 || slice.end() > slice.global)
      refuse<UsageError>(name, fmt::format("elements [{}, {}) of {}", slice.offset, slice.end(), slice.global),
                         "a part of the whole");
    elements *= slice.extent;
  }
  if (find(name) != nullptr) refuse<UsageError>(name, "two tensors have this name", "names that differ");
  const Range range{size_, elements};
  parameters_.push_back({std::move(name), std::move(dimensions), range, initial, std::move(replicated_over)});
  size_ += elements;
  return range;
}

const Parameter* ParameterTable::find(std::string_view name) const {
  const auto found =
      std::find_if(parameters_.begin(), parameters_.end(), [&](const Parameter& each) { return each.name == name; });
  return found == parameters_.end() ? nullptr : &*found;
}

const Parameter& ParameterTable::at(std::string_view name) const {
  const Parameter* const found = find(name);
  if (found == nullptr) refuse<UsageError>(name, "no tensor has this name", "one of the table");
  return *found;
}

}  // namespace partita::nn
