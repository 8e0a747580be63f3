// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/embedding.hpp>

#include <string>

#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/range.hpp>
#include <partita/kernels/backend/tree.hpp>

namespace partita::kernels {
namespace {

/// A task is one row's share of columns: a vector loop here, a thread there.
inline constexpr int columns_of_task = backend::runs_on_host ? 256 : 1;

constexpr index_t tasks_of_row(index_t columns) { return (columns + columns_of_task - 1) / columns_of_task; }

struct TaskColumns {
  index_t row, begin, end;

  KOKKOS_FUNCTION TaskColumns(index_t task, index_t C) {
    const index_t per_row = (C + columns_of_task - 1) / columns_of_task;
    row = task / per_row;
    begin = task % per_row * columns_of_task;
    end = begin + columns_of_task < C ? begin + columns_of_task : C;
  }
};

/// A sum of rows of dy over a task's columns.
template <class Scalar>
struct RowSum {
  using A = accumulate_t<Scalar>;
  A sum[columns_of_task] = {};

  KOKKOS_FORCEINLINE_FUNCTION void add(const Scalar* dy, index_t n, A scale = A(1)) {
    for (index_t c = 0; c < n; ++c) sum[c] += scale * A(dy[c]);
  }
  KOKKOS_FORCEINLINE_FUNCTION void store(bool adds, index_t n, A* to) const {
    for (index_t c = 0; c < n; ++c) to[c] = adds ? to[c] + sum[c] : sum[c];
  }
};

template <class Scalar>
struct EmbeddingForward {
  using A = accumulate_t<Scalar>;
  index_t T, C, W_leading, P_leading, y_leading;
  Slice words;  // that W has
  const std::int32_t* tokens;
  const Scalar *W, *P;  // P: null for none
  Scalar* y;

  KOKKOS_FUNCTION void operator()(index_t task) const {
    const TaskColumns at(task, C);
    const index_t token = tokens[at.row];
    Scalar* const to = y + at.row * y_leading;
    const Scalar *const word = W + (token - words.offset) * W_leading, *const position = P + at.row % T * P_leading;
    if (token < words.offset || token >= words.end()) {
      const bool elsewhere = token >= 0 && token < words.global;
      for (index_t c = at.begin; c < at.end; ++c)
        to[c] = Scalar(!elsewhere ? Kokkos::Experimental::quiet_NaN_v<A> : P == nullptr ? A(0) : A(position[c]));
    } else if (P == nullptr) {
#pragma GCC ivdep
      for (index_t c = at.begin; c < at.end; ++c) to[c] = word[c];
    } else {
#pragma GCC ivdep
      for (index_t c = at.begin; c < at.end; ++c) to[c] = Scalar(A(word[c]) + A(position[c]));
    }
  }
};

template <class Scalar>
struct BagForward {
  using A = accumulate_t<Scalar>;
  index_t T, V, C, W_leading, y_leading;
  const std::int32_t* tokens;
  const Scalar* W;
  Scalar* y;

  KOKKOS_FUNCTION void operator()(index_t task) const {
    const TaskColumns at(task, C);
    const index_t inside = at.end - at.begin;
    RowSum<Scalar> sum;
    A scale = A(1) / A(T);
    for (index_t t = 0; t < T; ++t) {
      const index_t token = tokens[at.row * T + t];
      if (token < 0 || token >= V)
        scale = Kokkos::Experimental::quiet_NaN_v<A>;
      else
        sum.add(W + token * W_leading + at.begin, inside);
    }
    Scalar* const to = y + at.row * y_leading + at.begin;
    for (index_t c = 0; c < inside; ++c) to[c] = Scalar(scale * sum.sum[c]);
  }
};

/// How many tokens a row of dy is of, and what part of it each of them gets.
template <class A>
struct Bag {
  index_t T = 1;
  A part = 1;
};

/// One thread has some columns of all of dW: it adds rows of dy where their tokens say, in `sums` if dW must be kept
/// until they are complete, then these to dW.
template <class Scalar>
struct ScatterWords {
  using A = accumulate_t<Scalar>;
  static constexpr index_t share = 64;  // columns
  backend::Leaf rows;
  index_t V, C, dy_leading, sums_leading, dW_leading;
  index_t first;  // word of dW
  const std::int32_t* tokens;
  const Scalar* dy;
  Bag<A> bag;
  A *sums, *dW;  // dW: null if `sums` are it

