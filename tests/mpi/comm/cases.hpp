// SPDX-License-Identifier: BSD-3-Clause
// One table of all collectives, longer than other files because it is one: what suites here run through.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <partita/comm/closed_forms.hpp>
#include <partita/comm/collectives/allreduce.hpp>
#include <partita/comm/collectives/exchange.hpp>
#include <partita/comm/collectives/rooted.hpp>
#include <partita/comm/collectives/tree_allreduce.hpp>

namespace partita::test {

using namespace comm;

/// One collective, planned in one way, as this rank sees it: what goes in, what must come out, what must be sent.
template <class S>
struct Case {
  std::string name;
  std::function<std::unique_ptr<Plan<S>>(const Communicator&)> plan;
  bool in_place = true;
  index_t input = 0, output = 0;               ///< elements
  std::function<double(index_t)> given = {};   ///< element i of the input, or of both
  std::function<double(index_t)> wanted = {};  ///< element i of the output; NaN: whatever it likes
  index_t sent_bytes = 0, messages = 0;        ///< by the closed forms
};

constexpr double anything = std::numeric_limits<double>::quiet_NaN();

/// Rank r's element i: integers so small that sums over 8 ranks are exact in 16 bits, in every order.
inline double term(index_t rank, index_t i) { return static_cast<double>((i * 7 + rank * 13) % 31 - 15); }

inline double sum_of_terms(index_t first, index_t end, index_t i) {
  double sum = 0;
  for (index_t r = first; r < end; ++r) sum += term(r, i);
  return sum;
}

/// Neighbours on a line: `from` gives `to` so many elements, extent(from, to). What must be sent is added up here.
template <class S>
Case<S> borders_case(const Communicator& comm, const std::function<index_t(index_t from, index_t to)>& extent,
                     double scale = 1) {
  const index_t me = comm.rank(), P = comm.size();
  const auto between = [=](index_t from, index_t to) { return to < 0 || to == P ? 0 : extent(from, to); };
  const index_t lower = me > 0 ? extent(me - 1, me) : 0, upper = me + 1 < P ? extent(me + 1, me) : 0;
  const Borders borders{
      .to_left = between(me, me - 1), .to_right = between(me, me + 1), .from_left = lower, .from_right = upper};
  return {.name = "borders",
          .plan = [=](const Communicator& line) { return std::make_unique<BordersPlan<S>>(line, borders); },
          .in_place = false,
          .input = borders.to_left + borders.to_right,
          .output = lower + upper,
          .given = [=](index_t i) { return scale * term(me, i); },
          .wanted =
              [=](index_t i) {
                return scale * (i < lower ? term(me - 1, between(me - 1, me - 2) + i) : term(me + 1, i - lower));
              },
          .sent_bytes = (borders.to_left + borders.to_right) * static_cast<index_t>(sizeof(S)),
          .messages = (borders.to_left > 0 ? 1 : 0) + (borders.to_right > 0 ? 1 : 0)};
}

/// Where the cases differ: elements and how they are shared, who is the root, how long messages are.
struct Shape {
  Segments segments;
  int root = 0;
  RingOptions options = {};
};

template <class S>
class Cases {
 public:
  Cases(const Communicator& comm, const Shape& shape)
      : comm_(&comm),
        shape_(shape),
        segments_(shape.segments),
        n_(segments_.elements()),
        P_(comm.size()),
        me_(comm.rank()),
        root_(shape.root),
        mine_(segments_[me_]),
        chunk_(shape.options.chunk(n_, size)),
        segment_chunk_(shape.options.chunk(segments_.longest(), size)) {}

  std::vector<Case<S>> all() {
    sums();
    to_and_from_root();
    moves();
    if constexpr (sizeof(S) >= 4) trees();
    return std::move(cases_);
  }

 private:
  static constexpr index_t size = sizeof(S);
  static constexpr closed_forms::Bytes bytes{size};

