// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/collectives/tree_allreduce.hpp>

#include <fmt/format.h>
#include <Kokkos_Profiling_ScopedRegion.hpp>

#include <partita/comm/closed_forms.hpp>
#include <partita/comm/collectives/tree_plan.hpp>
#include <partita/core/error.hpp>

namespace partita::comm {

namespace {

std::vector<Node> my_cover(const Communicator& comm, index_t chunks) {
  if (chunks < 1) refuse<ShapeError>("TreeAllreducePlan", fmt::format("{} chunks", chunks), "at least 1");
  const Slice mine = partition(chunks, comm.size(), comm.rank());
  return tree_cover(chunks, mine.offset, mine.end());
}

double closed_form(const Communicator& comm, Allreduce how, index_t elements, index_t chunks, index_t bytes) {
  const auto form =
      how == Allreduce::mpi ? closed_forms::tree_allreduce_mpi_bytes : closed_forms::tree_allreduce_ring_bytes;
  return static_cast<double>(form(elements, chunks, comm.size(), comm.rank(), bytes));
}

template <class S>
Vector<S> make(const std::string& label, index_t elements) {
  return Vector<S>(Kokkos::view_alloc(Kokkos::WithoutInitializing, label), elements);
}

}  // namespace

template <class S>
TreeAllreducePlan<S>::TreeAllreducePlan(const Communicator& comm, Allreduce how, index_t elements, index_t chunks,
                                        RingOptions options)
    : elements_(elements),
      cover_(my_cover(comm, chunks)),
      entry_(comm.traffic_entry("tree_allreduce", to_string(how))),
      expected_bytes_(closed_form(comm, how, elements, chunks, sizeof(S))),
      region_(fmt::format("partita::comm::tree_allreduce::{}", to_string(how))),
      result_(make<S>("partita::comm::tree_allreduce::result", elements)),
      staged_nodes_(comm.gpu_aware(), static_cast<index_t>(cover_.size()) * elements),
      staged_result_(comm.gpu_aware(), elements),
      plan_(comm.gpu_aware(), comm, how, elements, chunks, options) {
  work_ = plan_.with(Exec(), [](const auto& plan, const auto&) { return plan.work(); });
}

template <class S>
TreeAllreducePlan<S>::~TreeAllreducePlan() = default;
template <class S>
TreeAllreducePlan<S>::TreeAllreducePlan(TreeAllreducePlan&&) noexcept = default;
template <class S>
TreeAllreducePlan<S>& TreeAllreducePlan<S>::operator=(TreeAllreducePlan&&) noexcept = default;

template <class S>
void TreeAllreducePlan<S>::run(const Exec& exec, ConstVector<S> nodes) {
  const auto expected = static_cast<index_t>(cover_.size()) * elements_;
  if (static_cast<index_t>(nodes.extent(0)) != expected)
    refuse<ShapeError>("TreeAllreducePlan::run", fmt::format("nodes has {} elements", nodes.extent(0)),
                       fmt::format("{}, for {} nodes of {}", expected, cover_.size(), elements_));
  const Kokkos::Profiling::ScopedRegion region(region_);
  TrafficCall traffic(entry_, expected_bytes_, work_);
  const S* from = staged_nodes_.begin(exec, Vector<S>(const_cast<S*>(nodes.data()), nodes.extent(0)));
  S* result = staged_result_.begin_write(exec, result_);
  plan_.with(exec, [&](auto& plan, const auto& space) { plan.run(space, from, result, traffic); });
  staged_result_.end(exec, result_);
}

template class TreeAllreducePlan<float>;
template class TreeAllreducePlan<double>;

}  // namespace partita::comm
