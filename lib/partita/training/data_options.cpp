// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/data_options.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <partita/core/extent.hpp>
#include <partita/data/text.hpp>

namespace partita::training {
namespace {

using config::IntRange;
using config::RealRange;

constexpr Named<Source> sources[] = {{"fashion_mnist", Source::fashion_mnist},
                                     {"idx", Source::idx},
                                     {"synthetic", Source::synthetic},
                                     {"stream", Source::stream},
                                     {"text", Source::text}};
constexpr Named<StreamFrom> origins[] = {{"generator", StreamFrom::generator}, {"file", StreamFrom::file}};
constexpr Named<data::WhenFull> when_full[] = {{"block", data::WhenFull::block}, {"drop", data::WhenFull::drop}};

constexpr index_t most_zipf_ranks = index_t{1} << 27;  // 1 GiB for their law

void read_files(config::Deck& deck, SampleKind kind, DataOptions& data) {
  const bool language = kind == SampleKind::sequences;
  if (kind != SampleKind::numbers) data.source = Source::synthetic;
  deck.choice(
      "data.source", data.source, sources,
      "Fashion-MNIST, any folder of IDX files named like MNIST's, seeded numbers (tokens, bags of keys as the model "
      "is), a "
      "stream without epochs: seeded numbers as they come, or a file that grows; or the bytes of any file, for a "
      "language model");
  if (kind == SampleKind::bags && data.source != Source::synthetic)
    deck.reject("data.source", "a model of bags reads hashed features", "\"synthetic\"");
  if (language && data.source != Source::synthetic && !data.streams() && !data.is_text())
    deck.reject("data.source", "a language model reads tokens", "\"synthetic\", \"stream\" or \"text\"");
  if (!language && data.is_text())
    deck.reject("data.source", "text is tokens, and this model reads numbers",
                "another source, or model.kind = \"gpt\"");
  deck.text("data.path", data.path,
            "folder of the IDX files, empty: where Debian's package puts Fashion-MNIST; the file of a stream; the file "
            "of a text, empty: the King James Bible, where the set-up puts it");
  if (data.source == Source::idx && data.path.empty())
    deck.reject("data.path", "data.source = \"idx\" without a folder",
                "one with train-images-idx3-ubyte[.gz] and the other three");
  deck.real("data.mean", data.normalisation.mean, {}, "images: subtracted from pixels, which are scaled to [0, 1]");
  deck.real("data.deviation", data.normalisation.deviation, RealRange::above(0),
            "images: divides pixels that are scaled to [0, 1] and less data.mean");
}

void read_stream(config::Deck& deck, bool language, DataOptions& data) {
  StreamOptions& stream = data.stream;
  deck.choice("data.stream_from", stream.from, origins,
              "stream: seeded numbers, every sample a new one, or data.path, to which records of a label's byte and a "
              "byte a number are appended");
  if (data.streams_file() && language)
    deck.reject("data.stream_from", "a language model reads tokens", "\"generator\"");
  if (data.streams_file() && data.path.empty())
    deck.reject("data.path", "data.stream_from = \"file\" without a file", "one");
  deck.real("data.stream_rate", stream.reader.rate, RealRange::at_least(0),
            {"stream: samples a second, over all ranks; 0 = as fast as they can be had", "1/s"});
  deck.integer("data.stream_depth", stream.reader.depth, IntRange::extent(),
               {"stream: batches that a rank's queue holds", "batches"});
  deck.choice("data.stream_when_full", stream.reader.when_full, when_full,
              "stream: a sample that finds the queue full makes its reader wait, or is lost and counted");
  if (data.made_up() && data.streams() && stream.reader.when_full == data::WhenFull::drop && stream.reader.rate == 0)
    deck.reject("data.stream_rate", "samples as fast as they can be made, of which most would be dropped",
                "above 0 with data.stream_when_full = \"drop\"");
  deck.real("data.stream_timeout_s", stream.timeout_s, RealRange::at_least(0),
            {"stream: a file that does not grow for so long has ended; 0 = never", "s"});
}

void read_features(config::Deck& deck, DataOptions& data) {
  deck.integers("data.image", data.image, IntRange::extent(),
                "synthetic and stream: rows, columns and channels of an image; [] = data.features numbers");
  if (!data.image.empty()) {
    if (data.image.size() != 3)
      deck.reject("data.image", fmt::format("an image of {} extents", data.image.size()), "[rows, columns, channels]");
    data.synthetic.features = checked_product(data.image);
    if (data.synthetic.features > IntRange::extent().max)
      deck.reject("data.image", "an image of more numbers than are counted",
                  fmt::format("at most {} in one", IntRange::extent().max));
  }
  const index_t of_the_image = data.synthetic.features;
  deck.integer("data.features", data.synthetic.features, IntRange::extent(), "synthetic and stream: numbers a sample");
  if (!data.image.empty() && data.synthetic.features != of_the_image)
    deck.reject("data.features", fmt::format("data.image says {}", of_the_image), "one of the two");
}

void read_bags(config::Deck& deck, SampleKind kind, DataOptions& data) {
  data::BagOptions bag;
  bag.exponent = 1.1;
  bag.ranks = 0;
  deck.integer("data.keys_per_sample", bag.T, IntRange::extent(), {"bag: hashed features of a sample", "keys"});
  deck.real("data.zipf_exponent", bag.exponent, RealRange::at_least(0),
            "bag: of the Zipf laws that keys are drawn from: rank r has a weight of r^-exponent; 0 = all are equally "
            "likely");
  deck.integer("data.zipf_ranks", bag.ranks, {0, most_zipf_ranks},
               "bag: features of a law before they are hashed; 0 = 10 model.vocabulary, at most 2^27");
  if (kind != SampleKind::bags) {
    for (const char* key : {"data.keys_per_sample", "data.zipf_exponent", "data.zipf_ranks"})
      if (deck.changed(key))
        deck.reject(key, "this model reads no bags of keys", "its default, or model.kind = \"bag\"");
    return;
  }
  deck.integer("model.vocabulary", bag.V, IntRange::extent(), "bag: rows of the table, to which keys are hashed");
  if (bag.ranks == 0) bag.ranks = std::min(10 * bag.V, most_zipf_ranks);
  bag.seed = data.synthetic.seed;
  bag.classes = data.synthetic.classes;
  bag.noise = data.synthetic.noise;
  data.bag = bag;
}

}  // namespace

DataOptions read_data_options(config::Deck& deck, std::uint64_t seed, SampleKind kind) {
  const bool language = kind == SampleKind::sequences;
  DataOptions data;
  read_files(deck, kind, data);
  read_stream(deck, language, data);
  data.synthetic.seed = seed;
  read_features(deck, data);
  if (language) {
    data.synthetic.classes = data.is_text() ? data::byte_vocabulary : 64;
    data.synthetic.noise = 0.1;
    data.tokens = 64;
  }
  if (kind == SampleKind::bags) data.synthetic.noise = 0.5;
  if (language)
    deck.integer("model.vocabulary", data.synthetic.classes, IntRange::extent(2),
                 "gpt: tokens that are told apart; of a text at least 256");
  else
    deck.integer("data.classes", data.synthetic.classes, IntRange::extent(2), "classes of synthetic, idx and stream");
  deck.real(
      "data.noise", data.synthetic.noise, RealRange::at_least(0),
      "synthetic: deviation around the prototypes; share of tokens that are random, for a language model; of keys "
      "that say nothing of the class, for a bag");
  if (data.is_text() && data.synthetic.classes < data::byte_vocabulary)
    deck.reject("model.vocabulary", "the tokens of a text are bytes",
                fmt::format("at least {}", data::byte_vocabulary));
  if (language && data.synthetic.noise > 1)
    deck.reject("data.noise", "more than all tokens would be random", "at most 1 for a language model");
  if (kind == SampleKind::bags && data.synthetic.noise > 1)
    deck.reject("data.noise", "more than all keys would say nothing of the class", "at most 1 for a bag");
  if (data.streams_file() && data.synthetic.classes > 256)
    deck.reject("data.classes", "the label of a record is one byte", "at most 256");
  deck.integer("data.samples", data.samples, IntRange::count(1), "synthetic: training samples");
  deck.integer("data.held_out", data.held_out, IntRange::extent(),
               "synthetic and stream: held-out samples, the first records of a file");
  deck.real("data.held_out_share", data.held_out_share, {0, 1, true, true},
            "text: share of the file, its end, that is held out");
  read_bags(deck, kind, data);
  if (language) deck.integer("model.tokens", data.tokens, IntRange::extent(), {"gpt: of a sequence", "tokens"});
  return data;
}

}  // namespace partita::training
