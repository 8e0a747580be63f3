// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/layernorm.hpp>

#include <string>

#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/rows.hpp>
#include <partita/kernels/backend/tree.hpp>
#include <partita/kernels/math.hpp>

namespace partita::kernels {
namespace {

// Both norms are one code: `centred` has a mean and a beta, and null pointers stand for what the other lacks. The
// functions of a row are static, so that their operands are the header's x, gamma, ... and not members.

template <class Scalar, bool centred>
struct LayernormForward {
  using A = accumulate_t<Scalar>;
  index_t C, x_leading, y_leading;
  A epsilon;
  const Scalar *x, *gamma, *beta;
  Scalar* y;
  A *mean, *rstd;

  struct Statistics {
    A mean, rstd;
  };

  template <class Row>
  KOKKOS_FORCEINLINE_FUNCTION static Statistics normalise(const Row& row, index_t C, A epsilon, const Scalar* x,
                                                          const Scalar* gamma, const Scalar* beta, Scalar* y) {
    const A mean = centred ? row.template sum<A>(C, [=](index_t c) { return A(x[c]); }) / A(C) : A(0);
    const A squares = row.template sum<A>(C, [=](index_t c) {
      const A distance = A(x[c]) - mean;
      return distance * distance;
    });
    const A rstd = A(1) / Kokkos::sqrt(squares / A(C) + epsilon);
    row.each(C, [=](index_t c) {
      const A n = (A(x[c]) - mean) * rstd;
      if constexpr (centred)
        y[c] = Scalar(math::fused(n, A(gamma[c]), A(beta[c])));
      else
        y[c] = Scalar(n * A(gamma[c]));
    });
    return {mean, rstd};
  }
  template <class Row>
  KOKKOS_INLINE_FUNCTION void operator()(const Row& row, index_t b) const {
    const Statistics of_row = normalise(row, C, epsilon, x + b * x_leading, gamma, beta, y + b * y_leading);
    if constexpr (centred) mean[b] = of_row.mean;
    rstd[b] = of_row.rstd;
  }
};

template <class Scalar, bool centred>
struct LayernormBackwardInput {
  using A = accumulate_t<Scalar>;
  index_t C, x_leading, dy_leading, dx_leading;
  const Scalar *x, *gamma, *dy;
  const A *mean, *rstd;
  Scalar* dx;

  /// dn = dy gamma; dn_mean and dn_n_mean are the row's means of dn and dn n.
  template <class Row>
  KOKKOS_FORCEINLINE_FUNCTION static void slopes(const Row& row, index_t C, const Scalar* x, const Scalar* gamma,
                                                 A mean, A rstd, const Scalar* dy, Scalar* dx) {
    const A dn_mean = centred ? row.template sum<A>(C, [=](index_t c) { return A(dy[c]) * A(gamma[c]); }) / A(C) : A(0);
    const A dn_n_mean =
        row.template sum<A>(C, [=](index_t c) { return A(dy[c]) * A(gamma[c]) * ((A(x[c]) - mean) * rstd); }) / A(C);
    row.each(C, [=](index_t c) {
      const A n = (A(x[c]) - mean) * rstd;
      dx[c] = Scalar(rstd * (math::fused(-n, dn_n_mean, A(dy[c]) * A(gamma[c])) - dn_mean));
    });
  }
  template <class Row>
  KOKKOS_INLINE_FUNCTION void operator()(const Row& row, index_t b) const {
    slopes(row, C, x + b * x_leading, gamma, centred ? mean[b] : A(0), rstd[b], dy + b * dy_leading,
           dx + b * dx_leading);
  }
};

/// Runs of rows whose sums are added in order: so many that a few threads share the work, whatever their number.
inline constexpr index_t layernorm_runs = 16;
inline constexpr int layernorm_width =
    backend::runs_on_host ? 64 : 1;  // columns of a task: vectors here, a thread there

template <class Scalar, bool centred>
struct RunSums {
  using A = accumulate_t<Scalar>;
  backend::Leaf rows;
  index_t C, x_leading, dy_leading;
  const Scalar *x, *dy;
  const A *mean, *rstd;
  A* sums;  // (runs, 2, C)

