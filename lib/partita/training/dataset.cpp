// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/dataset.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/core/extent.hpp>
#include <partita/core/float16.hpp>
#include <partita/core/partition.hpp>
#include <partita/data/images.hpp>
#include <partita/training/train_options.hpp>

namespace partita::training {
namespace {

data::ImageSet read(const DataOptions& options, bool train) {
  if (options.source == Source::fashion_mnist) return data::load_fashion_mnist(options.path, train);
  return data::load_idx_folder(options.path, train, options.synthetic.classes);
}

// The leader of each node reads, the others on the node get a copy through memory: a thousand ranks open one file a
// node.
template <class Read>
auto read_once_a_node(const comm::Communicator& world, const comm::Communicator& node, const Read& read) {
  decltype(read()) what;
  std::string problem;
  if (node.is_root()) {
    try {
      what = read();
    } catch (const UsageError& error) {
      problem = error.what();
    }
  }
  // A file may be missing on one node alone: all ranks learn the first complaint.
  const std::vector<std::string> problems = world.gather(problem);
  const std::string first = world.on_root([&] {
    for (const std::string& each : problems)
      if (!each.empty()) return each;
    return std::string();
  });
  if (!first.empty()) throw UsageError("data.path: " + first);
  return what;
}

data::ImageSet load(const comm::Communicator& world, const DataOptions& options, bool train) {
  const comm::Communicator node = world.split_by_node();
  data::ImageSet set = read_once_a_node(world, node, [&] { return read(options, train); });
  node.broadcast(set.pixels);
  node.broadcast(set.labels);
  for (index_t* extent : {&set.count, &set.height, &set.width, &set.channels, &set.classes}) node.broadcast(*extent);
  return set;
}

// Some numbers of every sample.
void keep(data::ImageSet& set, Slice features) {
  if (features.extent == features.global) return;
  std::vector<std::uint8_t> kept;
  kept.reserve(static_cast<std::size_t>(set.count * features.extent));
  for (index_t i = 0; i < set.count; ++i) {
    const auto first = set.pixels.begin() + static_cast<std::ptrdiff_t>(i * features.global + features.offset);
    kept.insert(kept.end(), first, first + static_cast<std::ptrdiff_t>(features.extent));
  }
  set.pixels = std::move(kept);
  set.height = 1;  // not whole images any more
  set.width = features.extent;
  set.channels = 1;
}

data::Text load_text(const comm::Communicator& world, const DataOptions& options, const TrainOptions& train) {
  const comm::Communicator node = world.split_by_node();
  data::Text text = read_once_a_node(world, node, [&] {
    const std::string path = options.path.empty() ? data::default_text() : options.path;
    if (path.empty())
      refuse<UsageError>("empty", "neither PARTITA_CACHE nor HOME says where the set-up's text is", "a file of text");
    data::Text found = data::read_text(path, options.held_out_share);
    data::require_text_size(path, found, options.tokens, train.batch);
    return found;
  });
  node.broadcast(text.train);
  node.broadcast(text.held_out);
  return text;
}

}  // namespace

data::StreamFile stream_file(const DataOptions& options) {
  return {options.path,     options.synthetic.features, options.synthetic.classes, options.stream.timeout_s,
          options.held_out, options.normalisation};
}

SampleShape shape_of_keys(const DataOptions& options) {
  SampleShape shape;
  if (options.bag) {
    shape.tokens = options.bag->T;
    shape.classes = options.bag->classes;
    shape.vocabulary = options.bag->V;
    return shape;
  }
  shape.classes = options.synthetic.classes;
  shape.tokens = options.tokens;
  if (shape.tokens == 0) shape.features = options.synthetic.features;
  if (!options.image.empty()) shape.image = {options.image[0], options.image[1], options.image[2]};
  return shape;
}

template <class Scalar>
Rows<Scalar> Rows<Scalar>::top(index_t rows) const {
  const auto B = static_cast<std::size_t>(rows), all = x.data() == nullptr ? tokens.extent(0) : x.extent(0);
  const std::size_t labels = all == 0 ? 0 : label.extent(0) / all;
  Rows part;
  if (x.data() != nullptr) part.x = {x.data(), B, x.extent(1)};
  if (tokens.data() != nullptr) part.tokens = {tokens.data(), B, tokens.extent(1)};
  part.label = {label.data(), B * labels};
  return part;
}

Dataset::Dataset(const comm::Communicator& world, const DataOptions& options, const TrainOptions& train, index_t ranks,
                 const SampleShare& share)
    : world_(world), options_(options), steps_(train.steps) {
  index_t samples = options.streams() ? too_large : options.samples;
  if (options.bag) {
    if (options.source != Source::synthetic)
      refuse<UsageError>("data.source", "bags of keys come from no file and no stream", "\"synthetic\"");
    bags_.emplace(*options.bag);
  }
  if (options.knows_shape()) {
    shape_ = shape_of_keys(options);
    set_features(share);
  }
  if (options.made_up())
    held_out_samples_ = options.held_out;
  else if (options.is_text())
    open_text(train, samples);
  else if (!options.streams())
    read_files(options, share, samples);
  if (options.streams()) open_stream(ranks);
  if (const auto problem = find_batch_problem(train, ranks, samples))
    refuse<UsageError>(problem->key, problem->found, problem->expected);
  if (!options.streams()) sampler_.emplace(train.seed, samples, train.batch);
}

void Dataset::set_features(const SampleShare& share) {
  features_ = whole(shape_.features);
  if (share.parts > 1 && shape_.image.size() > 0) {
    const Slice rows = partition(shape_.image.rows, share.parts, share.part);
    const index_t row = shape_.image.columns * shape_.image.channels;
    features_ = {rows.offset * row, rows.extent * row, shape_.features};
  }
  options_.synthetic.here = features_;
}

void Dataset::read_files(const DataOptions& options, const SampleShare& share, index_t& samples) {
  data::ImageSet images = load(world_, options, true);
  data::ImageSet test = load(world_, options, false);
  if (images.features() != test.features())
    refuse<UsageError>(
        "data.path",
        fmt::format("training images have {} pixels, held-out ones {}", images.features(), test.features()),
        "a folder where they agree");
  samples = images.count;
  shape_ = {images.features(), {images.height, images.width, images.channels}, 0, images.classes};
  held_out_samples_ = test.count;
  set_features(share);
  for (data::ImageSet* set : {&images, &test}) keep(*set, features_);
  train_ = data::upload(images);
  test_ = data::upload(test);
}

void Dataset::open_stream(index_t ranks) {
  if (options_.stream.reader.when_full == data::WhenFull::drop && world_.size() != ranks)
    refuse<UsageError>("data.stream_when_full", "ranks that share rows would drop unlike samples", "\"block\"");
  if (!options_.streams_file()) return;
  data::ImageSet set;
  set.pixels = world_.on_root([&] {
    try {
      set = data::held_out_of(stream_file(options_));
    } catch (const UsageError& error) {
      throw UsageError(std::string("data.path: ") + error.what());
    }
    return set.pixels;
  });
  world_.broadcast(set.labels);
  set.count = std::ssize(set.labels);
  set.height = 1;
  set.width = shape_.features;
  held_out_samples_ = set.count;
  test_ = data::upload(set);
}

void Dataset::open_text(const TrainOptions& train, index_t& samples) {
  data::Text text = load_text(world_, options_, train);
  windows_.emplace(train.seed, std::ssize(text.train), shape_.tokens);
  samples = windows_->count();
  held_out_samples_ = data::held_out_windows(std::ssize(text.held_out), shape_.tokens);
  text_ = data::upload(text.train, "partita::training::Dataset::text");
  text_end_ = data::upload(text.held_out, "partita::training::Dataset::text_end");
  held_out_text_ = std::move(text.held_out);
}

index_t Dataset::held_out_labels() const {
  return options_.is_text() ? data::held_out_labels(std::ssize(held_out_text_)) : held_out_samples_ * shape_.labels();
}

void Dataset::require_labelled_samples(const char* function) const {
  if (options_.streams() || shape_.sequence() > 0)
    refuse<UsageError>(
        function, options_.streams() ? "samples of a stream pass once" : "samples are sequences of tokens",
        "a set of samples with one label each: \"fashion_mnist\", \"idx\", or \"synthetic\" numbers or bags");
}

std::vector<std::int32_t> Dataset::labels() const {
  require_labelled_samples("Dataset::labels");
  std::vector<std::int32_t> all(static_cast<std::size_t>(sampler().samples()));
  if (bags_) {
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = data::bag_label(bags_->options(), static_cast<index_t>(i));
  } else if (options_.source == Source::synthetic) {
    for (std::size_t i = 0; i < all.size(); ++i)
      all[i] = data::synthetic_label(options_.synthetic, static_cast<index_t>(i));
  } else {
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace{}, train_.labels);
    std::copy_n(host.data(), all.size(), all.begin());
  }
  return all;
}

