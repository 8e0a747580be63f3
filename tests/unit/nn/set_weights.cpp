// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/nn/mlp.hpp>
#include <partita/nn/update.hpp>

// Weights that are given from outside: an update takes what it owns of them, and its master weights are not rounded.

namespace partita::nn::set_weights_tests {
namespace {

template <class T>
std::vector<float> on_host(const Vector<T>& values) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), values);
  return {host.data(), host.data() + host.extent(0)};
}

// Norm cells are tensors: weight (12), bias (3), weight (6), bias (2). Owned: the first bias, and the second layer.
TEST(set_weights, reaches_what_is_owned_wherever_it_lies) {
  const Exec exec;
  const Model<bfloat16> model = make_mlp<bfloat16>({4, {3}, 2, kernels::Activation::relu});
  ASSERT_EQ(model.table().size(), 23);
  const std::vector<Range> owned = {{12, 3}, {15, 8}};
  const Vector<bfloat16> packed("packed", 11);
  const Update<bfloat16> update(exec, {}, model,
                                {.ranges = owned, .gradients = Layout::packed, .weights = Layout::packed}, packed);
  const Range given{10, 9};  // two of the first weight, the bias, four of the second weight
  const Vector<float> values("values", 9);
  const auto host = Kokkos::create_mirror_view(values);
  for (std::size_t i = 0; i < 9; ++i) host(i) = 1.001F + static_cast<float>(i);
  Kokkos::deep_copy(values, host);
  const std::vector<float> before = on_host(update.master());
  update.set(exec, Kept::weights, given, values);
  exec.fence();

  const std::vector<float> master = on_host(update.master()), weights = on_host(packed);
  for (std::size_t i = 0; i < 11; ++i) {
    const float expected = i < 7 ? 1.001F + static_cast<float>(i + 2) : before[i];
    EXPECT_EQ(master[i], expected) << i;
    if (i < 7) {
      EXPECT_EQ(weights[i], static_cast<float>(bfloat16(expected))) << i;
      EXPECT_NE(weights[i], expected) << i;
    }
  }
  EXPECT_THROW(update.set(exec, Kept::weights, {0, 8}, values), ShapeError);
}

}  // namespace
}  // namespace partita::nn::set_weights_tests
