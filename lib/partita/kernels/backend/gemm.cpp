// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/backend/gemm.hpp>
#include <partita/kernels/backend/gemm_device.hpp>
#include <partita/kernels/backend/gemm_host.hpp>
#include <partita/kernels/backend/range.hpp>

namespace partita::kernels::backend {

template <class Scalar>
void portable_gemm(Context& context, const GemmLabels& labels, index_t M, index_t N, index_t K, Operand<Scalar> A,
                   Operand<Scalar> B, Epilogue<Scalar> epilogue, Scalar* C, index_t leading) {
  if (M == 0 || N == 0) return;
  if constexpr (runs_on_host)
    host::gemm(context, labels, M, N, K, A, B, epilogue, C, leading);
  else
    device::gemm<device::Shape<64, 64, 16, 16, 16>>(context.exec(), labels.multiply, M, N, K, A, B, epilogue, C,
                                                    leading);
}

template <class Scalar>
void column_sum(const Exec& exec, ConstMatrix<Scalar> a, Vector<Scalar> sum) {
  static const std::string label = "partita::kernels::column_sum";
  constexpr int width = runs_on_host ? 64 : 1;  // columns side by side: vector lanes here, threads there
  const index_t rows = index_t(a.extent(0)), columns = index_t(a.extent(1)), leading = index_t(a.stride(0));
  const Scalar* const from = a.data();
  Scalar* const to = sum.data();
  using Sum = accumulate_t<Scalar>;
  Kokkos::parallel_for(
      label, range_policy(exec, (columns + width - 1) / width), KOKKOS_LAMBDA(index_t block) {
        const index_t first = block * width;
        Sum total[width] = {};
        if (first + width <= columns) {
          for (index_t i = 0; i < rows; ++i)
            for (int j = 0; j < width; ++j) total[j] += Sum(from[i * leading + first + j]);
          for (int j = 0; j < width; ++j) to[first + j] = Scalar(total[j]);
        } else {
          const int inside = int(columns - first);
          for (index_t i = 0; i < rows; ++i)
            for (int j = 0; j < inside; ++j) total[j] += Sum(from[i * leading + first + j]);
          for (int j = 0; j < inside; ++j) to[first + j] = Scalar(total[j]);
        }
      });
}

template <class Scalar>
void apply_epilogue(const Exec& exec, Epilogue<Scalar> epilogue, Matrix<Scalar> c) {
  static const std::string label = "partita::kernels::apply_epilogue";
  constexpr index_t width = runs_on_host ? 1024 : 1;
  const index_t rows = index_t(c.extent(0)), columns = index_t(c.extent(1)), leading = index_t(c.stride(0));
  const index_t per_row = (columns + width - 1) / width;
  Scalar* const to = c.data();
  Kokkos::parallel_for(
      label, range_policy(exec, rows * per_row), KOKKOS_LAMBDA(index_t task) {
        const index_t begin = task % per_row * width;
        const index_t end = begin + width < columns ? begin + width : columns;
        Scalar* const row = to + task / per_row * leading;
        for (index_t j = begin; j < end; ++j) row[j] = epilogue(row[j], j, row[j]);
      });
}

#define PARTITA_PORTABLE_GEMM(S)                                                                                 \
  template void portable_gemm<S>(Context&, const GemmLabels&, index_t, index_t, index_t, Operand<S>, Operand<S>, \
                                 Epilogue<S>, S*, index_t);                                                      \
  template void column_sum<S>(const Exec&, ConstMatrix<S>, Vector<S>)
PARTITA_PORTABLE_GEMM(float);
PARTITA_PORTABLE_GEMM(double);
PARTITA_PORTABLE_GEMM(bfloat16);
PARTITA_PORTABLE_GEMM(float16);
#undef PARTITA_PORTABLE_GEMM
template void apply_epilogue<float>(const Exec&, Epilogue<float>, Matrix<float>);

}  // namespace partita::kernels::backend
