// SPDX-License-Identifier: BSD-3-Clause
#include <fstream>

#include <nlohmann/json.hpp>

#include <partita/kernels/attention.hpp>
#include <partita/kernels/layernorm.hpp>
#include <partita/kernels/loss.hpp>
#include <partita/kernels/softmax.hpp>

#include "numbers.hpp"

// Against PyTorch: data/make_sequence_cases.py.

namespace partita::kernels::test::sequence_oracle_tests {
namespace {

using Json = nlohmann::json;

Json stored(const char* kind) {
  std::ifstream file("tests/unit/kernels/data/sequence_cases.json");  // tests run in the project's root
  EXPECT_TRUE(file.good());
  return Json::parse(file)[kind];
}

template <class Scalar>
std::vector<Scalar> operand(const Json& c, const char* name) {
  std::vector<Scalar> values;
  for (double value : c[name]) values.push_back(Scalar(value));
  return values;
}

/// Sums have at most 33 terms of order 1, and the exponents of softmax are of order 10. Stored are ten digits.
template <class Scalar>
void expect(const Json& c, const char* name, const std::vector<Scalar>& got) {
  const Numbers expected = c[name];
  const double scale = 1 + largest(expected);
  EXPECT_TRUE(within(in_double(got), expected, Numbers(expected.size(), scale * (64 * unit_roundoff<Scalar> + 1e-9))))
      << name;
}

template <class Scalar>
class sequence_oracle : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(sequence_oracle, Scalars);

TYPED_TEST(sequence_oracle, attention) {
  using Scalar = TypeParam;
  for (const Json& c : stored("attention"))
    for (AttentionAlgorithm algorithm : {AttentionAlgorithm::blockwise, AttentionAlgorithm::plain}) {
      Context context;
      const index_t B = c["B"], T = c["T"], H = c["H"], rows = B * T, columns = H * index_t(c["D"]);
      const auto place = [&](const char* name) { return Placed<Scalar>(operand<Scalar>(c, name), rows, columns); };
      const auto q = place("q"), k = place("k"), v = place("v"), dy = place("dy");
      const Placed<Scalar> y(rows, columns), dq(rows, columns), dk(rows, columns), dv(rows, columns);
      const Vector<Scalar> lse("lse", B * H * T);
      const AttentionOptions options{.T = T, .H = H, .causal = c["causal"], .algorithm = algorithm};
      attention_forward<Scalar>(context, options, q.matrix(), k.matrix(), v.matrix(), y.matrix(), lse);
      attention_backward<Scalar>(context, options, q.matrix(), k.matrix(), v.matrix(), y.matrix(), lse, dy.matrix(),
                                 dq.matrix(), dk.matrix(), dv.matrix());
      Kokkos::fence();
      expect(c, "y", y.values());
      expect(c, "dq", dq.values());
      expect(c, "dk", dk.values());
      expect(c, "dv", dv.values());
    }
}

TYPED_TEST(sequence_oracle, norms) {
  using Scalar = TypeParam;
  for (const Json& c : stored("norm")) {
    Context context;
    const Exec& exec = context.exec();
    const index_t B = c["B"], C = c["C"];
    const Placed<Scalar> x(operand<Scalar>(c, "x"), B, C), dy(operand<Scalar>(c, "dy"), B, C), y(B, C), dx(B, C);
    const auto gamma = to_device(operand<Scalar>(c, "gamma"));
    const Vector<Scalar> mean("mean", B), rstd("rstd", B), dgamma("dgamma", C), dbeta("dbeta", C);
    if (c["kind"] == "layer") {
      layernorm_forward<Scalar>(exec, c["epsilon"], x.matrix(), gamma, to_device(operand<Scalar>(c, "beta")),
                                y.matrix(), mean, rstd);
      layernorm_backward_input<Scalar>(exec, x.matrix(), gamma, mean, rstd, dy.matrix(), dx.matrix());
      layernorm_backward_weights<Scalar>(context, {}, Store::overwrite, x.matrix(), mean, rstd, dy.matrix(), dgamma,
                                         dbeta);
    } else {
      rmsnorm_forward<Scalar>(exec, c["epsilon"], x.matrix(), gamma, y.matrix(), rstd);
      rmsnorm_backward_input<Scalar>(exec, x.matrix(), gamma, rstd, dy.matrix(), dx.matrix());
      rmsnorm_backward_weights<Scalar>(context, {}, Store::overwrite, x.matrix(), rstd, dy.matrix(), dgamma);
    }
    exec.fence();
    expect(c, "y", y.values());
    expect(c, "dx", dx.values());
    expect(c, "dgamma", to_host(dgamma));
    if (c["kind"] == "layer") expect(c, "dbeta", to_host(dbeta));
  }
}

TYPED_TEST(sequence_oracle, softmax) {
  using Scalar = TypeParam;
  for (const Json& c : stored("softmax")) {
    const index_t B = c["B"], C = c["C"];
    const Placed<Scalar> x(operand<Scalar>(c, "x"), B, C), dy(operand<Scalar>(c, "dy"), B, C), y(B, C), dx(B, C);
    softmax_forward(Exec(), x.matrix(), y.matrix());
    softmax_backward(Exec(), y.matrix(), dy.matrix(), dx.matrix());
    Kokkos::fence();
    expect(c, "y", y.values());
    expect(c, "dx", dx.values());
  }
}

TYPED_TEST(sequence_oracle, cross_entropy) {
  using Scalar = TypeParam;
  for (const Json& c : stored("cross_entropy")) {
    Context context;
    const index_t B = c["B"], V = c["V"];
    const Placed<Scalar> x(operand<Scalar>(c, "x"), B, V), dx(B, V);
    const Kokkos::View<double, Memory> sum("sum");
    loss_forward_backward<Scalar>(context, {}, x.matrix(), to_device(c["label"].get<std::vector<std::int32_t>>()), 1.0,
                                  dx.matrix(), sum);
    context.exec().fence();
    expect(c, "y", std::vector<Scalar>{Scalar(to_host(sum)[0])});
    expect(c, "dx", dx.values());
  }
}

}  // namespace
}  // namespace partita::kernels::test::sequence_oracle_tests
