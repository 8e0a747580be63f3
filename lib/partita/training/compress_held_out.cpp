// SPDX-License-Identifier: BSD-3-Clause
#include <partita/data/compression.hpp>
#include <partita/training/compression.hpp>

namespace partita::training {

std::optional<Compression> compress_held_out(const Dataset& data) {
  if (!data.options().is_text()) return std::nullopt;
  return data.world().on_root([&] {
    const std::vector<std::uint8_t>& text = data.held_out_text();
    const index_t bytes = std::ssize(text);
    return Compression{bytes, data.held_out_labels(), data::bits_per_byte(data::gzip_bytes(text), bytes),
                       data::bits_per_byte(data::xz_bytes(text), bytes)};
  });
}

}  // namespace partita::training
