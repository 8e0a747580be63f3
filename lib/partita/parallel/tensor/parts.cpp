// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/tensor/parts.hpp>

#include <vector>

#include <partita/core/float16.hpp>
#include <partita/parallel/buffers.hpp>
#include <partita/parallel/replicas.hpp>
#include <partita/parallel/tensor/exchange.hpp>
#include <partita/parallel/whole_tensor.hpp>

namespace partita::parallel {

template <class Scalar>
bool parts_agree(const comm::Communicator& axis, const nn::Model<Scalar>& model) {
  std::uint64_t hash = hash_of_nothing;
  for (const nn::Parameter& parameter : model.table().parameters())
    if (is_replicated(parameter)) hash = bits_hash<Scalar>(part(model.parameters(), parameter.range), hash);
  return replicas_agree(axis, hash);
}

template <class Scalar>
std::uint64_t hash_of_whole(const comm::Communicator& axis, const nn::Model<Scalar>& model,
                            const nn::ParameterTable& whole) {
  std::uint64_t hash = hash_of_nothing;
  for (const nn::Parameter& of_whole : whole.parameters()) {
    const nn::Parameter& mine = model.table().at(of_whole.name);
    std::vector<Slice> block;
    for (const nn::Dimension& dimension : mine.dimensions) block.push_back(dimension.slice);
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), part(model.parameters(), mine.range));
    std::vector<float> values(host.extent(0));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(host(i));
    const std::vector<float> all = whole_tensor(axis, of_whole.name, block, std::move(values));
    Vector<Scalar> back("partita::parallel::hash_of_whole", all.size());
    const auto to = Kokkos::create_mirror_view(back);
    for (std::size_t i = 0; i < all.size(); ++i) to(i) = static_cast<Scalar>(all[i]);
    Kokkos::deep_copy(back, to);
    hash = bits_hash<Scalar>(back, hash);
  }
  axis.broadcast(hash);
  return hash;
}

#define PARTITA_PARTS(S)                                                     \
  template bool parts_agree(const comm::Communicator&, const nn::Model<S>&); \
  template std::uint64_t hash_of_whole(const comm::Communicator&, const nn::Model<S>&, const nn::ParameterTable&);
PARTITA_PARTS(float)
PARTITA_PARTS(bfloat16)
PARTITA_PARTS(float16)
#undef PARTITA_PARTS

}  // namespace partita::parallel
