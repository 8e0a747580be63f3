// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/backend/vendor.hpp>

namespace partita::kernels::backend {

std::unique_ptr<Vendor> make_vendor(const Exec&) { return nullptr; }
std::string vendor_name() { return {}; }

}  // namespace partita::kernels::backend
