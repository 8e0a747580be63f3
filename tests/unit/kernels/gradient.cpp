// SPDX-License-Identifier: BSD-3-Clause
#include <functional>

#include <partita/kernels/activation.hpp>
#include <partita/kernels/linear.hpp>
#include <partita/kernels/loss.hpp>

#include "support.hpp"

// The chain linear + activation, linear, loss: analytic gradients against central differences, in double.

namespace partita::kernels::test::gradient_tests {
namespace {

constexpr index_t B = 5, K = 7, F = 9, V = 4;
constexpr double scale = 1.0 / B;

/// Central differences err by h^2 f''' / 6 and by u |f| / h: least at h = cbrt(u), where both are h^2. The third
/// derivatives of this small net are of the order of a hundred.
const double h = std::cbrt(unit_roundoff<double>);
const double difference_error = 100 * h * h;

struct Net {
  Activation activation;
  Loss loss;
  std::vector<double> x = random_values<double>(1, B*K), W1 = random_values<double>(2, F*K),
                      b1 = random_values<double>(3, F), W2 = random_values<double>(4, V*F),
                      b2 = random_values<double>(5, V);
  std::vector<std::int32_t> label = {0, 3, 1, 1, 2};
};

struct Gradients {
  double loss;
  std::vector<double> x, W1, b1, W2, b2;
};

Gradients evaluate(const Net& net) {
  Context context;
  const Placed<double> x(net.x, B, K), W1(net.W1, F, K), W2(net.W2, V, F);
  const Vector<double> b1 = to_device(net.b1), b2 = to_device(net.b2), db1("db1", F), db2("db2", V);
  const Placed<double> hidden(B, F), logits(B, V), dlogits(B, V), dhidden(B, F), dx(B, K), dW1(F, K), dW2(V, F);
  const Kokkos::View<double, Memory> sum("sum");
  linear_forward(context, {.activation = net.activation}, x.matrix(), W1.matrix(), b1, hidden.matrix());
  linear_forward(context, {}, hidden.matrix(), W2.matrix(), b2, logits.matrix());
  loss_forward_backward(context, {.kind = net.loss}, logits.matrix(), to_device(net.label), scale, dlogits.matrix(),
                        sum);
  linear_backward_weights<double>(context, {}, Store::overwrite, hidden.matrix(), dlogits.matrix(), dW2.matrix(), db2);
  linear_backward_input(context, {}, dlogits.matrix(), W2.matrix(), dhidden.matrix());
  activation_backward(context.exec(), net.activation, hidden.matrix(), dhidden.matrix());
  linear_backward_weights<double>(context, {}, Store::overwrite, x.matrix(), dhidden.matrix(), dW1.matrix(), db1);
  linear_backward_input(context, {}, dhidden.matrix(), W1.matrix(), dx.matrix());
  context.exec().fence();
  return {scale * to_host(sum)[0], dx.values(), dW1.values(), to_host(db1), dW2.values(), to_host(db2)};
}

void check(const Net& net, std::vector<double> Net::*operand, const std::vector<double>& gradient) {
  for (std::size_t i = 0; i < (net.*operand).size(); ++i) {
    Net up = net, down = net;
    (up.*operand)[i] += h;
    (down.*operand)[i] -= h;
    const double difference = (evaluate(up).loss - evaluate(down).loss) / (2 * h);
    EXPECT_NEAR(gradient[i], difference, difference_error) << "element " << i;
  }
}

class gradient : public ::testing::TestWithParam<std::tuple<Activation, Loss>> {};

TEST_P(gradient, is_the_slope_of_the_loss) {
  const Net net{.activation = std::get<0>(GetParam()), .loss = std::get<1>(GetParam())};
  const Gradients g = evaluate(net);
  check(net, &Net::x, g.x);
  check(net, &Net::W1, g.W1);
  check(net, &Net::b1, g.b1);
  check(net, &Net::W2, g.W2);
  check(net, &Net::b2, g.b2);
}

INSTANTIATE_TEST_SUITE_P(all, gradient,
                         ::testing::Combine(::testing::Values(Activation::identity, Activation::relu, Activation::tanh,
                                                              Activation::sigmoid),
                                            ::testing::Values(Loss::cross_entropy, Loss::mse)),
                         [](const auto& at) {
                           return std::string(name(std::get<0>(at.param))) + "_" +
                                  std::string(name(std::get<1>(at.param)));
                         });

}  // namespace
}  // namespace partita::kernels::test::gradient_tests
