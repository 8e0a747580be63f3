// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <partita/core/index.hpp>

// Computed in double from numbers of any type; matrices are dense and row-major.

namespace partita::kernels::reference {

using Numbers = std::vector<double>;

/// y (B, C): exp(x) / sum over the row of exp(x).
inline Numbers softmax_forward(const Numbers& x, index_t B, index_t C) {
  Numbers y(B * C);
  for (index_t b = 0; b < B; ++b) {
    double top = -std::numeric_limits<double>::infinity(), sum = 0;
    for (index_t c = 0; c < C; ++c) top = std::fmax(top, x[b * C + c]);
    for (index_t c = 0; c < C; ++c) sum += y[b * C + c] = std::exp(x[b * C + c] - top);
    for (index_t c = 0; c < C; ++c) y[b * C + c] /= sum;
  }
  return y;
}

/// dx = y (dy - sum over the row of y dy).
inline Numbers softmax_backward(const Numbers& y, const Numbers& dy, index_t B, index_t C) {
  Numbers dx(B * C);
  for (index_t b = 0; b < B; ++b) {
    double along = 0;
    for (index_t c = 0; c < C; ++c) along += y[b * C + c] * dy[b * C + c];
    for (index_t c = 0; c < C; ++c) dx[b * C + c] = y[b * C + c] * (dy[b * C + c] - along);
  }
  return dx;
}

struct Norm {
  Numbers y, mean, rstd;
};

/// Layer norm, or root-mean-square norm (`centred` false: mean 0, no beta).
inline Norm norm_forward(bool centred, double epsilon, const Numbers& x, const Numbers& gamma, const Numbers& beta,
                         index_t B, index_t C) {
  Norm n{Numbers(B * C), Numbers(B, 0.0), Numbers(B)};
  for (index_t b = 0; b < B; ++b) {
    double sum = 0, squares = 0;
    for (index_t c = 0; c < C; ++c) sum += x[b * C + c];
    if (centred) n.mean[b] = sum / double(C);
    for (index_t c = 0; c < C; ++c) squares += std::pow(x[b * C + c] - n.mean[b], 2);
    n.rstd[b] = 1 / std::sqrt(squares / double(C) + epsilon);
    for (index_t c = 0; c < C; ++c)
      n.y[b * C + c] = (x[b * C + c] - n.mean[b]) * n.rstd[b] * gamma[c] + (centred ? beta[c] : 0);
  }
  return n;
}

/// dx from the statistics of the forward pass.
inline Numbers norm_backward_input(bool centred, const Numbers& x, const Numbers& gamma, const Norm& n,
                                   const Numbers& dy, index_t B, index_t C) {
  Numbers dx(B * C);
  for (index_t b = 0; b < B; ++b) {
    double sum = 0, along = 0;
    for (index_t c = 0; c < C; ++c) {
      sum += dy[b * C + c] * gamma[c];
      along += dy[b * C + c] * gamma[c] * (x[b * C + c] - n.mean[b]) * n.rstd[b];
    }
    for (index_t c = 0; c < C; ++c)
      dx[b * C + c] = n.rstd[b] * (dy[b * C + c] * gamma[c] - (centred ? sum / double(C) : 0) -
                                   (x[b * C + c] - n.mean[b]) * n.rstd[b] * along / double(C));
  }
  return dx;
}

/// dgamma (C) and then dbeta (C).
inline Numbers norm_backward_weights(const Numbers& x, const Norm& n, const Numbers& dy, index_t B, index_t C) {
  Numbers sums(2 * C, 0.0);
  for (index_t b = 0; b < B; ++b)
    for (index_t c = 0; c < C; ++c) {
      sums[c] += dy[b * C + c] * (x[b * C + c] - n.mean[b]) * n.rstd[b];
      sums[C + c] += dy[b * C + c];
    }
  return sums;
}

struct AttentionShape {
  index_t B, T, H, D;
  bool causal;

