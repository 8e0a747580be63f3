// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/rows.hpp>
#include <partita/kernels/backend/tree.hpp>
#include <partita/kernels/layernorm.hpp>
#include <partita/kernels/math.hpp>

namespace partita::kernels {
namespace {

// Both norms are one code: `centred` has a mean and a beta, and null pointers stand for what the other lacks.

template <class Scalar, bool centred>
struct Forward {
  using A = accumulate_t<Scalar>;
  index_t C, x_leading, y_leading;
  A epsilon;
  const Scalar *x, *gamma, *beta;
  Scalar* y;
  A *mean, *rstd;

  template <class Row>
  KOKKOS_INLINE_FUNCTION void operator()(const Row& row, index_t b) const {
    const Scalar *const from = x + b * x_leading, *const slope = gamma, *const shift = beta;
    Scalar* const to = y + b * y_leading;
    const A middle = centred ? row.template sum<A>(C, [=](index_t c) { return A(from[c]); }) / A(C) : A(0);
    const A squares = row.template sum<A>(C, [=](index_t c) {
      const A distance = A(from[c]) - middle;
      return distance * distance;
    });
    const A factor = A(1) / Kokkos::sqrt(squares / A(C) + epsilon);
    row.each(C, [=](index_t c) {
      const A normal = (A(from[c]) - middle) * factor;
      if constexpr (centred)
        to[c] = Scalar(math::fused(normal, A(slope[c]), A(shift[c])));
      else
        to[c] = Scalar(normal * A(slope[c]));
    });
    if constexpr (centred) mean[b] = middle;
    rstd[b] = factor;
  }
};

template <class Scalar, bool centred>
struct BackwardInput {
  using A = accumulate_t<Scalar>;
  index_t C, x_leading, dy_leading, dx_leading;
  const Scalar *x, *gamma, *dy;
  const A *mean, *rstd;
  Scalar* dx;

  template <class Row>
  KOKKOS_INLINE_FUNCTION void operator()(const Row& row, index_t b) const {
    const Scalar *const value = x + b * x_leading, *const gradient = dy + b * dy_leading, *const slope = gamma;
    Scalar* const to = dx + b * dx_leading;
    const A middle = centred ? mean[b] : A(0), factor = rstd[b];
    const A sum =
        centred ? row.template sum<A>(C, [=](index_t c) { return A(gradient[c]) * A(slope[c]); }) / A(C) : A(0);
    const A along = row.template sum<A>(C, [=](index_t c) {
      return A(gradient[c]) * A(slope[c]) * ((A(value[c]) - middle) * factor);
    }) / A(C);
    row.each(C, [=](index_t c) {
      const A normal = (A(value[c]) - middle) * factor;
      to[c] = Scalar(factor * (math::fused(-normal, along, A(gradient[c]) * A(slope[c])) - sum));
    });
  }
};

/// Runs of rows whose sums are added in order: so many that a few threads share the work, whatever their number.
inline constexpr index_t runs = 16;
inline constexpr int width = backend::runs_on_host ? 64 : 1;  // columns of a task: vectors here, a thread there

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
    A along[columns] = {}, plain[columns] = {};
    const index_t end = (run + 1) * rows.size() / runs;
    for (index_t i = run * rows.size() / runs; i < end;) {  // rows of one sample after another
      const index_t inner = i % rows.extent, left = end - i, more = rows.extent - inner, n = left < more ? left : more;
      const index_t begin = i / rows.extent * rows.pitch + rows.first + inner;
      for (index_t b = begin; b < begin + n; ++b) {
        const Scalar *const value = x + b * x_leading + first, *const gradient = dy + b * dy_leading + first;
        const A middle = centred ? mean[b] : A(0), factor = rstd[b];
#pragma GCC ivdep
        for (int j = 0; j < (columns == width ? columns : inside); ++j) {
          const A g = A(gradient[j]);
          along[j] += g * ((A(value[j]) - middle) * factor);
          if constexpr (centred) plain[j] += g;
        }
      }
      i += n;
    }
    A* const to = sums + run * 2 * C + first;
    for (int j = 0; j < inside; ++j) {
      to[j] = along[j];
      if constexpr (centred) to[C + j] = plain[j];
    }
  }
  KOKKOS_FUNCTION void operator()(index_t task) const {
    const index_t blocks = (C + width - 1) / width, run = task / blocks, first = task % blocks * width;
    if (first + width <= C)
      block<width>(run, first, width);
    else
      block<width + 1>(run, first, int(C - first));
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
    for (index_t run = 0; run < runs; ++run) sum += sums[run * 2 * C + column];
    A& to = column < C ? dgamma[column] : dbeta[column - C];
    to = adds ? to + sum : sum;
  }
};

