// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/parameter_table.hpp>
#include <utility>

namespace partita::nn {

Range ParameterTable::add(std::string name, std::vector<Slice> slices, Initial initial,
                          std::vector<std::string> replicated_over) {
  index_t elements = 1;
  for (const Slice& slice : slices) elements *= slice.extent;
  const Range range{size_, elements};
  parameters_.push_back({std::move(name), std::move(slices), range, initial, std::move(replicated_over)});
  size_ += elements;
  return range;
}

}  // namespace partita::nn
