// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>
#include <partita/kernels/backend/vendor.hpp>
#include <partita/kernels/context.hpp>
#include <utility>

namespace partita::kernels {
namespace {

constexpr std::array<const char*, kernel_count> kernel_names = {"linear"};

void check_names(const Options& options) {
  for (const auto& [key, choice] : options.per_kernel) {
    bool known = false;
    for (const char* candidate : kernel_names) known = known || key == candidate;
    if (!known) throw UsageError("kernels: no kernel \"" + key + "\" has a backend of its own; there is: linear");
  }
}

Backend resolve(const Options& options, const char* kernel, bool has_vendor) {
  if (options.deterministic) return Backend::portable;
  const auto own = options.per_kernel.find(kernel);
  const Backend choice = own == options.per_kernel.end() ? options.backend : own->second;
  if (choice == Backend::vendor && !has_vendor)
    throw EnvironmentError(std::string("kernels: backend \"vendor\" for ") + kernel +
                           ", but this build found no vendor library (oneDNN, BLAS or cuBLASLt); use \"portable\"");
  return choice != Backend::portable && has_vendor ? Backend::vendor : Backend::portable;
}

}  // namespace

Context::Context(Exec exec, Options options)
    : exec_(std::move(exec)), options_(std::move(options)), vendor_(backend::make_vendor(exec_)) {
  check_names(options_);
  for (std::size_t k = 0; k < kernel_count; ++k) resolved_[k] = resolve(options_, kernel_names[k], vendor_ != nullptr);
}

Context::~Context() = default;
Context::Context(Context&&) noexcept = default;
Context& Context::operator=(Context&&) noexcept = default;

Backend Context::backend(Kernel kernel) const { return resolved_[static_cast<std::size_t>(kernel)]; }

void* Context::scratch(std::size_t bytes) {
  if (bytes > scratch_.extent(0)) {
    exec_.fence("partita::kernels::Context::scratch::grow");  // kernels in flight may use the old one
    scratch_ = {};
    scratch_ = Kokkos::View<std::byte*, Memory>(
        Kokkos::view_alloc(exec_, "partita::kernels::Context::scratch", Kokkos::WithoutInitializing), bytes);
  }
  return scratch_.data();
}

std::string math_backend_name() {
  const std::string vendor = backend::vendor_name();
  return vendor.empty() ? "portable" : vendor;
}

}  // namespace partita::kernels
