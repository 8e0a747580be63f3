// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/compression.hpp>

#include <fmt/format.h>

#include <partita/data/compression.hpp>

namespace partita::training {

std::vector<metrics::SummaryRow> summarise(const Compression& compression,
                                           const std::vector<metrics::EvaluationRow>& evaluation) {
  std::vector<metrics::SummaryRow> rows;
  const auto push = [&](const char* metric, double value, index_t n) {
    rows.push_back({metric, value, metrics::not_a_number, metrics::not_a_number, n, "cost", "within run", "bit/byte"});
  };
  if (!evaluation.empty())
    push("heldout_bits_per_byte", data::bits_of_nats(evaluation.back().loss), compression.scored);
  push("gzip_bits_per_byte", compression.gzip, compression.bytes);
  push("xz_bits_per_byte", compression.xz, compression.bytes);
  return rows;
}

std::string to_string(const Compression& compression, double loss) {
  return fmt::format("held-out {:.3f} bits per byte (gzip -9 {:.3f}, xz -9 {:.3f})", data::bits_of_nats(loss),
                     compression.gzip, compression.xz);
}

}  // namespace partita::training
