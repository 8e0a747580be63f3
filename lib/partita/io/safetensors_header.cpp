// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <partita/core/error.hpp>
#include <partita/core/extent.hpp>
#include <partita/core/named.hpp>
#include <partita/core/printable.hpp>
#include <partita/io/safetensors.hpp>

namespace partita::io {
namespace {

using Json = nlohmann::json;

constexpr std::string_view metadata_key = "__metadata__";

constexpr int deepest = 4;

constexpr Named<index_t> types[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"F8_E8M0", 1},
                                    {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},     {"U32", 4},
                                    {"F32", 4},  {"C64", 8}, {"F64", 8}, {"I64", 8},     {"U64", 8}};

constexpr std::size_t most_extents = 64;

// A name out of a file, which may be anything, as a line of text holds it.
std::string quoted(const std::string& name) { return "\"" + printable(name) + "\""; }

std::string shape_name(const std::vector<index_t>& shape) {
  return printable(fmt::format("[{}]", fmt::join(shape, ", ")), 200);
}

// What reading shares: where it complains.
class Reader {
 public:
  Reader(const std::string& path, index_t data_bytes) : path_(path), data_bytes_(data_bytes) {}

  SafeTensorsHeader read(std::string_view text) const {
    const Json json = parse(text);
    if (!json.is_object()) refuse("the header", "it is no JSON object", "{\"tensor\": {...}, ...}");
    SafeTensorsHeader header;
    for (const auto& [key, value] : json.items()) {
      if (key == metadata_key)
        header.metadata = metadata(value);
      else
        header.tensors.push_back(tensor(key, value));
    }
    std::sort(header.tensors.begin(), header.tensors.end(), [](const SafeTensor& a, const SafeTensor& b) {
      return std::pair(a.offset, a.bytes) < std::pair(b.offset, b.bytes);
    });
    require_cover(header.tensors);
    return header;
  }

 private:
  [[noreturn]] void refuse(const std::string& where, const std::string& found, const std::string& expected) const {
    partita::refuse<UsageError>(path_ + ": " + where, found, expected);
  }

  // nlohmann keeps the last of two equal keys: they are looked for while it reads.
  Json parse(std::string_view text) const {
    std::vector<std::set<std::string>> keys;
    const auto look = [&](int depth, Json::parse_event_t event, Json& value) {
      // A nest of brackets takes far more memory than text.
      if (depth > deepest) refuse("the header", "it is a nest of lists", "{\"tensor\": {\"shape\": [...], ...}, ...}");
      if (event == Json::parse_event_t::object_start) keys.emplace_back();
      if (event == Json::parse_event_t::object_end) keys.pop_back();
      if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second)
        refuse(quoted(value.get<std::string>()), "it is there twice", "names that differ");
      return true;
    };
    try {
      return Json::parse(text, look);
    } catch (const Json::exception&) {
      refuse("the header", "it is no JSON", "an undamaged file of safetensors");
    }
  }

  std::map<std::string, std::string> metadata(const Json& json) const {
    std::map<std::string, std::string> entries;
    if (!json.is_object()) refuse(std::string(metadata_key), "it is no JSON object", "texts by name");
    for (const auto& [key, value] : json.items()) {
      if (!value.is_string()) refuse(fmt::format("{} {}", metadata_key, quoted(key)), "it is no text", "a text");
      entries[key] = value.get<std::string>();
    }
    return entries;
  }

  SafeTensor tensor(const std::string& name, const Json& json) const {
    const std::string where = quoted(name);
    const auto member = [&](const char* key) -> const Json& {
      const auto found = json.is_object() ? json.find(key) : json.end();
      if (!json.is_object() || found == json.end())
        refuse(where, fmt::format("it has no {}", key), "dtype, shape and data_offsets");
      return *found;
    };
    SafeTensor tensor;
    tensor.name = name;
    const Json& type = member("dtype");
    if (!type.is_string()) refuse(where, "its dtype is no text", "a text such as \"F32\"");
    tensor.type = type.get<std::string>();
    tensor.shape = integers(where, "shape", member("shape"));
    if (tensor.shape.size() > most_extents)
      refuse(where, fmt::format("its shape has {} extents", tensor.shape.size()),
             fmt::format("at most {}", most_extents));
    const std::vector<index_t> offsets = integers(where, "data_offsets", member("data_offsets"));
    if (offsets.size() != 2) refuse(where, fmt::format("it has {} data_offsets", offsets.size()), "begin and end");
    if (offsets[0] > offsets[1] || offsets[1] > data_bytes_)
      refuse(where, fmt::format("its data_offsets are [{}, {}]", offsets[0], offsets[1]),
             fmt::format("begin <= end <= {}, the bytes of the file behind the header", data_bytes_));
    tensor.offset = offsets[0];
    tensor.bytes = offsets[1] - offsets[0];
    const index_t size = bytes_of_type(tensor.type);
    if (size > 0 && checked_product(tensor.elements(), size) != tensor.bytes)
      refuse(where, fmt::format("{} bytes of {} {}", tensor.bytes, tensor.type, shape_name(tensor.shape)),
             "as many as its shape has elements");
    return tensor;
  }

  std::vector<index_t> integers(const std::string& where, const char* key, const Json& json) const {
    std::vector<index_t> numbers;
    if (!json.is_array()) refuse(where, fmt::format("its {} is no list", key), "a list of integers >= 0");
    for (const Json& each : json) {
      if (!each.is_number_unsigned() || each.get<std::uint64_t>() > static_cast<std::uint64_t>(too_large))
        refuse(where, fmt::format("its {} has an entry that is no extent", key), "a list of integers >= 0");
      numbers.push_back(each.get<index_t>());
    }
    return numbers;
  }

  void require_cover(const std::vector<SafeTensor>& tensors) const {
    index_t end = 0;
    for (const SafeTensor& tensor : tensors) {
      if (tensor.offset != end)
        refuse(quoted(tensor.name), fmt::format("it begins at byte {}", tensor.offset),
               fmt::format("{}, where the tensor before it ends", end));
      end += tensor.bytes;
    }
    if (end != data_bytes_)
      refuse("its length", fmt::format("{} bytes behind the header", data_bytes_),
             fmt::format("{}, where the last tensor ends", end));
  }

  const std::string& path_;
  index_t data_bytes_;
};

}  // namespace

index_t bytes_of_type(std::string_view type) {
  for (const auto& [name, bytes] : types)
    if (name == type) return bytes;
  return 0;
}

index_t SafeTensor::elements() const { return checked_product(shape); }

std::string format_header(SafeTensorsHeader& header) {
  Json json = Json::object();
  if (!header.metadata.empty()) json[std::string(metadata_key)] = header.metadata;
  index_t end = 0;
  for (SafeTensor& tensor : header.tensors) {
    tensor.offset = end;
    tensor.bytes = tensor.elements() * bytes_of_type(tensor.type);
    end += tensor.bytes;
    json[tensor.name] = {{"dtype", tensor.type}, {"shape", tensor.shape}, {"data_offsets", {tensor.offset, end}}};
  }
  std::string text = json.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

SafeTensorsHeader parse_header(const std::string& path, std::string_view json, index_t data_bytes) {
  return Reader(path, data_bytes).read(json);
}

}  // namespace partita::io
