// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/by_name.hpp>

#include <map>

namespace partita::driver {

NameUnion gather_names(const comm::Communicator& world, std::span<const std::string> mine) {
  std::vector<index_t> my_lengths;
  std::string my_text;
  for (const std::string& name : mine) {
    my_lengths.push_back(static_cast<index_t>(name.size()));
    my_text += name;
  }
  const std::vector<index_t> counts = world.gather(static_cast<index_t>(mine.size()));
  const std::vector<index_t> lengths = world.gather(std::span<const index_t>(my_lengths));
  const std::vector<char> text = world.gather(std::span<const char>(my_text));

  NameUnion all;
  std::map<std::string, index_t> known;
  auto length = lengths.begin();
  auto begin = text.begin();
  for (const index_t count : counts) {
    std::vector<index_t>& place = all.place.emplace_back();
    for (index_t k = 0; k < count; ++k, ++length) {
      const std::string name(begin, begin + *length);
      begin += *length;
      const auto [found, is_new] = known.try_emplace(name, static_cast<index_t>(all.names.size()));
      if (is_new) all.names.push_back(name);
      place.push_back(found->second);
    }
  }
  return all;
}

}  // namespace partita::driver
