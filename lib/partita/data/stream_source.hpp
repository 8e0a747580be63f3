// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include <partita/data/batch.hpp>
#include <partita/data/growing_file.hpp>
#include <partita/data/stream_reader.hpp>
#include <partita/data/synthetic.hpp>
#include <partita/data/synthetic_tokens.hpp>

// Where the samples of a StreamReader come from.

namespace partita::data {

/// Sample i is that of synthetic_rows(Split::train), the same bits. Scalar: float, bfloat16, float16.
template <class Scalar>
SampleSource<Scalar> generated(const SyntheticOptions& options);

/// Sample i is sequence i of synthetic_tokens_rows(Split::train): T tokens and as many labels.
SampleSource<std::int32_t> generated_tokens(const SyntheticTokensOptions& options, index_t T);

struct StreamFile {
  std::string path;
  index_t features = 0;
  index_t classes = 0;
  double timeout_s = 0;  ///< GrowingFile's
  index_t held_out = 0;  ///< the first records are no training samples
  Normalisation normalisation = {};
};

/// Sample i is record held_out + i of a file: x(f) = (byte / 255 - mean) / deviation, the bits of gather_rows.
/// Throws   as GrowingFile, here and from its thread.
template <class Scalar>
SampleSource<Scalar> from_file(const StreamFile& file);

/// The first `held_out` records as images of 1 x features, which must be there.
/// Throws   UsageError as GrowingFile; also where fewer are there.
ImageSet held_out_of(const StreamFile& file);

}  // namespace partita::data
