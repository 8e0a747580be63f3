// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include <partita/config/deck.hpp>
#include <partita/data/batch.hpp>
#include <partita/data/stream_reader.hpp>
#include <partita/data/synthetic.hpp>
#include <partita/data/synthetic_tokens.hpp>

namespace partita::training {

enum class Source { fashion_mnist, idx, synthetic, stream };
enum class StreamFrom { generator, file };

/// Where the samples of data.source = "stream" come from, and how they wait.
struct StreamOptions {
  StreamFrom from = StreamFrom::generator;
  data::ReaderOptions reader;
  double timeout_s = 60;  ///< for a file that does not grow; 0: none
};

/// The keys of [data].
struct DataOptions {
  Source source = Source::fashion_mnist;
  std::string path;
  data::Normalisation normalisation = data::fashion_mnist_normalisation;
  data::SyntheticOptions synthetic;
  std::vector<index_t> image;  ///< rows, columns, channels of a synthetic sample; empty: features without a shape
  index_t tokens = 0;          ///< of a synthetic sequence; 0: samples are numbers
  index_t samples = 60000;     ///< synthetic: training ...
  index_t held_out = 10000;    ///< ... and held-out ones, also of a stream
  StreamOptions stream;

  bool streams() const { return source == Source::stream; }
  bool streams_file() const { return streams() && stream.from == StreamFrom::file; }
  /// Samples are made up, and what shape they have is known from here.
  bool made_up() const { return source == Source::synthetic || (streams() && !streams_file()); }
};

/// Declares and reads them. `language`: the model reads tokens, so that classes are a vocabulary; sequences are as the
/// model says, model.tokens of model.vocabulary.
DataOptions read_data_options(config::Deck& deck, std::uint64_t seed, bool language);

}  // namespace partita::training
