// SPDX-License-Identifier: BSD-3-Clause
// Schedules beyond what can be run: more elements than MPI counts, and many ranks. Pure arithmetic.
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <partita/comm/closed_forms.hpp>
#include <partita/comm/collectives/tree_transport.hpp>

namespace partita::comm::large_tests {
namespace {

using closed_forms::Bytes;
using closed_forms::Messages;
using Made = std::shared_ptr<const Schedule>;

constexpr index_t most = index_t{1} << 30;  // MPI counts to 2^31 - 1

/// A schedule and what it must send, counted in either way.
struct Form {
  std::string name;
  std::function<Made(int rank)> schedule;
  std::function<std::pair<index_t, index_t>(index_t rank)> elements_and_messages;
  index_t input, output;  ///< elements of the longest buffers
};

template <class Count>
auto both(index_t longest, const Count& form) {
  return [=](index_t rank) { return std::pair(form(rank, Bytes{1}), form(rank, Messages{longest})); };
}

/// First node of each rank in the list of all.
std::vector<index_t> first_nodes(const Leaves& leaves, int P) {
  const Segments shares = leaves.over(P);
  std::vector<index_t> first = {0};
  for (int r = 0; r < P; ++r)
    first.push_back(first.back() + std::ssize(tree_cover(leaves.count, shares[r].offset, shares[r].end())));
  return first;
}

/// More and more of C leaves for each rank, none for many of the first.
Leaves uneven_leaves(index_t C, int P) {
  std::vector<index_t> bounds;
  for (index_t r = 0; r <= P; ++r) bounds.push_back(C * r * r * r / (index_t{P} * P * P));
  return {C, bounds};
}

/// Of ranks on a line that give each other elements of very unlike numbers, n at most.
Borders borders_of(index_t n, int P, int r) {
  const auto to_right = [&](int from) { return from % 3 == 1 ? 0 : n / (from + 1); };
  const auto to_left = [&](int from) { return from % 2 == 1 ? n : from; };
  return {.to_left = r > 0 ? to_left(r) : 0,
          .to_right = r + 1 < P ? to_right(r) : 0,
          .from_left = r > 0 ? to_right(r - 1) : 0,
          .from_right = r + 1 < P ? to_left(r + 1) : 0};
}

std::vector<Form> forms(const Segments& segments, int root) {
  namespace forms = closed_forms;
  const index_t n = segments.elements();
  const int P = segments.ranks();
  const index_t chunk = RingOptions{}.chunk(n, 4), part = RingOptions{}.chunk(segments.longest(), 4);
  const index_t C = 2 * P + 1, halo = n / 2;
  const Leaves uneven = uneven_leaves(C, P);
  const std::vector<index_t> first = first_nodes(C, P), first_uneven = first_nodes(uneven, P);
  const auto ring = [=](RingPart which) { return [=](int r) { return ring_schedule(segments, r, which, part); }; };
  const auto down = [=](Tree tree) { return [=](int r) { return broadcast_schedule(n, P, r, root, tree, chunk); }; };
  const auto up = [=](Tree tree) { return [=](int r) { return reduce_schedule(n, P, r, root, tree, chunk); }; };
  const auto to_root = both(chunk, [=](index_t r, const auto& count) { return r == root ? 0 : count(n); });
  const auto by = [=](Tree tree) {
    return both(chunk, [=](index_t r, const auto& count) { return forms::broadcast(n, P, r, root, tree, count); });
  };
  return {
      {"ring allreduce", ring(RingPart::allreduce),
       both(part,
            [=](index_t r, const auto& count) {
              return forms::ring_reduce_scatter(segments, r, count) + forms::ring_all_gather(segments, r, count);
            }),
       n, n},
      {"ring reduce-scatter", ring(RingPart::reduce_scatter),
       both(part, [=](index_t r, const auto& count) { return forms::ring_reduce_scatter(segments, r, count); }), n, n},
      {"ring all-gather", ring(RingPart::all_gather),
       both(part, [=](index_t r, const auto& count) { return forms::ring_all_gather(segments, r, count); }), n, n},
      {"doubling", [=](int r) { return doubling_schedule(n, P, r, chunk); },
       both(chunk, [=](index_t r, const auto& count) { return forms::doubling_allreduce(n, P, r, count); }), n, n},
      {"halving", [=](int r) { return halving_schedule(n, P, r, chunk); },
       both(chunk, [=](index_t r, const auto& count) { return forms::halving_allreduce(n, P, r, count); }), n, n},
      {"broadcast binomial", down(Tree::binomial), by(Tree::binomial), n, n},
      {"broadcast chain", down(Tree::chain), by(Tree::chain), n, n},
      {"reduce binomial", up(Tree::binomial), to_root, n, n},
      {"reduce chain", up(Tree::chain), to_root, n, n},
      {"reduce central", [=](int r) { return central_reduce_schedule(n, P, r, root, chunk); }, to_root, n, n},
      {"gather", [=](int r) { return gather_schedule(segments, r, root); },
       both(most, [=](index_t r, const auto& count) { return r == root ? 0 : count(segments[r].extent); }), n, n},
      {"scatter", [=](int r) { return scatter_schedule(segments, r, root); },
       both(most,
            [=](index_t r, const auto& count) { return r == root ? forms::all_segments_but(segments, r, count) : 0; }),
       n, n},
      {"all-to-all", [=](int r) { return all_to_all_schedule(segments, r); },
       both(most, [=](index_t r, const auto& count) { return forms::all_segments_but(segments, r, count); }), n,
       P * segments.longest()},
      {"halo line", [=](int r) { return halo_schedule(n, halo, P, r, false); },
       both(most, [=](index_t r, const auto& count) { return forms::halo(halo, P, r, false, count); }), n + 2 * halo,
       n + 2 * halo},
      {"halo circle", [=](int r) { return halo_schedule(n, halo, P, r, true); },
       both(most, [=](index_t r, const auto& count) { return forms::halo(halo, P, r, true, count); }), n + 2 * halo,
       n + 2 * halo},
      {"borders", [=](int r) { return borders_schedule(borders_of(n, P, r), r); },
       both(most,
            [=](index_t r, const auto& count) { return forms::borders(borders_of(n, P, static_cast<int>(r)), count); }),
       3 * n + P, 3 * n + P},
      {"transfer", [=](int r) { return transfer_schedule(n, r, root, (root + 1) % P); },
       both(most, [=](index_t r, const auto& count) { return r == root && P > 1 ? count(n) : 0; }), n, n},
      {"tree hops", [=](int r) { return hop_schedule(segments, first, r); },
       both(most, [=](index_t r, const auto& count) { return forms::tree_reduce_scatter_ring(segments, C, r, count); }),
       first.back() * n, first.back() * n},
      {"uneven tree hops", [=](int r) { return hop_schedule(segments, first_uneven, r); },
       both(most,
            [=](index_t r, const auto& count) { return forms::tree_reduce_scatter_ring(segments, uneven, r, count); }),
       first_uneven.back() * n, first_uneven.back() * n},
  };
}

/// The messages of one side that are sent at all: to or from whom, and how long.
template <class Get>
std::vector<Message> real(index_t count, const Get& get) {
  std::vector<Message> messages;
  for (index_t i = 0; i < count; ++i)
    if (const Message message = get(i); message.range.extent > 0) messages.push_back(message);
  return messages;
}

/// MPI can count it, it is inside of its buffer, and all of them are what the closed forms say. Returns what it sends.
std::vector<Message> expect_fit(const Form& form, const Schedule& schedule, int rank) {
  const auto limit = [&](Place place) {
    return place == Place::input ? form.input : place == Place::output ? form.output : schedule.scratch();
  };
  const auto fits = [&](const Message& message) {
    return message.range.extent <= most && message.range.offset >= 0 && message.range.end() <= limit(message.place) &&
           (!message.adds || message.range.extent <= schedule.longest_sum());
  };
  const std::vector<Message> sent = real(schedule.sends(), [&](index_t i) { return schedule.send(i); });
  index_t elements = 0, wrong = 0;
  for (const Message& message : sent) elements += message.range.extent;
  for (const Message& message : sent) wrong += !fits(message);
  for (index_t i = 0; i < schedule.receives(); ++i) wrong += !fits(schedule.receive(i));
  EXPECT_EQ(wrong, 0) << form.name << " of rank " << rank;
  EXPECT_EQ(std::pair(elements, static_cast<index_t>(std::ssize(sent))), form.elements_and_messages(rank))
      << form.name << " of rank " << rank;
  return sent;
}

/// What every rank sends is what the other one expects, in order.
void expect_match(const Form& form, int P) {
  std::map<std::pair<int, int>, std::vector<index_t>> sent, expected;
  for (int r = 0; r < P; ++r) {
    const Made schedule = form.schedule(r);
    for (const Message& message : expect_fit(form, *schedule, r))
      sent[{r, message.peer}].push_back(message.range.extent);
    for (const Message& message : real(schedule->receives(), [&](index_t i) { return schedule->receive(i); }))
      expected[{message.peer, r}].push_back(message.range.extent);
  }
  EXPECT_EQ(sent, expected) << form.name << " of " << P << " ranks";
}

TEST(large, messages_stay_below_what_mpi_counts) {
  const index_t n = 5 * (index_t{1} << 31);
  for (const int P : {1, 2, 3, 5})
    for (const Segments& segments : {Segments(n, P), Segments::on(P - 1, n, P)})
      for (const Form& form : forms(segments, P / 2)) expect_match(form, P);
}

TEST(large, messages_match_on_64_ranks) {
  for (const index_t n : {100'000, 63, 1})
    for (const Form& form : forms(Segments(n, 64), 17)) expect_match(form, 64);
}

TEST(large, some_of_1000_ranks_do_what_the_closed_forms_say) {
  for (const Form& form : forms(Segments(1'000'003, 1000), 3))
    for (const int rank : {0, 3, 4, 511, 512, 975, 976, 999}) expect_fit(form, *form.schedule(rank), rank);
}

/// What the papers say of all ranks together.
TEST(large, closed_forms_of_1000_ranks_add_up) {
  const index_t P = 1000, n = 123'457, p = 512;
  index_t ring = 0, doubling = 0, halving = 0, down = 0, messages = 0;
  for (index_t r = 0; r < P; ++r) {
    ring += closed_forms::ring_allreduce_bytes(n, P, r, 4);
    doubling += closed_forms::doubling_allreduce_bytes(n, P, r, 4);
    halving += closed_forms::halving_allreduce_bytes(n, P, r, 4);
    down += closed_forms::broadcast_bytes(n, P, r, 3, Tree::binomial, 4);
    messages += closed_forms::doubling_allreduce(n, P, r, Messages{});
  }
  EXPECT_EQ(ring, 2 * (P - 1) * n * 4);
  EXPECT_EQ(doubling, (p * 9 + 2 * (P - p)) * n * 4);
  EXPECT_EQ(halving, (2 * (p - 1) + 2 * (P - p)) * n * 4);
  EXPECT_EQ(down, (P - 1) * n * 4);
  EXPECT_EQ(messages, p * 9 + 2 * (P - p));
}

}  // namespace
}  // namespace partita::comm::large_tests
