// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>

#include <partita/comm/closed_forms.hpp>
#include <partita/comm/collectives/schedule.hpp>
#include <partita/comm/collectives/staging.hpp>
#include <partita/comm/collectives/transport.hpp>

namespace partita::comm {

/// Something that was started and ends by itself, if it is helped on now and then.
class Pending {
 public:
  virtual ~Pending() = default;
  /// True when nothing is left to wait for, or nothing was started. Never blocks.
  virtual bool progress() = 0;
  /// Waits for the end; what it brings is there for what is enqueued next. Nothing where nothing was started.
  virtual void finish() = 0;

 protected:
  Pending() = default;
  Pending(const Pending&) = default;
  Pending& operator=(const Pending&) = default;
};

/// Who chooses how payload travels where we have one algorithm of our own: MPI, or it.
enum class Via { mpi, own };

/// What a plan is called, and what it must have sent.
struct PlanTerms {
  /// A call of MPI's own, whose messages nobody sees: one, with the payload.
  static constexpr closed_forms::Sent mpi(index_t payload_bytes) { return {payload_bytes, 1}; }

  std::string name;              ///< of the class, in errors
  std::string operation;         ///< of TrafficEntry
  std::string algorithm;         ///< of TrafficEntry
  index_t input = 0;             ///< elements
  index_t output = 0;            ///< elements
  index_t agreed = -1;           ///< elements of which all ranks say the same; -1: each has its own
  int root = -1;                 ///< -1: there is none
  bool collective = true;        ///< false: ranks that neither send nor receive may leave it out
  bool in_place = false;         ///< one buffer of `output` elements is both
  closed_forms::Sent sent = {};  ///< by this rank
};

/// A collective planned once for buffers of given extents: started, helped on, finished, any number of times, with
/// others in flight beside it. What is in flight may be neither written nor, where it is written, read.
///
///     plan.start(exec, inout);          posts what can be posted
///     ... plan.progress() ...           now and then, between other work
///     plan.finish();                    the result is there for what is enqueued on exec next
///
/// Plans on one communicator are made, started and finished in the same order on all ranks; progress comes in any.
/// One that goes while it is in flight (an exception unwinds) takes back its receives and gives what MPI may still read
/// or write no more free: the job is about to end, and the communicator is of no use any more.
///
/// Types    float, double, bfloat16, float16 (added as floats, rounded after each addition); std::int32_t where a class
///          says so.
/// Memory   scratch is planned with it; a call allocates nothing.
/// Traffic  every message of our own algorithms, where it is posted; one for a call of MPI's own, with its payload.
/// Region   partita::comm::<operation>::<algorithm> in Kokkos Tools: around run, or around start and around finish.
template <class S>
class Plan : public Pending {
 public:
  ~Plan() override;
  Plan(Plan&&) noexcept = default;
  Plan& operator=(Plan&&) noexcept = default;

  /// Runs     fences exec first: MPI reads what its kernels wrote. Never waits for others. Collective.
  /// Throws   ShapeError when an operand has another extent; Error when MPI fails.
  void start(const Exec& exec, ConstVector<S> input, Vector<S> output);
  void start(const Exec& exec, Vector<S> inout);
  bool progress() override;
  void finish() override;
  /// Start and finish; where MPI's own blocking collective is the better one, that.
  void run(const Exec& exec, ConstVector<S> input, Vector<S> output);
  void run(const Exec& exec, Vector<S> inout);

  bool in_flight() const { return in_flight_; }
  /// By which of its algorithms: "ring", "mpi", ...
  const std::string& algorithm() const { return terms_.algorithm; }
  /// Of one call.
  index_t sent_bytes() const { return terms_.sent.bytes; }
  const Work& work() const { return work_; }

 protected:
  /// comm must outlive the plan. Not collective, but in order.
  Plan(const Communicator& comm, PlanTerms terms, std::unique_ptr<Transport<S>> transport);

 private:
  void check(std::string_view call, std::size_t input, std::size_t output, bool in_place) const;
  template <class Go>
  void begin(const Exec& exec, ConstVector<S> input, Vector<S> output, const TrafficClock& clock, const Go& go);
  void start_checked(const Exec& exec, ConstVector<S> input, Vector<S> output);
  void run_checked(const Exec& exec, ConstVector<S> input, Vector<S> output);
  void deliver();
  Wait wait(const TrafficClock& clock) const;

  PlanTerms terms_;
  std::unique_ptr<Transport<S>> transport_;
  TrafficEntry* entry_;
  const Communicator* comm_;
  const char *operation_ = "", *algorithm_ = "";  // of terms_, where the board of waits keeps them
  CollectiveCall call_;                           // of terms_
  Work work_;
  std::string region_;
  Staging<S> staged_input_, staged_output_;

  // The call under way.
  bool in_flight_ = false, arrived_ = false;
  index_t number_ = -1;
  Exec exec_;
  Vector<S> output_;
};

/// The transport of a schedule on a communicator: takes a tag of its own.
template <class S>
std::unique_ptr<Transport<S>> make_flow(const Communicator& comm, std::shared_ptr<const Schedule> schedule,
                                        Op op = Op::sum);

}  // namespace partita::comm
