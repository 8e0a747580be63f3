// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/backend/conv_device.hpp>
#include <partita/kernels/reference.hpp>

#include "support.hpp"

// The convolutions made for devices, run wherever Exec is, with teams of one thread on hosts: any grid of threads gives
// the same bits.

namespace partita::kernels::test::conv2d_device_tests {
namespace {

constexpr int grid = backend::runs_on_host ? 1 : backend::device::conv_grid;

template <class Scalar>
backend::Images<Scalar> images(Scalar* data, index_t rows, index_t columns, index_t channels) {
  return {data, rows * columns * channels, rows, columns, channels};
}

template <class Scalar>
void check(index_t B, const Conv2dShape& s) {
  SCOPED_TRACE("B " + std::to_string(B) + " channels " + std::to_string(s.channels) + " filters " +
               std::to_string(s.filters) + " kernel " + std::to_string(s.kernel_rows) + " stride " +
               std::to_string(s.stride) + " above " + std::to_string(s.above) + " below " + std::to_string(s.below));
  static const backend::ConvLabels labels("partita::test");
  const auto x = random_values<Scalar>(1, B * s.inputs()), W = random_values<Scalar>(2, s.filters * s.kernel()),
             b = random_values<Scalar>(3, s.filters), dy = random_values<Scalar>(4, B * s.outputs());
  const auto x_at = to_device(x), W_at = to_device(W), b_at = to_device(b), dy_at = to_device(dy);
  const Vector<Scalar> y("y", dy.size()), dx("dx", x.size());
  using Sum = accumulate_t<Scalar>;
  const Matrix<Sum> dW("dW", s.filters, s.kernel());
  Context context;
  const auto in = [&](const auto& v) { return images<const Scalar>(v.data(), s.rows, s.columns, s.channels); };
  const auto out = [&](const auto& v) {
    return images<const Scalar>(v.data(), s.out_rows(), s.out_columns(), s.filters);
  };
  backend::device::correlate<Scalar, grid>(context, labels, B, backend::forward_correlation(s), in(x_at),
                                           backend::forward_taps<Scalar>(s, W_at.data(), s.kernel()), b_at.data(),
                                           images(y.data(), s.out_rows(), s.out_columns(), s.filters));
  for (index_t p = 0; p < s.stride * s.stride; ++p) {
    const backend::Phase row = backend::phase_of_rows(s, p / s.stride);
    const backend::Phase column = backend::phase_of_columns(s, p % s.stride);
    backend::device::correlate<Scalar, grid>(
        context, labels, B, backend::backward_correlation(s, row, column), out(dy_at),
        backend::backward_taps<Scalar>(s, row, column, W_at.data(), s.kernel()), static_cast<const Scalar*>(nullptr),
        images(dx.data(), s.rows, s.columns, s.channels));
  }
  const backend::OutputRows all{0, s.out_rows()}, some{s.out_rows() / 2, s.out_rows() - s.out_rows() / 2};
  const auto weights = [&](backend::OutputRows rows, Store store) {
    auto* const scratch = static_cast<Sum*>(
        context.scratch(std::size_t(backend::device::weights_scratch<Scalar>(Exec(), B, s, rows)) * sizeof(Sum)));
    backend::device::correlate_weights<Scalar, grid>(context.exec(), labels, B, s, rows, store, in(x_at), out(dy_at),
                                                     scratch, dW.data(), s.kernel());
    context.exec().fence();
    return to_host(dW);
  };
  auto whole = weights(all, Store::overwrite);
  EXPECT_TRUE(same_bits(whole, reference::conv2d_backward_weights(s, x, dy, B).first));
  const auto part = reference::conv2d_backward_weights(s, x, dy, B, some.first, s.out_rows()).first;
  for (std::size_t i = 0; i < whole.size(); ++i) whole[i] += part[i];
  EXPECT_TRUE(same_bits(weights(some, Store::accumulate), whole));
  context.exec().fence();
  EXPECT_TRUE(same_bits(to_host(y), reference::conv2d_forward(s, x, W, b, B)));
  EXPECT_TRUE(same_bits(to_host(dx), reference::conv2d_backward_input(s, dy, W, B)));
}

TEST(conv2d_device, is_the_reference_bit_for_bit) {
  for (index_t B : {0, 1, 3, 17, 33}) check<float>(B, {4, 5, 3, 5, 3, 2, 1, 1});
  for (index_t channels : odd_sizes)
    for (index_t filters : odd_sizes) check<float>(2, {3, 4, channels, filters, 3, 3, 1, 1});
  for (index_t stride : {1, 2, 3})
    for (index_t padding : {0, 1, 2}) check<double>(2, {7, 6, 3, 4, 3, 2, stride, padding});
  check<float>(2, {9, 8, 2, 3, 1, 1, 2, 0});
  check<bfloat16>(2, {9, 8, 5, 3, 3, 3, 2, 1});
  for (index_t stride : {1, 2, 3})
    for (index_t above : {-4, -1, 0, 3})
      for (index_t below : {-1, 2}) check<float>(2, {9, 6, 3, 4, 3, 2, stride, 1, above, below});
}

}  // namespace
}  // namespace partita::kernels::test::conv2d_device_tests