  // MPI's own calls: one message each, with the payload.
  void add(Case<S> c, index_t payload) { push(std::move(c), payload * size, 1); }
  // Ours: by the closed form, which is handed how to count.
  template <class Form>
  void add(Case<S> c, index_t longest, const Form& form) {
    push(std::move(c), form(bytes), form(closed_forms::Messages{longest}));
  }
  void push(Case<S> c, index_t sent_bytes, index_t messages) {
    c.sent_bytes = sent_bytes;
    c.messages = messages;
    cases_.push_back(std::move(c));
  }
  template <template <class> class P, class... Args>
  static auto planned(Args... args) {
    return [=](const Communicator& comm) -> std::unique_ptr<Plan<S>> { return std::make_unique<P<S>>(comm, args...); };
  }
  auto mine_given() const {
    return [me = me_](index_t i) { return term(me, i); };
  }
  Case<S> in_place(std::string name, index_t n, std::function<double(index_t)> wanted) const {
    return {.name = std::move(name),
            .plan = {},
            .in_place = true,
            .input = n,
            .output = n,
            .given = mine_given(),
            .wanted = std::move(wanted)};
  }
  Case<S> with(Case<S> c, std::function<std::unique_ptr<Plan<S>>(const Communicator&)> plan) const {
    c.plan = std::move(plan);
    return c;
  }

  void sums() {
    const RingOptions options = shape_.options;
    const auto total = [P = P_](index_t i) { return sum_of_terms(0, P, i); };
    const auto doubles = [this](const auto& count) { return closed_forms::doubling_allreduce(n_, P_, me_, count); };
    const auto halves = [this](const auto& count) { return closed_forms::halving_allreduce(n_, P_, me_, count); };
    const auto circles = [this](const auto& count) { return closed_forms::ring_allreduce(n_, P_, me_, count); };
    const auto allreduce = [&](const char* name, Allreduce how) {
      return with(in_place(name, n_, total), planned<AllreducePlan>(how, n_, options));
    };
    const auto add_recursive = [&](Case<S> c) {
      n_* size <= 16 * 1024 || P_ == 2 ? add(c, chunk_, doubles) : add(c, chunk_, halves);
    };
    const index_t even_chunk = options.chunk(Segments(n_, P_).longest(), size);
    add(allreduce("allreduce mpi", Allreduce::mpi), n_);
    add(allreduce("allreduce ring", Allreduce::ring), even_chunk, circles);
    add_recursive(allreduce("allreduce recursive", Allreduce::recursive));
    const Case<S> automatic = allreduce("allreduce automatic", Allreduce::automatic);
    n_* size <= 32 * 1024 ? add_recursive(automatic) : add(automatic, even_chunk, circles);

    const auto chosen = [&](const char* name, Allreduce how, Op op) {
      const auto wanted = [P = P_, op](index_t i) {
        double value = term(0, i);
        for (int r = 1; r < P; ++r) value = op == Op::max ? std::max(value, term(r, i)) : std::min(value, term(r, i));
        return value;
      };
      return with(in_place(name, n_, wanted), planned<AllreducePlan>(how, n_, options, op));
    };
    add(chosen("largest mpi", Allreduce::mpi, Op::max), n_);
    add(chosen("smallest mpi", Allreduce::mpi, Op::min), n_);
    add(chosen("largest ring", Allreduce::ring, Op::max), even_chunk, circles);
    add(chosen("smallest ring", Allreduce::ring, Op::min), even_chunk, circles);
    add_recursive(chosen("largest recursive", Allreduce::recursive, Op::max));

    const auto mine = [mine = mine_, total](index_t i) {
      return mine.offset <= i && i < mine.end() ? total(i) : anything;
    };
    const auto scatter = [&](const char* name, Via how) {
      return with(in_place(name, n_, mine), planned<ReduceScatterPlan>(how, segments_, options));
    };
    add(scatter("reduce_scatter mpi", Via::mpi), n_);
    add(scatter("reduce_scatter ring", Via::own), segment_chunk_,
        [this](const auto& count) { return closed_forms::ring_reduce_scatter(segments_, me_, count); });

    const auto at_root = [root = me_ == root_, total](index_t i) { return root ? total(i) : anything; };
    const auto reduce = [&](const char* name, Reduction how) {
      return with(in_place(name, n_, at_root), planned<ReducePlan>(how, n_, root_, options));
    };
    const auto to_root = [this](const auto& count) { return me_ == root_ ? 0 : count(n_); };
    add(reduce("reduce mpi", Reduction::mpi), me_ == root_ ? 0 : n_);
    add(reduce("reduce tree", Reduction::tree), chunk_, to_root);
    add(reduce("reduce central", Reduction::central), chunk_, to_root);
  }

