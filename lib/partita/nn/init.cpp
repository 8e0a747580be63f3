// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/init.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/core/random.hpp>

namespace partita::nn {
namespace {

// Global row-major index of local element i of a sliced tensor.
index_t global_index(const std::vector<Dimension>& dimensions, index_t i) {
  index_t index = 0;
  index_t stride = 1;
  for (auto dimension = dimensions.rbegin(); dimension != dimensions.rend(); ++dimension) {
    const Slice& slice = dimension->slice;
    index += (slice.offset + i % slice.extent) * stride;
    i /= slice.extent;
    stride *= slice.global;
  }
  return index;
}

double draw(const Initial& initial, std::uint64_t seed, Stream stream, std::uint64_t index) {
  switch (initial.kind) {
    case Initial::Kind::uniform:
      return initial.value * (2 * uniform(seed, stream, index) - 1);
    case Initial::Kind::normal:
      return initial.value * normal(seed, stream, index);
    default:
      return initial.value;
  }
}

}  // namespace

template <class Scalar>
void initialise(const ParameterTable& table, std::uint64_t seed, Vector<Scalar> parameters) {
  initialise(table, seed, {0, table.size()}, parameters);
}

template <class Scalar>
void initialise(const ParameterTable& table, std::uint64_t seed, Range range, Vector<Scalar> part) {
  if (range.offset < 0 || range.extent < 0 || range.end() > table.size() ||
      static_cast<index_t>(part.extent(0)) != range.extent)
    refuse<ShapeError>(
        "initialise",
        fmt::format("{} values of [{}, {}) in {}", part.extent(0), range.offset, range.end(), table.size()),
        "as many as the range has, which lies inside the table");
  auto host = Kokkos::create_mirror_view(part);
  for (const Parameter& parameter : table.parameters()) {
    const Stream stream = substream(Stream::weights, name_key(parameter.name));
    const Range tensor = parameter.range;
    for (index_t at = std::max(tensor.offset, range.offset); at < std::min(tensor.end(), range.end()); ++at) {
      const auto index = static_cast<std::uint64_t>(global_index(parameter.dimensions, at - tensor.offset));
      host(at - range.offset) = static_cast<Scalar>(draw(parameter.initial, seed, stream, index));
    }
  }
  Kokkos::deep_copy(part, host);
}

template void initialise(const ParameterTable&, std::uint64_t, Vector<float>);
template void initialise(const ParameterTable&, std::uint64_t, Range, Vector<float>);
template void initialise(const ParameterTable&, std::uint64_t, Vector<double>);
template void initialise(const ParameterTable&, std::uint64_t, Range, Vector<double>);
template void initialise(const ParameterTable&, std::uint64_t, Vector<bfloat16>);
template void initialise(const ParameterTable&, std::uint64_t, Range, Vector<bfloat16>);
template void initialise(const ParameterTable&, std::uint64_t, Vector<float16>);
template void initialise(const ParameterTable&, std::uint64_t, Range, Vector<float16>);

}  // namespace partita::nn
