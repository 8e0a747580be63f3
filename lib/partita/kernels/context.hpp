// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include <partita/core/types.hpp>
#include <partita/kernels/backend_choice.hpp>
#include <partita/kernels/packed_weights.hpp>

namespace partita::kernels {

namespace backend {
class Vendor;
class ConvVendor;
}  // namespace backend

struct Options {
  Backend backend = Backend::automatic;
  bool deterministic = false;                 ///< portable kernels only, whatever the rest says
  std::map<std::string, Backend> per_kernel;  ///< e.g. {"linear", Backend::portable}; wins over backend
  bool tf32 = false;                          ///< GPUs: fp32 products from factors of 10 bits; faster, and not fp32
};

/// What kernels run with: an execution-space instance, the choice of backend, the vendor's primitives (made at the
/// first call with a shape, then kept) and scratch memory.
///
/// Kernels given one Context run in order on its instance and share its scratch. Move-only; not for two host threads.
/// Throws   UsageError for an unknown kernel name; EnvironmentError for Backend::vendor in a build without a vendor.
class Context {
 public:
  explicit Context(Exec exec = Exec(), Options options = {});
  ~Context();
  Context(Context&&) noexcept;
  Context& operator=(Context&&) noexcept;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const Exec& exec() const { return exec_; }
  bool deterministic() const { return options_.deterministic; }
  bool tf32() const { return options_.tf32; }

  /// vendor or portable: never automatic. A vendor kernel still falls back to the portable one for a type that the
  /// vendor lacks (double on the host) and for empty operands.
  Backend backend(Kernel kernel) const;

  /// What a call of this shape takes: where the kernel's backend was left to choose, the one that its timing chose, the
  /// vendor for a call without one.
  Backend backend(const CallShape& call) const;

  /// While on, a call that was left to choose and has no timing is first made by both backends, once and then in turn
  /// three times each; the least time of each is kept. Results are the vendor's, once: what one rank measured is no
  /// choice yet. Such a call fences and allocates: switch it on for steps that nobody times, and off again.
  void measure_backends(bool on) { measuring_ = on; }
  bool must_measure(const CallShape& call) const;

  /// The timings so far: for the record, a cache, and for ranks to agree on (sum_of), since a choice of one rank alone
  /// would give it other bits than its neighbours.
  const BackendTable& backend_choices() const { return choices_; }
  void set_backend_choices(BackendTable choices) { choices_ = std::move(choices); }
  void know_backend(const CallShape& call, const BackendTiming& timing) { choices_[call] = timing; }

  /// At least `bytes` of scratch in Exec's memory, aligned to 64 bytes, uninitialised, valid until the next call. Grows
  /// (fences and allocates) only when more is asked than ever before: after a warm-up step it returns at once.
  void* scratch(std::size_t bytes);
  std::size_t scratch_bytes() const { return scratch_.extent(0); }

  /// Copies of weights in layouts of the vendor's. See PackedWeights::Period.
  PackedWeights& packed_weights() { return packed_weights_; }

  /// The vendor's library; only where backend() says so.
  backend::Vendor& vendor() { return *vendor_; }
  backend::ConvVendor& conv_vendor() { return *conv_vendor_; }

 private:
  Exec exec_;
  Options options_;
  std::array<Backend, kernel_count> resolved_;
  std::array<bool, kernel_count> chooses_;  // automatic, and there is a vendor
  bool measuring_ = false;
  BackendTable choices_;
  Kokkos::View<std::byte*, Memory> scratch_;
  PackedWeights packed_weights_;
  std::unique_ptr<backend::Vendor> vendor_;
  std::unique_ptr<backend::ConvVendor> conv_vendor_;
};

/// The vendor libraries of this build and their versions: "oneDNN 2.6.3", "cuBLASLt 13.0.0, cuDNN 9.19.0", "BLAS", or
/// "portable".
std::string math_backend_name();

}  // namespace partita::kernels
