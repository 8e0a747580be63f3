// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/backend/conv_vendor.hpp>

namespace partita::kernels::backend {

std::unique_ptr<ConvVendor> make_conv_vendor(const Exec&) { return nullptr; }
std::string conv_vendor_name() { return {}; }

}  // namespace partita::kernels::backend
