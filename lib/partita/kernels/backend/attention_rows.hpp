// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <partita/kernels/backend/attention.hpp>
#include <partita/kernels/backend/range.hpp>
#include <partita/kernels/context.hpp>
#include <partita/kernels/math.hpp>

// Attention by rows: a team has one query, or one key, and its numbers of a block of keys, or queries. Blocks of 64
// in a device's shared memory are its blockwise algorithm; one block of all T, kept in global memory, is the plain one.
// The chains are those of attention_panel.hpp, so blocks of 64 give the same bits; on a host a team is one thread.

namespace partita::kernels::backend::rows {

inline constexpr int team_size = 64;

struct Alone {
  KOKKOS_FUNCTION int team_rank() const { return 0; }
  KOKKOS_FUNCTION int team_size() const { return 1; }
  KOKKOS_FUNCTION void team_barrier() const {}
};

/// sum_d factor a(d) b(d), one chain.
template <class A, class Scalar>
KOKKOS_FUNCTION A dot(A factor, const Scalar* a, const Scalar* b, index_t D) {
  A sum = 0;
  for (index_t d = 0; d < D; ++d) sum = math::fused(factor * A(a[d]), A(b[d]), sum);
  return sum;
}

template <class Scalar>
struct Forward {
  using A = accumulate_t<Scalar>;
  Attention<Scalar> in;
  AttentionResult<Scalar> out;
  index_t block;

  index_t numbers() const { return block + in.D; }

  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, index_t row, A* shared) const {
    const index_t head = row / in.Q, t = in.first + row % in.Q, limit = in.seen(t), D = in.D;
    A *const weight = shared, *const output = shared + block;
    const Scalar* const q = in.row(in.q, head, t);
    A top = -Kokkos::Experimental::infinity_v<A>, sum = 0;
    for (index_t d = team.team_rank(); d < D; d += team.team_size()) output[d] = 0;
    for (index_t k0 = 0; k0 < limit; k0 += block) {
      const index_t keys = limit - k0 < block ? limit - k0 : block;
      for (index_t s = team.team_rank(); s < keys; s += team.team_size())
        weight[s] = dot(in.scale, q, in.row(in.k, head, k0 + s), D);
      team.team_barrier();
      const A before = top;
      for (index_t s = 0; s < keys; ++s) top = weight[s] > top ? weight[s] : top;
      team.team_barrier();
      for (index_t s = team.team_rank(); s < keys; s += team.team_size()) weight[s] = math::exp(weight[s] - top);
      team.team_barrier();
      A total = 0;
      for (index_t s = 0; s < keys; ++s) total += weight[s];
      const A factor = math::exp(before - top);
      sum = sum * factor + total;
      for (index_t d = team.team_rank(); d < D; d += team.team_size()) {
        A value = output[d] * factor;
        for (index_t s = 0; s < keys; ++s) value = math::fused(weight[s], A(in.row(in.v, head, k0 + s)[d]), value);
        output[d] = value;
      }
      team.team_barrier();
    }
    const A share = A(1) / sum;
    for (index_t d = team.team_rank(); d < D; d += team.team_size())
      in.row(out.y, head, t)[d] = Scalar(output[d] * share);
    if (team.team_rank() == 0) out.lse[row] = top + Kokkos::log(sum);
  }
};

/// dq of one token, 0 where it is no query, and dy . y for BackwardKey.
template <class Scalar>
struct BackwardQuery {
  using A = accumulate_t<Scalar>;
  Attention<Scalar> in;
  AttentionGradient<Scalar> out;
  A* product;
  index_t block;

  index_t numbers() const { return 2 * block + in.D; }

  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, index_t row, A* shared) const {
    const index_t head = row / in.T, t = row % in.T, limit = in.seen(t), D = in.D;
    if (!in.is_query(t)) {
      for (index_t d = team.team_rank(); d < D; d += team.team_size()) in.row(out.dq, head, t)[d] = Scalar(0);
      return;
    }
    A *const weight = shared, *const slope = shared + block, *const dq = shared + 2 * block;
    const Scalar *const q = in.row(in.q, head, t), *const dy = in.row(out.dy, head, t);
    const A along = dot(A(1), dy, in.row(out.y, head, t), D), lse = out.lse[in.query(head, t)];
    if (team.team_rank() == 0) product[row] = along;
    for (index_t d = team.team_rank(); d < D; d += team.team_size()) dq[d] = 0;
    for (index_t k0 = 0; k0 < limit; k0 += block) {
      const index_t keys = limit - k0 < block ? limit - k0 : block;
      for (index_t s = team.team_rank(); s < keys; s += team.team_size()) {
        weight[s] = math::exp(dot(in.scale, q, in.row(in.k, head, k0 + s), D) - lse);
        slope[s] = weight[s] * (dot(A(1), dy, in.row(in.v, head, k0 + s), D) - along);
      }
      team.team_barrier();
      for (index_t d = team.team_rank(); d < D; d += team.team_size())
        for (index_t s = 0; s < keys; ++s) dq[d] = math::fused(slope[s], A(in.row(in.k, head, k0 + s)[d]), dq[d]);
      team.team_barrier();
    }
    for (index_t d = team.team_rank(); d < D; d += team.team_size())
      in.row(out.dq, head, t)[d] = Scalar(dq[d] * in.scale);
  }
};