index_t Dataset::bytes() const {
  return static_cast<index_t>(train_.pixels.size() + test_.pixels.size() + text_.size() + text_end_.size() +
                              held_out_text_.size() + (bags_ ? bags_->law().size() * sizeof(double) : 0));
}

template <class Scalar>
Rows<Scalar> Dataset::allocate(index_t rows) const {
  Rows<Scalar> all;
  if (shape_.tokens > 0)
    all.tokens = Matrix<std::int32_t>("partita::training::Dataset::tokens", rows, shape_.tokens);
  else
    all.x = Matrix<Scalar>("partita::training::Dataset::x", rows, features_.extent);
  all.label = Vector<std::int32_t>("partita::training::Dataset::label", rows * shape_.labels());
  return all;
}

template <class Scalar>
void Dataset::batch(const Exec& exec, index_t step, Slice rows, const Rows<Scalar>& to) const {
  if (options_.is_text())
    data::text_batch(exec, text_, *windows_, *sampler_, step, rows, to.tokens, to.label);
  else if (bags_)
    data::bag_batch(exec, *bags_, *sampler_, step, rows, to.tokens, to.label);
  else if (shape_.tokens > 0)
    data::synthetic_tokens_batch(exec, language(), *sampler_, step, rows, to.tokens, to.label);
  else if (options_.source == Source::synthetic)
    data::synthetic_batch<Scalar>(exec, options_.synthetic, *sampler_, step, rows, to.x, to.label);
  else
    data::gather_batch<Scalar>(exec, options_.normalisation, train_, *sampler_, step, rows, to.x, to.label);
}

