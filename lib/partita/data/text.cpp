// SPDX-License-Identifier: BSD-3-Clause
#include <partita/data/text.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include <partita/core/error.hpp>
#include <partita/core/extent.hpp>
#include <partita/core/machine.hpp>
#include <partita/data/check.hpp>

namespace partita::data {
namespace {

namespace fs = std::filesystem;

constexpr const char* any_file = "a file of text, of which every byte is a token";

std::string remedy(const std::string& path) {
  if (path != default_text()) return any_file;
  return std::string(any_file) + " (scripts/bootstrap makes this one; Debian: apt install bible-kjv)";
}

[[noreturn]] void refuse_text(const std::string& path, const std::string& what) {
  refuse<UsageError>(path, what, remedy(path));
}

// What stands at a path is asked first: opening a pipe would wait for its writer.
void require_file(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) refuse_text(path, "no such file");
  if (status.type() == fs::file_type::none) refuse_text(path, "cannot be read: " + error.message());
  if (fs::is_directory(status)) refuse_text(path, "is a folder");
  if (!fs::is_regular_file(status)) refuse_text(path, "is not an ordinary file");
}

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// Row b of tokens and labels: T bytes from where(b) on, and the byte after each; past the end of the text nothing.
template <class Where>
void copy_windows(const Exec& exec, const char* kernel, const ConstVector<std::uint8_t>& text, const Where where,
                  const Matrix<std::int32_t>& tokens, const Vector<std::int32_t>& label) {
  const auto from = text;
  const auto to = tokens;
  const auto to_label = label;
  const auto end = static_cast<index_t>(text.extent(0));
  const auto T = static_cast<index_t>(tokens.extent(1));
  using Policy = Kokkos::TeamPolicy<Exec>;
  Kokkos::parallel_for(
      kernel, Policy(exec, tokens.extent_int(0), Kokkos::AUTO),
      KOKKOS_LAMBDA(const typename Policy::member_type& team) {
        const index_t b = team.league_rank();
        index_t begin = 0;
        Kokkos::single(
            Kokkos::PerTeam(team), [=](index_t& chosen) { chosen = where(b); }, begin);
        Kokkos::parallel_for(Kokkos::TeamVectorRange(team, T), [=](const index_t t) {
          const index_t at = begin + t;
          to(b, t) = at < end ? std::int32_t{from(at)} : 0;
          to_label(b * T + t) = at + 1 < end ? std::int32_t{from(at + 1)} : no_label;
        });
      });
}

struct SampledWindow {
  detail::PickFromSampler pick;
  index_t offset;  // of the epoch
  index_t T;
  KOKKOS_INLINE_FUNCTION index_t operator()(index_t b) const { return offset + pick(b) * T; }
};

struct NextWindow {
  index_t first;
  index_t T;
  KOKKOS_INLINE_FUNCTION index_t operator()(index_t b) const { return (first + b) * T; }
};

void check_extents(const char* function, const Matrix<std::int32_t>& tokens, const Vector<std::int32_t>& label) {
  if (label.extent(0) != tokens.size())
    refuse<ShapeError>(function,
                       "tokens is " + detail::extents(tokens.extent(0), tokens.extent(1)) + ", label has " +
                           std::to_string(label.extent(0)) + " elements",
                       "a label for each token");
}

}  // namespace

Text read_text(const std::string& path, double held_out_share) {
  require_file(path);
  std::error_code error;
  const auto size = static_cast<index_t>(fs::file_size(path, error));
  if (error) refuse_text(path, "cannot be read: " + error.message());
  if (size > most_text_bytes)
    refuse<UsageError>(path, std::to_string(size) + " bytes",
                       "at most " + std::to_string(most_text_bytes) + ", which are held in memory");
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rb"));
  if (!file) refuse_text(path, std::string("cannot be opened: ") + std::strerror(errno));
  Text text;
  text.train.resize(static_cast<std::size_t>(size));
  text.train.resize(std::fread(text.train.data(), 1, text.train.size(), file.get()));
  if (std::ferror(file.get())) refuse_text(path, std::string("cannot be read: ") + std::strerror(errno));
  if (text.train.empty()) refuse_text(path, "is empty");
  const auto held_out = static_cast<std::ptrdiff_t>(held_out_share * static_cast<double>(text.train.size()));
  text.held_out.assign(text.train.end() - held_out, text.train.end());
  text.train.resize(text.train.size() - text.held_out.size());
  return text;
}

