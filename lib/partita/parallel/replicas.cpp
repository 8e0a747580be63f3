// SPDX-License-Identifier: BSD-3-Clause
#include <partita/parallel/replicas.hpp>

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

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

namespace {

// On the first rank of the axis: tensors whose hashes (rank, tensor) differ; `of`: the ranks' numbers in the world.
std::string difference(const nn::ParameterTable& table, const std::vector<std::uint64_t>& hashes,
                       const std::vector<int>& of) {
  const std::size_t tensors = table.parameters().size();
  std::string text;
  int differing = 0;
  for (std::size_t t = 0; t < tensors; ++t) {
    std::map<std::uint64_t, std::vector<int>> holders;
    for (std::size_t r = 0; r < of.size(); ++r) holders[hashes[r * tensors + t]].push_back(of[r]);
    if (holders.size() == 1) continue;
    if (++differing > 1) continue;
    const auto most = std::max_element(holders.begin(), holders.end(),
                                       [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
    std::vector<int> odd;
    for (const auto& [hash, ranks] : holders)
      if (hash != most->first || 2 * ranks.size() <= of.size()) odd.insert(odd.end(), ranks.begin(), ranks.end());
    std::sort(odd.begin(), odd.end());
    text = fmt::format("{}: rank{} {} of {}", table.parameters()[t].name, odd.size() == 1 ? "" : "s",
                       fmt::join(odd, ", "), fmt::join(of, ", "));
  }
  return differing > 1 ? fmt::format("{}, and {} tensors more", text, differing - 1) : text;
}

}  // namespace

template <class Scalar>
std::string replica_difference(const comm::Communicator& world, const comm::Communicator& axis,
                               const nn::ParameterTable& table, ConstVector<Scalar> values) {
  std::vector<std::uint64_t> mine;
  for (const nn::Parameter& tensor : table.parameters())
    mine.push_back(bits_hash<Scalar>(
        ConstVector<Scalar>(values.data() + tensor.range.offset, static_cast<std::size_t>(tensor.range.extent))));
  const std::vector<std::uint64_t> all = axis.gather(std::span<const std::uint64_t>(mine));
  const std::vector<int> of = axis.gather(world.rank());
  const std::vector<std::string> found = world.gather(axis.is_root() ? difference(table, all, of) : std::string());
  return world.on_root([&] {
    const auto first = std::find_if(found.begin(), found.end(), [](const std::string& text) { return !text.empty(); });
    return first == found.end() ? std::string() : *first;
  });
}

#define PARTITA_REPLICA_DIFFERENCE(Scalar)                                                      \
  template std::string replica_difference(const comm::Communicator&, const comm::Communicator&, \
                                          const nn::ParameterTable&, ConstVector<Scalar>)
PARTITA_REPLICA_DIFFERENCE(float);
PARTITA_REPLICA_DIFFERENCE(bfloat16);
PARTITA_REPLICA_DIFFERENCE(float16);
#undef PARTITA_REPLICA_DIFFERENCE

template std::uint64_t bits_hash(ConstVector<float>, std::uint64_t);
template bool replicas_agree(const comm::Communicator&, ConstVector<float>);
template std::uint64_t bits_hash(ConstVector<double>, std::uint64_t);
template bool replicas_agree(const comm::Communicator&, ConstVector<double>);
template std::uint64_t bits_hash(ConstVector<bfloat16>, std::uint64_t);
template bool replicas_agree(const comm::Communicator&, ConstVector<bfloat16>);
template std::uint64_t bits_hash(ConstVector<float16>, std::uint64_t);
template bool replicas_agree(const comm::Communicator&, ConstVector<float16>);

}  // namespace partita::parallel
