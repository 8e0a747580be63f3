// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <string>
#include <vector>

#include <partita/nn/layers.hpp>
#include <partita/nn/stage.hpp>

namespace partita::nn {

/// How the weights begin, how sums are cut, and whether there is memory for the weights.
struct ModelOptions {
  std::uint64_t seed = 1;
  index_t chunks = 1;   ///< Tables::chunks: deterministic mode, where later splits must find the same sums
  bool weights = true;  ///< false: none is kept, parameters() is empty, and calls name a window of their own

  /// For the shapes alone.
  ModelOptions without_weights() const { return {seed, chunks, false}; }
};

/// What a row of a model's output is: scores of `classes` classes for each of `labels` labels.
struct OutputShape {
  index_t labels = 1;
  index_t classes = 1;
};

/// Units built from a list of layers, cut into stages, over one flat buffer of weights and one of running statistics.
template <class Scalar>
class Model {
 public:
  /// cuts     First layers of the stages after the first one (empty layers are not counted): none, one stage.
  /// here     Which of the stages, ascending; empty: all. Units of others are not made, and their weights are in no
  ///          table.
  /// Initial values, drawn from the seed alone, are in parameters() and running() from the start.
  /// Throws   UsageError for cuts that leave a stage without a unit, and stages that the model has not; ShapeError when
  ///          units or `output` do not fit.
  Model(const LayerList<Scalar>& layers, OutputShape output, const ModelOptions& options,
        const std::vector<index_t>& cuts = {}, const std::vector<int>& here = {});

  const ParameterTable& table() const { return tables_.parameters; }
  const ParameterTable& statistics_table() const { return tables_.statistics; }
  Vector<Scalar> parameters() const { return parameters_; }
  Vector<Sum<Scalar>> running() const { return running_; }
  /// Those that are here.
  std::span<Stage<Scalar>> stages() { return stages_; }
  std::span<const Stage<Scalar>> stages() const { return stages_; }
  /// Of the whole model.
  int stage_count() const { return static_cast<int>(places_.size()); }
  bool has_stage(int number) const {
    return number >= 0 && number < stage_count() && places_[static_cast<std::size_t>(number)] >= 0;
  }
  bool has_first_stage() const { return has_stage(0); }
  bool has_last_stage() const { return has_stage(stage_count() - 1); }
  /// Throws   Error for a stage that is not here.
  Stage<Scalar>& stage(int number) { return stages_[place(number)]; }
  const Stage<Scalar>& stage(int number) const { return stages_[place(number)]; }
  /// Weights and statistics of a stage's units, adjacent in the flat buffers.
  Range parameters_of(int stage) const { return parameters_of_[place(stage)]; }
  Range statistics_of(int stage) const { return statistics_of_[place(stage)]; }
  /// All units, in the order of their numbers.
  const std::vector<const Unit<Scalar>*>& units() const { return units_; }

  /// Tokens of a row if the model reads tokens, else numbers of a row; of the first stage that is here.
  index_t inputs() const { return stages_.front().inputs(); }
  /// The whole model, wherever its first stage is.
  bool reads_tokens() const { return reads_tokens_; }
  index_t outputs() const { return stages_.back().outputs(); }
  OutputShape output() const { return output_; }
  const Tables& tables() const { return tables_; }

  /// A training call on these weights, or the model's own; change what shall differ. It refers to the model, and to
  /// what is given.
  Call<Scalar> call(kernels::Context& context, Observer& observer, const Window<const Scalar>& weights) const;
  Call<Scalar> call(kernels::Context& context, Observer& observer) const { return call(context, observer, *weights_); }

  /// Elements of a flat gradient: those of the weights, then the batch's statistics.
  index_t gradient_size() const { return table().size() + statistics_table().size(); }
  /// Without the input's gradient.
  PassFlop flop(index_t B) const;
  /// Weights and running statistics, in bytes, as they are allocated.
  std::size_t bytes() const;

  /// A line for each unit: name, what its time counts as, columns in and out, parameters, flop of a row forward; then
  /// the sums.
  std::string describe() const;

 private:
  std::size_t place(int stage) const;

  Tables tables_;
  std::vector<Stage<Scalar>> stages_;
  std::vector<int> places_;                           // of all stages among those; -1: not here
  std::vector<Range> parameters_of_, statistics_of_;  // of the stages that are here
  std::vector<const Unit<Scalar>*> units_;
  OutputShape output_;
  bool reads_tokens_ = false;
  Vector<Scalar> parameters_;
  Vector<Sum<Scalar>> running_;
  std::unique_ptr<Window<const Scalar>> weights_;  // where calls find it, wherever the model is moved
};

}  // namespace partita::nn
