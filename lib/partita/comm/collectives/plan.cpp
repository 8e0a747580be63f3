// SPDX-License-Identifier: BSD-3-Clause
#include <partita/comm/collectives/plan.hpp>

#include <cstdint>
#include <utility>

#include <fmt/format.h>
#include <Kokkos_Profiling_ScopedRegion.hpp>

#include <partita/comm/collectives/flow.hpp>
#include <partita/core/error.hpp>
#include <partita/core/float16.hpp>

namespace partita::comm {

template <class S>
Plan<S>::Plan(const Communicator& comm, PlanTerms terms, std::unique_ptr<Transport<S>> transport)
    : terms_(std::move(terms)),
      transport_(std::move(transport)),
      entry_(comm.traffic_entry(terms_.operation, terms_.algorithm)),
      comm_(&comm),
      call_{.operation = terms_.operation,
            .algorithm = terms_.algorithm,
            .elements = terms_.agreed,
            .element_bytes = sizeof(S),
            .root = terms_.root},
      work_(transport_->work()),
      region_(fmt::format("partita::comm::{}::{}", terms_.operation, terms_.algorithm)),
      staged_input_(comm.gpu_aware(), terms_.in_place ? 0 : terms_.input),
      staged_output_(comm.gpu_aware(), terms_.output) {
  if (comm.waits() == nullptr) return;
  operation_ = comm.waits()->keep(terms_.operation);
  algorithm_ = comm.waits()->keep(terms_.algorithm);
}

template <class S>
Plan<S>::~Plan() {
  if (!transport_ || !in_flight_) return;
  transport_->withdraw();
  struct Kept {
    std::unique_ptr<Transport<S>> transport;
    Staging<S> input, output;
    Vector<S> user;
  };
  (void)new Kept{std::move(transport_), staged_input_, staged_output_, output_};
}

template <class S>
void Plan<S>::check(std::string_view call, std::size_t input, std::size_t output, bool in_place) const {
  const auto require = [&](const char* operand, std::size_t has, index_t planned) {
    if (static_cast<index_t>(has) != planned)
      refuse<ShapeError>(fmt::format("{}::{}", terms_.name, call), fmt::format("{} has {} elements", operand, has),
                         fmt::format("{}, as planned", planned));
  };
  if (in_place) {
    require("inout", output, terms_.in_place ? terms_.output : -1);
  } else {
    require("input", input, terms_.input);
    require("output", output, terms_.output);
  }
  if (in_flight_) refuse<Error>(fmt::format("{}::{}", terms_.name, call), "it is in flight", "finish first");
}

// go(input, output) on pointers that MPI may see.
template <class S>
template <class Go>
void Plan<S>::begin(const Exec& exec, ConstVector<S> input, Vector<S> output, const TrafficClock& clock, const Go& go) {
  if (entry_ != nullptr) {
    ++entry_->calls;
    entry_->expected_bytes += static_cast<double>(terms_.sent.bytes);
    entry_->expected_messages += static_cast<double>(terms_.sent.messages);
    entry_->work += work_;
  }
  number_ = terms_.collective ? comm_->begin_call(call_) : -1;
  exec_ = exec;
  output_ = output;
  in_flight_ = true;
  arrived_ = false;
  const Waiting waiting(comm_->waits(), wait(clock));
  if (terms_.in_place) {
    S* const data = staged_output_.begin(exec, output);
    return go(data, data);
  }
  const S* const from = staged_input_.begin(exec, Vector<S>(const_cast<S*>(input.data()), input.extent(0)));
  go(from, staged_output_.where(output));
}

template <class S>
void Plan<S>::start_checked(const Exec& exec, ConstVector<S> input, Vector<S> output) {
  const Kokkos::Profiling::ScopedRegion region(region_);
  const TrafficClock clock(entry_);
  begin(exec, input, output, clock, [&](const S* from, S* into) { transport_->start(exec, from, into, entry_); });
}

template <class S>
void Plan<S>::start(const Exec& exec, ConstVector<S> input, Vector<S> output) {
  check("start", input.extent(0), output.extent(0), false);
  start_checked(exec, input, output);
}

template <class S>
void Plan<S>::start(const Exec& exec, Vector<S> inout) {
  check("start", inout.extent(0), inout.extent(0), true);
  start_checked(exec, inout, inout);
}

template <class S>
bool Plan<S>::progress() {
  if (!in_flight_ || arrived_) return true;
  const TrafficClock clock(entry_);
  arrived_ = transport_->advance(false);
  return arrived_;
}

template <class S>
void Plan<S>::finish() {
  if (!in_flight_) return;
  const Kokkos::Profiling::ScopedRegion region(region_);
  const TrafficClock clock(entry_);
  const Waiting waiting(comm_->waits(), wait(clock));
  comm_->require_same_call(wait(clock));
  if (!arrived_) transport_->advance(true);
  deliver();
}

template <class S>
Wait Plan<S>::wait(const TrafficClock& clock) const {
  Wait wait = comm_->wait(operation_, terms_.sent.bytes, -1, number_);
  wait.algorithm = algorithm_;
  wait.since_ns = clock.start_ns();
  return wait;
}

template <class S>
void Plan<S>::deliver() {
  staged_output_.end(exec_, output_);
  output_ = {};
  in_flight_ = false;
}

template <class S>
void Plan<S>::run_checked(const Exec& exec, ConstVector<S> input, Vector<S> output) {
  const Kokkos::Profiling::ScopedRegion region(region_);
  const TrafficClock clock(entry_);
  begin(exec, input, output, clock, [&](const S* from, S* into) {
    comm_->require_same_call(wait(clock));
    transport_->run(exec, from, into, entry_);
  });
  deliver();
}

template <class S>
void Plan<S>::run(const Exec& exec, ConstVector<S> input, Vector<S> output) {
  check("run", input.extent(0), output.extent(0), false);
  run_checked(exec, input, output);
}

template <class S>
void Plan<S>::run(const Exec& exec, Vector<S> inout) {
  check("run", inout.extent(0), inout.extent(0), true);
  run_checked(exec, inout, inout);
}

template <class S>
std::unique_ptr<Transport<S>> make_flow(const Communicator& comm, std::shared_ptr<const Schedule> schedule, Op op) {
  return make_transport<Flow, S>(comm.gpu_aware(), comm, comm.claim_tag(), std::move(schedule), op);
}

#define PARTITA_COMM_PLAN(S) \
  template class Plan<S>;    \
  template std::unique_ptr<Transport<S>> make_flow(const Communicator&, std::shared_ptr<const Schedule>, Op);
PARTITA_COMM_PLAN(float)
PARTITA_COMM_PLAN(double)
PARTITA_COMM_PLAN(bfloat16)
PARTITA_COMM_PLAN(float16)
PARTITA_COMM_PLAN(std::int32_t)
#undef PARTITA_COMM_PLAN

}  // namespace partita::comm