  template <int columns>
  KOKKOS_INLINE_FUNCTION void block(index_t run, index_t first, int inside) const {
    A dy_n[columns] = {}, dy_sum[columns] = {};
    const index_t end = (run + 1) * rows.size() / layernorm_runs;
    for (index_t i = run * rows.size() / layernorm_runs; i < end;) {  // rows of one sample after another
      const index_t inner = i % rows.extent, left = end - i, more = rows.extent - inner, n = left < more ? left : more;
      const index_t begin = i / rows.extent * rows.pitch + rows.first + inner;
      for (index_t b = begin; b < begin + n; ++b) {
        const Scalar *const x_b = x + b * x_leading + first, *const dy_b = dy + b * dy_leading + first;
        const A mean_b = centred ? mean[b] : A(0), rstd_b = rstd[b];
#pragma GCC ivdep
        for (int j = 0; j < (columns == layernorm_width ? columns : inside); ++j) {
          const A slope = A(dy_b[j]);
          dy_n[j] += slope * ((A(x_b[j]) - mean_b) * rstd_b);
          if constexpr (centred) dy_sum[j] += slope;
        }
      }
      i += n;
    }
    A* const to = sums + run * 2 * C + first;
    for (int j = 0; j < inside; ++j) {
      to[j] = dy_n[j];
      if constexpr (centred) to[C + j] = dy_sum[j];
    }
  }
  KOKKOS_FUNCTION void operator()(index_t task) const {
    const index_t blocks = (C + layernorm_width - 1) / layernorm_width, run = task / blocks,
                  first = task % blocks * layernorm_width;
    if (first + layernorm_width <= C)
      block<layernorm_width>(run, first, layernorm_width);
    else
      block<layernorm_width + 1>(run, first, int(C - first));
  }
};

/// Adds the runs, for 2 C or C columns: to dgamma and dbeta, [beside what is there].
template <class A>
struct AddRuns {
  index_t C;
  const A* sums;
  bool adds;
  A *dgamma, *dbeta;