template <class Scalar>
void Dataset::samples(const Exec& exec, const ConstVector<index_t>& samples, const Rows<Scalar>& to) const {
  require_labelled_samples("Dataset::samples");
  if (bags_)
    data::bag_samples(exec, *bags_, samples, to.tokens, to.label);
  else if (options_.source == Source::synthetic)
    data::synthetic_samples<Scalar>(exec, options_.synthetic, samples, to.x, to.label);
  else
    data::gather_samples<Scalar>(exec, options_.normalisation, train_, samples, to.x, to.label);
}

template <class Scalar>
void Dataset::held_out(const Exec& exec, index_t first, const Rows<Scalar>& to) const {
  if (options_.is_text())
    data::text_rows(exec, text_end_, first, to.tokens, to.label);
  else if (bags_)
    data::bag_rows(exec, *bags_, data::Split::held_out, first, to.tokens, to.label);
  else if (shape_.tokens > 0)
    data::synthetic_tokens_rows(exec, language(), data::Split::held_out, first, to.tokens, to.label);
  else if (options_.made_up())
    data::synthetic_rows<Scalar>(exec, options_.synthetic, data::Split::held_out, first, to.x, to.label);
  else
    data::gather_rows<Scalar>(exec, options_.normalisation, test_, first, to.x, to.label);
}

#define PARTITA_INSTANTIATE(Scalar)                                                                    \
  template struct Rows<Scalar>;                                                                        \
  template Rows<Scalar> Dataset::allocate(index_t) const;                                              \
  template void Dataset::batch(const Exec&, index_t, Slice, const Rows<Scalar>&) const;                \
  template void Dataset::samples(const Exec&, const ConstVector<index_t>&, const Rows<Scalar>&) const; \
  template void Dataset::held_out(const Exec&, index_t, const Rows<Scalar>&) const;
PARTITA_INSTANTIATE(float)
PARTITA_INSTANTIATE(bfloat16)
PARTITA_INSTANTIATE(float16)
#undef PARTITA_INSTANTIATE

}  // namespace partita::training