  void operator()(index_t block) const {
    const index_t begin = block * share, end = begin + share < C ? begin + share : C;
    for (index_t v = 0; v < V; ++v)
      for (index_t c = begin; c < end; ++c) sums[v * sums_leading + c] = A(0);
    for (index_t o = 0; o < rows.outer; ++o)
      for (index_t i = o * rows.pitch + rows.first; i < o * rows.pitch + rows.first + rows.extent; ++i) {
        const index_t token = tokens[i] - first;
        if (token < 0 || token >= V) continue;
        const Scalar* const from = dy + i / bag.T * dy_leading;
        A* const to = sums + token * sums_leading;
#pragma GCC ivdep
        for (index_t c = begin; c < end; ++c) to[c] += bag.part * A(from[c]);
      }
    if (dW == nullptr) return;
    for (index_t v = 0; v < V; ++v) {
      const A* const from = sums + v * sums_leading;
      A* const to = dW + v * dW_leading;
#pragma GCC ivdep
      for (index_t c = begin; c < end; ++c) to[c] += from[c];
    }
  }
};

/// A row of dW looks for its token.
template <class Scalar>
struct GatherWords {
  using A = accumulate_t<Scalar>;
  backend::Leaf rows;
  index_t C, dy_leading, leading;
  index_t first;  // word of dW
  const std::int32_t* tokens;
  const Scalar* dy;
  Bag<A> bag;
  bool adds;
  A* dW;

  KOKKOS_FUNCTION void operator()(index_t task) const {
    const TaskColumns at(task, C);
    const index_t inside = at.end - at.begin;
    RowSum<Scalar> sum;
    for (index_t o = 0; o < rows.outer; ++o)
      for (index_t i = o * rows.pitch + rows.first; i < o * rows.pitch + rows.first + rows.extent; ++i)
        if (tokens[i] - first == at.row) sum.add(dy + i / bag.T * dy_leading + at.begin, inside, bag.part);
    sum.store(adds, inside, dW + at.row * leading + at.begin);
  }
};

/// A row of dP takes every T-th.
template <class Scalar>
struct GatherPositions {
  using A = accumulate_t<Scalar>;
  index_t rows, T, C, dy_leading, leading;
  const Scalar* dy;
  bool adds;
  A* dP;

  KOKKOS_FUNCTION void operator()(index_t task) const {
    const TaskColumns at(task, C);
    const index_t inside = at.end - at.begin;
    RowSum<Scalar> sum;
    for (index_t i = at.row; i < rows; i += T) sum.add(dy + i * dy_leading + at.begin, inside);
    sum.store(adds, inside, dP + at.row * leading + at.begin);
  }
};

/// sums = [sums +] the leaf's rows. A host that adds needs V C numbers of scratch.
template <class Scalar>
void sum_words(const Exec& exec, const backend::Leaf& rows, Range words, bool adds, const std::int32_t* tokens,
               const ConstMatrix<Scalar>& dy, accumulate_t<Scalar>* scratch, accumulate_t<Scalar>* dW, index_t leading,
               const Bag<accumulate_t<Scalar>>& bag = {}) {
  static const std::string label = "partita::kernels::embedding_backward_weights::words";
  const index_t C = index_t(dy.extent(1)), dy_leading = index_t(dy.stride(0)), V = words.extent;
  if constexpr (backend::runs_on_host) {
    const index_t share = ScatterWords<Scalar>::share;
    Kokkos::parallel_for(label, backend::range_policy(exec, (C + share - 1) / share),
                         ScatterWords<Scalar>{rows, V, C, dy_leading, adds ? C : leading, leading, words.offset, tokens,
                                              dy.data(), bag, adds ? scratch : dW, adds ? dW : nullptr});
  } else {
    Kokkos::parallel_for(
        label, backend::range_policy(exec, V * tasks_of_row(C)),
        GatherWords<Scalar>{rows, C, dy_leading, leading, words.offset, tokens, dy.data(), bag, adds, dW});
  }
}

/// dW = [dW +] from, whose rows are dense.
template <class A>
struct StoreRows {
  index_t C, leading;
  const A* from;
  bool adds;
  A* dW;

