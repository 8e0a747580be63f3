// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include <partita/config/deck.hpp>
#include <partita/data/batch.hpp>
#include <partita/data/synthetic.hpp>
#include <partita/data/synthetic_tokens.hpp>

namespace partita::training {

enum class Source { fashion_mnist, idx, synthetic };

/// The keys of [data].
struct DataOptions {
  Source source = Source::fashion_mnist;
  std::string path;
  data::Normalisation normalisation = data::fashion_mnist_normalisation;
  data::SyntheticOptions synthetic;
  std::vector<index_t> image;  ///< rows, columns, channels of a synthetic sample; empty: features without a shape
  index_t tokens = 0;          ///< of a synthetic sequence; 0: samples are numbers
  index_t samples = 60000;     ///< synthetic: training ...
  index_t held_out = 10000;    ///< ... and held-out ones
};

/// Declares and reads them. `language`: the model reads tokens, so that classes are a vocabulary.
DataOptions read_data_options(config::Deck& deck, std::uint64_t seed, bool language);

}  // namespace partita::training
