// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>
#include <partita/kernels/backend/range.hpp>
#include <partita/kernels/cast.hpp>
#include <string>

namespace partita::kernels {
namespace {

template <class To, class From>
struct Cast {
  const From* a;
  To* b;
  KOKKOS_FUNCTION Cast prepare() const { return *this; }
  KOKKOS_FUNCTION void operator()(index_t i) const { b[i] = static_cast<To>(a[i]); }
};

}  // namespace

template <class To, class From>
void cast(const Exec& exec, std::type_identity_t<ConstVector<From>> a, std::type_identity_t<Vector<To>> b) {
  static const std::string label = "partita::kernels::cast";
  if (a.extent(0) != b.extent(0))
    throw ShapeError("cast: a has " + std::to_string(a.extent(0)) + " elements, b has " + std::to_string(b.extent(0)) +
                     ": expected a (n) and b (n) with the same n");
  backend::for_range(exec, label, index_t(b.extent(0)), Cast<To, From>{a.data(), b.data()});
}

#define PARTITA_INSTANTIATE(To)                                                     \
  template void cast<To, float>(const Exec&, ConstVector<float>, Vector<To>);       \
  template void cast<To, double>(const Exec&, ConstVector<double>, Vector<To>);     \
  template void cast<To, bfloat16>(const Exec&, ConstVector<bfloat16>, Vector<To>); \
  template void cast<To, float16>(const Exec&, ConstVector<float16>, Vector<To>);
PARTITA_INSTANTIATE(float)
PARTITA_INSTANTIATE(double)
PARTITA_INSTANTIATE(bfloat16)
PARTITA_INSTANTIATE(float16)
#undef PARTITA_INSTANTIATE

}  // namespace partita::kernels
