// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/context.hpp>

#include <algorithm>
#include <utility>

#include <partita/core/error.hpp>
#include <partita/kernels/backend/conv_vendor.hpp>
#include <partita/kernels/backend/vendor.hpp>

namespace partita::kernels {
namespace {

void check_names(const Options& options) {
  for (const auto& [key, choice] : options.per_kernel) {
    if (std::find(kernel_names.begin(), kernel_names.end(), key) != kernel_names.end()) continue;
    std::string names;
    for (const char* name : kernel_names) names += (names.empty() ? "" : ", ") + std::string(name);
    refuse<UsageError>("kernels", "no kernel \"" + key + "\" has a backend of its own", names);
  }
}

Backend asked_for(const Options& options, const char* kernel) {
  const auto own = options.per_kernel.find(kernel);
  return own == options.per_kernel.end() ? options.backend : own->second;
}

/// A choice of "vendor" for all kernels leaves those to Partita that the vendor lacks.
Backend resolve(const Options& options, const char* kernel, bool has_vendor, bool has_any) {
  if (options.deterministic) return Backend::portable;
  const bool for_all = !options.per_kernel.contains(kernel);
  const Backend choice = asked_for(options, kernel);
  if (choice == Backend::vendor && !(for_all ? has_any : has_vendor))
    refuse<EnvironmentError>("kernels",
                             std::string("backend \"vendor\" for ") + kernel +
                                 ", but this build found no vendor library for it (oneDNN, BLAS, cuBLASLt or cuDNN)",
                             "\"portable\"");
  return choice != Backend::portable && has_vendor ? Backend::vendor : Backend::portable;
}

}  // namespace

Context::Context(Exec exec, Options options)
    : exec_(std::move(exec)),
      options_(std::move(options)),
      vendor_(backend::make_vendor(exec_)),
      conv_vendor_(backend::make_conv_vendor(exec_)) {
  check_names(options_);
  for (std::size_t k = 0; k < kernel_count; ++k) {
    const bool has_vendor = Kernel(k) == Kernel::conv2d ? conv_vendor_ != nullptr : vendor_ != nullptr;
    resolved_[k] = resolve(options_, kernel_names[k], has_vendor, vendor_ || conv_vendor_);
    chooses_[k] = resolved_[k] == Backend::vendor && asked_for(options_, kernel_names[k]) == Backend::automatic;
  }
}

Context::~Context() = default;
Context::Context(Context&&) noexcept = default;
Context& Context::operator=(Context&&) noexcept = default;

Backend Context::backend(Kernel kernel) const { return resolved_[static_cast<std::size_t>(kernel)]; }

Backend Context::backend(const CallShape& call) const {
  const auto kernel = static_cast<std::size_t>(kernel_of(call.call));
  if (!chooses_[kernel] || choices_.empty()) return resolved_[kernel];
  if (measuring_) return Backend::vendor;  // no choice yet: ranks that keep copies of a weight must compute alike
  const auto timing = choices_.find(call);
  return timing == choices_.end() ? Backend::vendor : timing->second.chosen();
}

bool Context::must_measure(const CallShape& call) const {
  return measuring_ && chooses_[static_cast<std::size_t>(kernel_of(call.call))] && !choices_.contains(call);
}

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
  const std::string vendor = backend::vendor_name(), convolutions = backend::conv_vendor_name();
  if (vendor.empty() && convolutions.empty()) return "portable";
  if (vendor == convolutions || convolutions.empty()) return vendor;
  return vendor.empty() ? convolutions : vendor + ", " + convolutions;
}

}  // namespace partita::kernels
