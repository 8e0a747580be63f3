// SPDX-License-Identifier: BSD-3-Clause
#include <partita/data/synthetic_tokens.hpp>

#include <cmath>
#include <string>

#include <partita/core/error.hpp>
#include <partita/data/check.hpp>

namespace partita::data {
namespace {

struct Speaker {
  SyntheticTokensOptions options;
  index_t T;

  KOKKOS_INLINE_FUNCTION std::int32_t any(std::uint64_t bits) const {
    return static_cast<std::int32_t>(bits % static_cast<std::uint64_t>(options.V));
  }
  KOKKOS_INLINE_FUNCTION void write(index_t sample, std::int32_t* tokens, std::int32_t* labels) const {
    const auto draw = [&](index_t t) {
      return random_block(
          options.seed, Stream::synthetic_token,
          static_cast<std::uint64_t>(sample) * static_cast<std::uint64_t>(T + 1) + static_cast<std::uint64_t>(t));
    };
    std::int32_t token = any(draw(0).word[0]);
    for (index_t t = 0; t < T; ++t) {
      tokens[t] = token;
      const PhiloxCounter block = draw(t + 1);
      const bool random = block.word[1] * 0x1p-32 < options.noise;
      token = random ? any(block.word[0]) : static_cast<std::int32_t>(permute(options.seed, 0, token, options.V));
      labels[t] = token;
    }
  }
};

template <class Pick>
void generate(const Exec& exec, const char* kernel, const Speaker speaker, const Pick pick,
              const Matrix<std::int32_t>& tokens, const Vector<std::int32_t>& label) {
  const auto to = tokens;
  const auto to_label = label;
  Kokkos::parallel_for(
      kernel, Kokkos::RangePolicy<Exec>(exec, 0, tokens.extent_int(0)), KOKKOS_LAMBDA(int b) {
        if (speaker.T > 0) speaker.write(pick(b), &to(b, 0), &to_label(b * speaker.T));
      });
}

void check(const char* function, const SyntheticTokensOptions& options, const Matrix<std::int32_t>& tokens,
           const Vector<std::int32_t>& label) {
  if (label.extent(0) != tokens.size() || options.V < 1)
    refuse<ShapeError>(function,
                       "tokens is " + detail::extents(tokens.extent(0), tokens.extent(1)) + ", label has " +
                           std::to_string(label.extent(0)) + " elements, V is " + std::to_string(options.V),
                       "a label for each token and V >= 1");
}

}  // namespace

void synthetic_tokens_batch(const Exec& exec, const SyntheticTokensOptions& options, const Sampler& sampler,
                            index_t step, Slice rows, const Matrix<std::int32_t>& tokens,
                            const Vector<std::int32_t>& label) {
  detail::check_rows("synthetic_tokens_batch", sampler, rows, tokens.extent(0), tokens.extent(0));
  check("synthetic_tokens_batch", options, tokens, label);
  generate(exec, "partita::data::synthetic_tokens_batch", Speaker{options, static_cast<index_t>(tokens.extent(1))},
           detail::PickFromSampler{sampler, step, rows.offset}, tokens, label);
}

void synthetic_tokens_rows(const Exec& exec, const SyntheticTokensOptions& options, Split split, index_t first,
                           const Matrix<std::int32_t>& tokens, const Vector<std::int32_t>& label) {
  check("synthetic_tokens_rows", options, tokens, label);
  const index_t origin = split == Split::held_out ? detail::held_out_origin : 0;
  generate(exec, "partita::data::synthetic_tokens_rows", Speaker{options, static_cast<index_t>(tokens.extent(1))},
           detail::PickInOrder{origin + first}, tokens, label);
}

void synthetic_tokens_sample(const SyntheticTokensOptions& options, index_t T, index_t i, std::int32_t* tokens,
                             std::int32_t* label) {
  Speaker{options, T}.write(i, tokens, label);
}

double synthetic_tokens_loss(const SyntheticTokensOptions& options) {
  const double r = options.noise / static_cast<double>(options.V), q = 1 - options.noise + r;
  const auto entropy = [](double p) { return p > 0 ? -p * std::log(p) : 0; };
  return entropy(q) + static_cast<double>(options.V - 1) * entropy(r);
}

}  // namespace partita::data
