// SPDX-License-Identifier: BSD-3-Clause
#include <partita/nn/units/cached_attention.hpp>

#include <utility>

#include <fmt/format.h>

#include <partita/core/error.hpp>
#include <partita/kernels/cost.hpp>
#include <partita/kernels/elementwise.hpp>

namespace partita::nn {
namespace {

template <class M>
M columns(const M& of, index_t first, index_t extent) {
  return M(Kokkos::subview(of, Kokkos::ALL, Kokkos::pair<index_t, index_t>(first, first + extent)));
}

template <class T>
Matrix<T> rows(const Matrix<T>& of, index_t first, index_t extent) {
  return Matrix<T>(Kokkos::subview(of, Kokkos::pair<index_t, index_t>(first, first + extent), Kokkos::ALL));
}

}  // namespace

template <class Scalar>
CachedAttention<Scalar>::CachedAttention(std::string name, const kernels::AttentionOptions& options, index_t D,
                                         KeyValueCache<Scalar>& cache)
    : Unit<Scalar>(std::move(name), options.T * 3 * options.H * D, options.T * options.H * D),
      options_(options),
      D_(D),
      rows_(cache.rows()),
      context_(cache.context()),
      cache_(cache.of(this->name(), options.H * D)) {}

template <class Scalar>
PassFlop CachedAttention<Scalar>::flop(index_t B) const {
  return {kernels::cost::attention_forward(B, whole(options_.T), options_.H, D_, options_.causal, sizeof(Scalar),
                                           sizeof(Sum<Scalar>))
              .flop};
}

template <class Scalar>
Footprint CachedAttention<Scalar>::footprint(index_t B) const {
  Cutter workspace;
  workspace.vector<Sum<Scalar>>(B * options_.H * options_.T);
  return {.workspace = workspace.used()};
}

// Rows of B samples to their places behind what is there: of one token each a matrix, of more one for each sample.
template <class Scalar>
void CachedAttention<Scalar>::keep(const Exec& exec, index_t B, index_t row, index_t past, ConstMatrix<Scalar> from,
                                   Matrix<Scalar> to) const {
  const index_t T = options_.T, n = options_.H * D_;
  if (T == 1) {
    const Matrix<Scalar> samples(to.data(), static_cast<std::size_t>(rows_.extent),
                                 static_cast<std::size_t>(context_ * n));
    return kernels::copy<Scalar>(exec, from, columns(rows(samples, row, B), past * n, n));
  }
  for (index_t b = 0; b < B; ++b)
    kernels::copy<Scalar>(exec, rows(from, b * T, T), rows(to, (row + b) * context_ + past, T));
}

template <class Scalar>
void CachedAttention<Scalar>::compute(const Call<Scalar>& call, ConstMatrix<Scalar> x, Matrix<Scalar> y) const {
  const Exec& exec = call.context.exec();
  const index_t n = options_.H * D_, T = options_.T, total = call.past + T;
  const auto B = static_cast<index_t>(y.extent(0)), row = call.rows.offset - rows_.offset;
  if (total > context_ || row < 0 || row + B > rows_.extent)
    refuse<ShapeError>(
        this->name(),
        fmt::format("tokens [{}, {}) of rows [{}, {})", call.past, total, call.rows.offset, call.rows.offset + B),
        fmt::format("{} tokens of rows [{}, {})", context_, rows_.offset, rows_.end()));
  const ConstMatrix<Scalar> qkv = split_rows(x, 3 * n);
  keep(exec, B, row, call.past, columns(qkv, n, n), cache_.keys);
  keep(exec, B, row, call.past, columns(qkv, 2 * n, n), cache_.values);
  kernels::AttentionOptions options = options_;
  options.T = total;
  options.queries = {call.past, T, total};
  kernels::attention_cached<Scalar>(call.context, options, columns(qkv, 0, n),
                                    rows(cache_.keys, row * context_, B * context_),
                                    rows(cache_.values, row * context_, B * context_), split_rows(y, n),
                                    Cutter(call.workspace).vector<Sum<Scalar>>(B * options_.H * T));
}

template class CachedAttention<float>;
template class CachedAttention<double>;
template class CachedAttention<bfloat16>;
template class CachedAttention<float16>;

}  // namespace partita::nn
