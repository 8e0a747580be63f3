// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/sample.hpp>

#include <string>

#include <partita/core/random.hpp>
#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/rows.hpp>

namespace partita::kernels {
namespace {

template <class Scalar>
struct SampleRows {
  SampleOptions options;
  Slice vocabulary;
  index_t columns, leading;  // that are drawn from
  const Scalar* logits;
  double* best;
  index_t* which;

  KOKKOS_FUNCTION double key(index_t b, index_t c) const {
    const double z = double(logits[b * leading + c]);
    if (options.temperature == 0) return z;
    const auto number = options.draw + std::uint64_t(b);
    const auto v = std::uint64_t(vocabulary.offset + c);
    const double drawn = uniform(options.seed, substream(Stream::sampled_token, number), v);
    const double u = drawn > 0 ? drawn : 0x1p-54;
    return z / options.temperature - Kokkos::log(-Kokkos::log(u));
  }

  template <class Row>
  KOKKOS_FORCEINLINE_FUNCTION void operator()(const Row& row, index_t b) const {
    const SampleRows self = *this;
    const double none = -Kokkos::Experimental::infinity_v<double>;
    const double most = row.template most<double>(columns, [=](index_t c) { return self.key(b, c); });
    const double first = row.template most<double>(
        columns, [=](index_t c) { return self.key(b, c) == most ? -double(self.vocabulary.offset + c) : none; });
    double* const to_best = best + b;
    index_t* const to_which = which + b;
    row.each(1, [=](index_t) {
      *to_best = most;
      *to_which = first == none ? -1 : index_t(-first);
    });
  }
};

}  // namespace

template <class Scalar>
void sample(const Exec& exec, const SampleOptions& options, const Slice& vocabulary, index_t below,
            ConstMatrix<Scalar> logits, Vector<double> best, Vector<index_t> which) {
  static const std::string label = "partita::kernels::sample";
  backend::require_extent("sample", "logits", "columns", logits.extent(1), "the slice of the vocabulary", "classes",
                          std::size_t(vocabulary.extent), "one column for each class of the slice");
  backend::require_length("sample", "best", best.extent(0), "logits", logits.extent(0));
  backend::require_length("sample", "which", which.extent(0), "logits", logits.extent(0));
  const index_t left = below - vocabulary.offset;
  const index_t columns = left < 0 ? 0 : left < vocabulary.extent ? left : vocabulary.extent;
  backend::for_rows<double>(exec, label, index_t(logits.extent(0)),
                            SampleRows<Scalar>{options, vocabulary, columns, backend::stride_of(logits), logits.data(),
                                               best.data(), which.data()});
}

template void sample(const Exec&, const SampleOptions&, const Slice&, index_t, ConstMatrix<float>, Vector<double>,
                     Vector<index_t>);
template void sample(const Exec&, const SampleOptions&, const Slice&, index_t, ConstMatrix<double>, Vector<double>,
                     Vector<index_t>);
template void sample(const Exec&, const SampleOptions&, const Slice&, index_t, ConstMatrix<bfloat16>, Vector<double>,
                     Vector<index_t>);
template void sample(const Exec&, const SampleOptions&, const Slice&, index_t, ConstMatrix<float16>, Vector<double>,
                     Vector<index_t>);

}  // namespace partita::kernels
