// SPDX-License-Identifier: BSD-3-Clause
// Text as a stream of bytes, and files of records that grow: four bytes of numbers, then the file.
#include <array>
#include <vector>

#include <Kokkos_Core.hpp>

#include <partita/data/growing_file.hpp>
#include <partita/data/stream_source.hpp>
#include <partita/data/text.hpp>

#include "support.hpp"

namespace partita::fuzz {
namespace {

void read_windows(const MemoryFile& file, double share, index_t T, index_t B, std::size_t bytes) {
  accepted("", [&] {
    const data::Text text = data::read_text(file.path(), share);
    if (text.train.size() + text.held_out.size() != bytes) report("bytes are lost");
    data::require_text_size(file.path(), text, T, B);
    const data::TextWindows windows(1, std::ssize(text.train), T);
    const data::Sampler sampler(1, windows.count(), B);
    const Matrix<std::int32_t> tokens("partita::fuzz::tokens", B, T);
    const Vector<std::int32_t> label("partita::fuzz::label", B * T);
    data::text_batch(Exec(), data::upload(text.train, "partita::fuzz::train"), windows, sampler, 3, whole(B), tokens,
                     label);
    const index_t held_out = data::held_out_windows(std::ssize(text.held_out), T);
    data::text_rows(Exec(), data::upload(text.held_out, "partita::fuzz::held_out"), std::max<index_t>(0, held_out - B),
                    Matrix<std::int32_t>(tokens.data(), std::min(B, held_out), T),
                    Vector<std::int32_t>(label.data(), std::min(B, held_out) * T));
    for (index_t i = 0; i < B * T; ++i)
      if (tokens.data()[i] < 0 || tokens.data()[i] > 255 || label(i) < data::no_label || label(i) > 255)
        report("a token that is no byte");
  });
}

// Records that come in two pieces, then a file that becomes shorter.
void read_records(MemoryFile& file, Bytes input, index_t features, index_t classes, std::size_t first) {
  file.set(input.first(std::min(first, input.size())));
  constexpr double at_once_s = 1e-12;
  const data::StreamFile stream{file.path(), features, classes, at_once_s, static_cast<index_t>(first % 4)};
  accepted(file.path(), [&] { static_cast<void>(data::held_out_of(stream)); });
  accepted(file.path(), [&] {
    data::GrowingFile records(file.path(), features, classes, at_once_s);
    std::vector<std::uint8_t> record(static_cast<std::size_t>(records.record_bytes()));
    index_t k = 0;
    const auto read_all = [&] {
      while (records.read(k, record, std::stop_token()))
        if (++k; record[0] >= classes) report("a label of no class");
    };
    accepted(file.path(), read_all);
    file.append(input.subspan(std::min(first, input.size())));
    accepted(file.path(), read_all);
    if (k * records.record_bytes() > std::ssize(input)) report("a record beyond the end");
    file.shorten(input.size() / 2);
    accepted(file.path(), read_all);
  });
}

}  // namespace

void text(Bytes input) {
  static const Kokkos::ScopeGuard kokkos;
  static MemoryFile file;
  std::array<std::uint8_t, 4> numbers{};
  for (std::uint8_t& number : numbers) number = take(input);
  file.set(input);
  if (numbers[3] % 2 == 0)
    read_windows(file, numbers[0] / 256., 1 + numbers[1] % 64, 1 + numbers[2] % 16, input.size());
  else
    read_records(file, input, numbers[0] % 64, 1 + numbers[1] % 32, numbers[2]);
}

}  // namespace partita::fuzz
