// SPDX-License-Identifier: BSD-3-Clause
// Files of tensors. Byte 0 even: the rest is a file; odd: the rest is a header's JSON, a zero and the tensors' bytes.
#include <string>

#include <partita/core/extent.hpp>
#include <partita/io/safetensors.hpp>

#include "support.hpp"

namespace partita::fuzz {
namespace {

void read(const io::SafeTensorsFile& file, const io::SafeTensor& tensor) {
  const index_t elements = tensor.elements();
  const auto whole = [&]<class Number>(Number) {
    if (std::ssize(file.read<Number>(tensor)) != elements) report("a tensor of another size", tensor.name);
    if (elements > 1 && file.read<Number>(tensor, 1, elements - 1).size() != static_cast<std::size_t>(elements - 1))
      report("a part of another size", tensor.name);
  };
  accepted(file.path(), [&] { whole(float()); });
  accepted(file.path(), [&] { whole(std::int64_t()); });
}

// What a header says is written so that it reads the same.
void write_again(const io::SafeTensorsFile& file) {
  io::SafeTensorsHeader header{file.metadata(), file.tensors()};
  index_t bytes = 0;
  for (const io::SafeTensor& tensor : header.tensors) {
    if (io::bytes_of_type(tensor.type) == 0) return;
    bytes += tensor.bytes;
  }
  const std::string json = io::format_header(header);
  if (!accepted("again", [&] {
        const io::SafeTensorsHeader again = io::parse_header("again", json, bytes);
        if (again.metadata != header.metadata || again.tensors.size() != header.tensors.size())
          report("a header that changes when it is written", json);
      }))
    report("a header that cannot be read once it is written", json);
}

}  // namespace

void safetensors(Bytes input) {
  static MemoryFile file;
  if (take(input) % 2 == 0) {
    file.set(input);
  } else {
    const Bytes json = take_until_zero(input);
    std::string length(io::SafeTensorsHeader::length_bytes, '\0');
    for (std::size_t k = 0; k < 4; ++k) length[k] = static_cast<char>(json.size() >> 8 * k & 0xff);
    file.set({reinterpret_cast<const std::uint8_t*>(length.data()), length.size()});
    file.append(json);
    file.append(input);
  }
  accepted(file.path(), [&] {
    const io::SafeTensorsFile tensors(file.path());
    for (const io::SafeTensor& tensor : tensors.tensors()) {
      if (tensors.find(tensor.name) == nullptr) report("a tensor that is not found", tensor.name);
      read(tensors, tensor);
    }
    write_again(tensors);
  });
}

}  // namespace partita::fuzz