  KOKKOS_FUNCTION void operator()(index_t column) const {
    A sum = 0;
    for (index_t run = 0; run < layernorm_runs; ++run) sum += sums[run * 2 * C + column];
    A& to = column < C ? dgamma[column] : dbeta[column - C];
    to = adds ? to + sum : sum;
  }
};

/// Vectors of numbers for each row (mean where `centred`) and for each column.
template <bool centred, class X, class Statistic>
void require_norm(const char* function, const X& x, const Statistic& mean, const Statistic& rstd,
                  std::initializer_list<backend::NamedLength> per_column) {
  backend::require_per_column(function, per_column, x.extent(1));
  if (centred) backend::require_per_row(function, {{"mean", mean.extent(0)}}, x.extent(0));
  backend::require_per_row(function, {{"rstd", rstd.extent(0)}}, x.extent(0));
}

template <class Scalar, bool centred>
void launch_forward_rows(const Exec& exec, const char* function, const std::string& label, double epsilon,
                         const ConstMatrix<Scalar>& x, const ConstVector<Scalar>& gamma,
                         const ConstVector<Scalar>& beta, const Matrix<Scalar>& y,
                         const Vector<accumulate_t<Scalar>>& mean, const Vector<accumulate_t<Scalar>>& rstd) {
  using A = accumulate_t<Scalar>;
  require_norm<centred>(function, x, mean, rstd,
                        {{"gamma", gamma.extent(0)}, {"beta", centred ? beta.extent(0) : x.extent(1)}});
  backend::require_shape(function, "y", y, "x", x, "(B, C)");
  backend::for_rows<A>(
      exec, label, index_t(x.extent(0)),
      LayernormForward<Scalar, centred>{index_t(x.extent(1)), backend::stride_of(x), backend::stride_of(y), A(epsilon),
                                        x.data(), gamma.data(), beta.data(), y.data(), mean.data(), rstd.data()});
}

template <class Scalar, bool centred>
void launch_backward_rows(const Exec& exec, const char* function, const std::string& label,
                          const ConstMatrix<Scalar>& x, const ConstVector<Scalar>& gamma,
                          const ConstVector<accumulate_t<Scalar>>& mean, const ConstVector<accumulate_t<Scalar>>& rstd,
                          const ConstMatrix<Scalar>& dy, const Matrix<Scalar>& dx) {
  require_norm<centred>(function, x, mean, rstd, {{"gamma", gamma.extent(0)}});
  backend::require_shape(function, "dy", dy, "x", x, "(B, C)");
  backend::require_shape(function, "dx", dx, "x", x, "(B, C)");
  backend::for_rows<accumulate_t<Scalar>>(
      exec, label, index_t(x.extent(0)),
      LayernormBackwardInput<Scalar, centred>{index_t(x.extent(1)), backend::stride_of(x), backend::stride_of(dy),
                                              backend::stride_of(dx), x.data(), gamma.data(), dy.data(), mean.data(),
                                              rstd.data(), dx.data()});
}

template <bool centred, class Scalar>
void norm_backward_weights(Context& context, const char* function, const std::string& runs_label,
                           const std::string& sum_label, const TokenBlocks& options, Store store,
                           const ConstMatrix<Scalar>& x, const ConstVector<accumulate_t<Scalar>>& mean,
                           const ConstVector<accumulate_t<Scalar>>& rstd, const ConstMatrix<Scalar>& dy,
                           const Vector<accumulate_t<Scalar>>& dgamma, const Vector<accumulate_t<Scalar>>& dbeta) {
  using A = accumulate_t<Scalar>;
  const index_t B = index_t(x.extent(0)), C = index_t(x.extent(1)), columns = centred ? 2 * C : C;
  require_norm<centred, ConstMatrix<Scalar>, ConstVector<A>>(
      function, x, mean, rstd, {{"dgamma", dgamma.extent(0)}, {"dbeta", centred ? dbeta.extent(0) : x.extent(1)}});
  backend::require_shape(function, "dy", dy, "x", x, "(B, C)");
  const Blocks blocks = backend::blocks_of_rows(function, options, B);
  const bool tree = blocks.leaves > 1, adds = store == Store::accumulate;
  const Exec& exec = context.exec();
  const std::size_t runs_size = std::size_t(layernorm_runs * 2 * C);
  A* const sums = static_cast<A*>(
      context.scratch(runs_size * sizeof(A) + (tree ? backend::leaves_bytes<A>(blocks.leaves, columns) : 0)));
  const auto leaf = [&](index_t at, bool also, A* to_gamma, A* to_beta) {
    Kokkos::parallel_for(
        runs_label, backend::range_policy(exec, layernorm_runs * ((C + layernorm_width - 1) / layernorm_width)),
        RunSums<Scalar, centred>{backend::leaf_of(blocks, B, at), C, index_t(x.stride(0)), index_t(dy.stride(0)),
                                 x.data(), dy.data(), mean.data(), rstd.data(), sums});
    Kokkos::parallel_for(sum_label, backend::range_policy(exec, columns), AddRuns<A>{C, sums, also, to_gamma, to_beta});
  };
  if (!tree) return leaf(0, adds, dgamma.data(), dbeta.data());
  A* const buffers = sums + runs_size;
  backend::sum_leaves(exec, blocks.leaves, columns, buffers, [&](index_t at, A* to) { leaf(at, false, to, to + C); });
  const auto finish = [&](const A* from, const Vector<A>& to) {
    const ConstVector<A> root(from, std::size_t(C));
    if (adds)
      add<A>(exec, root, to);
    else
      copy<A>(exec, root, to);
  };
  finish(buffers, dgamma);
  if (centred) finish(buffers + C, dbeta);
}

}  // namespace

template <class Scalar>
void layernorm_forward(const Exec& exec, double epsilon, std::type_identity_t<ConstMatrix<Scalar>> x,
                       std::type_identity_t<ConstVector<Scalar>> gamma, std::type_identity_t<ConstVector<Scalar>> beta,
                       Matrix<Scalar> y, Vector<accumulate_t<Scalar>> mean, Vector<accumulate_t<Scalar>> rstd) {
  static const std::string label = "partita::kernels::layernorm_forward";
  launch_forward_rows<Scalar, true>(exec, "layernorm_forward", label, epsilon, x, gamma, beta, y, mean, rstd);
}

template <class Scalar>
void rmsnorm_forward(const Exec& exec, double epsilon, std::type_identity_t<ConstMatrix<Scalar>> x,
                     std::type_identity_t<ConstVector<Scalar>> gamma, Matrix<Scalar> y,
                     Vector<accumulate_t<Scalar>> rstd) {
  static const std::string label = "partita::kernels::rmsnorm_forward";
  launch_forward_rows<Scalar, false>(exec, "rmsnorm_forward", label, epsilon, x, gamma, {}, y, {}, rstd);
}

template <class Scalar>
void layernorm_backward_input(const Exec& exec, std::type_identity_t<ConstMatrix<Scalar>> x,
                              std::type_identity_t<ConstVector<Scalar>> gamma,
                              std::type_identity_t<ConstVector<accumulate_t<Scalar>>> mean,
                              std::type_identity_t<ConstVector<accumulate_t<Scalar>>> rstd,
                              std::type_identity_t<ConstMatrix<Scalar>> dy, Matrix<Scalar> dx) {
  static const std::string label = "partita::kernels::layernorm_backward_input";
  launch_backward_rows<Scalar, true>(exec, "layernorm_backward_input", label, x, gamma, mean, rstd, dy, dx);
}

template <class Scalar>
void rmsnorm_backward_input(const Exec& exec, std::type_identity_t<ConstMatrix<Scalar>> x,
                            std::type_identity_t<ConstVector<Scalar>> gamma,
                            std::type_identity_t<ConstVector<accumulate_t<Scalar>>> rstd,
                            std::type_identity_t<ConstMatrix<Scalar>> dy, Matrix<Scalar> dx) {
  static const std::string label = "partita::kernels::rmsnorm_backward_input";
  launch_backward_rows<Scalar, false>(exec, "rmsnorm_backward_input", label, x, gamma, {}, rstd, dy, dx);
}

template <class Scalar>
void layernorm_backward_weights(Context& context, const TokenBlocks& options, Store store,
                                std::type_identity_t<ConstMatrix<Scalar>> x,
                                std::type_identity_t<ConstVector<accumulate_t<Scalar>>> mean,
                                std::type_identity_t<ConstVector<accumulate_t<Scalar>>> rstd,
                                std::type_identity_t<ConstMatrix<Scalar>> dy,
                                std::type_identity_t<Vector<accumulate_t<Scalar>>> dgamma,
                                std::type_identity_t<Vector<accumulate_t<Scalar>>> dbeta) {
  static const std::string runs_label = "partita::kernels::layernorm_backward_weights::runs";
  static const std::string sum_label = "partita::kernels::layernorm_backward_weights::sum";
  norm_backward_weights<true, Scalar>(context, "layernorm_backward_weights", runs_label, sum_label, options, store, x,
                                      mean, rstd, dy, dgamma, dbeta);
}

template <class Scalar>
void rmsnorm_backward_weights(Context& context, const TokenBlocks& options, Store store,
                              std::type_identity_t<ConstMatrix<Scalar>> x,
                              std::type_identity_t<ConstVector<accumulate_t<Scalar>>> rstd,
                              std::type_identity_t<ConstMatrix<Scalar>> dy,
                              std::type_identity_t<Vector<accumulate_t<Scalar>>> dgamma) {
  static const std::string runs_label = "partita::kernels::rmsnorm_backward_weights::runs";
  static const std::string sum_label = "partita::kernels::rmsnorm_backward_weights::sum";
  norm_backward_weights<false, Scalar>(context, "rmsnorm_backward_weights", runs_label, sum_label, options, store, x,
                                       {}, rstd, dy, dgamma, {});
}

#define PARTITA_LAYERNORM(S)                                                                                           \
  template void layernorm_forward<S>(const Exec&, double, ConstMatrix<S>, ConstVector<S>, ConstVector<S>, Matrix<S>,   \
                                     Vector<accumulate_t<S>>, Vector<accumulate_t<S>>);                                \
  template void layernorm_backward_input<S>(const Exec&, ConstMatrix<S>, ConstVector<S>, ConstVector<accumulate_t<S>>, \
                                            ConstVector<accumulate_t<S>>, ConstMatrix<S>, Matrix<S>);                  \
  template void layernorm_backward_weights<S>(Context&, const TokenBlocks&, Store, ConstMatrix<S>,                     \
                                              ConstVector<accumulate_t<S>>, ConstVector<accumulate_t<S>>,              \
                                              ConstMatrix<S>, Vector<accumulate_t<S>>, Vector<accumulate_t<S>>);       \
  template void rmsnorm_forward<S>(const Exec&, double, ConstMatrix<S>, ConstVector<S>, Matrix<S>,                     \
                                   Vector<accumulate_t<S>>);                                                           \
  template void rmsnorm_backward_input<S>(const Exec&, ConstMatrix<S>, ConstVector<S>, ConstVector<accumulate_t<S>>,   \
                                          ConstMatrix<S>, Matrix<S>);                                                  \
  template void rmsnorm_backward_weights<S>(Context&, const TokenBlocks&, Store, ConstMatrix<S>,                       \
                                            ConstVector<accumulate_t<S>>, ConstMatrix<S>, Vector<accumulate_t<S>>)
PARTITA_LAYERNORM(float);
PARTITA_LAYERNORM(double);
PARTITA_LAYERNORM(bfloat16);
PARTITA_LAYERNORM(float16);
#undef PARTITA_LAYERNORM

}  // namespace partita::kernels