  index_t at(index_t b, index_t t, index_t h) const { return ((b * T + t) * H + h) * D; }
  index_t seen(index_t t) const { return causal ? t + 1 : T; }
};

struct AttentionValues {
  Numbers y, lse;
};

inline double attention_score(const AttentionShape& a, const Numbers& q, const Numbers& k, index_t b, index_t h,
                              index_t t, index_t s) {
  double sum = 0;
  for (index_t d = 0; d < a.D; ++d) sum += q[a.at(b, t, h) + d] * k[a.at(b, s, h) + d];
  return sum / std::sqrt(double(a.D));
}

/// q, k, v, y (B T, H D)   lse (B H T).
inline AttentionValues attention_forward(const AttentionShape& a, const Numbers& q, const Numbers& k,
                                         const Numbers& v) {
  AttentionValues out{Numbers(q.size(), 0.0), Numbers(a.B * a.H * a.T)};
  for (index_t b = 0; b < a.B; ++b)
    for (index_t h = 0; h < a.H; ++h)
      for (index_t t = 0; t < a.T; ++t) {
        double top = -std::numeric_limits<double>::infinity(), sum = 0;
        for (index_t s = 0; s < a.seen(t); ++s) top = std::fmax(top, attention_score(a, q, k, b, h, t, s));
        for (index_t s = 0; s < a.seen(t); ++s) {
          const double weight = std::exp(attention_score(a, q, k, b, h, t, s) - top);
          sum += weight;
          for (index_t d = 0; d < a.D; ++d) out.y[a.at(b, t, h) + d] += weight * v[a.at(b, s, h) + d];
        }
        for (index_t d = 0; d < a.D; ++d) out.y[a.at(b, t, h) + d] /= sum;
        out.lse[(b * a.H + h) * a.T + t] = top + std::log(sum);
      }
  return out;
}

struct AttentionGradients {
  Numbers dq, dk, dv;
};

inline AttentionGradients attention_backward(const AttentionShape& a, const Numbers& q, const Numbers& k,
                                             const Numbers& v, const AttentionValues& forward, const Numbers& dy) {
  AttentionGradients out{Numbers(q.size(), 0.0), Numbers(q.size(), 0.0), Numbers(q.size(), 0.0)};
  const double scale = 1 / std::sqrt(double(a.D));
  for (index_t b = 0; b < a.B; ++b)
    for (index_t h = 0; h < a.H; ++h)
      for (index_t t = 0; t < a.T; ++t) {
        const index_t row = a.at(b, t, h);
        double along = 0;
        for (index_t d = 0; d < a.D; ++d) along += dy[row + d] * forward.y[row + d];
        for (index_t s = 0; s < a.seen(t); ++s) {
          const index_t key = a.at(b, s, h);
          double slope = -along;
          for (index_t d = 0; d < a.D; ++d) slope += dy[row + d] * v[key + d];
          const double p = std::exp(attention_score(a, q, k, b, h, t, s) - forward.lse[(b * a.H + h) * a.T + t]);
          for (index_t d = 0; d < a.D; ++d) {
            out.dq[row + d] += scale * p * slope * k[key + d];
            out.dk[key + d] += scale * p * slope * q[row + d];
            out.dv[key + d] += p * dy[row + d];
          }
        }
      }
  return out;
}

/// y (B T, C) = W[token] + P[t]; P may be empty. A token outside [0, V) gives NaN.
inline Numbers embedding_forward(index_t T, const std::vector<std::int32_t>& tokens, const Numbers& W, const Numbers& P,
                                 index_t V, index_t C) {
  Numbers y;
  for (index_t i = 0; i < index_t(tokens.size()); ++i)
    for (index_t c = 0; c < C; ++c) {
      const bool known = tokens[i] >= 0 && tokens[i] < V;
      const double word = known ? W[tokens[i] * C + c] : std::numeric_limits<double>::quiet_NaN();
      y.push_back(word + (P.empty() ? 0 : P[i % T * C + c]));
    }
  return y;
}

/// dW (V, C) and then dP (T, C). A token outside [0, V) adds to dP alone.
inline Numbers embedding_backward_weights(index_t T, const std::vector<std::int32_t>& tokens, const Numbers& dy,
                                          index_t V, index_t C) {
  Numbers sums((V + T) * C, 0.0);
  for (index_t i = 0; i < index_t(tokens.size()); ++i)
    for (index_t c = 0; c < C; ++c) {
      if (tokens[i] >= 0 && tokens[i] < V) sums[tokens[i] * C + c] += dy[i * C + c];
      sums[(V + i % T) * C + c] += dy[i * C + c];
    }
  return sums;
}

/// y (B, C) = 1/T sum_t W[token(b, t)]. A token outside [0, V) gives NaN.
inline Numbers embedding_bag_forward(index_t T, const std::vector<std::int32_t>& tokens, const Numbers& W, index_t V,
                                     index_t C) {
  const Numbers words = embedding_forward(T, tokens, W, {}, V, C);
  Numbers y(words.size() / T, 0.0);
  for (index_t i = 0; i < index_t(tokens.size()); ++i)
    for (index_t c = 0; c < C; ++c) y[i / T * C + c] += words[i * C + c] / double(T);
  return y;
}

/// dW (V, C). A token outside [0, V) adds to nothing.
inline Numbers embedding_bag_backward_weights(index_t T, const std::vector<std::int32_t>& tokens, const Numbers& dy,
                                              index_t V, index_t C) {
  Numbers dW(V * C, 0.0);
  for (index_t i = 0; i < index_t(tokens.size()); ++i)
    for (index_t c = 0; c < C; ++c)
      if (tokens[i] >= 0 && tokens[i] < V) dW[tokens[i] * C + c] += dy[i / T * C + c] / double(T);
  return dW;
}

}  // namespace partita::kernels::reference
