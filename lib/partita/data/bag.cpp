// SPDX-License-Identifier: BSD-3-Clause
#include <partita/data/bag.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include <partita/core/error.hpp>
#include <partita/data/check.hpp>

namespace partita::data {
namespace {

ConstVector<double> zipf_law(index_t ranks, double exponent) {
  const Vector<double> law("partita::data::Bags::law", static_cast<std::size_t>(ranks));
  const auto upto = Kokkos::create_mirror_view(law);
  double sum = 0;
  for (index_t r = 1; r <= ranks; ++r) upto(r - 1) = sum += std::pow(static_cast<double>(r), -exponent);
  for (index_t r = 1; r <= ranks; ++r) upto(r - 1) /= sum;
  Kokkos::deep_copy(law, upto);
  return law;
}

struct Writer {
  BagOptions options;
  ConstVector<double> law;

  /// The first rank whose P(rank <= r) is above u < 1.
  KOKKOS_INLINE_FUNCTION index_t rank(double u) const {
    index_t low = 0, high = options.ranks - 1;
    while (low < high) {
      const index_t middle = low + (high - low) / 2;
      if (law(middle) > u)
        high = middle;
      else
        low = middle + 1;
    }
    return low + 1;
  }
  KOKKOS_INLINE_FUNCTION std::int32_t write(index_t sample, std::int32_t* tokens) const {
    const std::int32_t c = bag_label(options, sample);
    for (index_t t = 0; t < options.T; ++t) {
      // Unsigned: the last of many samples may wrap.
      const std::uint64_t draw =
          static_cast<std::uint64_t>(sample) * static_cast<std::uint64_t>(options.T) + static_cast<std::uint64_t>(t);
      const PhiloxCounter block = random_block(options.seed, Stream::zipf_key, draw);
      const bool common = block.word[2] * 0x1p-32 < options.noise;
      const double u = partita::detail::unit_interval(partita::detail::join(block.word[0], block.word[1]));
      tokens[t] = bag_key(options, common ? -1 : c, rank(u));
    }
    return c;
  }
};

template <class Pick>
void generate(const Exec& exec, const char* kernel, const Bags& bags, const Pick pick,
              const Matrix<std::int32_t>& tokens, const Vector<std::int32_t>& label) {
  const Writer writer{bags.options(), bags.law()};
  const auto to = tokens;
  const auto to_label = label;
  Kokkos::parallel_for(
      kernel, Kokkos::RangePolicy<Exec>(exec, 0, tokens.extent_int(0)),
      KOKKOS_LAMBDA(int b) { to_label(b) = writer.write(pick(b), &to(b, 0)); });
}

void check_keys(const char* function, const Bags& bags, const Matrix<std::int32_t>& tokens) {
  if (static_cast<index_t>(tokens.extent(1)) != bags.options().T)
    refuse<ShapeError>(function,
                       "tokens is " + detail::extents(tokens.extent(0), tokens.extent(1)) + ", a bag has " +
                           std::to_string(bags.options().T) + " keys",
                       "tokens (B, T)");
}

}  // namespace

Bags::Bags(const BagOptions& options) : options_(options) {
  const index_t least = std::min({options.V, options.T, options.classes, options.ranks});
  if (least < 1 || options.V > std::numeric_limits<std::int32_t>::max())
    refuse<UsageError>("Bags",
                       std::to_string(options.T) + " of " + std::to_string(options.V) + " keys, " +
                           std::to_string(options.ranks) + " ranks, " + std::to_string(options.classes) + " classes",
                       "at least 1 of each, and keys of 31 bits");
  if (!(options.exponent >= 0 && std::isfinite(options.exponent)) || !(options.noise >= 0 && options.noise <= 1))
    refuse<UsageError>("Bags",
                       "exponent is " + std::to_string(options.exponent) + ", noise " + std::to_string(options.noise),
                       "an exponent >= 0 and a noise in [0, 1]");
  law_ = zipf_law(options.ranks, options.exponent);
}

void bag_batch(const Exec& exec, const Bags& bags, const Sampler& sampler, index_t step, Slice rows,
               const Matrix<std::int32_t>& tokens, const Vector<std::int32_t>& label) {
  detail::check_rows("bag_batch", sampler, rows, tokens.extent(0), label.extent(0));
  check_keys("bag_batch", bags, tokens);
  generate(exec, "partita::data::bag_batch", bags, detail::PickFromSampler{sampler, step, rows.offset}, tokens, label);
}

void bag_rows(const Exec& exec, const Bags& bags, Split split, index_t first, const Matrix<std::int32_t>& tokens,
              const Vector<std::int32_t>& label) {
  detail::check_labels("bag_rows", tokens.extent(0), label.extent(0));
  check_keys("bag_rows", bags, tokens);
  const index_t origin = split == Split::held_out ? detail::held_out_origin : 0;
  generate(exec, "partita::data::bag_rows", bags, detail::PickInOrder{origin + first}, tokens, label);
}

void bag_samples(const Exec& exec, const Bags& bags, const ConstVector<index_t>& samples,
                 const Matrix<std::int32_t>& tokens, const Vector<std::int32_t>& label) {
  detail::check_list("bag_samples", samples.extent(0), tokens.extent(0), label.extent(0));
  check_keys("bag_samples", bags, tokens);
  generate(exec, "partita::data::bag_samples", bags, detail::PickListed{samples}, tokens, label);
}

}  // namespace partita::data
