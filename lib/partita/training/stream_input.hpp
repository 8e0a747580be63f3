// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>

#include <partita/data/stream_reader.hpp>
#include <partita/driver/workload.hpp>
#include <partita/metrics/table.hpp>
#include <partita/training/dataset.hpp>

namespace partita::training {

/// The batches of data.source = "stream" on one rank: a reader of this rank's rows, and what the ranks agree on. Every
/// rank of the data set's world has one, and all train the same steps.
template <class Scalar>
class StreamInput {
 public:
  /// Allocates the queue.
  /// Throws   UsageError as data::GrowingFile.
  StreamInput(const Dataset& data, Slice rows);

  /// Waits until every rank has its rows of the step that comes next. Ranks that have several batches agree on all of
  /// them at once, and then do not talk for so many steps. Returns why there is no further batch, the same on all
  /// ranks; empty where there is, or `stop` said so. What was counted in warm-up is forgotten after it.
  /// Runs     collective over the world, in some steps. Allocates nothing but in the first.
  /// Throws   what a reader threw, on all ranks alike: that of the lowest rank.
  std::string await(index_t step, const driver::Stop& stop, bool warm_up);
  /// That batch; see data::StreamReader::take.
  void batch(const Exec& exec, const Rows<Scalar>& to);
  /// /stream: what waited and what was lost, a value for each rank. Collective; on other ranks than 0 without values.
  metrics::Table table() const;

 private:
  template <class F>
  auto with_reader(const F& f) const {
    return tokens_ ? f(*tokens_) : f(*numbers_);
  }
  index_t batches_or_end(double most_s);
  std::string share_end() const;

  const comm::Communicator& world_;
  DataOptions options_;
  std::unique_ptr<data::StreamReader<Scalar>> numbers_;
  std::unique_ptr<data::StreamReader<std::int32_t>> tokens_;
  index_t agreed_ = 0;  // batches that lie on every rank
  bool warm_up_ = false;
};

/// Null where the data set is no stream.
template <class Scalar>
std::unique_ptr<StreamInput<Scalar>> open_stream(const Dataset& data, Slice rows) {
  return data.options().streams() ? std::make_unique<StreamInput<Scalar>>(data, rows) : nullptr;
}

/// Rows of batches that a queue has room for on this rank; 0 without a stream.
index_t waiting_rows(const Dataset& data, Slice rows);

}  // namespace partita::training
