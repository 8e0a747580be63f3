// SPDX-License-Identifier: BSD-3-Clause
#include <partita/data/compression.hpp>

#include <algorithm>
#include <array>
#include <numbers>
#include <string>

#include <lzma.h>
#include <zlib.h>

#include <partita/core/error.hpp>

namespace partita::data {
namespace {

// What comes out is counted and thrown away.
using Sink = std::array<std::uint8_t, 1 << 16>;

constexpr std::size_t most_at_once = std::size_t{1} << 30;  // zlib counts its input with 32 bits

}  // namespace

index_t gzip_bytes(std::span<const std::uint8_t> bytes) {
  constexpr int gzip_format = 16 + MAX_WBITS, symbols_of_gzip = 9;
  z_stream stream{};
  if (const int code = deflateInit2(&stream, 9, Z_DEFLATED, gzip_format, symbols_of_gzip, Z_DEFAULT_STRATEGY);
      code != Z_OK)
    throw Error("gzip_bytes: zlib answers " + std::to_string(code));
  Sink sink;
  index_t total = 0;
  int code = Z_OK;
  while (code != Z_STREAM_END) {
    if (stream.avail_in == 0 && !bytes.empty()) {
      const std::span<const std::uint8_t> part = bytes.first(std::min(bytes.size(), most_at_once));
      bytes = bytes.subspan(part.size());
      stream.next_in = const_cast<std::uint8_t*>(part.data());  // zlib's interface from before const
      stream.avail_in = static_cast<uInt>(part.size());
    }
    stream.next_out = sink.data();
    stream.avail_out = static_cast<uInt>(sink.size());
    code = deflate(&stream, bytes.empty() ? Z_FINISH : Z_NO_FLUSH);
    total += std::ssize(sink) - static_cast<index_t>(stream.avail_out);
    if (code != Z_OK && code != Z_STREAM_END) break;
  }
  deflateEnd(&stream);
  if (code != Z_STREAM_END) throw Error("gzip_bytes: zlib answers " + std::to_string(code));
  return total;
}

index_t xz_bytes(std::span<const std::uint8_t> bytes) {
  lzma_stream stream = LZMA_STREAM_INIT;
  lzma_ret code = lzma_easy_encoder(&stream, 9, LZMA_CHECK_CRC64);
  stream.next_in = bytes.data();
  stream.avail_in = bytes.size();
  Sink sink;
  index_t total = 0;
  while (code == LZMA_OK) {
    stream.next_out = sink.data();
    stream.avail_out = sink.size();
    code = lzma_code(&stream, LZMA_FINISH);
    total += std::ssize(sink) - static_cast<index_t>(stream.avail_out);
  }
  lzma_end(&stream);
  if (code != LZMA_STREAM_END)
    throw Error("xz_bytes: liblzma answers " + std::to_string(code) +
                (code == LZMA_MEM_ERROR ? ": no memory for preset 9" : ""));
  return total;
}

double bits_of_nats(double loss) { return loss / std::numbers::ln2; }

double bits_per_byte(index_t compressed, index_t bytes) {
  return 8 * static_cast<double>(compressed) / static_cast<double>(bytes);
}

}  // namespace partita::data
