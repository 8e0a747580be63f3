// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/collectives/kernels.hpp>

#include <cstdint>
#include <cstring>
#include <string>

#include <Kokkos_Core.hpp>

#include <partita/core/float16.hpp>

namespace partita::comm::detail {

namespace {

template <Side side>
constexpr bool on_host = Kokkos::SpaceAccessibility<HostExec, typename Space<side>::memory_space>::accessible;

/// Elements of one iteration: on a host a strip that the compiler vectorises, on a device one.
template <Side side>
constexpr index_t strip = on_host<side> ? 4096 : 1;

template <Side side>
using Strips = Kokkos::RangePolicy<Space<side>, Kokkos::IndexType<index_t>>;

// The chunk is given because Kokkos 4 asks the heap for a default instance when it chooses one.
template <Side side>
Strips<side> strips_of(const Space<side>& exec, index_t count) {
  return Strips<side>(exec, 0, count, Kokkos::ChunkSize(1));
}

}  // namespace

template <Side side, Op op, class S>
void combine_by(const Space<side>& exec, const S* from, S* into, index_t n) {
  constexpr index_t width = strip<side>;
  if constexpr (on_host<side>) {
    if (n <= 4 * width || exec.concurrency() == 1) {
      const S* KOKKOS_RESTRICT source = from;
      S* KOKKOS_RESTRICT target = into;
      for (index_t i = 0; i < n; ++i) target[i] = combined<op>(target[i], source[i]);
      return;
    }
  }
  static const std::string label = "partita::comm::combine";  // made once: a step allocates nothing
  Kokkos::parallel_for(
      label, strips_of<side>(exec, (n + width - 1) / width), KOKKOS_LAMBDA(index_t s) {
        const index_t end = s * width + width < n ? s * width + width : n;
        const S* KOKKOS_RESTRICT source = from;
        S* KOKKOS_RESTRICT target = into;
        for (index_t i = s * width; i < end; ++i) target[i] = combined<op>(target[i], source[i]);
      });
}

template <Side side, class S>
void combine(const Space<side>& exec, Op op, const S* from, S* into, index_t n) {
  if (op == Op::sum) return combine_by<side, Op::sum>(exec, from, into, n);
  if (op == Op::max) return combine_by<side, Op::max>(exec, from, into, n);
  combine_by<side, Op::min>(exec, from, into, n);
}

template <Side side, class S>
void copy(const Space<side>& exec, const S* from, S* into, index_t n) {
  if (n == 0) return;
  if constexpr (on_host<side>) {
    // Kokkos::deep_copy makes its labels anew: on the heap.
    constexpr index_t width = strip<side>;
    if (n <= 4 * width || exec.concurrency() == 1) {
      std::memcpy(into, from, static_cast<std::size_t>(n) * sizeof(S));
      return;
    }
    static const std::string label = "partita::comm::copy";  // made once: a step allocates nothing
    Kokkos::parallel_for(
        label, strips_of<side>(exec, (n + width - 1) / width), KOKKOS_LAMBDA(index_t s) {
          const index_t begin = s * width, extent = begin + width < n ? width : n - begin;
          for (index_t i = begin; i < begin + extent; ++i) into[i] = from[i];
        });
    return;
  }
  using Block = Kokkos::View<S*, Kokkos::LayoutRight, typename Space<side>::memory_space,
                             Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
  using ConstBlock = Kokkos::View<const S*, Kokkos::LayoutRight, typename Space<side>::memory_space,
                                  Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
  Kokkos::deep_copy(exec, Block(into, n), ConstBlock(from, n));
}

template <Side side, class S>
void add_merges(const Space<side>& exec, const index_t* merges, index_t count, S* rows, index_t n) {
  constexpr index_t width = strip<side>;
  static const std::string label = "partita::comm::add_merges";  // made once: a step allocates nothing
  Kokkos::parallel_for(
      label, strips_of<side>(exec, (n + width - 1) / width), KOKKOS_LAMBDA(index_t s) {
        const index_t end = s * width + width < n ? s * width + width : n;
        for (index_t m = 0; m < count; ++m) {
          S* KOKKOS_RESTRICT target = rows + merges[2 * m] * n;
          const S* KOKKOS_RESTRICT source = rows + merges[2 * m + 1] * n;
          for (index_t i = s * width; i < end; ++i) target[i] = S(target[i] + source[i]);
        }
      });
}

template <Side side, class S>
void copy_pieces(const Space<side>& exec, const Copy* copies, index_t count, index_t longest, const S* from, S* into) {
  constexpr index_t width = strip<side>;
  const index_t strips = (longest + width - 1) / width;
  static const std::string label = "partita::comm::copy_pieces";  // made once: a step allocates nothing
  Kokkos::parallel_for(
      label, strips_of<side>(exec, count * strips), KOKKOS_LAMBDA(index_t s) {
        const Copy copy = copies[s / strips];
        const index_t begin = s % strips * width;
        const index_t end = begin + width < copy.extent ? begin + width : copy.extent;
        const S* KOKKOS_RESTRICT source = from + copy.at;
        S* KOKKOS_RESTRICT target = into + copy.to;
        for (index_t i = begin; i < end; ++i) target[i] = source[i];
      });
}

#define PARTITA_COMM_KERNELS(S, side)                                                          \
  template void combine<side, S>(const Space<side>&, Op, const S*, S*, index_t);               \
  template void copy<side, S>(const Space<side>&, const S*, S*, index_t);                      \
  template void add_merges<side, S>(const Space<side>&, const index_t*, index_t, S*, index_t); \
  template void copy_pieces<side, S>(const Space<side>&, const Copy*, index_t, index_t, const S*, S*);
#define PARTITA_COMM_KERNELS_OF(S)    \
  PARTITA_COMM_KERNELS(S, Side::exec) \
  PARTITA_COMM_KERNELS(S, Side::host)
PARTITA_COMM_KERNELS_OF(float)
PARTITA_COMM_KERNELS_OF(double)
PARTITA_COMM_KERNELS_OF(bfloat16)
PARTITA_COMM_KERNELS_OF(float16)
PARTITA_COMM_KERNELS_OF(std::int32_t)
#undef PARTITA_COMM_KERNELS_OF
#undef PARTITA_COMM_KERNELS

}  // namespace partita::comm::detail