template <class Scalar>
void require_statistic(const char* function, const char* name, const ConstVector<Scalar>& statistic, std::size_t B) {
  backend::require_extent(function, name, "elements", statistic.extent(0), "x", "rows", B,
                          "one of each row of x (B, C)");
}
template <class Scalar>
void require_columns(const char* function, const char* name, const ConstVector<Scalar>& vector, std::size_t C) {
  backend::require_extent(function, name, "elements", vector.extent(0), "x", "columns", C,
                          "one of each column of x (B, C)");
}

template <bool centred, class Scalar>
void backward_weights(Context& context, const char* function, const std::string& runs_label,
                      const std::string& sum_label, const TokenBlocks& options, Store store,
                      const ConstMatrix<Scalar>& x, const accumulate_t<Scalar>* mean,
                      const ConstVector<accumulate_t<Scalar>>& rstd, const ConstMatrix<Scalar>& dy,
                      const Vector<accumulate_t<Scalar>>& dgamma, const Vector<accumulate_t<Scalar>>& dbeta) {
  using A = accumulate_t<Scalar>;
  const index_t B = index_t(x.extent(0)), C = index_t(x.extent(1)), columns = centred ? 2 * C : C;
  require_statistic<A>(function, "rstd", rstd, x.extent(0));
  require_columns<A>(function, "dgamma", dgamma, x.extent(1));
  backend::require_shape(function, "dy", dy, "x", x, "(B, C)");
  const Blocks blocks = backend::blocks_of_rows(function, options, B);
  const bool tree = blocks.leaves > 1, adds = store == Store::accumulate;
  const Exec& exec = context.exec();
  const std::size_t runs_size = std::size_t(runs * 2 * C);
  A* const sums = static_cast<A*>(
      context.scratch(runs_size * sizeof(A) + (tree ? backend::leaves_bytes<A>(blocks.leaves, columns) : 0)));
  const auto leaf = [&](index_t at, bool also, A* to_gamma, A* to_beta) {
    Kokkos::parallel_for(runs_label, backend::range_policy(exec, runs * ((C + width - 1) / width)),
                         RunSums<Scalar, centred>{backend::leaf_of(blocks, B, at), C, index_t(x.stride(0)),
                                                  index_t(dy.stride(0)), x.data(), dy.data(), mean, rstd.data(), sums});
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
  const char* const function = "layernorm_forward";
  require_columns<Scalar>(function, "gamma", gamma, x.extent(1));
  require_columns<Scalar>(function, "beta", beta, x.extent(1));
  backend::require_shape(function, "y", y, "x", x, "(B, C)");
  require_statistic<accumulate_t<Scalar>>(function, "mean", mean, x.extent(0));
  require_statistic<accumulate_t<Scalar>>(function, "rstd", rstd, x.extent(0));
  backend::for_rows<accumulate_t<Scalar>>(
      exec, label, index_t(x.extent(0)),
      Forward<Scalar, true>{index_t(x.extent(1)), index_t(x.stride(0)), index_t(y.stride(0)),
                            accumulate_t<Scalar>(epsilon), x.data(), gamma.data(), beta.data(), y.data(), mean.data(),
                            rstd.data()});
}

template <class Scalar>
void rmsnorm_forward(const Exec& exec, double epsilon, std::type_identity_t<ConstMatrix<Scalar>> x,
                     std::type_identity_t<ConstVector<Scalar>> gamma, Matrix<Scalar> y,
                     Vector<accumulate_t<Scalar>> rstd) {
  static const std::string label = "partita::kernels::rmsnorm_forward";
  const char* const function = "rmsnorm_forward";
  require_columns<Scalar>(function, "gamma", gamma, x.extent(1));
  backend::require_shape(function, "y", y, "x", x, "(B, C)");
  require_statistic<accumulate_t<Scalar>>(function, "rstd", rstd, x.extent(0));
  backend::for_rows<accumulate_t<Scalar>>(
      exec, label, index_t(x.extent(0)),
      Forward<Scalar, false>{index_t(x.extent(1)), index_t(x.stride(0)), index_t(y.stride(0)),
                             accumulate_t<Scalar>(epsilon), x.data(), gamma.data(), nullptr, y.data(), nullptr,
                             rstd.data()});
}

template <class Scalar>
void layernorm_backward_input(const Exec& exec, std::type_identity_t<ConstMatrix<Scalar>> x,
                              std::type_identity_t<ConstVector<Scalar>> gamma,
                              std::type_identity_t<ConstVector<accumulate_t<Scalar>>> mean,
                              std::type_identity_t<ConstVector<accumulate_t<Scalar>>> rstd,
                              std::type_identity_t<ConstMatrix<Scalar>> dy, Matrix<Scalar> dx) {
  static const std::string label = "partita::kernels::layernorm_backward_input";
  const char* const function = "layernorm_backward_input";
  require_columns<Scalar>(function, "gamma", gamma, x.extent(1));
  require_statistic<accumulate_t<Scalar>>(function, "mean", mean, x.extent(0));
  require_statistic<accumulate_t<Scalar>>(function, "rstd", rstd, x.extent(0));
  backend::require_shape(function, "dy", dy, "x", x, "(B, C)");
  backend::require_shape(function, "dx", dx, "x", x, "(B, C)");
  backend::for_rows<accumulate_t<Scalar>>(
      exec, label, index_t(x.extent(0)),
      BackwardInput<Scalar, true>{index_t(x.extent(1)), index_t(x.stride(0)), index_t(dy.stride(0)),
                                  index_t(dx.stride(0)), x.data(), gamma.data(), dy.data(), mean.data(), rstd.data(),
                                  dx.data()});
}

template <class Scalar>
void rmsnorm_backward_input(const Exec& exec, std::type_identity_t<ConstMatrix<Scalar>> x,
                            std::type_identity_t<ConstVector<Scalar>> gamma,
                            std::type_identity_t<ConstVector<accumulate_t<Scalar>>> rstd,
                            std::type_identity_t<ConstMatrix<Scalar>> dy, Matrix<Scalar> dx) {
  static const std::string label = "partita::kernels::rmsnorm_backward_input";
  const char* const function = "rmsnorm_backward_input";
  require_columns<Scalar>(function, "gamma", gamma, x.extent(1));
  require_statistic<accumulate_t<Scalar>>(function, "rstd", rstd, x.extent(0));
  backend::require_shape(function, "dy", dy, "x", x, "(B, C)");
  backend::require_shape(function, "dx", dx, "x", x, "(B, C)");
  backend::for_rows<accumulate_t<Scalar>>(
      exec, label, index_t(x.extent(0)),
      BackwardInput<Scalar, false>{index_t(x.extent(1)), index_t(x.stride(0)), index_t(dy.stride(0)),
                                   index_t(dx.stride(0)), x.data(), gamma.data(), dy.data(), nullptr, rstd.data(),
                                   dx.data()});
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
  const char* const function = "layernorm_backward_weights";
  require_statistic<accumulate_t<Scalar>>(function, "mean", mean, x.extent(0));
  require_columns<accumulate_t<Scalar>>(function, "dbeta", dbeta, x.extent(1));
  backward_weights<true, Scalar>(context, function, runs_label, sum_label, options, store, x, mean.data(), rstd, dy,
                                 dgamma, dbeta);
}

template <class Scalar>
void rmsnorm_backward_weights(Context& context, const TokenBlocks& options, Store store,
                              std::type_identity_t<ConstMatrix<Scalar>> x,
                              std::type_identity_t<ConstVector<accumulate_t<Scalar>>> rstd,
                              std::type_identity_t<ConstMatrix<Scalar>> dy,
                              std::type_identity_t<Vector<accumulate_t<Scalar>>> dgamma) {
  static const std::string runs_label = "partita::kernels::rmsnorm_backward_weights::runs";
  static const std::string sum_label = "partita::kernels::rmsnorm_backward_weights::sum";
  backward_weights<false, Scalar>(context, "rmsnorm_backward_weights", runs_label, sum_label, options, store, x,
                                  nullptr, rstd, dy, dgamma, {});
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
