// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include <partita/comm/collectives/kernels.hpp>
#include <partita/core/types.hpp>

namespace partita::comm {

/// The pointer that MPI may see for a View: the View's own, or, where MPI does not accept memory of Exec, that of a
/// pinned copy on the host.
template <class S>
class Staging {
 public:
  using HostBuffer = Kokkos::View<S*, Kokkos::LayoutRight, Kokkos::SharedHostPinnedSpace>;

  /// Plans for up to `elements`.
  Staging(bool direct, index_t elements) : direct_(direct) {
    if (!direct_)
      copy_ = HostBuffer(Kokkos::view_alloc(Kokkos::WithoutInitializing, "partita::comm::staging"), elements);
  }

  bool direct() const { return direct_; }

  /// What MPI reads: fences exec, whose kernels wrote it.
  S* begin(const Exec& exec, Vector<S> payload) const {
    if (!direct_) move(exec, payload, part(payload));
    static const std::string label = "partita::comm: MPI reads what kernels wrote";  // made once
    exec.fence(label);
    return where(payload);
  }
  /// What MPI only writes: nothing to copy. Kernels may still read the old values until exec is fenced.
  S* where(Vector<S> payload) const { return direct_ ? payload.data() : copy_.data(); }
  /// After MPI wrote: payload holds it for what is enqueued on exec next.
  void end(const Exec& exec, Vector<S> payload) const {
    if (direct_ || payload.extent(0) == 0) return;
    move(exec, part(payload), payload);
    static const std::string label = "partita::comm: the pinned copy is free for the next call";  // made once
    exec.fence(label);
  }

 private:
  template <class From, class To>
  static void move(const Exec& exec, const From& from, const To& to) {
    if constexpr (Kokkos::SpaceAccessibility<HostExec, Exec::memory_space>::accessible)
      detail::copy<detail::Side::exec, S>(exec, from.data(), to.data(), static_cast<index_t>(to.extent(0)));
    else
      Kokkos::deep_copy(exec, to, from);
  }
  HostBuffer part(Vector<S> payload) const {
    return Kokkos::subview(copy_, std::pair<std::size_t, std::size_t>(0, payload.extent(0)));
  }

  bool direct_;
  HostBuffer copy_;
};

}  // namespace partita::comm
