// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <partita/config/deck.hpp>
#include <partita/data/bag.hpp>
#include <partita/data/batch.hpp>
#include <partita/data/stream_reader.hpp>
#include <partita/data/synthetic.hpp>
#include <partita/data/synthetic_tokens.hpp>

namespace partita::training {

enum class Source { fashion_mnist, idx, synthetic, stream, text };
/// What a model reads.
enum class SampleKind { numbers, sequences, bags };

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
  index_t tokens = 0;          ///< of a synthetic sequence; 0: samples are numbers, or bags
  std::optional<data::BagOptions> bag;  ///< of which samples are made; none: of numbers or tokens
  index_t samples = 60000;              ///< synthetic: training ...
  index_t held_out = 10000;             ///< ... and held-out ones, also of a stream
  double held_out_share = 0.1;          ///< text: of the bytes of the file, its end
  StreamOptions stream;

  bool is_text() const { return source == Source::text; }
  bool streams() const { return source == Source::stream; }
  bool streams_file() const { return streams() && stream.from == StreamFrom::file; }
  bool made_up() const { return source == Source::synthetic || (streams() && !streams_file()); }
  /// What shape samples have is known from here, and no file is asked.
  bool knows_shape() const { return source == Source::synthetic || streams() || is_text(); }
};

/// Declares and reads them, for a model that reads such samples. Classes of sequences are a vocabulary; they are as the
/// model says, model.tokens of model.vocabulary. Keys of bags are hashed to model.vocabulary rows.
DataOptions read_data_options(config::Deck& deck, std::uint64_t seed, SampleKind kind);

}  // namespace partita::training
