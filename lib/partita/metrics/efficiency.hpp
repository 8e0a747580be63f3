// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <numeric>
#include <span>

namespace partita::metrics {

// Closed forms, pure. Times in seconds, p = number of ranks, index 0 = the base case.

/// S = T(p0) / T(p).
constexpr double speedup(double base_s, double s) { return base_s / s; }

/// Strong scaling: E = p0 T(p0) / (p T(p)). The same work on every number of ranks.
constexpr double strong_efficiency(double base_s, double base_ranks, double s, double ranks) {
  return base_ranks * base_s / (ranks * s);
}

/// Weak scaling: E = T(p0) / T(p). Holds only when the work of a rank is constant: the caller checks the counted flops.
constexpr double weak_efficiency(double base_s, double s) { return base_s / s; }

/// Experimentally determined serial fraction e = (1/S - 1/p) / (1 - 1/p), p > 1 (Karp and Flatt 1990).
constexpr double karp_flatt(double speedup, double ranks) { return (1 / speedup - 1 / ranks) / (1 - 1 / ranks); }

/// Multiplicative efficiencies of a region (POP): PE = LB x SerE x TE.
struct Efficiency {
  double parallel;       ///< PE = mean C / T
  double load_balance;   ///< LB = mean C / max C
  double serialisation;  ///< SerE = max C / T_id
  double transfer;       ///< TE = T_id / T
};

/// `compute_s`: useful compute seconds C_i of every rank; `elapsed_s`: T of the region; `ideal_s`: T_id, the region
/// replayed on a network with no cost.
inline Efficiency efficiency(std::span<const double> compute_s, double elapsed_s, double ideal_s) {
  const double sum = std::accumulate(compute_s.begin(), compute_s.end(), 0.0);
  const double mean = sum / static_cast<double>(compute_s.size());
  const double most = *std::max_element(compute_s.begin(), compute_s.end());
  return {mean / elapsed_s, mean / most, most / ideal_s, ideal_s / elapsed_s};
}

/// CompS = sum C_ref / sum C; in weak scaling times p / p_ref (`work_ratio`). Global efficiency GE = PE x CompS.
constexpr double computation_scaling(double reference_sum_s, double sum_s, double work_ratio = 1) {
  return work_ratio * reference_sum_s / sum_s;
}

/// Bus bandwidth of a collective = bytes / s x factor: comparable with the speed of a link whatever the number of
/// ranks. all-reduce 2(n-1)/n; all-gather and reduce-scatter (n-1)/n; broadcast and reduce 1 (as in nccl-tests).
constexpr double busbw_factor_allreduce(double ranks) { return 2 * (ranks - 1) / ranks; }
constexpr double busbw_factor_allgather(double ranks) { return (ranks - 1) / ranks; }
constexpr double busbw_factor_reduce_scatter(double ranks) { return (ranks - 1) / ranks; }
constexpr double busbw_factor_broadcast(double /*ranks*/) { return 1; }

/// Share of communication that compute hides: 1 - exposed / total, exposed = time a step would save were it free.
constexpr double overlap(double exposed_s, double total_s) { return 1 - exposed_s / total_s; }

/// Bubble of a pipeline of p stages and m micro-batches as a share of the step.
constexpr double bubble_gpipe(double stages, double micro_batches) {
  return (stages - 1) / (micro_batches + stages - 1);
}
constexpr double bubble_1f1b(double stages, double micro_batches) { return bubble_gpipe(stages, micro_batches); }
/// v model chunks on each stage.
constexpr double bubble_interleaved(double stages, double micro_batches, double chunks) {
  return (stages - 1) / (chunks * micro_batches + stages - 1);
}
/// ZB-H1 where forward, backward-input and backward-weights take the same time.
constexpr double bubble_zb_h1(double stages, double micro_batches) {
  return (stages - 1) / (3 * micro_batches + stages - 1);
}

/// Flop of a decoder in training, forward and backward, for each token, by the published formulas: N parameters, L
/// blocks, width C, T tokens of a sequence. 6 N is that of products with weights, 12 L C T that of all scores of
/// attention, of which a causal mask leaves half. N is all parameters: those of embedding, positions and head, too.
///
/// Source   Chowdhery et al. 2022, PaLM, appendix B, whose heads x head size is C here; for the half that a causal mask
///          leaves Dao 2023, FlashAttention-2, section 4.1.
constexpr double flop_per_token_6n_12lct(double N, double L, double C, double T) { return 6 * N + 12 * L * C * T; }
constexpr double flop_per_token_6n_6lct(double N, double L, double C, double T) { return 6 * N + 6 * L * C * T; }

/// Model flops utilisation; `model_flop` counts a multiply-add as 2 and no recomputation.
constexpr double mfu(double model_flop, double step_s, double peak_flop_per_s) {
  return model_flop / (step_s * peak_flop_per_s);
}

}  // namespace partita::metrics
