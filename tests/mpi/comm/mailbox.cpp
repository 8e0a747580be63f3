// SPDX-License-Identifier: BSD-3-Clause
// Notes from anybody to anybody, oneself too, and payload behind them.
#include <vector>

#include <gtest/gtest.h>

#include <partita/comm/mailbox.hpp>
#include <partita/comm/point_to_point.hpp>

#include <support/caught.hpp>
#include <support/mpi.hpp>

namespace partita::comm::mailbox_tests {
namespace {

using partita::test::world;
using partita::testing::caught;
using Vector = partita::Vector<float>;

struct Header {
  int from, number;
};

// Notes and payload of k: so many numbers, so many elements.
constexpr int rounds = 40;
int count_of(int from, int number) { return (from + number) % 5; }

Vector payload_of(int from, int number) {
  Vector values("partita::tests::payload", 100 + from + number);
  Kokkos::deep_copy(values, static_cast<float>(1000 * from + number));
  return values;
}

template <class Number>
std::vector<Number> as(const std::vector<std::byte>& bytes) {
  std::vector<Number> numbers(3);  // overwritten
  read_numbers(bytes, numbers);
  return numbers;
}

TEST(mailbox, takes_what_anybody_sends_once_and_in_order) {
  const int P = world().size(), me = world().rank();
  const int tag = world().claim_tag(), other = world().claim_tag();
  Mailbox mail(world());
  for (int number = 0; number < rounds; ++number)
    for (int to = 0; to < P; ++to)
      mail.send(Header{me, number}, to, tag,
                std::vector<double>(static_cast<std::size_t>(count_of(me, number)), number));
  std::vector<int> next(static_cast<std::size_t>(P));
  std::vector<double> numbers;
  Header header{};
  EXPECT_FALSE(mail.take(other, header, numbers));
  for (int left = P * rounds; left > 0;) {
    const auto from = mail.take(tag, header, numbers);
    if (!from) continue;
    --left;
    EXPECT_EQ(header.from, *from);
    EXPECT_EQ(header.number, next[static_cast<std::size_t>(*from)]++);
    EXPECT_EQ(numbers, std::vector<double>(static_cast<std::size_t>(count_of(*from, header.number)), header.number));
  }
  world().barrier();
  EXPECT_FALSE(mail.take(tag, header, numbers));
  while (mail.under_way() > 0) continue;
}

TEST(mailbox, numbers_are_of_one_type_and_counted_where_they_are_payload) {
  const int me = world().rank(), tag = world().claim_tag();
  Mailbox mail(world());
  TrafficEntry traffic;
  const std::vector<std::int32_t> integers = {7, -1, 1 << 30};
  const std::vector<double> reals = {0.5, me + 1.0};
  mail.send(Header{me, 0}, me, tag, integers, &traffic);
  mail.send(Header{me, 1}, me, tag, reals);
  mail.send(Header{me, 2}, me, tag, std::vector<std::int32_t>(), &traffic);
  EXPECT_EQ(traffic.sent_bytes, 12);
  EXPECT_EQ(traffic.messages, 1);
  std::vector<std::byte> bytes;
  Header header{};
  for (int number = 0; number < 3; ++number) {
    while (!mail.take(tag, header, bytes)) continue;
    EXPECT_EQ(header.number, number);
    if (number == 1)
      EXPECT_EQ(as<double>(bytes), reals);
    else
      EXPECT_EQ(as<std::int32_t>(bytes), number == 0 ? integers : std::vector<std::int32_t>());
  }
}

TEST(mailbox, payload_behind_a_note_is_that_of_the_note) {
  const int P = world().size(), me = world().rank(), to = (me + 1) % P, left = (me + P - 1) % P;
  const int tag = world().claim_tag(), payload_tag = world().claim_tag();
  const Exec exec;
  Mailbox mail(world());
  PointToPoint<float> out(world(), to, 100 + P + rounds), in(world(), left, 100 + P + rounds);
  std::vector<double> numbers;
  Header header{};
  for (int number = 0; number < rounds; ++number) {
    mail.send(Header{me, number}, to, tag);
    const Vector sent = payload_of(me, number);  // stays until it is received
    out.send(exec, sent, payload_tag, nullptr);
    while (!mail.take(tag, header, numbers)) continue;
    const Vector expected = payload_of(header.from, header.number),
                 values("partita::tests::values", expected.extent(0));
    in.receive(exec, values, payload_tag);
    in.wait(exec);
    exec.fence("partita::tests: the payload is there");
    const auto mine = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), values);
    EXPECT_EQ(header.from, left);
    EXPECT_EQ(mine(0), static_cast<float>(1000 * left + number));
    EXPECT_EQ(mine(mine.extent(0) - 1), mine(0));
    out.wait(exec);
  }
}

TEST(mailbox, a_receive_can_be_taken_back_and_the_place_used_again) {
  const int P = world().size(), me = world().rank(), to = (me + 1) % P, left = (me + P - 1) % P;
  const int tag = world().claim_tag(), never = world().claim_tag();
  const Exec exec;
  const Vector values("partita::tests::values", 3);
  PointToPoint<float> out(world(), to, 3), in(world(), left, 3);
  in.receive(exec, values, never);
  in.take_back();
  EXPECT_FALSE(in.pending());
  EXPECT_TRUE(in.landed());
  in.receive(exec, values, tag);
  Vector mine("partita::tests::mine", 3);
  Kokkos::deep_copy(mine, 1.0f + static_cast<float>(me));
  out.send(exec, mine, tag, nullptr);
  in.wait(exec);
  exec.fence("partita::tests: the payload is there");
  EXPECT_EQ(Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), values)(2), 1.0f + static_cast<float>(left));
  out.wait(exec);
}

TEST(mailbox, a_note_that_is_no_header_is_refused) {
  const int tag = world().claim_tag();
  Mailbox mail(world());
  mail.send(char{1}, world().rank(), tag);
  std::vector<double> numbers;
  Header header{};
  EXPECT_NE(caught<Error>([&] {
              while (!mail.take(tag, header, numbers)) continue;
            }).find("a note of 1 bytes"),
            std::string::npos);
}

}  // namespace
}  // namespace partita::comm::mailbox_tests
