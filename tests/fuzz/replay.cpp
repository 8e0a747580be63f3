// SPDX-License-Identifier: BSD-3-Clause
// The targets without a fuzzer, by any compiler: replay TARGET FILE_OR_FOLDER... hands each file to the target.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <partita/core/named.hpp>

#include "support.hpp"

namespace {

namespace fs = std::filesystem;
using partita::fuzz::Bytes;

constexpr partita::Named<void (*)(Bytes)> targets[] = {{"calibration", partita::fuzz::calibration},
                                                       {"checkpoint", partita::fuzz::checkpoint},
                                                       {"deck", partita::fuzz::deck},
                                                       {"idx", partita::fuzz::idx},
                                                       {"keys", partita::fuzz::keys},
                                                       {"record", partita::fuzz::record},
                                                       {"safetensors", partita::fuzz::safetensors},
                                                       {"schedule", partita::fuzz::schedule},
                                                       {"text", partita::fuzz::text},
                                                       {"trace", partita::fuzz::trace}};

void replay(void (*target)(Bytes), const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  std::fprintf(stderr, "%s\n", path.c_str());  // ahead of the call: a finding ends the process
  target({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

}  // namespace

int main(int argc, char** argv) {
  void (*target)(Bytes) = nullptr;
  for (const auto& [name, of] : targets)
    if (argc > 2 && name == argv[1]) target = of;
  int files = 0;
  for (int i = 2; i < argc && target != nullptr; ++i) {
    if (!fs::is_directory(argv[i])) {
      replay(target, argv[i]);
      ++files;
      continue;
    }
    for (const auto& entry : fs::directory_iterator(argv[i])) {
      replay(target, entry.path());
      ++files;
    }
  }
  std::printf("%d files, no finding\n", files);
  return files > 0 ? 0 : 2;
}
