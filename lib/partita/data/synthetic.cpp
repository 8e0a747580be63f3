// SPDX-License-Identifier: BSD-3-Clause
#include <partita/data/synthetic.hpp>

#include <partita/core/error.hpp>
#include <partita/core/float16.hpp>
#include <partita/data/check.hpp>

namespace partita::data {
namespace {

// Sum of the two halves of a word, centred, with deviation 1. A half is uniform on [0, 65535]: variance (65536^2 - 1)
// / 12.
KOKKOS_INLINE_FUNCTION double triangle(std::uint32_t word) {
  constexpr double inverse_deviation = 3.7376247300237067e-05;  // 1 / sqrt(2 (65536^2 - 1) / 12)
  const int sum = static_cast<int>(word >> 16) + static_cast<int>(word & 0xffffu) - 65535;
  return sum * inverse_deviation;
}

struct Generator {
  SyntheticOptions options;
  Slice columns;
  index_t blocks;       // of four features: one Philox block each for prototype and noise
  index_t first, last;  // of these, with columns that are wanted

  Generator(const SyntheticOptions& options_, Slice columns_)
      : options(options_),
        columns(columns_),
        blocks((options_.features + 3) / 4),
        first(columns_.offset / 4),
        last((columns_.end() + 3) / 4) {}

  /// Unsigned: with many features the last of many samples may wrap.
  KOKKOS_INLINE_FUNCTION std::uint64_t key(index_t row, index_t k) const {
    return static_cast<std::uint64_t>(row) * static_cast<std::uint64_t>(blocks) + static_cast<std::uint64_t>(k);
  }
  KOKKOS_INLINE_FUNCTION std::int32_t label(index_t sample) const {
    const double u = uniform(options.seed, Stream::synthetic_label, static_cast<std::uint64_t>(sample));
    return static_cast<std::int32_t>(u * static_cast<double>(options.classes));
  }

  /// Features 4 k ... 4 k + 3 of a sample, as far as they are wanted.
  template <class Scalar>
  KOKKOS_INLINE_FUNCTION void write(index_t sample, std::int32_t c, index_t k, Scalar* row) const {
    const auto prototype = random_block(options.seed, Stream::synthetic_prototype, key(c, k));
    const auto noise = random_block(options.seed, Stream::synthetic_noise, key(sample, k));
    for (index_t j = 0; j < 4; ++j) {
      const index_t at = 4 * k + j - columns.offset;
      if (at < 0 || at >= columns.extent) continue;
      row[at] = static_cast<Scalar>(triangle(prototype.word[j]) + options.noise * triangle(noise.word[j]));
    }
  }
};

template <class Scalar, class Pick>
void generate(const Exec& exec, const char* kernel, const Generator generator, const Pick pick, const Matrix<Scalar>& x,
              const Vector<std::int32_t>& label) {
  const auto target = x;
  const auto target_label = label;
  const int B = x.extent_int(0);
  if (B == 0) return;
  using Policy = Kokkos::TeamPolicy<Exec>;
  Kokkos::parallel_for(
      kernel, Policy(exec, B, Kokkos::AUTO), KOKKOS_LAMBDA(const typename Policy::member_type& team) {
        const index_t b = team.league_rank();
        index_t sample = 0;
        Kokkos::single(
            Kokkos::PerTeam(team),
            [=](index_t& chosen) {
              chosen = pick(b);
              target_label(b) = generator.label(chosen);
            },
            sample);
        const std::int32_t c = generator.label(sample);
        Scalar* const row = &target(b, 0);
        Kokkos::parallel_for(Kokkos::TeamVectorRange(team, generator.first, generator.last),
                             [=](const index_t k) { generator.write(sample, c, k, row); });
      });
}

void check_features(const char* function, const SyntheticOptions& options, std::size_t columns) {
  const Slice here = options.columns();
  if (static_cast<std::size_t>(here.extent) != columns || options.features < 1 || options.classes < 1) {
    refuse<ShapeError>(function,
                       "x has " + std::to_string(columns) + " columns, options say " + std::to_string(here.extent) +
                           " features in " + std::to_string(options.classes) + " classes",
                       "x (B, F) with F features, F >= 1, classes >= 1");
  }
  if (here.offset < 0 || here.end() > options.features) {
    refuse<ShapeError>(function,
                       "features [" + std::to_string(here.offset) + ", " + std::to_string(here.end()) + ") of " +
                           std::to_string(options.features),
                       "a part of them");
  }
}

}  // namespace

template <class Scalar>
void synthetic_batch(const Exec& exec, const SyntheticOptions& options, const Sampler& sampler, index_t step,
                     Slice rows, const Matrix<Scalar>& x, const Vector<std::int32_t>& label) {
  detail::check_rows("synthetic_batch", sampler, rows, x.extent(0), label.extent(0));
  check_features("synthetic_batch", options, x.extent(1));
  generate(exec, "partita::data::synthetic_batch", Generator(options, options.columns()),
           detail::PickFromSampler{sampler, step, rows.offset}, x, label);
}

template <class Scalar>
void synthetic_rows(const Exec& exec, const SyntheticOptions& options, Split split, index_t first,
                    const Matrix<Scalar>& x, const Vector<std::int32_t>& label) {
  detail::check_labels("synthetic_rows", x.extent(0), label.extent(0));
  check_features("synthetic_rows", options, x.extent(1));
  const index_t origin = split == Split::held_out ? detail::held_out_origin : 0;
  generate(exec, "partita::data::synthetic_rows", Generator(options, options.columns()),
           detail::PickInOrder{origin + first}, x, label);
}

template <class Scalar>
void synthetic_samples(const Exec& exec, const SyntheticOptions& options, const ConstVector<index_t>& samples,
                       const Matrix<Scalar>& x, const Vector<std::int32_t>& label) {
  detail::check_list("synthetic_samples", samples.extent(0), x.extent(0), label.extent(0));
  check_features("synthetic_samples", options, x.extent(1));
  generate(exec, "partita::data::synthetic_samples", Generator(options, options.columns()), detail::PickListed{samples},
           x, label);
}

std::int32_t synthetic_label(const SyntheticOptions& options, index_t i) {
  return Generator(options, whole(options.features)).label(i);
}

template <class Scalar>
std::int32_t synthetic_sample(const SyntheticOptions& options, index_t i, Scalar* x) {
  const Generator generator(options, whole(options.features));
  const std::int32_t c = generator.label(i);
  for (index_t k = 0; k < generator.blocks; ++k) generator.write(i, c, k, x);
  return c;
}

#define PARTITA_INSTANTIATE(Scalar)                                                                         \
  template std::int32_t synthetic_sample(const SyntheticOptions&, index_t, Scalar*);                        \
  template void synthetic_batch(const Exec&, const SyntheticOptions&, const Sampler&, index_t, Slice,       \
                                const Matrix<Scalar>&, const Vector<std::int32_t>&);                        \
  template void synthetic_samples(const Exec&, const SyntheticOptions&, const ConstVector<index_t>&,        \
                                  const Matrix<Scalar>&, const Vector<std::int32_t>&);                      \
  template void synthetic_rows(const Exec&, const SyntheticOptions&, Split, index_t, const Matrix<Scalar>&, \
                               const Vector<std::int32_t>&);
PARTITA_INSTANTIATE(float)
PARTITA_INSTANTIATE(double)
PARTITA_INSTANTIATE(bfloat16)
PARTITA_INSTANTIATE(float16)
#undef PARTITA_INSTANTIATE

}  // namespace partita::data
