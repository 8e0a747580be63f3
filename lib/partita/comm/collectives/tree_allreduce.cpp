// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <partita/comm/closed_forms.hpp>
#include <partita/comm/collectives/tree_allreduce.hpp>
#include <partita/comm/collectives/tree_exchange.hpp>
#include <string>

namespace partita::comm {

namespace {

std::vector<Node> my_cover(const Communicator& comm, index_t chunks) {
  if (chunks < 1) throw ShapeError(fmt::format("TreeAllreduce: {} chunks, at least 1 is needed", chunks));
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
TreeAllreduce<S>::TreeAllreduce(const Communicator& comm, Allreduce how, index_t elements, index_t chunks,
                                RingOptions options)
    : elements_(elements),
      cover_(my_cover(comm, chunks)),
      entry_(comm.traffic() == nullptr ? nullptr
                                       : &comm.traffic()->entry("tree_allreduce", to_string(how), comm.name())),
      expected_bytes_(closed_form(comm, how, elements, chunks, sizeof(S))),
      result_(make<S>("partita::comm::tree_allreduce::result", elements)),
      staged_nodes_(comm.gpu_aware(), static_cast<index_t>(cover_.size()) * elements),
      staged_result_(comm.gpu_aware(), elements) {
  if (comm.gpu_aware())
    direct_ = std::make_unique<detail::TreeExchange<S, detail::Side::exec>>(comm, how, elements, chunks, options);
  else
    staged_ = std::make_unique<detail::TreeExchange<S, detail::Side::host>>(comm, how, elements, chunks, options);
}

template <class S>
TreeAllreduce<S>::~TreeAllreduce() = default;
template <class S>
TreeAllreduce<S>::TreeAllreduce(TreeAllreduce&&) noexcept = default;
template <class S>
TreeAllreduce<S>& TreeAllreduce<S>::operator=(TreeAllreduce&&) noexcept = default;

template <class S>
void TreeAllreduce<S>::run(const Exec& exec, ConstVector<S> nodes) {
  const auto expected = static_cast<index_t>(cover_.size()) * elements_;
  if (static_cast<index_t>(nodes.extent(0)) != expected)
    throw ShapeError(fmt::format("TreeAllreduce::run: nodes has {} elements, this rank {} nodes of {}: expected {}",
                                 nodes.extent(0), cover_.size(), elements_, expected));
  TrafficCall traffic(entry_, expected_bytes_);
  const S* from = staged_nodes_.begin(exec, Vector<S>(const_cast<S*>(nodes.data()), nodes.extent(0)));
  S* result = staged_result_.begin_write(exec, result_);
  if (direct_)
    direct_->run(exec, from, result, traffic);
  else
    staged_->run(HostExec(), from, result, traffic);
  staged_result_.end(exec, result_);
}

template class TreeAllreduce<float>;
template class TreeAllreduce<double>;

}  // namespace partita::comm