std::string default_text() {
  const std::string folder = cache_folder();
  return folder.empty() ? "" : folder + "/kjv.txt";
}

void require_text_size(const std::string& path, const Text& text, index_t T, index_t B) {
  const index_t train = std::ssize(text.train), held_out = std::ssize(text.held_out);
  const index_t least = checked_product(checked_sum(B, 1), T);
  if (train < least)
    refuse<UsageError>(path,
                       std::to_string(train + held_out) + " bytes, " + std::to_string(train) + " of them for training",
                       "at least " + std::to_string(least) + " of these, for train.batch = " + std::to_string(B) +
                           " windows of model.tokens = " + std::to_string(T));
  if (held_out < 2)
    refuse<UsageError>(path,
                       std::to_string(train + held_out) + " bytes, " + std::to_string(held_out) + " of them held out",
                       "at least 2 of these, so that one has a next: a larger file or data.held_out_share");
}

TextWindows::TextWindows(std::uint64_t seed, index_t bytes, index_t T) : seed_(seed), bytes_(bytes), T_(T) {
  if (T < 1 || bytes / T < 2)
    refuse<UsageError>("TextWindows", "windows of " + std::to_string(T) + " out of " + std::to_string(bytes) + " bytes",
                       "at least 1, and twice as many bytes");
}

index_t TextWindows::offset(index_t epoch) const {
  return static_cast<index_t>(random_bits(seed_, Stream::text_offset, static_cast<std::uint64_t>(epoch)) %
                              static_cast<std::uint64_t>(T_));
}

ConstVector<std::uint8_t> upload(const std::vector<std::uint8_t>& bytes, const std::string& label) {
  const Vector<std::uint8_t> there(Kokkos::view_alloc(label, Kokkos::WithoutInitializing), bytes.size());
  Kokkos::deep_copy(there, Kokkos::View<const std::uint8_t*, Kokkos::LayoutRight, Kokkos::HostSpace,
                                        Kokkos::MemoryTraits<Kokkos::Unmanaged>>(bytes.data(), bytes.size()));
  return there;
}

void text_batch(const Exec& exec, const ConstVector<std::uint8_t>& text, const TextWindows& windows,
                const Sampler& sampler, index_t step, Slice rows, const Matrix<std::int32_t>& tokens,
                const Vector<std::int32_t>& label) {
  detail::check_rows("text_batch", sampler, rows, tokens.extent(0), tokens.extent(0));
  check_extents("text_batch", tokens, label);
  if (static_cast<index_t>(tokens.extent(1)) != windows.tokens() ||
      static_cast<index_t>(text.extent(0)) != windows.bytes() || sampler.samples() != windows.count())
    refuse<ShapeError>("text_batch",
                       "text has " + std::to_string(text.extent(0)) + " bytes, tokens " +
                           std::to_string(tokens.extent(1)) + " columns, and the sampler draws from " +
                           std::to_string(sampler.samples()) + " samples",
                       std::to_string(windows.bytes()) + " bytes in " + std::to_string(windows.count()) +
                           " windows of " + std::to_string(windows.tokens()));
  if (rows.extent == 0) return;
  copy_windows(exec, "partita::data::text_batch", text,
               SampledWindow{{sampler, step, rows.offset}, windows.offset(sampler.epoch(step)), windows.tokens()},
               tokens, label);
}

void text_rows(const Exec& exec, const ConstVector<std::uint8_t>& text, index_t first,
               const Matrix<std::int32_t>& tokens, const Vector<std::int32_t>& label) {
  check_extents("text_rows", tokens, label);
  const auto B = static_cast<index_t>(tokens.extent(0)), T = static_cast<index_t>(tokens.extent(1));
  const auto bytes = static_cast<index_t>(text.extent(0));
  if (B == 0) return;
  const index_t windows = T > 0 && bytes > 0 ? held_out_windows(bytes, T) : 0;
  if (first < 0 || first + B > windows)
    refuse<ShapeError>("text_rows", "windows are [" + std::to_string(first) + ", " + std::to_string(first + B) + ")",
                       "a part of the " + std::to_string(windows) + " that there are");
  copy_windows(exec, "partita::data::text_rows", text, NextWindow{first, T}, tokens, label);
}

}  // namespace partita::data