  void to_and_from_root() {
    const bool root = me_ == root_;
    const auto broadcast = [&](const char* name, Via how) {
      return with(in_place(name, n_, [r = root_](index_t i) { return term(r, i); }),
                  planned<BroadcastPlan>(how, n_, root_, shape_.options));
    };
    add(broadcast("broadcast mpi", Via::mpi), root && P_ > 1 ? n_ : 0);
    const Tree tree = n_ * size <= 64 * 1024 ? Tree::binomial : Tree::chain;
    add(broadcast("broadcast tree", Via::own), chunk_,
        [this, tree](const auto& count) { return closed_forms::broadcast(n_, P_, me_, root_, tree, count); });

    const Case<S> gather{.name = "gather",
                         .plan = {},
                         .in_place = false,
                         .input = mine_.extent,
                         .output = root ? n_ : 0,
                         .given = global(mine_.offset),
                         .wanted = global(0)};
    add(named(gather, " mpi", planned<GatherPlan>(Via::mpi, segments_, root_)), root ? 0 : mine_.extent);
    add(named(gather, " direct", planned<GatherPlan>(Via::own, segments_, root_)), longest_,
        [this, root](const auto& count) { return root ? 0 : count(mine_.extent); });
    const Case<S> scatter{.name = "scatter",
                          .plan = {},
                          .in_place = false,
                          .input = root ? n_ : 0,
                          .output = mine_.extent,
                          .given = global(0),
                          .wanted = global(mine_.offset)};
    add(named(scatter, " mpi", planned<ScatterPlan>(Via::mpi, segments_, root_)),
        root && P_ > 1 ? n_ - mine_.extent : 0);
    add(named(scatter, " direct", planned<ScatterPlan>(Via::own, segments_, root_)), longest_,
        [this, root](const auto& count) { return root ? closed_forms::all_segments_but(segments_, me_, count) : 0; });
  }

  void moves() {
    const Case<S> all_gather{.name = "all_gather",
                             .plan = {},
                             .in_place = false,
                             .input = mine_.extent,
                             .output = n_,
                             .given = global(mine_.offset),
                             .wanted = global(0)};
    add(named(all_gather, " mpi", planned<AllGatherPlan>(Via::mpi, segments_, shape_.options)),
        P_ > 1 ? mine_.extent : 0);
    add(named(all_gather, " ring", planned<AllGatherPlan>(Via::own, segments_, shape_.options)), segment_chunk_,
        [this](const auto& count) { return closed_forms::ring_all_gather(segments_, me_, count); });

    const Case<S> shuffle{
        .name = "all_to_all",
        .plan = {},
        .in_place = false,
        .input = n_,
        .output = P_ * mine_.extent,
        .given = mine_given(),
        .wanted = [mine = mine_](index_t i) { return term(i / mine.extent, mine.offset + i % mine.extent); }};
    add(named(shuffle, " mpi", planned<AllToAllPlan>(Via::mpi, segments_)), n_ - mine_.extent);
    add(named(shuffle, " pairwise", planned<AllToAllPlan>(Via::own, segments_)), longest_,
        [this](const auto& count) { return closed_forms::all_segments_but(segments_, me_, count); });

    for (const bool periodic : {false, true}) {
      const index_t halo = (n_ + 2) / 3, interior = n_;
      const index_t left = (me_ - 1 + P_) % P_, right = (me_ + 1) % P_, last = P_ - 1;
      const bool from_left = P_ > 1 && (periodic || me_ > 0), from_right = P_ > 1 && (periodic || me_ < last);
      add(with(in_place(periodic ? "halo circle" : "halo line", interior + 2 * halo,
                        [=, me = me_](index_t i) {
                          if (i < halo && from_left) return term(left, interior + i);
                          if (i >= halo + interior && from_right) return term(right, i - interior);
                          return term(me, i);
                        }),
               planned<HaloPlan>(interior, halo, periodic)),
          longest_, [=, this](const auto& count) { return closed_forms::halo(halo, P_, me_, periodic, count); });
    }
    cases_.push_back(borders_case<S>(*comm_, [n = n_](index_t from, index_t to) {
      return from < to ? (n + from) / 2 : from % 3 == 2 ? 0 : (n + 2 * from) / 3;
    }));
    const int to = (root_ + 1) % P_;
    add(with(in_place("transfer", me_ == root_ || me_ == to ? n_ : 0, [r = root_](index_t i) { return term(r, i); }),
             planned<TransferPlan>(n_, root_, to)),
        longest_, [=, this](const auto& count) { return me_ == root_ && P_ > 1 ? count(n_) : 0; });
  }

