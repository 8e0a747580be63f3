// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>
#include <partita/kernels/attention.hpp>
#include <partita/kernels/backend/attention_rows.hpp>

#include <support/caught.hpp>
#include "numbers.hpp"

namespace partita::kernels::test::attention_tests {
namespace {

using reference::AttentionShape;

std::string text(const AttentionShape& a) {
  return "B " + std::to_string(a.B) + " T " + std::to_string(a.T) + " H " + std::to_string(a.H) + " D " +
         std::to_string(a.D) + (a.causal ? " causal" : "");
}

template <class Scalar>
struct Operands {
  AttentionShape a;
  std::vector<Scalar> q, k, v, dy;
  Slice queries = {};  // those of all that are computed

  explicit Operands(const AttentionShape& shape) : a(shape) {
    const index_t n = a.B * a.T * a.H * a.D;
    q = random_values<Scalar>(1, n), k = random_values<Scalar>(2, n), v = random_values<Scalar>(3, n);
    dy = random_values<Scalar>(4, n);
  }
  AttentionOptions options(AttentionAlgorithm algorithm) const {
    return {.T = a.T, .H = a.H, .causal = a.causal, .algorithm = algorithm, .queries = queries};
  }
  /// Rows of the queries, of one with a row for each token.
  std::vector<Scalar> rows_of_queries(const std::vector<Scalar>& all) const {
    const Slice of = queries == Slice{} ? whole(a.T) : queries;
    std::vector<Scalar> rows;
    for (index_t b = 0; b < a.B; ++b)
      for (index_t t = of.offset; t < of.end(); ++t)
        for (index_t j = 0; j < a.H * a.D; ++j) rows.push_back(all[(b * a.T + t) * a.H * a.D + j]);
    return rows;
  }
};

template <class Scalar>
struct Results {
  std::vector<Scalar> y, dq, dk, dv;
  std::vector<accumulate_t<Scalar>> lse;

