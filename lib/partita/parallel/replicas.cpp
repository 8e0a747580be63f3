// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/replicas.hpp>

#include <cstring>

#include <partita/core/float16.hpp>

namespace partita::parallel {

template <class Scalar>
std::uint64_t bits_hash(ConstVector<Scalar> values, std::uint64_t before) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), values);
  std::uint64_t hash = before;
  for (std::size_t i = 0; i < host.extent(0); ++i) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &host(i), sizeof(Scalar));
    hash = (hash ^ bits) * 1099511628211ULL;
  }
  return hash;
}

bool replicas_agree(const comm::Communicator& axis, std::uint64_t hash) {
  std::uint64_t roots = hash;
  axis.broadcast(roots);
  return axis.all_of(roots == hash);
}

template <class Scalar>
bool replicas_agree(const comm::Communicator& axis, ConstVector<Scalar> values) {
  return replicas_agree(axis, bits_hash(values));
}

template std::uint64_t bits_hash(ConstVector<float>, std::uint64_t);
template bool replicas_agree(const comm::Communicator&, ConstVector<float>);
template std::uint64_t bits_hash(ConstVector<double>, std::uint64_t);
template bool replicas_agree(const comm::Communicator&, ConstVector<double>);
template std::uint64_t bits_hash(ConstVector<bfloat16>, std::uint64_t);
template bool replicas_agree(const comm::Communicator&, ConstVector<bfloat16>);
template std::uint64_t bits_hash(ConstVector<float16>, std::uint64_t);
template bool replicas_agree(const comm::Communicator&, ConstVector<float16>);

}  // namespace partita::parallel
