// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/collectives/exchange.hpp>

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

#include <partita/comm/closed_forms.hpp>
#include <partita/comm/collectives/mpi_calls.hpp>
#include <partita/core/error.hpp>
#include <partita/core/float16.hpp>

namespace partita::comm {
namespace {

template <class S, class Form>
closed_forms::Sent sent(const Form& form) {
  return closed_forms::sent(sizeof(S), closed_forms::Messages{}.longest, form);
}

template <class S>
closed_forms::Sent shuffled(const Communicator& comm, Via how, const Segments& segments) {
  const closed_forms::Sent all =
      sent<S>([&](const auto& count) { return closed_forms::all_segments_but(segments, comm.rank(), count); });
  return how == Via::mpi ? PlanTerms::mpi(all.bytes) : all;
}

index_t checked_halo(index_t interior, index_t halo) {
  if (halo < 0 || halo > interior)
    refuse<ShapeError>("HaloPlan", fmt::format("a halo of {} elements beside an interior of {}", halo, interior),
                       "at most as many");
  return halo;
}

const Borders& checked_borders(const Communicator& comm, const Borders& borders) {
  const auto& [to_left, to_right, from_left, from_right] = borders;
  if (std::min({to_left, to_right, from_left, from_right}) < 0)
    refuse<ShapeError>("BordersPlan",
                       fmt::format("{} and {} elements to the left and right, {} and {} from there", to_left, to_right,
                                   from_left, from_right),
                       "at least 0");
  const auto check_end = [&](bool is_end, const char* side, index_t to, index_t from) {
    if (is_end && (to > 0 || from > 0))
      refuse<ShapeError>("BordersPlan",
                         fmt::format("{} elements to and {} from beyond the {} end of the line", to, from, side),
                         "none");
  };
  check_end(comm.rank() == 0, "left", to_left, from_left);
  check_end(comm.rank() + 1 == comm.size(), "right", to_right, from_right);
  return borders;
}

index_t takes_part(const Communicator& comm, index_t n, int from, int to) {
  return comm.rank() == from || comm.rank() == to ? n : 0;
}

}  // namespace

template <class S>
AllToAllPlan<S>::AllToAllPlan(const Communicator& comm, Via how, const Segments& segments)
    : Plan<S>(comm,
              {.name = "AllToAllPlan",
               .operation = "all_to_all",
               .algorithm = how == Via::mpi ? "mpi" : "pairwise",
               .input = segments.elements(),
               .output = comm.size() * segments[comm.rank()].extent,
               .agreed = segments.elements(),
               .sent = shuffled<S>(comm, how, segments)},
              how == Via::mpi ? mpi_all_to_all<S>(comm, segments)
                              : make_flow<S>(comm, all_to_all_schedule(segments, comm.rank()))) {}

template <class S>
HaloPlan<S>::HaloPlan(const Communicator& comm, index_t interior, index_t halo, bool periodic)
    : Plan<S>(comm,
              {.name = "HaloPlan",
               .operation = "halo",
               .algorithm = "direct",
               .input = interior + 2 * checked_halo(interior, halo),
               .output = interior + 2 * halo,
               .collective = false,
               .in_place = true,
               .sent = sent<S>([&](const auto& count) {
                 return closed_forms::halo(halo, comm.size(), comm.rank(), periodic, count);
               })},
              make_flow<S>(comm, halo_schedule(interior, halo, comm.size(), comm.rank(), periodic))) {}

template <class S>
BordersPlan<S>::BordersPlan(const Communicator& comm, const Borders& borders)
    : Plan<S>(comm,
              {.name = "BordersPlan",
               .operation = "halo",
               .algorithm = "direct",
               .input = borders.to_left + borders.to_right,
               .output = borders.from_left + borders.from_right,
               .collective = false,
               .sent = sent<S>([&](const auto& count) { return closed_forms::borders(borders, count); })},
              make_flow<S>(comm, borders_schedule(checked_borders(comm, borders), comm.rank()))) {}

template <class S>
TransferPlan<S>::TransferPlan(const Communicator& comm, index_t elements, int from, int to)
    : Plan<S>(
          comm,
          {.name = "TransferPlan",
           .operation = "transfer",
           .algorithm = "direct",
           .input = takes_part(comm, elements, from, to),
           .output = takes_part(comm, elements, from, to),
           .collective = false,
           .in_place = true,
           .sent = sent<S>([&](const auto& count) { return comm.rank() == from && from != to ? count(elements) : 0; })},
          make_flow<S>(comm, transfer_schedule(elements, comm.rank(), from, to))) {}

#define PARTITA_COMM_EXCHANGE(S)  \
  template class AllToAllPlan<S>; \
  template class BordersPlan<S>;  \
  template class HaloPlan<S>;     \
  template class TransferPlan<S>;
PARTITA_COMM_EXCHANGE(float)
PARTITA_COMM_EXCHANGE(double)
PARTITA_COMM_EXCHANGE(bfloat16)
PARTITA_COMM_EXCHANGE(float16)
#undef PARTITA_COMM_EXCHANGE
template class BordersPlan<std::int32_t>;

}  // namespace partita::comm