  // Leaf c of the tree has term(c, i).
  void trees() {
    const index_t C = 24;
    std::vector<Node> nodes;
    if (const Slice chunks = partition(C, P_, me_); chunks.extent > 0)
      nodes = tree_cover(C, chunks.offset, chunks.end());
    const index_t stride = n_ + 3;
    const TreeNodes terms{.elements = n_, .chunks = C, .stride = stride};
    Case<S> tree{.name = "tree_allreduce",
                 .plan = {},
                 .in_place = false,
                 .input = nodes.empty() ? 0 : (std::ssize(nodes) - 1) * stride + n_,
                 .output = n_,
                 .given =
                     [=](index_t i) {
                       const Node node = nodes[static_cast<std::size_t>(i / stride)];
                       return i % stride < n_of(stride) ? sum_of_terms(node.lo, node.hi, i % stride) : 1e6;
                     },
                 .wanted = [](index_t i) { return sum_of_terms(0, 24, i); }};
    const Segments even(n_, P_);
    const index_t calls = P_ > 1 ? 1 : 0;
    push(named(tree, " mpi", planned<TreeAllreducePlan>(Allreduce::mpi, terms, shape_.options)),
         closed_forms::tree_allreduce_mpi_bytes(n_, C, P_, me_, size), 2 * calls);
    push(named(tree, " ring", planned<TreeAllreducePlan>(Allreduce::ring, terms, shape_.options)),
         closed_forms::tree_allreduce_ring_bytes(n_, C, P_, me_, size),
         closed_forms::tree_reduce_scatter_ring(even, C, me_, closed_forms::Messages{}) +
             closed_forms::ring_all_gather(even, me_,
                                           closed_forms::Messages{shape_.options.chunk(even.longest(), size)}));
    tree.name = "tree_reduce_scatter";
    tree.output = mine_.extent;
    tree.wanted = [mine = mine_](index_t i) { return sum_of_terms(0, 24, mine.offset + i); };
    push(named(tree, " mpi", planned<TreeReduceScatterPlan>(Allreduce::mpi, terms, segments_)),
         closed_forms::tree_reduce_scatter_mpi_bytes(segments_, C, me_, size), calls);
    add(named(tree, " ring", planned<TreeReduceScatterPlan>(Allreduce::ring, terms, segments_)), longest_,
        [this](const auto& count) { return closed_forms::tree_reduce_scatter_ring(segments_, C, me_, count); });
  }

  static index_t n_of(index_t stride) { return stride - 3; }
  /// What does not depend on who has it.
  static std::function<double(index_t)> global(index_t offset) {
    return [offset](index_t i) { return term(5, offset + i); };
  }
  static Case<S> named(Case<S> c, const char* how, std::function<std::unique_ptr<Plan<S>>(const Communicator&)> plan) {
    c.name += how;
    c.plan = std::move(plan);
    return c;
  }

  const Communicator* comm_;
  Shape shape_;
  Segments segments_;
  index_t n_;
  int P_, me_, root_;
  Range mine_;
  index_t chunk_, segment_chunk_;
  static constexpr index_t longest_ = index_t{1} << 30;
  std::vector<Case<S>> cases_;
};

/// A case with its plan and buffers.
template <class S>
class Running {
 public:
  Running(const Communicator& comm, const Case<S>& c)
      : case_(c),
        plan_(c.plan(comm)),
        input_("partita::test::input", c.input),
        output_("partita::test::output", c.output) {
    reset();
  }
  void reset() {
    fill(case_.in_place ? output_ : input_, case_.given);
    if (!case_.in_place) Kokkos::deep_copy(output_, static_cast<S>(99));
  }
  void start() { case_.in_place ? plan_->start(exec_, output_) : plan_->start(exec_, input_, output_); }
  void run() { case_.in_place ? plan_->run(exec_, output_) : plan_->run(exec_, input_, output_); }
  Plan<S>& plan() { return *plan_; }
  const Case<S>& what() const { return case_; }

  index_t wrong() const {
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), output_);
    index_t wrong = 0;
    for (index_t i = 0; i < case_.output; ++i)
      if (const double wanted = case_.wanted(i); !std::isnan(wanted)) wrong += static_cast<double>(host(i)) != wanted;
    return wrong;
  }

 private:
  static void fill(const Vector<S>& x, const std::function<double(index_t)>& value) {
    const auto host = Kokkos::create_mirror_view(x);
    for (index_t i = 0; i < static_cast<index_t>(host.extent(0)); ++i) host(i) = static_cast<S>(value(i));
    Kokkos::deep_copy(x, host);
  }

  Case<S> case_;
  std::unique_ptr<Plan<S>> plan_;
  Exec exec_;
  Vector<S> input_, output_;
};

}  // namespace partita::test
