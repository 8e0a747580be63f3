// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/replicas.hpp>

#include <cstring>

#include <partita/core/float16.hpp>

namespace partita::parallel {

template <class Scalar>
std::uint64_t bits_hash(ConstVector<Scalar> values) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), values);
  std::uint64_t hash = 1469598103934665603ULL;  // FNV-1a over the bits
  for (std::size_t i = 0; i < host.extent(0); ++i) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &host(i), sizeof(Scalar));
    hash = (hash ^ bits) * 1099511628211ULL;
  }
  return hash;
}

template <class Scalar>
bool replicas_agree(const comm::Communicator& axis, ConstVector<Scalar> values) {
  const std::uint64_t hash = bits_hash(values);
  std::uint64_t roots = hash;
  axis.broadcast(roots);
  return axis.all_of(roots == hash);
}

template std::uint64_t bits_hash(ConstVector<float>);
template bool replicas_agree(const comm::Communicator&, ConstVector<float>);
template std::uint64_t bits_hash(ConstVector<double>);
template bool replicas_agree(const comm::Communicator&, ConstVector<double>);
template std::uint64_t bits_hash(ConstVector<bfloat16>);
template bool replicas_agree(const comm::Communicator&, ConstVector<bfloat16>);
template std::uint64_t bits_hash(ConstVector<float16>);
template bool replicas_agree(const comm::Communicator&, ConstVector<float16>);

}  // namespace partita::parallel
