// SPDX-License-Identifier: BSD-3-Clause
#include <partita/core/error.hpp>
#include <partita/kernels/conv2d.hpp>
#include <partita/kernels/gemm.hpp>
#include <partita/kernels/linear.hpp>

#include <support/discipline.hpp>
#include "support.hpp"

// Calls measure both backends where they are told to, and none of it shows in their results.

namespace partita::kernels::test::backend_choice_tests {
namespace {

constexpr Conv2dShape image{9, 8, 5, 21, 3, 3, 2, 1};

/// Every call that is measured, on operands of its own; accumulates to 1 where it can.
struct Calls {
  index_t B = 17, N = 33, K = 40;
  Vector<float> x = to_device(random_values<float>(1, B*K)), W = to_device(random_values<float>(2, N*K)),
                dy = to_device(random_values<float>(3, B*N)),
                images = to_device(random_values<float>(4, 2 * image.inputs())),
                filters = to_device(random_values<float>(5, image.filters*image.kernel())),
                dimages = to_device(random_values<float>(6, 2 * image.outputs()));

  static Matrix<float> matrix(const Vector<float>& v, index_t rows, index_t columns) {
    return {v.data(), std::size_t(rows), std::size_t(columns)};
  }
  static Vector<float> ones(index_t n) { return to_device(std::vector<float>(std::size_t(n), 1.0f)); }

