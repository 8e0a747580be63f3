// SPDX-License-Identifier: BSD-3-Clause
// What libFuzzer calls: PARTITA_FUZZ_TARGET is one of the targets.
#include "support.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  partita::fuzz::PARTITA_FUZZ_TARGET({data, size});
  return 0;
}