  KOKKOS_FUNCTION void operator()(index_t task) const {
    const TaskColumns at(task, C);
    const A* const sum = from + at.row * C;
    A* const to = dW + at.row * leading;
#pragma GCC ivdep
    for (index_t c = at.begin; c < at.end; ++c) to[c] = adds ? to[c] + sum[c] : sum[c];
  }
};

/// The words that a table of V rows has.
Slice all_unless(const char* function, Slice words, std::size_t V) {
  if (words.extent == 0) return whole(index_t(V));
  backend::require_extent(function, "words", "", std::size_t(words.extent), "the table", "rows", V, "one row a word");
  return words;
}

template <class Table, class Scalar>
void check_tables(const char* function, index_t T, std::size_t rows, const ConstMatrix<Table>& W, const char* W_name,
                  const ConstMatrix<Table>& P, const char* P_name, const ConstMatrix<Scalar>& y, const char* y_name) {
  using backend::require_extent;
  if (T < 1) refuse<ShapeError>(function, "T is " + std::to_string(T), "at least 1");
  require_extent(function, y_name, "rows", y.extent(0), "tokens", "elements", rows, "one row (B T, C) a token (B T)");
  require_extent(function, W_name, "columns", W.extent(1), y_name, "columns", y.extent(1), "the same C");
  if (P.size() == 0) return;
  require_extent(function, P_name, "columns", P.extent(1), y_name, "columns", y.extent(1), "the same C");
  if (index_t(P.extent(0)) != T)
    refuse<ShapeError>(function,
                       std::string(P_name) + " has " + std::to_string(P.extent(0)) + " rows, T is " + std::to_string(T),
                       std::string(P_name) + " (T, C)");
}

template <class Table, class Scalar>
void check_bags(const char* function, index_t T, std::size_t tokens, const ConstMatrix<Table>& W, const char* W_name,
                const ConstMatrix<Scalar>& y, const char* y_name) {
  using backend::require_extent;
  if (T < 1) refuse<ShapeError>(function, "T is " + std::to_string(T), "at least 1");
  if (tokens != y.extent(0) * std::size_t(T))
    refuse<ShapeError>(function,
                       std::string(y_name) + " has " + std::to_string(y.extent(0)) + " rows, tokens has " +
                           std::to_string(tokens) + " elements, T is " + std::to_string(T),
                       "tokens (B T) for a row (B, C) each");
  require_extent(function, W_name, "columns", W.extent(1), y_name, "columns", y.extent(1), "the same C");
}

}  // namespace

template <class Scalar>
void embedding_forward(const Exec& exec, index_t T, ConstVector<std::int32_t> tokens,
                       std::type_identity_t<ConstMatrix<Scalar>> W, std::type_identity_t<ConstMatrix<Scalar>> P,
                       Matrix<Scalar> y, Slice words) {
  static const std::string label = "partita::kernels::embedding_forward";
  check_tables<Scalar, Scalar>("embedding_forward", T, tokens.extent(0), W, "W", P, "P", y, "y");
  const index_t rows = index_t(y.extent(0)), C = index_t(y.extent(1));
  Kokkos::parallel_for(label, backend::range_policy(exec, rows * tasks_of_row(C)),
                       EmbeddingForward<Scalar>{T, C, index_t(W.stride(0)), index_t(P.stride(0)), index_t(y.stride(0)),
                                                all_unless("embedding_forward", words, W.extent(0)), tokens.data(),
                                                W.data(), P.size() == 0 ? nullptr : P.data(), y.data()});
}

template <class Scalar>
void embedding_backward_weights(Context& context, const TokenBlocks& options, Store store,
                                ConstVector<std::int32_t> tokens, std::type_identity_t<ConstMatrix<Scalar>> dy,
                                std::type_identity_t<Matrix<accumulate_t<Scalar>>> dW,
                                std::type_identity_t<Matrix<accumulate_t<Scalar>>> dP, Slice words) {
  static const std::string sum_label = "partita::kernels::embedding_backward_weights::sum";
  static const std::string positions_label = "partita::kernels::embedding_backward_weights::positions";
  const char* const function = "embedding_backward_weights";
  using A = accumulate_t<Scalar>;
  check_tables<A, Scalar>(function, options.tokens, tokens.extent(0), dW, "dW", dP, "dP", dy, "dy");
  const index_t rows = index_t(dy.extent(0)), C = index_t(dy.extent(1)), V = index_t(dW.extent(0));
  const Range table{all_unless(function, words, dW.extent(0)).offset, V};
  const Blocks tree = backend::blocks_of_rows(function, options, rows);
  const bool adds = store == Store::accumulate;
  const Exec& exec = context.exec();
  if (tree.leaves == 1) {
    const std::size_t kept = backend::runs_on_host && adds ? std::size_t(V * C) * sizeof(A) : 0;
    sum_words<Scalar>(exec, backend::whole_leaf(rows), table, adds, tokens.data(), dy,
                      static_cast<A*>(context.scratch(kept)), dW.data(), index_t(dW.stride(0)));
  } else {
    A* const buffers = static_cast<A*>(context.scratch(backend::leaves_bytes<A>(tree.leaves, V * C)));
    backend::sum_leaves(exec, tree.leaves, V * C, buffers, [&](index_t at, A* to) {
      sum_words<Scalar>(exec, backend::leaf_of(tree, rows, at), table, false, tokens.data(), dy, nullptr, to, C);
    });
    Kokkos::parallel_for(sum_label, backend::range_policy(exec, V * tasks_of_row(C)),
                         StoreRows<A>{C, index_t(dW.stride(0)), buffers, adds, dW.data()});
  }
  if (dP.size() > 0)
    Kokkos::parallel_for(positions_label, backend::range_policy(exec, options.tokens * tasks_of_row(C)),
                         GatherPositions<Scalar>{rows, options.tokens, C, index_t(dy.stride(0)), index_t(dP.stride(0)),
                                                 dy.data(), adds, dP.data()});
}

template <class Scalar>
void embedding_bag_forward(const Exec& exec, index_t T, ConstVector<std::int32_t> tokens,
                           std::type_identity_t<ConstMatrix<Scalar>> W, Matrix<Scalar> y) {
  static const std::string label = "partita::kernels::embedding_bag_forward";
  check_bags<Scalar, Scalar>("embedding_bag_forward", T, tokens.extent(0), W, "W", y, "y");
  const index_t rows = index_t(y.extent(0)), C = index_t(y.extent(1));
  Kokkos::parallel_for(label, backend::range_policy(exec, rows * tasks_of_row(C)),
                       BagForward<Scalar>{T, index_t(W.extent(0)), C, index_t(W.stride(0)), index_t(y.stride(0)),
                                          tokens.data(), W.data(), y.data()});
}

template <class Scalar>
void embedding_bag_backward_weights(Context& context, index_t T, Store store, ConstVector<std::int32_t> tokens,
                                    std::type_identity_t<ConstMatrix<Scalar>> dy,
                                    std::type_identity_t<Matrix<accumulate_t<Scalar>>> dW) {
  using A = accumulate_t<Scalar>;
  check_bags<A, Scalar>("embedding_bag_backward_weights", T, tokens.extent(0), dW, "dW", dy, "dy");
  const index_t V = index_t(dW.extent(0));
  const bool adds = store == Store::accumulate;
  const std::size_t kept = backend::runs_on_host && adds ? dW.size() * sizeof(A) : 0;
  sum_words<Scalar>(context.exec(), backend::whole_leaf(index_t(tokens.extent(0))), {0, V}, adds, tokens.data(), dy,
                    static_cast<A*>(context.scratch(kept)), dW.data(), index_t(dW.stride(0)), {T, A(1) / A(T)});
}

#define PARTITA_EMBEDDING(S)                                                                                           \
  template void embedding_forward<S>(const Exec&, index_t, ConstVector<std::int32_t>, ConstMatrix<S>, ConstMatrix<S>,  \
                                     Matrix<S>, Slice);                                                                \
  template void embedding_backward_weights<S>(Context&, const TokenBlocks&, Store, ConstVector<std::int32_t>,          \
                                              ConstMatrix<S>, Matrix<accumulate_t<S>>, Matrix<accumulate_t<S>>,        \
                                              Slice);                                                                  \
  template void embedding_bag_forward<S>(const Exec&, index_t, ConstVector<std::int32_t>, ConstMatrix<S>, Matrix<S>);  \
  template void embedding_bag_backward_weights<S>(Context&, index_t, Store, ConstVector<std::int32_t>, ConstMatrix<S>, \
                                                  Matrix<accumulate_t<S>>)
PARTITA_EMBEDDING(float);
PARTITA_EMBEDDING(double);
PARTITA_EMBEDDING(bfloat16);
PARTITA_EMBEDDING(float16);
#undef PARTITA_EMBEDDING

}  // namespace partita::kernels
