// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/cast.hpp>

#include <string>

#include <partita/kernels/backend/check.hpp>
#include <partita/kernels/backend/half_host.hpp>
#include <partita/kernels/backend/range.hpp>

namespace partita::kernels {
namespace {

template <class To, class From>
struct Cast {
  const From* a;
  To* b;
  KOKKOS_FUNCTION Cast prepare() const { return *this; }
  KOKKOS_FUNCTION void operator()(index_t i) const { b[i] = static_cast<To>(a[i]); }
};

/// A block of a host's conversion to fp16, which GCC does not vectorise into the processor's own.
struct HalfBlock {
  const float* a;
  float16* b;
  index_t n;
  void operator()(index_t block) const {
    const index_t begin = block * backend::range_block;
    backend::host::to_half(a + begin, b + begin, n - begin < backend::range_block ? n - begin : backend::range_block);
  }
};

}  // namespace

template <class To, class From>
void cast(const Exec& exec, std::type_identity_t<ConstVector<From>> a, std::type_identity_t<Vector<To>> b) {
  static const std::string label = "partita::kernels::cast";
  backend::require_length("cast", "a", a.extent(0), "b", b.extent(0));
  const index_t n = index_t(b.extent(0));
  if constexpr (backend::runs_on_host && std::is_same_v<From, float> && std::is_same_v<To, float16>)
    Kokkos::parallel_for(label, backend::range_policy(exec, (n + backend::range_block - 1) / backend::range_block),
                         HalfBlock{a.data(), b.data(), n});
  else
    backend::for_range(exec, label, n, Cast<To, From>{a.data(), b.data()});
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
