// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>

#include <partita/core/index.hpp>

// What compressors make of bytes: the measure of a language model of them. A model with a loss of L nats a byte codes
// the same bytes with L / ln 2 bits each.

namespace partita::data {

/// Bytes that `gzip -9` makes of its standard input, header and trailer (18 bytes) included. The program's settings are
/// zlib's level 9 with 32 K symbols a block: the same size, or within 0.1 %.
///
/// Throws   Error where zlib gets no memory (300 kB).
/// Cost     about a second for 10 MB of text; nothing is kept.
index_t gzip_bytes(std::span<const std::uint8_t> bytes);

/// The same for `xz -9`: preset 9 and CRC64, in a .xz container.
///
/// Throws   Error where liblzma gets no memory: it asks for 674 MiB, and touches some 70 bytes for each byte it reads.
/// Cost     about a second for 1 MB of text.
index_t xz_bytes(std::span<const std::uint8_t> bytes);

/// Bits a byte that a loss in nats is, and that `compressed` of `bytes` are.
double bits_of_nats(double loss);
double bits_per_byte(index_t compressed, index_t bytes);

}  // namespace partita::data
