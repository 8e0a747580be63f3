// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cmath>
#include <vector>

#include <partita/core/float16.hpp>
#include <partita/core/random.hpp>
#include <partita/kernels/activation.hpp>
#include <partita/kernels/dropout.hpp>

namespace partita::kernels::reference {

/// act(z) by its definition.
inline double activation(Activation activation, double z) {
  const double pi = 3.14159265358979323846;
  switch (activation) {
    case Activation::relu:
      return z > 0 ? z : 0;
    case Activation::tanh:
      return std::tanh(z);
    case Activation::sigmoid:
      return 1 / (1 + std::exp(-z));
    case Activation::gelu:
      return z * std::erfc(-z / std::sqrt(2.0)) / 2;
    case Activation::gelu_tanh:
      return z / 2 * (1 + std::tanh(std::sqrt(2 / pi) * (z + 0.044715 * z * z * z)));
    case Activation::silu:
      return z / (1 + std::exp(-z));
    case Activation::identity:
      break;
  }
  return z;
}

/// act'(z), differentiated by hand.
inline double activation_slope(Activation activation, double z) {
  const double pi = 3.14159265358979323846, s = 1 / (1 + std::exp(-z));
  switch (activation) {
    case Activation::relu:
      return z > 0 ? 1 : 0;
    case Activation::tanh:
      return 1 - std::tanh(z) * std::tanh(z);
    case Activation::sigmoid:
      return s * (1 - s);
    case Activation::gelu:
      return std::erfc(-z / std::sqrt(2.0)) / 2 + z * std::exp(-z * z / 2) / std::sqrt(2 * pi);
    case Activation::gelu_tanh: {
      const double t = std::tanh(std::sqrt(2 / pi) * (z + 0.044715 * z * z * z));
      return (1 + t) / 2 + z / 2 * (1 - t * t) * std::sqrt(2 / pi) * (1 + 3 * 0.044715 * z * z);
    }
    case Activation::silu:
      return s + z * s * (1 - s);
    case Activation::identity:
      break;
  }
  return 1;
}

/// dz = dy act'(z) from y = act(z).
template <class Scalar>
std::vector<Scalar> activation_backward(Activation activation, const std::vector<Scalar>& y, std::vector<Scalar> dy) {
  using Number = accumulate_t<Scalar>;
  for (std::size_t i = 0; i < dy.size(); ++i) dy[i] = Scalar(Number(dy[i]) * activate_slope(activation, Number(y[i])));
  return dy;
}

/// Whether dropout keeps the element of global index i.
inline bool dropout_keeps(const DropoutOptions& options, index_t i) {
  const std::uint64_t key = random_bits(options.seed, substream(Stream::dropout, options.layer), options.step);
  const std::uint64_t block = std::uint64_t(i / 256 * 64 + i % 64);
  const std::uint32_t word = random_block(key, Stream::dropout, block).word[i % 256 / 64];
  return double(word) >= std::floor(options.rate * 0x1p32);
}

}  // namespace partita::kernels::reference
