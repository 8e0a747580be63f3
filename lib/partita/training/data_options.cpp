// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/data_options.hpp>

#include <fmt/format.h>

#include <partita/core/extent.hpp>

namespace partita::training {

DataOptions read_data_options(config::Deck& deck, std::uint64_t seed, bool language) {
  using config::IntRange;
  using config::RealRange;
  DataOptions data;
  data.source = deck.choice(
      "data.source", language ? Source::synthetic : data.source,
      {{"fashion_mnist", Source::fashion_mnist}, {"idx", Source::idx}, {"synthetic", Source::synthetic}},
      "Fashion-MNIST, any folder of IDX files named like MNIST's, or seeded numbers (tokens for a language model)");
  if (language && data.source != Source::synthetic)
    deck.reject("data.source", "a language model reads tokens; give \"synthetic\"");
  data.path = deck.text("data.path", "", "folder of the IDX files; empty: where Debian's package puts Fashion-MNIST");
  if (data.source == Source::idx && data.path.empty())
    deck.reject("data.path",
                "data.source = \"idx\" needs a folder with train-images-idx3-ubyte[.gz] and the other three");
  data.normalisation.mean =
      deck.real("data.mean", data.normalisation.mean, {}, "subtracted from pixels scaled to [0, 1]");
  data.normalisation.deviation =
      deck.real("data.deviation", data.normalisation.deviation, RealRange::above(0), "they are divided by this then");
  data.synthetic.seed = seed;
  data.image = deck.integers("data.image", std::vector<index_t>{}, IntRange::extent(),
                             "synthetic: rows, columns and channels of an image; [] = data.features numbers");
  if (!data.image.empty() && data.image.size() != 3)
    deck.reject("data.image", "an image has three extents; give [rows, columns, channels]");
  index_t features = data.synthetic.features;
  if (!data.image.empty()) features = checked_product(data.image);
  if (features > IntRange::extent().max)
    deck.reject("data.image", "an image of more numbers than are counted",
                fmt::format("at most {} in one", IntRange::extent().max));
  data.synthetic.features = deck.integer("data.features", features, IntRange::extent(), "synthetic: numbers a sample");
  if (!data.image.empty() && data.synthetic.features != features)
    deck.reject("data.features", "data.image says " + std::to_string(features) + "; give one of the two");
  data.synthetic.classes = deck.integer("data.classes", language ? 64 : data.synthetic.classes, IntRange::extent(2),
                                        "synthetic and idx: classes; for a language model its vocabulary");
  data.synthetic.noise =
      deck.real("data.noise", language ? 0.1 : data.synthetic.noise, RealRange::at_least(0),
                "synthetic: deviation around the prototypes; share of tokens that are random, for a language model");
  if (language && data.synthetic.noise > 1) deck.reject("data.noise", "a share of the tokens; give at most 1");
  data.samples = deck.integer("data.samples", data.samples, IntRange::count(1), "synthetic: training samples");
  data.held_out = deck.integer("data.held_out", data.held_out, IntRange::extent(), "synthetic: held-out samples");
  data.tokens = deck.integer("data.tokens", language ? 64 : 0, IntRange::extent(language ? 1 : 0),
                             {"tokens of a sequence, for a language model", "tokens"});
  return data;
}

}  // namespace partita::training
