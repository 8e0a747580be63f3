// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/stream_input.hpp>

#include <exception>
#include <vector>

#include <partita/core/error.hpp>
#include <partita/core/extent.hpp>
#include <partita/core/float16.hpp>
#include <partita/data/stream_source.hpp>

namespace partita::training {
namespace {

constexpr double look_every_s = 0.1;            // while there is no batch
constexpr index_t ended = -1, went_wrong = -2;  // in place of a number of batches

// What a reader's failure is for the user; files alone are wrong by themselves.
Error error_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const UsageError& error) {
    return UsageError(std::string("data.path: ") + error.what());
  } catch (const IncompleteError& error) {
    return IncompleteError(std::string("data.path: ") + error.what());
  } catch (const Error& error) {
    return error;
  } catch (const std::exception& error) {
    return Error(error.what());
  }
}

template <class Number>
data::SampleSource<Number> source_of(const DataOptions& options) {
  return options.streams_file() ? data::from_file<Number>(stream_file(options))
                                : data::generated<Number>(options.synthetic);
}

}  // namespace

index_t waiting_rows(const Dataset& data, Slice rows) {
  if (!data.options().streams()) return 0;
  return checked_sum(1, checked_product(data.options().stream.reader.depth, rows.extent));
}

template <class Scalar>
StreamInput<Scalar>::StreamInput(const Dataset& data, Slice rows) : world_(data.world()), options_(data.options()) {
  const SampleShape& shape = data.shape();
  const data::ReaderOptions& reader = options_.stream.reader;
  if (shape.tokens > 0)
    tokens_ = std::make_unique<data::StreamReader<std::int32_t>>(
        reader, rows, shape.tokens, shape.labels(),
        data::generated_tokens({options_.synthetic.seed, shape.classes, options_.synthetic.noise}, shape.tokens));
  else
    numbers_ = std::make_unique<data::StreamReader<Scalar>>(reader, rows, shape.features, shape.labels(),
                                                            source_of<Scalar>(options_));
}

template <class Scalar>
index_t StreamInput<Scalar>::batches_or_end(double most_s) {
  return with_reader([&](auto& reader) -> index_t {
    if (const index_t batches = reader.wait(most_s); batches > 0) return batches;
    const std::exception_ptr failure = reader.failure();
    if (!failure) return 0;
    return error_of(failure).code() == ExitCode::incomplete ? ended : went_wrong;
  });
}

// The first rank's words, on all of them.
template <class Scalar>
std::string StreamInput<Scalar>::share_end() const {
  const std::exception_ptr failure = with_reader([](auto& reader) { return reader.failure(); });
  const Error mine = failure ? error_of(failure) : Error("");
  const auto codes = world_.gather(failure ? static_cast<int>(mine.code()) : 0);
  const std::vector<std::string> texts = world_.gather(std::string(failure ? mine.what() : ""));
  return world_.on_root([&]() -> std::string {
    std::string end;
    for (std::size_t r = 0; r < codes.size(); ++r) {
      if (codes[r] == 0) continue;
      if (const auto code = static_cast<ExitCode>(codes[r]); code != ExitCode::incomplete) rethrow_as(code, texts[r]);
      if (end.empty()) end = texts[r];
    }
    return end;
  });
}

template <class Scalar>
std::string StreamInput<Scalar>::await(index_t, const driver::Stop& stop, bool warm_up) {
  if (warm_up_ && !warm_up) with_reader([](auto& reader) { reader.forget_counts(); });
  warm_up_ = warm_up;
  if (agreed_ > 0) {
    --agreed_;
    return {};
  }
  while (true) {
    const index_t least = world_.allreduce(batches_or_end(look_every_s), comm::Op::min);
    if (least > 0) {
      agreed_ = least - 1;
      return {};
    }
    if (least < 0) return share_end();
    if (stop()) return {};
  }
}

template <class Scalar>
void StreamInput<Scalar>::batch(const Exec& exec, const Rows<Scalar>& to) {
  if (tokens_)
    tokens_->take(exec, to.tokens, to.label);
  else
    numbers_->take(exec, to.x, to.label);
}

template <class Scalar>
metrics::Table StreamInput<Scalar>::table() const {
  using metrics::Column;
  const data::QueueCounts mine = with_reader([](auto& reader) { return reader.counts(); });
  const index_t capacity = with_reader([](auto& reader) { return reader.capacity(); });
  const std::vector<data::QueueCounts> all = world_.gather(mine);
  const auto integers = [&](const char* name, index_t data::QueueCounts::*member, const char* long_name) {
    std::vector<std::int64_t> values;
    for (const data::QueueCounts& each : all) values.push_back(each.*member);
    return Column{name, {"rank"}, std::move(values), {{"long_name", long_name}, {"units", "1"}}};
  };
  const auto reals = [&](const char* name, const auto& value, const char* units, const char* long_name) {
    std::vector<double> values;
    for (const data::QueueCounts& each : all) values.push_back(value(each));
    return Column{name, {"rank"}, std::move(values), {{"long_name", long_name}, {"units", units}}};
  };
  const auto mean_fill = [](const data::QueueCounts& each) {
    return each.takes > 0 ? static_cast<double>(each.fill_sum) / static_cast<double>(each.takes) : 0;
  };
  std::vector<std::int64_t> capacities = world_.gather(std::int64_t{capacity});
  return {.group = "/stream",
          .columns = {{"capacity",
                       {"rank"},
                       std::move(capacities),
                       {{"long_name", "samples that the queue has room for"}, {"units", "1"}}},
                      integers("delivered", &data::QueueCounts::delivered, "samples taken from the queue"),
                      integers("dropped", &data::QueueCounts::dropped, "samples that came and found the queue full"),
                      integers("fill_min", &data::QueueCounts::least_fill,
                               "fewest samples that lay in the queue when a batch was taken"),
                      reals("fill_mean", mean_fill, "1",
                            "samples that lay in the queue when a batch was taken, mean over the steps"),
                      reals(
                          "starved_s", [](const data::QueueCounts& each) { return each.starved_s; }, "s",
                          "time that the rank waited for a batch of its own")},
          .attributes = {{"long_name", "the queue of streamed samples, from the end of warm-up on"},
                         {"stream_depth", std::int64_t{options_.stream.reader.depth}}}};
}

template class StreamInput<float>;
template class StreamInput<bfloat16>;
template class StreamInput<float16>;

}  // namespace partita::training
