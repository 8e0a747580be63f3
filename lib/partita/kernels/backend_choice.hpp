// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <partita/core/index.hpp>

// Which of two backends computes a kernel, call by call: what was measured, by whom it was chosen. See
// Context::measure_backends.

namespace partita::kernels {

/// Who computes a kernel: the vendor's library, where this build has one for the kernel and the type, or Partita.
/// automatic is the vendor, or for each call the faster one where both were measured.
enum class Backend { automatic, vendor, portable };

/// The kernels that more than one backend offers; their names, in kernel_names, are the keys of Options::per_kernel.
enum class Kernel { linear, gemm, conv2d };
inline constexpr std::array kernel_names = {"linear", "gemm", "conv2d"};
inline constexpr std::size_t kernel_count = kernel_names.size();

/// Their calls.
enum class Call {
  linear_forward,
  linear_backward_input,
  linear_backward_weights,
  gemm,
  conv2d_forward,
  conv2d_backward_input,
  conv2d_backward_weights
};

std::string_view name(Call call);
constexpr Kernel kernel_of(Call call) {
  return call < Call::gemm ? Kernel::linear : call == Call::gemm ? Kernel::gemm : Kernel::conv2d;
}

/// A call of some shape, whatever its operands' strides, bias, activation and Store. Extents that it has not are 0:
///   linear_...   B N K
///   gemm         M N K, matrices, A transposed, B transposed (0 or 1)
///   conv2d_...   B, rows columns channels, filters, kernel_rows kernel_columns, stride, padding, above below
struct CallShape {
  Call call = Call::gemm;
  std::array<index_t, 11> extents = {};

  auto operator<=>(const CallShape&) const = default;
};

/// Seconds of one call by each.
struct BackendTiming {
  double vendor_s = 0, portable_s = 0;

  /// The vendor, unless Partita is faster by more than two calls of one backend differ.
  constexpr Backend chosen() const { return portable_s < 0.97 * vendor_s ? Backend::portable : Backend::vendor; }
  bool operator==(const BackendTiming&) const = default;
};

using BackendTable = std::map<CallShape, BackendTiming>;

/// A line for each call: "linear_backward_weights 2048 1024 256 vendor_s 0.0329 portable_s 0.0179 portable". The last
/// word is the choice, for readers. The seconds are exact: backend_table reads the same table.
std::string to_text(const BackendTable& table);

/// Throws   UsageError for a text that to_text did not write.
BackendTable backend_table(std::string_view text);

/// What ranks agree on: the seconds of each call, added over the tables that know it. Ranks that add the same tables in
/// the same order choose alike.
BackendTable sum_of(const std::vector<BackendTable>& tables);

}  // namespace partita::kernels
