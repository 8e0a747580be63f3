// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <vector>

#include <partita/training/decoder.hpp>
#include <partita/training/step_observer.hpp>

namespace partita::training {

/// The step of run.mode = "infer": forward and loss of a batch. Of a language model with infer.decode > 0 in two parts:
///
///     prefill   all but the last infer.decode tokens of each row at once
///     decode    the others one at a time, each after the cached keys and values of those before
///
/// so that the loss is that of whole sequences. Every token of a row is given: none is drawn.
template <class Scalar>
class Inference {
 public:
  /// Allocates.
  explicit Inference(const Parts<Scalar>& parts);

  const StepPhases& phases() const { return phases_; }
  index_t events() const;
  /// losses   (pieces) overwritten.
  /// Runs     in two parts it fences at the end of each; no allocation after the first.
  void run(index_t step, const Rows<Scalar>& rows, const Vector<double>& losses, driver::Instruments& instruments);

  /// The slowest rank's tokens over time, of all steps but warm-up: prefill_tokens_per_s and decode_tokens_per_s; with
  /// infer.decode = 0 none. Collective over the world.
  std::vector<metrics::SummaryRow> summary() const;
  /// Of a decoder, beside the run's own model.
  index_t bytes() const { return decoder_ ? decoder_->bytes() : 0; }

 private:
  using Pass = nn::GradientPass<Scalar>;
  std::unique_ptr<Pass> make_pass(nn::Model<Scalar>& model, const nn::LossHead<Scalar>& head) const;
  void run_whole(index_t step, const Rows<Scalar>& rows, const Vector<double>& losses,
                 driver::Instruments& instruments);
  void decode(index_t past, const Rows<Scalar>& rows, nn::Call<Scalar> call, const Vector<double>& losses);

  Parts<Scalar> parts_;
  index_t T_ = 0, prompt_ = 0;  // tokens of a row, and of these the ones that go first
  std::unique_ptr<Decoder<Scalar>> decoder_;
  StepPhases phases_;
  std::unique_ptr<Pass> first_, second_;
  Rows<Scalar> head_rows_, one_;
  Vector<double> term_;  // of one token
  Vector<index_t> correct_;
  double prefill_s_ = 0, decode_s_ = 0;
  index_t steps_ = 0;  // that count
};

}  // namespace partita::training
