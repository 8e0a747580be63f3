// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>

#include <partita/comm/communicator.hpp>
#include <partita/data/bag.hpp>
#include <partita/data/batch.hpp>
#include <partita/data/sampler.hpp>
#include <partita/data/stream_source.hpp>
#include <partita/data/text.hpp>
#include <partita/nn/batch.hpp>
#include <partita/nn/units/image.hpp>
#include <partita/training/data_options.hpp>

namespace partita::training {

struct TrainOptions;

/// What a sample is.
struct SampleShape {
  index_t features = 0;  ///< numbers of a sample; 0 for tokens and keys
  nn::Image image;       ///< the same as an image; all 0 where they have no such shape
  index_t tokens = 0;    ///< of a sequence, or keys of a bag
  index_t classes = 0;
  index_t vocabulary = 0;  ///< what the keys of a bag are below; 0: no bag

  bool is_bag() const { return vocabulary > 0; }
  /// Tokens of a sequence, each of which has a label; 0: a sample has one.
  index_t sequence() const { return is_bag() ? 0 : tokens; }
  index_t labels() const { return sequence() > 0 ? sequence() : 1; }
};

/// Of synthetic samples, bags, streams and text.
SampleShape shape_of_keys(const DataOptions& options);

/// The file of a stream.
data::StreamFile stream_file(const DataOptions& options);

/// Memory for the rows of a batch.
template <class Scalar>
struct Rows {
  Matrix<Scalar> x;
  Matrix<std::int32_t> tokens;
  Vector<std::int32_t> label;

  /// The first `rows` of them.
  Rows top(index_t rows) const;
  nn::Batch<Scalar> batch() const { return {x, tokens, label}; }
};

/// Which part of every sample a rank works on: some rows of an image, partition(rows, parts, part).
struct SampleShare {
  int parts = 1, part = 0;
};

/// Training and held-out samples, whatever their source. Files are read by one rank of each node and passed on there;
/// synthetic samples are computed where they are needed. Of a stream it holds the held-out samples: the first records
/// of a file, read by one rank, or made up. Samples of a text are windows of it.
class Dataset {
 public:
  /// For batches that `ranks` replicas share; of images the rows that are this rank's share.
  /// Throws   UsageError on all ranks alike: files that are missing or damaged, find_batch_problem, a stream that drops
  ///          samples where ranks share rows. Collective.
  Dataset(const comm::Communicator& world, const DataOptions& options, const TrainOptions& train, index_t ranks,
          const SampleShare& share = {});

  const DataOptions& options() const { return options_; }
  const comm::Communicator& world() const { return world_; }
  /// Of whole samples.
  const SampleShape& shape() const { return shape_; }
  /// Numbers of a sample that are here.
  Slice features() const { return features_; }
  index_t held_out_samples() const { return held_out_samples_; }
  /// Labels of all held-out samples that count: by these their sums become means.
  index_t held_out_labels() const;
  /// The held-out bytes of a text; empty for all else.
  const std::vector<std::uint8_t>& held_out_text() const { return held_out_text_; }
  /// Of images and text that were read, and the law of bags; other synthetic samples take none.
  index_t bytes() const;
  /// Which training sample is which row of a step; not of a stream.
  const data::Sampler& sampler() const { return sampler_.value(); }
  /// Of all training samples.
  /// Throws   UsageError of text, sequences and streams.
  std::vector<std::int32_t> labels() const;
  /// Of a stream, which has no epochs: all of the run.
  index_t steps_per_epoch() const { return sampler_ ? sampler_->steps_per_epoch() : steps_; }

  /// Allocates.
  template <class Scalar>
  Rows<Scalar> allocate(index_t rows) const;
  /// My rows of the global batch of a step; not of a stream, whose batches come from a StreamInput. Enqueued; no
  /// allocation.
  template <class Scalar>
  void batch(const Exec& exec, index_t step, Slice rows, const Rows<Scalar>& to) const;
  /// Training samples in the order of a list in device memory. Enqueued; no allocation.
  /// Throws   UsageError of text, sequences and streams.
  template <class Scalar>
  void samples(const Exec& exec, const ConstVector<index_t>& samples, const Rows<Scalar>& to) const;
  /// Held-out samples first, first + 1, ...; `to` says how many. Enqueued; no allocation.
  template <class Scalar>
  void held_out(const Exec& exec, index_t first, const Rows<Scalar>& to) const;

 private:
  data::SyntheticTokensOptions language() const {
    return {options_.synthetic.seed, shape_.classes, options_.synthetic.noise};
  }

  void require_labelled_samples(const char* function) const;
  void set_features(const SampleShare& share);
  void read_files(const DataOptions& options, const SampleShare& share, index_t& samples);
  void open_stream(index_t ranks);
  void open_text(const TrainOptions& train, index_t& samples);

  const comm::Communicator& world_;
  DataOptions options_;
  index_t steps_;
  SampleShape shape_;
  Slice features_;
  index_t held_out_samples_ = 0;
  data::DeviceImages train_, test_;
  ConstVector<std::uint8_t> text_, text_end_;  // for training, held out
  std::vector<std::uint8_t> held_out_text_;
  std::optional<data::TextWindows> windows_;
  std::optional<data::Bags> bags_;
  std::optional<data::Sampler> sampler_;
};

}  // namespace partita::training