  /// All after one another.
  std::vector<double> all() const {
    std::vector<double> numbers = in_double(lse);
    for (const auto* part : {&y, &dq, &dk, &dv})
      for (const Scalar& value : *part) numbers.push_back(double(value));
    return numbers;
  }
};

/// q, k and v are columns of one buffer, as a model has them; the others lie as `p` says.
template <class Scalar>
Results<Scalar> run(Context& context, AttentionAlgorithm algorithm, const Operands<Scalar>& o, Placement p = {}) {
  const index_t rows = o.a.B * o.a.T, columns = o.a.H * o.a.D;
  std::vector<Scalar> joined(3 * rows * columns);
  for (index_t i = 0; i < rows; ++i)
    for (index_t j = 0; j < columns; ++j) {
      joined[(3 * i + 0) * columns + j] = o.q[i * columns + j];
      joined[(3 * i + 1) * columns + j] = o.k[i * columns + j];
      joined[(3 * i + 2) * columns + j] = o.v[i * columns + j];
    }
  const index_t queries = o.a.B * queries_of(o.options(algorithm)).extent;
  const Placed<Scalar> qkv(joined, rows, 3 * columns, p), dy(o.rows_of_queries(o.dy), queries, columns, p),
      y(queries, columns, p), dqkv(rows, 3 * columns, p);
  const auto third = [&](const Placed<Scalar>& of, index_t i) {
    return Matrix<Scalar>(Kokkos::subview(of.matrix(), Kokkos::ALL, Kokkos::pair(i * columns, (i + 1) * columns)));
  };
  const auto lse = to_device(std::vector<accumulate_t<Scalar>>(queries * o.a.H), p.offset);
  const auto options = o.options(algorithm);
  attention_forward<Scalar>(context, options, third(qkv, 0), third(qkv, 1), third(qkv, 2), y.matrix(), lse);
  attention_backward<Scalar>(context, options, third(qkv, 0), third(qkv, 1), third(qkv, 2), y.matrix(), lse,
                             dy.matrix(), third(dqkv, 0), third(dqkv, 1), third(dqkv, 2));
  context.exec().fence();
  EXPECT_TRUE(y.surroundings_untouched());
  EXPECT_TRUE(dqkv.surroundings_untouched());
  return {y.values(), to_host(third(dqkv, 0)), to_host(third(dqkv, 1)), to_host(third(dqkv, 2)), to_host(lse)};
}

/// A score errs by delta = gamma_D |q| |k|, a weight by 2 delta and a few roundings relatively, and a sum of n products
/// by n more (u each). Maxima stand for elements. Storage rounds once more, and in backward y was so rounded.
template <class Scalar>
void check(Context& context, AttentionAlgorithm algorithm, const AttentionShape& a, Placement p) {
  SCOPED_TRACE(text(a) + " " + std::string(name(algorithm)));
  const Operands<Scalar> o(a);
  const Results<Scalar> got = run(context, algorithm, o, p);
  const Numbers q = in_double(o.q), k = in_double(o.k), v = in_double(o.v), dy = in_double(o.dy);
  const auto forward = reference::attention_forward(a, q, k, v);
  const auto backward = reference::attention_backward(a, q, k, v, forward, dy);
  const double u = unit_roundoff<accumulate_t<Scalar>>, stored = unit_roundoff<Scalar>;
  const double D = double(a.D), T = double(a.T), root = std::sqrt(D);
  const double delta = (D + 4) * u * root * largest(q) * largest(k);
  const double weight = 2 * delta + (T + 16) * u;
  const double y = largest(v) * weight, lse = delta + (T + 16 + largest(forward.lse)) * u;
  const double slope = D * largest(dy) * (2 * largest(v) * (weight + (D + 8) * u) + largest(v) * stored);
  EXPECT_TRUE(close(got.y, forward.y, y));
  EXPECT_TRUE(close(got.lse, forward.lse, lse));
  EXPECT_TRUE(close(got.dq, backward.dq, slope * largest(k) / root));
  EXPECT_TRUE(close(got.dk, backward.dk, T * slope * largest(q) / root));
  EXPECT_TRUE(close(got.dv, backward.dv, T * weight * largest(dy)));
}

constexpr AttentionAlgorithm algorithms[] = {AttentionAlgorithm::blockwise, AttentionAlgorithm::plain};

template <class Scalar>
class attention : public ::testing::Test {};
TYPED_TEST_SUITE(attention, AllScalars);

TYPED_TEST(attention, agrees_with_the_reference_at_odd_sizes) {
  Context context;
  for (AttentionAlgorithm algorithm : algorithms)
    for (bool causal : {false, true}) {
      for (index_t T : {1, 3, 17, 33})
        for (index_t D : {1, 3, 17, 33}) check<TypeParam>(context, algorithm, {2, T, 3, D, causal}, placements[T % 3]);
      check<TypeParam>(context, algorithm, {0, 5, 2, 3, causal}, {});
    }
}

TYPED_TEST(attention, agrees_with_the_reference_beyond_a_block_of_keys_and_a_panel_of_queries) {
  Context context;
  for (AttentionAlgorithm algorithm : algorithms)
    for (bool causal : {false, true})
      for (const AttentionShape& a : std::vector<AttentionShape>{{1, 150, 1, 64, causal}, {2, 65, 2, 40, causal}})
        check<TypeParam>(context, algorithm, a, {3, 5});
}

TYPED_TEST(attention, any_number_of_threads_gives_the_same_bits) {
  const Operands<TypeParam> o({3, 100, 2, 20, true});
  for (AttentionAlgorithm algorithm : algorithms) {
    Context first;
    const auto expected = run(first, algorithm, o).all();
    for (const Exec& exec : instances()) {
      Context context(exec);
      EXPECT_TRUE(same_bits(run(context, algorithm, o, {1, 3}).all(), expected));
    }
  }
}

/// What a token sees decides, not how long the sequence is or how many samples and heads are beside it.
TYPED_TEST(attention, depends_on_what_is_seen_alone) {
  using Scalar = TypeParam;
  Context context;
  const Operands<Scalar> all({2, 90, 3, 24, true});
  Operands<Scalar> part({1, 41, 1, 24, true});
  const auto head = [&](const std::vector<Scalar>& of) {  // head 1 of sample 1, its first 41 tokens
    std::vector<Scalar> values;
    for (index_t t = 0; t < part.a.T; ++t)
      for (index_t d = 0; d < part.a.D; ++d) values.push_back(of[all.a.at(1, t, 1) + d]);
    return values;
  };
  part.q = head(all.q), part.k = head(all.k), part.v = head(all.v), part.dy = head(all.dy);
  const auto whole_results = run(context, AttentionAlgorithm::blockwise, all);
  const auto results = run(context, AttentionAlgorithm::blockwise, part);
  EXPECT_TRUE(same_bits(results.y, head(whole_results.y)));
  EXPECT_TRUE(same_bits(results.dq, head(whole_results.dq)));
}

/// Heads may be split over ranks: none depends on which others are beside it, or on how many.
TYPED_TEST(attention, of_a_head_is_its_own_whatever_heads_are_beside_it) {
  using Scalar = TypeParam;
  Context context;
  for (AttentionAlgorithm algorithm : algorithms)
    for (bool causal : {false, true})
      for (index_t T : {1, 17, 90}) {
        const Operands<Scalar> all({2, T, 5, 19, causal});
        const auto expected = run(context, algorithm, all);
        for (const auto& [first, H] : std::vector<std::pair<index_t, index_t>>{{0, 1}, {3, 1}, {1, 2}, {2, 3}}) {
          Operands<Scalar> part({2, T, H, 19, causal});
          const auto columns = [&](const std::vector<Scalar>& of) {
            std::vector<Scalar> values;
            for (index_t row = 0; row < 2 * T; ++row)
              for (index_t j = first * 19; j < (first + H) * 19; ++j) values.push_back(of[row * 5 * 19 + j]);
            return values;
          };
          part.q = columns(all.q), part.k = columns(all.k), part.v = columns(all.v), part.dy = columns(all.dy);
          const auto got = run(context, algorithm, part, {1, 3});
          EXPECT_TRUE(same_bits(got.y, columns(expected.y)));
          EXPECT_TRUE(same_bits(got.dq, columns(expected.dq)));
          EXPECT_TRUE(same_bits(got.dk, columns(expected.dk)));
          EXPECT_TRUE(same_bits(got.dv, columns(expected.dv)));
          for (index_t b = 0; b < 2; ++b)
            for (index_t i = 0; i < H * T; ++i)
              EXPECT_EQ(got.lse[b * H * T + i], expected.lse[(b * 5 + first) * T + i]);
        }
      }
}

/// Queries may be split over ranks: y, lse and dq are those of the whole, and dk and dv what those queries give.
TYPED_TEST(attention, of_some_queries_is_a_part_of_the_whole) {
  using Scalar = TypeParam;
  Context context;
  for (AttentionAlgorithm algorithm : algorithms)
    for (bool causal : {false, true}) {
      Operands<Scalar> o({2, 70, 2, 11, causal});
      const auto all = run(context, algorithm, o);
      for (const Slice& part : {Slice{0, 37, 70}, Slice{37, 30, 70}, Slice{69, 1, 70}, Slice{5, 0, 70}}) {
        o.queries = part;
        const auto got = run(context, algorithm, o, {1, 3});
        EXPECT_TRUE(same_bits(got.y, o.rows_of_queries(all.y)));
        Operands<Scalar> masked = o;  // dy = 0 elsewhere is what others' queries give
        std::vector<Scalar> dq = all.dq;
        for (index_t i = 0; i < index_t(dq.size()); ++i)
          if (!part.contains(i / (2 * 11) % 70)) dq[i] = masked.dy[i] = Scalar(0);
        EXPECT_TRUE(same_bits(got.dq, dq));
        for (index_t head = 0; head < 2 * 2; ++head)
          for (index_t t = 0; t < part.extent; ++t)
            EXPECT_EQ(got.lse[head * part.extent + t], all.lse[head * 70 + part.offset + t]);
        masked.queries = {};
        const auto expected = run(context, algorithm, masked);
        EXPECT_TRUE(close(got.dk, in_double(expected.dk), 0)) << part.offset;
        EXPECT_TRUE(close(got.dv, in_double(expected.dv), 0)) << part.offset;
      }
    }
}

/// A diverged token must show where it is seen, and nowhere else.
TYPED_TEST(attention, nan_and_infinity_reach_those_alone_who_see_them) {
  using Scalar = TypeParam;
  Context context;
  const index_t T = 90, H = 2, D = 19;
  const Operands<Scalar> clean({1, T, H, D, true});
  for (AttentionAlgorithm algorithm : algorithms) {
    const auto expected = run(context, algorithm, clean);
    constexpr float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
    for (const std::pair<float, index_t>& spot : {std::pair{nan, index_t(0)}, {infinity, 20}, {nan, 70}}) {
      const float bad = spot.first;
      const index_t at = spot.second;
      SCOPED_TRACE(std::to_string(bad) + " at " + std::to_string(at));
      const auto spoiled = [&](std::vector<Scalar> Operands<Scalar>::*operand) {
        Operands<Scalar> o = clean;
        (o.*operand)[at * H * D + 3] = Scalar(bad);
        return run(context, algorithm, o);
      };
      const auto same = [&](const std::vector<Scalar>& a, const std::vector<Scalar>& b, index_t from, index_t to) {
        const index_t row = H * D;
        return same_bits(std::vector<Scalar>(a.begin() + from * row, a.begin() + to * row),
                         std::vector<Scalar>(b.begin() + from * row, b.begin() + to * row));
      };
      for (auto operand : {&Operands<Scalar>::k, &Operands<Scalar>::v}) {
        const auto got = spoiled(operand);
        EXPECT_TRUE(same(got.y, expected.y, 0, at));
        EXPECT_TRUE(same(got.dq, expected.dq, 0, at));
        EXPECT_TRUE(operand == &Operands<Scalar>::k || !std::isfinite(double(got.y[(T - 1) * H * D + 3])));
      }
      for (auto operand : {&Operands<Scalar>::q, &Operands<Scalar>::dy}) {
        const auto got = spoiled(operand);
        EXPECT_TRUE(same(got.y, expected.y, 0, at));
        EXPECT_TRUE(same(got.y, expected.y, at + 1, T));
        EXPECT_TRUE(same(got.dq, expected.dq, 0, at));
        EXPECT_TRUE(same(got.dq, expected.dq, at + 1, T));
        EXPECT_TRUE(same(got.dk, expected.dk, at + 1, T));
        EXPECT_TRUE(same(got.dv, expected.dv, at + 1, T));
        EXPECT_FALSE(std::isfinite(double(got.dk[at * H * D + 3])));
      }
    }
  }
}

/// The device's algorithm, in teams of one thread, against the host's.
TYPED_TEST(attention, blocks_by_rows_give_the_same_bits) {
  using Scalar = TypeParam;
  using A = accumulate_t<Scalar>;
  Context context;
  for (bool causal : {false, true}) {
    const Operands<Scalar> o({1, 140, 1, 19, causal});
    const auto expected = run(context, AttentionAlgorithm::blockwise, o);
    const index_t T = o.a.T, D = o.a.D;
    const auto q = to_device(o.q), k = to_device(o.k), v = to_device(o.v), dy = to_device(o.dy);
    const Vector<Scalar> y("y", T * D), dq("dq", T * D), dk("dk", T * D), dv("dv", T * D);
    const Vector<A> lse("lse", T);
    const auto heads = [&](const auto& of) {
      return backend::Heads<typename std::decay_t<decltype(of)>::value_type>{of.data(), D, T, 0};
    };
    const backend::Attention<Scalar> in{1,
                                        T,
                                        1,
                                        D,
                                        0,
                                        T,
                                        causal,
                                        A(1 / std::sqrt(double(D))),
                                        heads(ConstVector<Scalar>(q)),
                                        heads(ConstVector<Scalar>(k)),
                                        heads(ConstVector<Scalar>(v))};
    backend::rows::attention_forward<Scalar>(context, "partita::kernels::test", in, {heads(y), lse.data()}, false);
    backend::rows::attention_backward<Scalar>(
        context, "partita::kernels::test", "partita::kernels::test", in,
        {heads(ConstVector<Scalar>(y)), heads(ConstVector<Scalar>(dy)), lse.data(), heads(dq), heads(dk), heads(dv)},
        false);
    context.exec().fence();
    EXPECT_TRUE(same_bits(to_host(y), expected.y));
    EXPECT_TRUE(same_bits(to_host(lse), expected.lse));
    EXPECT_TRUE(same_bits(to_host(dq), expected.dq));
    EXPECT_TRUE(same_bits(to_host(dk), expected.dk));
    EXPECT_TRUE(same_bits(to_host(dv), expected.dv));
  }
}

TEST(attention_gradient, is_the_slope_in_double) {
  Context context;
  for (AttentionAlgorithm algorithm : algorithms)
    for (bool causal : {false, true}) {
      const Operands<double> o({1, 5, 2, 3, causal});
      const auto got = run(context, algorithm, o);
      const auto compare = [&](std::vector<double> Operands<double>::*operand, const std::vector<double>& gradient) {
        const auto loss = [&](const std::vector<double>& at) {
          Operands<double> moved = o;
          moved.*operand = at;
          return product(run(context, algorithm, moved).y, o.dy);
        };
        expect_slope(loss, o.*operand, gradient);
      };
      compare(&Operands<double>::q, got.dq);
      compare(&Operands<double>::k, got.dk);
      compare(&Operands<double>::v, got.dv);
    }
}

TEST(attention_shapes, errors_name_operand_and_extents) {
  Context context;
  const auto m = [](index_t rows, index_t columns) { return Matrix<float>("m", rows, columns); };
  const auto forward = [&](AttentionOptions options, Matrix<float> q, Matrix<float> v, index_t lse) {
    return partita::testing::caught<ShapeError>(
        [&] { attention_forward<float>(context, options, q, q, v, q, Vector<float>("lse", lse)); });
  };
  EXPECT_EQ(forward({.T = 4, .H = 2}, m(10, 8), m(10, 8), 20),
            "attention_forward: q has 10 rows, T is 4: expected q (B T, H D)");
  EXPECT_EQ(forward({.T = 5, .H = 3}, m(10, 8), m(10, 8), 30),
            "attention_forward: q has 8 columns, H is 3: expected q (B T, H D)");
  EXPECT_EQ(forward({.T = 5, .H = 2}, m(10, 8), m(10, 6), 20),
            "attention_forward: v is (10, 6), q is (10, 8): expected the same shape (B T, H D)");
  EXPECT_EQ(forward({.T = 5, .H = 2}, m(10, 8), m(10, 8), 10),
            "attention_forward: lse has 10 elements, q has 10 rows, H is 2 and 5 of 5 tokens are queries: expected lse "
            "(B H Q)");
  EXPECT_EQ(forward({.T = 5, .H = 2, .queries = {2, 3, 5}}, m(10, 8), m(10, 8), 12),
            "attention_forward: y has 10 rows, the batch has 6 queries: expected (B Q, H D)");
  EXPECT_EQ(forward({.T = 5, .H = 2, .queries = {3, 3, 5}}, m(10, 8), m(10, 8), 20),
            "attention: queries are tokens [3, 6) of 5, T is 5: expected a part of the T tokens");
}

}  // namespace
}  // namespace partita::kernels::test::attention_tests
