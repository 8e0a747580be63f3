// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <partita/metrics/record.hpp>
#include <partita/training/dataset.hpp>

namespace partita::training {

/// Held-out bytes of a text, and what compressors need for these alone: what a language model is measured by.
struct Compression {
  index_t bytes = 0;   ///< held out
  index_t scored = 0;  ///< of these the ones that the model is asked for: all but the first
  double gzip = 0;     ///< bits per byte of `gzip -9` ...
  double xz = 0;       ///< ... and of `xz -9`
};

/// Of a text, and nothing of other data. One rank compresses: a second for 1 MB. Collective over the world.
std::optional<Compression> compress_held_out(const Dataset& data);

/// Rows of /summary: heldout_bits_per_byte (absent without an evaluation), gzip_bits_per_byte, xz_bits_per_byte.
std::vector<metrics::SummaryRow> summarise(const Compression& compression,
                                           const std::vector<metrics::EvaluationRow>& evaluation);

/// "held-out 2.291 bits per byte (gzip -9 2.584, xz -9 2.177)" of a mean loss in nats.
std::string to_string(const Compression& compression, double loss);

}  // namespace partita::training
