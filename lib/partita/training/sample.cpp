// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/sample.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/core/extent.hpp>
#include <partita/driver/terminal.hpp>
#include <partita/kernels/sample.hpp>
#include <partita/training/decoder.hpp>

namespace partita::training {
namespace {

constexpr const char *sample_flag = "--sample", *prompt_flag = "--prompt", *temperature_flag = "--temperature";
constexpr index_t most_tokens = index_t{1} << 30;

template <class Number>
Number number_of(const char* flag, const std::string& text, Number least, Number most, const char* expected) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= least && value <= most))
    refuse<UsageError>(flag, text.empty() ? "nothing" : text, expected);
  return value;
}

// A rank's best word.
struct Candidate {
  double key;
  index_t word;
};

// One model and its tokens so far.
template <class Scalar>
class Writer {
 public:
  explicit Writer(const Parts<Scalar>& parts)
      : parts_(parts),
        decoder_(parts, whole(1)),
        one_(decoder_.with(1)),
        token_("partita::training::sample::token", 1, 1),
        best_("partita::training::sample::best", 1),
        which_("partita::training::sample::which", 1),
        weights_(decoder_.weights(parts.context.exec(), parts.exchange.weights(parts.context.exec(), last_step()))) {
    one_.model.stages().front().plan({.rows = 1});
  }

  void see(std::uint8_t token) {
    if (past_ == decoder_.context()) {
      past_ = 0;
      const auto last = static_cast<std::size_t>(decoder_.context() / 2);
      for (std::size_t i = seen_.size() - last; i < seen_.size(); ++i) forward(static_cast<std::uint8_t>(seen_[i]));
    }
    seen_.push_back(static_cast<char>(token));
    forward(token);
  }

  std::uint8_t draw(const SampleRequest& request, index_t number) {
    const Exec& exec = parts_.context.exec();
    const kernels::SampleOptions options{request.temperature, parts_.train.seed, static_cast<std::uint64_t>(number)};
    kernels::sample<Scalar>(exec, options, one_.words, data::byte_vocabulary, scores_, best_, which_);
    Candidate best{};
    Kokkos::deep_copy(exec, Kokkos::View<double*, Kokkos::HostSpace>(&best.key, 1), best_);
    Kokkos::deep_copy(exec, Kokkos::View<index_t*, Kokkos::HostSpace>(&best.word, 1), which_);
    exec.fence("partita::training::sample: this rank's best word is on the host");
    if (parts_.axis != nullptr)
      for (const Candidate& other : parts_.axis->ranks().allgather(best))
        if (best.word < 0 ||
            (other.word >= 0 && (other.key > best.key || (other.key == best.key && other.word < best.word))))
          best = other;
    if (best.word < 0) throw CheckError("--sample: the scores of a token are not numbers");
    return static_cast<std::uint8_t>(best.word);
  }

 private:
  index_t last_step() const { return parts_.train.total_steps(parts_.data.steps_per_epoch()); }

  void forward(std::uint8_t token) {
    const Exec& exec = parts_.context.exec();
    Kokkos::deep_copy(exec, token_, std::int32_t{token});
    nn::Observer nobody;
    nn::Call<Scalar> call = one_.model.call(parts_.context, nobody, weights_);
    call.training = false;
    call.tokens = token_;
    call.rows = whole(1);
    call.past = past_++;
    const nn::Stage<Scalar>& stage = one_.model.stages().front();
    scores_ = stage.forward(stage.place(call, 0, 0), {});
  }

  const Parts<Scalar>& parts_;
  Decoder<Scalar> decoder_;
  typename Decoder<Scalar>::Model& one_;
  Matrix<std::int32_t> token_;
  Vector<double> best_;
  Vector<index_t> which_;
  const nn::Window<const Scalar>& weights_;
  index_t past_ = 0;
  std::string seen_;
  ConstMatrix<Scalar> scores_;
};

}  // namespace

std::vector<config::Option> SampleFlags::options() {
  return {{sample_flag, "N", "gpt: when the run has passed, write N tokens that its model draws, each a byte", &tokens},
          {prompt_flag, "TEXT", "--sample: what they follow; a line's end by default", &prompt},
          {temperature_flag, "X", "--sample: scores are divided by this; 1 by default, 0 = the likeliest token",
           &temperature}};
}

std::optional<SampleRequest> SampleFlags::request(const ModelOptions& model, index_t V) const {
  if (!tokens) {
    if (prompt || temperature)
      refuse<UsageError>(prompt ? prompt_flag : temperature_flag, "there is no --sample", "--sample N, too");
    return std::nullopt;
  }
  if (!model.language()) refuse<UsageError>(sample_flag, "the model draws no tokens", "model.kind = \"gpt\"");
  SampleRequest request;
  request.tokens = number_of<index_t>(sample_flag, *tokens, 1, most_tokens, "a number of tokens, from 1 to 2^30");
  if (temperature)
    request.temperature = number_of<double>(temperature_flag, *temperature, 0, 1e6, "a number from 0 to 1e6");
  if (V <= '\n') request.prompt.front() = '\0';
  if (prompt) request.prompt = *prompt;
  if (request.prompt.empty()) refuse<UsageError>(prompt_flag, "nothing", "at least one byte");
  for (const char byte : request.prompt)
    if (static_cast<unsigned char>(byte) >= V)
      refuse<UsageError>(prompt_flag,
                         fmt::format("a byte of {} in a vocabulary of {}", static_cast<unsigned char>(byte), V),
                         "bytes that are in it");
  return request;
}

template <class Scalar>
std::string sample(const SampleRequest& request, const Parts<Scalar>& parts, const std::function<void()>& alive) {
  Writer<Scalar> writer(parts);
  for (const char byte : request.prompt) writer.see(static_cast<std::uint8_t>(byte));
  std::string text;
  for (index_t i = 0; i < request.tokens; ++i) {
    alive();
    text.push_back(static_cast<char>(writer.draw(request, i)));
    if (i + 1 < request.tokens) writer.see(static_cast<std::uint8_t>(text.back()));
  }
  return text;
}

template <class Scalar>
void attach(const std::optional<SampleRequest>& request, const Parts<Scalar>& parts, driver::Workload& work) {
  if (!request) return;
  work.save = [request, parts, before = work.save](const std::function<void()>& alive) {
    if (before) before(alive);
    const std::string text = sample<Scalar>(*request, parts, alive);
    parts.world.on_root([&] {
      driver::say(fmt::format("sample of {} bytes:\n", text.size()) + text + "\n");
      driver::require_said();
    });
  };
}

#define PARTITA_SAMPLE(S)                                                                           \
  template std::string sample(const SampleRequest&, const Parts<S>&, const std::function<void()>&); \
  template void attach(const std::optional<SampleRequest>&, const Parts<S>&, driver::Workload&);
PARTITA_SAMPLE(float)
PARTITA_SAMPLE(bfloat16)
PARTITA_SAMPLE(float16)
#undef PARTITA_SAMPLE

}  // namespace partita::training
