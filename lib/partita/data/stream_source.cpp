// SPDX-License-Identifier: BSD-3-Clause
#include <partita/data/stream_source.hpp>

#include <algorithm>
#include <memory>
#include <vector>

#include <partita/core/error.hpp>
#include <partita/core/float16.hpp>
#include <partita/data/check.hpp>

namespace partita::data {

template <class Scalar>
SampleSource<Scalar> generated(const SyntheticOptions& options) {
  return [options](index_t sample, Scalar* x, std::int32_t* label, const std::stop_token&) {
    *label = synthetic_sample(options, sample, x);
    return true;
  };
}

SampleSource<std::int32_t> generated_tokens(const SyntheticTokensOptions& options, index_t T) {
  return [options, T](index_t sample, std::int32_t* tokens, std::int32_t* label, const std::stop_token&) {
    synthetic_tokens_sample(options, T, sample, tokens, label);
    return true;
  };
}

template <class Scalar>
SampleSource<Scalar> from_file(const StreamFile& file) {
  struct Reader {
    explicit Reader(const StreamFile& from)
        : file(from.path, from.features, from.classes, from.timeout_s),
          record(static_cast<std::size_t>(file.record_bytes())) {}
    GrowingFile file;
    std::vector<std::uint8_t> record;
  };
  const detail::PixelMap map(file.normalisation);
  return [reader = std::make_shared<Reader>(file), map, first = file.held_out](
             index_t sample, Scalar* x, std::int32_t* label, const std::stop_token& stop) {
    if (!reader->file.read(first + sample, reader->record, stop)) return false;
    *label = reader->record[0];
    for (std::size_t f = 1; f < reader->record.size(); ++f) x[f - 1] = map.template value<Scalar>(reader->record[f]);
    return true;
  };
}

ImageSet held_out_of(const StreamFile& file) {
  GrowingFile records(file.path, file.features, file.classes, file.timeout_s);
  const index_t there = records.records();
  if (there < file.held_out)
    refuse<UsageError>(
        file.path,
        "holds " + std::to_string(there) + " whole records of " + std::to_string(records.record_bytes()) + " bytes",
        "at least the " + std::to_string(file.held_out) + " of data.held_out");
  ImageSet set;
  set.count = file.held_out;
  set.height = 1;
  set.width = file.features;
  set.classes = file.classes;
  std::vector<std::uint8_t> record(static_cast<std::size_t>(records.record_bytes()));
  for (index_t k = 0; k < file.held_out; ++k) {
    records.read(k, record, std::stop_token());
    set.labels.push_back(record[0]);
    set.pixels.insert(set.pixels.end(), record.begin() + 1, record.end());
  }
  return set;
}

#define PARTITA_INSTANTIATE(Scalar)                                         \
  template SampleSource<Scalar> generated<Scalar>(const SyntheticOptions&); \
  template SampleSource<Scalar> from_file<Scalar>(const StreamFile&);
PARTITA_INSTANTIATE(float)
PARTITA_INSTANTIATE(bfloat16)
PARTITA_INSTANTIATE(float16)
#undef PARTITA_INSTANTIATE

}  // namespace partita::data
