// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/init.hpp>

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
  auto host = Kokkos::create_mirror_view(parameters);
  for (const Parameter& parameter : table.parameters()) {
    const Stream stream = substream(Stream::weights, name_key(parameter.name));
    for (index_t i = 0; i < parameter.range.extent; ++i) {
      const auto index = static_cast<std::uint64_t>(global_index(parameter.dimensions, i));
      host(parameter.range.offset + i) = static_cast<Scalar>(draw(parameter.initial, seed, stream, index));
    }
  }
  Kokkos::deep_copy(parameters, host);
}

template void initialise(const ParameterTable&, std::uint64_t, Vector<float>);
template void initialise(const ParameterTable&, std::uint64_t, Vector<double>);
template void initialise(const ParameterTable&, std::uint64_t, Vector<bfloat16>);
template void initialise(const ParameterTable&, std::uint64_t, Vector<float16>);

}  // namespace partita::nn
