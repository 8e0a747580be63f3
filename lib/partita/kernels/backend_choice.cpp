// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/backend_choice.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <locale>
#include <sstream>

#include <partita/core/error.hpp>

namespace partita::kernels {
namespace {

constexpr std::array<std::string_view, 7> call_names = {
    "linear_forward", "linear_backward_input", "linear_backward_weights", "gemm",
    "conv2d_forward", "conv2d_backward_input", "conv2d_backward_weights"};

/// Rows above and below an image: the one that may be negative.
constexpr std::size_t first_signed = 9;

constexpr std::size_t extents_of(Call call) {
  constexpr std::array<std::size_t, kernel_count> counts = {3, 6, 11};
  return counts[std::size_t(kernel_of(call))];
}

/// The shortest text that reads as the same number.
std::string exact(double value) {
  std::array<char, 32> text;
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

const char* name_of(Backend backend) { return backend == Backend::portable ? "portable" : "vendor"; }

/// One line of to_text; false if it is none.
bool read_line(const std::string& line, BackendTable& into) {
  std::istringstream words(line);
  words.imbue(std::locale::classic());
  std::string call, vendor_key, portable_key, chosen, more;
  words >> call;
  const auto at = std::find(call_names.begin(), call_names.end(), call);
  if (at == call_names.end()) return false;
  CallShape shape{Call(at - call_names.begin()), {}};
  for (std::size_t i = 0; i < extents_of(shape.call); ++i)
    if (!(words >> shape.extents[i]) || (i < first_signed && shape.extents[i] < 0)) return false;
  BackendTiming timing;
  words >> vendor_key >> timing.vendor_s >> portable_key >> timing.portable_s >> chosen;
  if (!words || words >> more || vendor_key != "vendor_s" || portable_key != "portable_s") return false;
  const bool sane = timing.vendor_s > 0 && timing.portable_s > 0 && std::isfinite(timing.vendor_s + timing.portable_s);
  return sane && chosen == name_of(timing.chosen()) && into.emplace(shape, timing).second;
}

}  // namespace

std::string_view name(Call call) { return call_names[std::size_t(call)]; }

std::string to_text(const BackendTable& table) {
  std::ostringstream text;
  text.imbue(std::locale::classic());
  for (const auto& [shape, timing] : table) {
    text << name(shape.call);
    for (std::size_t i = 0; i < extents_of(shape.call); ++i) text << ' ' << shape.extents[i];
    text << " vendor_s " << exact(timing.vendor_s) << " portable_s " << exact(timing.portable_s) << ' '
         << name_of(timing.chosen()) << '\n';
  }
  return text.str();
}

BackendTable backend_table(std::string_view text) {
  BackendTable table;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);)
    if (!read_line(line, table))
      refuse<UsageError>("backend_table", "the line \"" + line + "\"",
                         "a call, its extents, vendor_s, portable_s and the choice, each call once");
  return table;
}

BackendTable sum_of(const std::vector<BackendTable>& tables) {
  BackendTable sum;
  for (const BackendTable& table : tables)
    for (const auto& [shape, timing] : table) {
      BackendTiming& to = sum[shape];
      to.vendor_s += timing.vendor_s;
      to.portable_s += timing.portable_s;
    }
  return sum;
}

}  // namespace partita::kernels