  /// The results of all calls, one after the other.
  std::vector<std::vector<float>> run(Context& context) const {
    const auto y = ones(B * N), dx = ones(B * K), dW = ones(N * K), db = ones(N), C = ones(B * N),
               out = ones(2 * image.outputs()), din = ones(2 * image.inputs()),
               dfilters = ones(image.filters * image.kernel()), dbias = ones(image.filters);
    linear_forward(context, {.activation = Activation::relu}, matrix(x, B, K), matrix(W, N, K), {}, matrix(y, B, N));
    linear_backward_input(context, {}, matrix(dy, B, N), matrix(W, N, K), matrix(dx, B, K));
    linear_backward_weights<float>(context, {}, Store::accumulate, matrix(x, B, K), matrix(dy, B, N), matrix(dW, N, K),
                                   db);
    gemm(context, {.transpose_b = true, .alpha = 0.5, .beta = 2}, matrix(x, B, K), matrix(W, N, K), matrix(C, B, N));
    conv2d_forward(context, image, matrix(images, 2, image.inputs()), matrix(filters, image.filters, image.kernel()),
                   {}, matrix(out, 2, image.outputs()));
    conv2d_backward_input(context, image, matrix(dimages, 2, image.outputs()),
                          matrix(filters, image.filters, image.kernel()), matrix(din, 2, image.inputs()));
    conv2d_backward_weights<float>(context, image, {}, Store::accumulate, matrix(images, 2, image.inputs()),
                                   matrix(dimages, 2, image.outputs()), matrix(dfilters, image.filters, image.kernel()),
                                   dbias);
    context.exec().fence();
    return {to_host(y),   to_host(dx),  to_host(dW),       to_host(db),   to_host(C),
            to_host(out), to_host(din), to_host(dfilters), to_host(dbias)};
  }
};

constexpr std::size_t call_count = 7;

Context with(Backend backend) {
  return Context(Exec(), {.backend = backend, .deterministic = false, .per_kernel = {}});
}
bool without_vendor() { return backends().size() == 1; }

BackendTiming timing_of(Backend chosen) {
  return chosen == Backend::vendor ? BackendTiming{1, 2} : BackendTiming{2, 1};
}

/// Every call of Calls, chosen for `backend`.
BackendTable table_for(Backend backend) {
  Context context = with(Backend::automatic);
  context.measure_backends(true);
  Calls().run(context);
  BackendTable table = context.backend_choices();
  for (auto& [call, timing] : table) timing = timing_of(backend);
  return table;
}

TEST(backend_choice, each_call_is_measured_once_and_gives_its_choices_bits) {
  if (without_vendor()) GTEST_SKIP() << "no vendor library in this build";
  const Calls calls;
  Context vendor = with(Backend::vendor), portable = with(Backend::portable), context = with(Backend::automatic);
  const auto by_vendor = calls.run(vendor), by_us = calls.run(portable);
  context.measure_backends(true);
  const auto measured = calls.run(context), again = calls.run(context);
  const BackendTable table = context.backend_choices();
  EXPECT_EQ(table.size(), call_count);
  for (const auto& [call, timing] : table) {
    EXPECT_GT(timing.vendor_s, 0) << name(call.call);
    EXPECT_GT(timing.portable_s, 0) << name(call.call);
  }
  EXPECT_EQ(measured, again);
  EXPECT_EQ(measured, by_vendor);  // whatever was measured, and nothing was added twice
  context.measure_backends(false);
  const auto chosen = calls.run(context);
  for (std::size_t i = 0; i < chosen.size(); ++i)
    EXPECT_TRUE(chosen[i] == by_vendor[i] || chosen[i] == by_us[i]) << "result " << i;
}

TEST(backend_choice, slices_of_the_same_image_are_calls_of_their_own) {
  if (without_vendor()) GTEST_SKIP() << "no vendor library in this build";
  Context context = with(Backend::automatic);
  context.measure_backends(true);
  constexpr index_t zeros[][2] = {{1, 1}, {2, 0}, {0, 2}, {-1, 3}};  // the last is nothing for a vendor
  for (const auto& [above, below] : zeros) {
    Conv2dShape slice = image;
    slice.above = above;
    slice.below = below;
    const Matrix<float> x("x", 2, slice.inputs()), W("W", slice.filters, slice.kernel()), y("y", 2, slice.outputs());
    conv2d_forward(context, slice, x, W, {}, y);
  }
  EXPECT_EQ(context.backend_choices().size(), 3u);
}

TEST(backend_choice, a_table_that_is_given_is_obeyed) {
  if (without_vendor()) GTEST_SKIP() << "no vendor library in this build";
  const Calls calls;
  for (Backend backend : backends()) {
    Context forced = with(backend), context = with(Backend::automatic);
    context.set_backend_choices(table_for(backend));
    context.measure_backends(true);
    calls.run(context);  // nothing is left to measure
    context.measure_backends(false);
    EXPECT_EQ(calls.run(context), calls.run(forced));
    EXPECT_EQ(context.backend_choices(), table_for(backend));
    for (const auto& [call, timing] : context.backend_choices()) EXPECT_EQ(context.backend(call), backend);
  }
}

TEST(backend_choice, without_measuring_an_unknown_call_is_the_vendors_and_stays_unknown) {
  if (without_vendor()) GTEST_SKIP() << "no vendor library in this build";
  const Calls calls;
  Context vendor = with(Backend::vendor), context = with(Backend::automatic);
  context.measure_backends(true);
  context.measure_backends(false);
  EXPECT_EQ(calls.run(context), calls.run(vendor));
  EXPECT_TRUE(context.backend_choices().empty());
}

TEST(backend_choice, what_was_asked_for_is_not_measured) {
  const Calls calls;
  for (const Options& options : {Options{.backend = Backend::portable, .deterministic = false, .per_kernel = {}},
                                 Options{.backend = Backend::automatic, .deterministic = true, .per_kernel = {}},
                                 Options{.backend = without_vendor() ? Backend::portable : Backend::vendor,
                                 .deterministic = false,
                                 .per_kernel = {}}}) {
    Context context(Exec(), options);
    context.set_backend_choices(without_vendor() ? BackendTable() : table_for(Backend::portable));
    context.measure_backends(true);
    const auto got = calls.run(context);
    Context plain(Exec(), options);
    EXPECT_EQ(got, calls.run(plain));
  }
}

TEST(backend_choice, a_call_that_is_known_neither_fences_nor_allocates) {
  if (without_vendor()) GTEST_SKIP() << "no vendor library in this build";
  constexpr index_t n = 24;
  const Matrix<float> x("x", n, n), W("W", n, n), y("y", n, n);
  for (Backend backend : backends()) {
    Context context = with(Backend::automatic);
    const auto step = [&] {
      linear_forward(context, {}, x, W, {}, y);
      linear_backward_input(context, {}, x, W, y);
      linear_backward_weights<float>(context, {}, Store::accumulate, x, W, y, {});
    };
    context.measure_backends(true);
    step();
    BackendTable table = context.backend_choices();
    EXPECT_EQ(table.size(), 3u);
    for (auto& [call, timing] : table) timing = timing_of(backend);
    context.measure_backends(false);
    context.set_backend_choices(table);
    step();
    ::partita::test::expect_own_labels_and_no_fences(context.exec(), 0, step);
    if (::partita::test::allocation_counter_works())
      ::partita::test::expect_no_allocation(backend == Backend::portable, step);
  }
}

const BackendTable two_calls = {{{Call::linear_backward_weights, {2048, 1024, 256}}, {0.0329, 0.0179}},
                                {{Call::conv2d_forward, {64, 28, 28, 1, 16, 3, 3, 1, 1, -2, 1}}, {1.0 / 3, 2.0 / 3}}};

TEST(backend_choice, text_holds_the_whole_table) {
  EXPECT_EQ(to_text(two_calls),
            "linear_backward_weights 2048 1024 256 vendor_s 0.0329 portable_s 0.0179 "
            "portable\n"
            "conv2d_forward 64 28 28 1 16 3 3 1 1 -2 1 vendor_s 0.3333333333333333 portable_s 0.6666666666666666 "
            "vendor\n");
  EXPECT_EQ(backend_table(to_text(two_calls)), two_calls);
  EXPECT_EQ(backend_table(""), BackendTable());
}

TEST(backend_choice, a_damaged_text_is_refused) {
  const std::string good = to_text(two_calls);
  for (const std::string& bad : {good + good, good.substr(0, good.size() / 2),
                                 std::string("linear_forward 1 2 vendor_s 1 portable_s 2 vendor\n"),
                                 std::string("linear_forward 1 2 3 vendor_s 1 portable_s 2 portable\n"),
                                 std::string("linear_forward 1 2 3 vendor_s nan portable_s 2 vendor\n"),
                                 std::string("linear_forward 1 2 3 vendor_s 1 portable_s 2 vendor more\n"),
                                 std::string("linear_forward 1 -2 3 vendor_s 1 portable_s 2 vendor\n"),
                                 std::string("linear 1 2 3 vendor_s 1 portable_s 2 vendor\n"), std::string("\n")})
    EXPECT_NE(caught<UsageError>([&] { backend_table(bad); }).find(": expected a call, its extents"), std::string::npos)
        << bad;
  EXPECT_EQ(caught<UsageError>([&] { backend_table("what is this"); }),
            "backend_table: the line \"what is this\": expected a call, its extents, vendor_s, portable_s and the "
            "choice, each call once");
}

TEST(backend_choice, ranks_that_differ_agree_on_the_sum) {
  const CallShape shared{Call::linear_forward, {8, 8, 8}}, mine{Call::linear_forward, {9, 8, 8}};
  const BackendTable one = {{shared, {1, 2}}, {mine, {3, 1}}}, other = {{shared, {5, 2}}};
  EXPECT_EQ(sum_of({one, other}), (BackendTable{{shared, {6, 4}}, {mine, {3, 1}}}));
  EXPECT_EQ(one.at(shared).chosen(), Backend::vendor);
  EXPECT_EQ(sum_of({one, other}).at(shared).chosen(), Backend::portable);
  EXPECT_EQ((BackendTiming{1, 0.99}).chosen(), Backend::vendor);  // as good as equal
}

}  // namespace
}  // namespace partita::kernels::test::backend_choice_tests
