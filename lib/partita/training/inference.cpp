// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/inference.hpp>

#include <partita/core/clock.hpp>
#include <partita/core/float16.hpp>
#include <partita/kernels/elementwise.hpp>

namespace partita::training {
namespace {

// Tokens [first, first + extent) of each row, and their labels.
template <class Scalar>
void take_tokens(const Exec& exec, const Rows<Scalar>& rows, index_t first, const Rows<Scalar>& to) {
  using Token = std::int32_t;
  const std::size_t B = rows.tokens.extent(0), T = rows.tokens.extent(1), n = to.tokens.extent(1);
  const auto end = first + static_cast<index_t>(n);
  const auto columns = [&](const Matrix<Token>& of) {
    return Matrix<Token>(Kokkos::subview(of, Kokkos::ALL, Kokkos::pair<index_t, index_t>(first, end)));
  };
  kernels::copy<Token>(exec, columns(rows.tokens), to.tokens);
  kernels::copy<Token>(exec, columns({rows.label.data(), B, T}), Matrix<Token>(to.label.data(), B, n));
}

template <class Scalar>
Rows<Scalar> allocate_tokens(index_t B, index_t T) {
  return {{},
          Matrix<std::int32_t>("partita::training::Inference::tokens", static_cast<std::size_t>(B),
                               static_cast<std::size_t>(T)),
          Vector<std::int32_t>("partita::training::Inference::label", static_cast<std::size_t>(B * T))};
}

template <class Scalar>
std::unique_ptr<Decoder<Scalar>> make_decoder(const Parts<Scalar>& parts) {
  if (parts.train.decode == 0 || !parts.model.reads_tokens()) return nullptr;
  return std::make_unique<Decoder<Scalar>>(parts, parts.pass.division().rows);
}

}  // namespace

template <class Scalar>
Inference<Scalar>::Inference(const Parts<Scalar>& parts)
    : parts_(parts),
      T_(parts.data.shape().tokens),
      prompt_(T_ - parts.train.decode),
      decoder_(make_decoder(parts)),
      phases_(decoder_ ? StepPhases(decoder_->with(1).model, decoder_->with(1).model, "prefill", "decode")
                       : StepPhases(parts.model, parts.model)) {
  const nn::Division& division = parts.pass.division();
  correct_ = Vector<index_t>("partita::training::Inference::correct", division.pieces.size());
  if (!decoder_) {
    first_ = make_pass(parts_.model, parts_.head);
    return;
  }
  const auto pass_of = [&](index_t tokens) {
    auto& [model, words, head] = decoder_->with(tokens);
    return make_pass(model, *head);
  };
  first_ = pass_of(prompt_);
  second_ = pass_of(1);
  head_rows_ = allocate_tokens<Scalar>(division.rows.extent, prompt_);
  one_ = allocate_tokens<Scalar>(division.rows.extent, 1);
  term_ = Vector<double>("partita::training::Inference::loss", division.pieces.size());
}

template <class Scalar>
std::unique_ptr<nn::GradientPass<Scalar>> Inference<Scalar>::make_pass(nn::Model<Scalar>& model,
                                                                       const nn::LossHead<Scalar>& head) const {
  const nn::Division& division = parts_.pass.division();
  return std::make_unique<Pass>(
      model, division, nn::forward_only(std::ssize(division.micro_batches), model.stage_count()), head, nullptr);
}

template <class Scalar>
index_t Inference<Scalar>::events() const {
  return phases_.events(std::ssize(parts_.pass.division().pieces), parts_.model.stages().size(),
                        parts_.exchange.reads_together()) *
         (decoder_ ? 1 + T_ - prompt_ : 1);
}

template <class Scalar>
void Inference<Scalar>::run_whole(index_t step, const Rows<Scalar>& rows, const Vector<double>& losses,
                                  driver::Instruments& instruments) {
  StepObserver observer(phases_, instruments, step);
  nn::Call<Scalar> call =
      parts_.model.call(parts_.context, observer, parts_.exchange.weights(parts_.context.exec(), step));
  call.training = false;
  const auto packed = parts_.exchange.pass_of(parts_.context, call.weights);
  first_->run(call, rows.batch(), parts_.exchange, {losses, correct_});
}

template <class Scalar>
void Inference<Scalar>::decode(index_t past, const Rows<Scalar>& rows, nn::Call<Scalar> call,
                               const Vector<double>& losses) {
  const Exec& exec = parts_.context.exec();
  take_tokens(exec, rows, past, one_);
  call.past = past;
  second_->run(call, one_.batch(), parts_.exchange, {term_, correct_});
  kernels::add<double>(exec, term_, losses);
}

template <class Scalar>
void Inference<Scalar>::run(index_t step, const Rows<Scalar>& rows, const Vector<double>& losses,
                            driver::Instruments& instruments) {
  if (!decoder_) return run_whole(step, rows, losses, instruments);
  static const std::string end_of_prefill = "partita::training::Inference: the prompts are through";
  static const std::string end_of_decode = "partita::training::Inference: every token is through";
  const Exec& exec = parts_.context.exec();
  StepObserver prefilling(phases_, instruments, step), decoding(phases_, instruments, step, true);
  const nn::Window<const Scalar>& weights = decoder_->weights(exec, parts_.exchange.weights(exec, step));
  const auto call_of = [&](index_t tokens, nn::Observer& observer) {
    nn::Call<Scalar> call = decoder_->with(tokens).model.call(parts_.context, observer, weights);
    call.training = false;
    return call;
  };
  const std::int64_t start = now_ns();
  take_tokens(exec, rows, 0, head_rows_);
  first_->run(call_of(prompt_, prefilling), head_rows_.batch(), parts_.exchange, {losses, correct_});
  exec.fence(end_of_prefill);
  const std::int64_t between = now_ns();
  const nn::Call<Scalar> call = call_of(1, decoding);
  for (index_t past = prompt_; past < T_; ++past) decode(past, rows, call, losses);
  exec.fence(end_of_decode);
  if (instruments.warm_up) return;
  prefill_s_ += seconds(between - start);
  decode_s_ += seconds(now_ns() - between);
  ++steps_;
}

template <class Scalar>
std::vector<metrics::SummaryRow> Inference<Scalar>::summary() const {
  if (!decoder_) return {};
  const double prefill_s = parts_.world.allreduce(prefill_s_, comm::Op::max);
  const double decode_s = parts_.world.allreduce(decode_s_, comm::Op::max);
  const auto rate = [&](const char* metric, index_t tokens, double s) {
    const auto all = static_cast<double>(steps_ * parts_.train.batch * tokens);
    return metrics::SummaryRow{metric, all / s, metrics::not_a_number, metrics::not_a_number,
                               steps_, "rate",  "within run",          "1/s"};
  };
  if (steps_ == 0) return {};
  return {rate("prefill_tokens_per_s", prompt_, prefill_s), rate("decode_tokens_per_s", T_ - prompt_, decode_s)};
}

template class Inference<float>;
template class Inference<bfloat16>;
template class Inference<float16>;

}  // namespace partita::training
