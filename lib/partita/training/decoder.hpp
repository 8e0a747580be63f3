// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <memory>
#include <optional>

#include <partita/nn/key_value_cache.hpp>
#include <partita/training/workload.hpp>

namespace partita::training {

/// The GPT of a run, token after token: its weights and its split over ranks, with keys and values of the tokens that
/// went before in a cache of its own. What has been seen by one of its models all of them go on with.
///
/// In sequence mode tokens are shared out between ranks in training; here every rank has each, so that the positions
/// are gathered once, and the rest of the weights is copied.
template <class Scalar>
class Decoder {
 public:
  struct Model {
    nn::Model<Scalar> model;  ///< without weights
    Slice words;              ///< of which it has scores
    std::unique_ptr<nn::LossHead<Scalar>> head;
  };

  /// For sequences of model.tokens tokens at most, in rows `rows` of what comes. `parts` is read, and what it refers to
  /// must outlive this.
  Decoder(const Parts<Scalar>& parts, Slice rows);

  /// That for `tokens` more tokens at a time: call.past says how many were before. Made when it is first asked for.
  Model& with(index_t tokens);
  /// What all of them read, of weights as the run's model reads them: valid until those move or change. In sequence
  /// mode the first call is collective over the axis and copies them, once: for weights that changed another Decoder is
  /// made.
  const nn::Window<const Scalar>& weights(const Exec& exec, const nn::Window<const Scalar>& trained);

  index_t context() const { return cache_.context(); }
  /// Of the cache, of what its models have room for, and of weights that had to be copied.
  index_t bytes() const;

 private:
  void copy_weights(const Exec& exec, const nn::Window<const Scalar>& trained);

  const TrainOptions& train_;
  const ModelOptions& options_;
  SampleShape sample_;
  const nn::ParameterTable& table_;
  parallel::TensorAxis<Scalar>* trained_axis_;
  std::optional<parallel::TensorAxis<Scalar>> axis_;  // without sequence mode
  nn::KeyValueCache<Scalar> cache_;
  std::map<index_t, Model> models_;
  Vector<Scalar> copied_;
  nn::Window<const Scalar> weights_;
};

}  // namespace partita::training
