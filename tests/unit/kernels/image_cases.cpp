// SPDX-License-Identifier: BSD-3-Clause
#include <fstream>

#include <nlohmann/json.hpp>

#include <partita/kernels/batchnorm.hpp>
#include <partita/kernels/conv2d.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/kernels/groupnorm.hpp>
#include <partita/kernels/pool2d.hpp>

#include "support.hpp"

// What PyTorch made of the same images (data/make_image_cases.py), in every backend of this build.

namespace partita::kernels::test::image_cases_tests {
namespace {

const nlohmann::json& stored() {
  static const nlohmann::json document = [] {
    std::ifstream file("tests/unit/kernels/data/image_cases.json");  // tests run in the project's root
    EXPECT_TRUE(file.good());
    return nlohmann::json::parse(file);
  }();
  return document;
}

template <class Scalar>
std::vector<Scalar> read(const nlohmann::json& c, const char* key) {
  std::vector<Scalar> values;
  for (const auto& value : c[key]) values.push_back(value.template get<Scalar>());
  return values;
}

/// The file has 8 digits. Sums here have at most 200 terms of the order of 4, and some ten roundings follow.
template <class Scalar>
constexpr double tolerance = 200 * 4 * 2 * unit_roundoff<Scalar> + 1e-6 * std::is_same_v<Scalar, double>;

template <class Scalar>
::testing::AssertionResult agrees(const std::vector<Scalar>& got, const nlohmann::json& c, const char* key) {
  const auto expected = read<Scalar>(c, key);
  return within(got, expected, std::vector<double>(expected.size(), tolerance<Scalar>)) << " of " << key;
}

template <class Scalar>
class image_cases : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(image_cases, Scalars);

TYPED_TEST(image_cases, conv2d) {
  using Scalar = TypeParam;
  for (const auto& c : stored()["conv2d"])
    for (Backend backend : backends()) {
      Context context(Exec(), {.backend = backend, .deterministic = false, .per_kernel = {}});
      const index_t B = c["B"];
      const Conv2dShape s{c["rows"],        c["columns"],        c["channels"], c["filters"],
                          c["kernel_rows"], c["kernel_columns"], c["stride"],   c["padding"]};
      const Placed<Scalar> x(read<Scalar>(c, "x"), B, s.inputs()), W(read<Scalar>(c, "W"), s.filters, s.kernel()),
          dy(read<Scalar>(c, "dy"), B, s.outputs()), y(B, s.outputs()), dx(B, s.inputs()), dW(s.filters, s.kernel());
      const auto b = to_device(read<Scalar>(c, "b"));
      const Vector<Scalar> db("db", s.filters);
      conv2d_forward(context, s, x.matrix(), W.matrix(), b, y.matrix());
      conv2d_backward_input(context, s, dy.matrix(), W.matrix(), dx.matrix());
      conv2d_backward_weights<Scalar>(context, s, {}, Store::overwrite, x.matrix(), dy.matrix(), dW.matrix(), db);
      context.exec().fence();
      EXPECT_TRUE(agrees(y.values(), c, "y"));
      EXPECT_TRUE(agrees(dx.values(), c, "dx"));
      EXPECT_TRUE(agrees(dW.values(), c, "dW"));
      EXPECT_TRUE(agrees(to_host(db), c, "db"));
    }
}

TYPED_TEST(image_cases, batchnorm) {
  using Scalar = TypeParam;
  for (const auto& c : stored()["batchnorm"]) {
    Context context;
    const index_t R = c["R"], C = c["C"];
    const BatchnormOptions options{.epsilon = c["epsilon"], .relu = c["relu"]};
    const Placed<Scalar> x(read<Scalar>(c, "x"), R, C), y(R, C), dx(R, C);
    const auto gamma = to_device(read<Scalar>(c, "gamma")), beta = to_device(read<Scalar>(c, "beta")),
               running_mean = to_device(read<Scalar>(c, "running_mean")),
               running_variance = to_device(read<Scalar>(c, "running_variance"));
    if (!c["training"]) {
      batchnorm_infer(context.exec(), options, x.matrix(), gamma, beta, running_mean, running_variance, y.matrix());
      context.exec().fence();
      EXPECT_TRUE(agrees(y.values(), c, "y"));
      continue;
    }
    const Placed<Scalar> dy(read<Scalar>(c, "dy"), R, C);
    const Vector<Scalar> mean("mean", C), variance("variance", C), rstd("rstd", C), dgamma("dgamma", C),
        dbeta("dbeta", C);
    batchnorm_forward(context, options, x.matrix(), gamma, beta, y.matrix(), mean, variance, rstd);
    const double momentum = c["momentum"];
    for (const auto& [running, batch] : {std::pair(running_mean, mean), std::pair(running_variance, variance)}) {
      scale(context.exec(), Store::overwrite, 1 - momentum, running, running);
      scale(context.exec(), Store::accumulate, momentum, batch, running);
    }
    batchnorm_backward_sums<Scalar>(context, options, x.matrix(), y.matrix(), mean, rstd, dy.matrix(), dgamma, dbeta);
    batchnorm_backward_input(context.exec(), options, x.matrix(), y.matrix(), gamma, mean, rstd, dgamma, dbeta,
                             dy.matrix(), dx.matrix());
    context.exec().fence();
    EXPECT_TRUE(agrees(y.values(), c, "y"));
    EXPECT_TRUE(agrees(to_host(running_mean), c, "running_mean_after"));
    EXPECT_TRUE(agrees(to_host(running_variance), c, "running_variance_after"));
    EXPECT_TRUE(agrees(dx.values(), c, "dx"));
    EXPECT_TRUE(agrees(to_host(dgamma), c, "dgamma"));
    EXPECT_TRUE(agrees(to_host(dbeta), c, "dbeta"));
  }
}

TYPED_TEST(image_cases, groupnorm) {
  using Scalar = TypeParam;
  for (const auto& c : stored()["groupnorm"]) {
    Context context;
    const index_t B = c["B"], C = c["C"], columns = C * index_t(c["P"]);
    const GroupnormOptions options{.groups = c["groups"], .epsilon = c["epsilon"]};
    const Placed<Scalar> x(read<Scalar>(c, "x"), B, columns), dy(read<Scalar>(c, "dy"), B, columns), y(B, columns),
        dx(B, columns), mean(B, options.groups), rstd(B, options.groups);
    const auto gamma = to_device(read<Scalar>(c, "gamma")), beta = to_device(read<Scalar>(c, "beta"));
    const Vector<Scalar> dgamma("dgamma", C), dbeta("dbeta", C);
    groupnorm_forward(context, options, x.matrix(), gamma, beta, y.matrix(), mean.matrix(), rstd.matrix());
    groupnorm_backward_input(context, options, x.matrix(), gamma, mean.matrix(), rstd.matrix(), dy.matrix(),
                             dx.matrix());
    groupnorm_backward_weights<Scalar>(context, options, Store::overwrite, x.matrix(), mean.matrix(), rstd.matrix(),
                                       dy.matrix(), dgamma, dbeta);
    context.exec().fence();
    EXPECT_TRUE(agrees(y.values(), c, "y"));
    EXPECT_TRUE(agrees(dx.values(), c, "dx"));
    EXPECT_TRUE(agrees(to_host(dgamma), c, "dgamma"));
    EXPECT_TRUE(agrees(to_host(dbeta), c, "dbeta"));
  }
}

TYPED_TEST(image_cases, pool2d) {
  using Scalar = TypeParam;
  const Exec exec;
  for (const auto& c : stored()["pool2d"]) {
    const index_t B = c["B"];
    const Pool2dShape s{c["rows"],           c["columns"], c["channels"], c["kernel_rows"],
                        c["kernel_columns"], c["stride"],  c["padding"]};
    const Placed<Scalar> x(read<Scalar>(c, "x"), B, s.inputs()), dy(read<Scalar>(c, "dy"), B, s.outputs()),
        y(B, s.outputs()), dx(B, s.inputs()), average(B, s.outputs()), average_dx(B, s.inputs());
    const Placed<std::int32_t> winner(B, s.outputs());
    max_pool2d_forward(exec, s, x.matrix(), y.matrix(), winner.matrix());
    max_pool2d_backward(exec, s, dy.matrix(), winner.matrix(), dx.matrix());
    average_pool2d_forward(exec, s, x.matrix(), average.matrix());
    average_pool2d_backward(exec, s, dy.matrix(), average_dx.matrix());
    exec.fence();
    EXPECT_TRUE(agrees(y.values(), c, "y"));
    EXPECT_EQ(winner.values(), read<std::int32_t>(c, "winner"));
    EXPECT_TRUE(agrees(dx.values(), c, "dx"));
    EXPECT_TRUE(agrees(average.values(), c, "average"));
    EXPECT_TRUE(agrees(average_dx.values(), c, "average_dx"));
  }
}

}  // namespace
}  // namespace partita::kernels::test::image_cases_tests