/// dk and dv of one key. With `kept`, the weights and slopes of all queries as BackwardQuery left them, T of each a row
/// and rows `kept_pitch` apart.
template <class Scalar>
struct BackwardKey {
  using A = accumulate_t<Scalar>;
  Attention<Scalar> in;
  AttentionGradient<Scalar> out;
  const A* product;
  const A* kept;
  index_t kept_pitch;
  index_t block;

  index_t numbers() const { return 2 * block + 2 * in.D; }

  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, index_t row, A* shared) const {
    const index_t head = row / in.T, s = row % in.T, D = in.D;
    A *const weight = shared, *const slope = shared + block, *const dk = shared + 2 * block, *const dv = dk + D;
    const Scalar *const k = in.row(in.k, head, s), *const v = in.row(in.v, head, s);
    for (index_t d = team.team_rank(); d < D; d += team.team_size()) dk[d] = dv[d] = 0;
    const index_t end = in.first + in.Q;
    for (index_t t0 = in.causal && s > in.first ? s : in.first; t0 < end; t0 += block) {
      const index_t queries = end - t0 < block ? end - t0 : block;
      for (index_t i = team.team_rank(); i < queries; i += team.team_size()) {
        const index_t t = t0 + i, of = head * in.T + t;
        if (kept != nullptr) {
          weight[i] = kept[of * kept_pitch + s];
          slope[i] = kept[of * kept_pitch + in.T + s];
          continue;
        }
        weight[i] = math::exp(dot(in.scale, in.row(in.q, head, t), k, D) - out.lse[in.query(head, t)]);
        slope[i] = weight[i] * (dot(A(1), in.row(out.dy, head, t), v, D) - product[of]);
      }
      team.team_barrier();
      for (index_t d = team.team_rank(); d < D; d += team.team_size())
        for (index_t i = 0; i < queries; ++i) {
          dk[d] = math::fused(slope[i], in.scale * A(in.row(in.q, head, t0 + i)[d]), dk[d]);
          dv[d] = math::fused(weight[i], A(in.row(out.dy, head, t0 + i)[d]), dv[d]);
        }
      team.team_barrier();
    }
    for (index_t d = team.team_rank(); d < D; d += team.team_size()) {
      in.row(out.dk, head, s)[d] = Scalar(dk[d]);
      in.row(out.dv, head, s)[d] = Scalar(dv[d]);
    }
  }
};

/// A team's numbers: in `global` memory, `numbers` a row, or in shared memory where that is null.
template <class Body, class A>
struct Launch {
  using Policy = Kokkos::TeamPolicy<Exec>;
  Body body;
  A* global;
  index_t numbers;

  KOKKOS_FUNCTION void operator()(index_t row) const { body(Alone(), row, global + row * numbers); }
  KOKKOS_FUNCTION void operator()(const typename Policy::member_type& team) const {
    const index_t row = team.league_rank();
    A* const shared = global != nullptr
                          ? global + row * numbers
                          : static_cast<A*>(team.team_shmem().get_shmem(std::size_t(numbers) * sizeof(A)));
    body(team, row, shared);
  }
};

template <class A, class Body>
void for_rows(const Exec& exec, const std::string& label, index_t rows, const Body& body, A* global) {
  const index_t numbers = body.numbers();
  const Launch<Body, A> launch{body, global, numbers};
  if constexpr (runs_on_host) {
    Kokkos::parallel_for(label, range_policy(exec, rows), launch);
  } else {
    typename Launch<Body, A>::Policy policy(exec, int(rows), team_size);
    if (global == nullptr) policy.set_scratch_size(0, Kokkos::PerTeam(int(numbers * index_t(sizeof(A))) + 64));
    Kokkos::parallel_for(label, policy, launch);
  }
}

/// How many numbers of scratch a pass of `rows` teams needs in global memory.
inline index_t global_numbers(index_t rows, index_t numbers, bool plain) {
  return plain || runs_on_host ? rows * numbers : 0;
}

template <class Scalar>
void attention_forward(Context& context, const std::string& label, const Attention<Scalar>& in,
                       const AttentionResult<Scalar>& out, bool plain) {
  using A = accumulate_t<Scalar>;
  const index_t all = in.B * in.H * in.Q;
  const Forward<Scalar> body{in, out, plain ? in.T : index_t(64)};
  const index_t global = global_numbers(all, body.numbers(), plain);
  A* const scratch = static_cast<A*>(context.scratch(std::size_t(global) * sizeof(A)));
  for_rows(context.exec(), label, all, body, global == 0 ? nullptr : scratch);
}

template <class Scalar>
void attention_backward(Context& context, const std::string& query_label, const std::string& key_label,
                        const Attention<Scalar>& in, const AttentionGradient<Scalar>& out, bool plain) {
  using A = accumulate_t<Scalar>;
  const index_t all = in.B * in.H * in.T, block = plain ? in.T : 64;
  BackwardQuery<Scalar> query{in, out, nullptr, block};
  BackwardKey<Scalar> key{in, out, nullptr, nullptr, query.numbers(), block};
  const index_t for_query = global_numbers(all, query.numbers(), plain);
  const index_t for_key = global_numbers(all, key.numbers(), plain);
  A* const scratch = static_cast<A*>(context.scratch(std::size_t(all + for_query + for_key) * sizeof(A)));
  query.product = scratch;
  key.product = scratch;
  if (plain) key.kept = scratch + all;
  for_rows(context.exec(), query_label, all, query, for_query == 0 ? nullptr : scratch + all);
  for_rows(context.exec(), key_label, all, key, for_key == 0 ? nullptr : scratch + all + for_query);
}

}  // namespace partita::kernels::backend::rows
