// SPDX-License-Identifier: BSD-3-Clause
// consumer: a linear layer and a deck, with nothing but what Partita installs. Exits 0 when y = relu(x W^T + b) is
// right.
#include <cstdio>

#include <partita/comm/environment.hpp>
#include <partita/config/deck.hpp>
#include <partita/core/partition.hpp>
#include <partita/kernels/linear.hpp>

int main(int argc, char** argv) {
  using namespace partita;
  comm::Environment env(argc, argv);
  return env.guard([&] {
    auto deck = config::Deck::parse("batch = 3\n", "consumer.toml", {});
    const index_t B = deck.integer("batch", 1, {1, 100}, "rows");
    deck.finish();

    kernels::Context context;
    const Matrix<float> x("partita::consumer::x", B, 2), W("partita::consumer::W", 1, 2),
        y("partita::consumer::y", B, 1);
    const Vector<float> b("partita::consumer::b", 1);
    Kokkos::deep_copy(x, 1.0F);
    Kokkos::deep_copy(W, 2.0F);
    Kokkos::deep_copy(b, -1.0F);
    kernels::linear_forward<float>(context, {.activation = kernels::Activation::relu}, x, W, b, y);
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), y);
    for (index_t row = 0; row < B; ++row)
      if (host(row, 0) != 3.0F) throw CheckError("y(" + std::to_string(row) + ") is not 3");
    std::printf("consumer: %s, %d rank(s), %lld row(s) right\n", kernels::math_backend_name().c_str(), env.size(),
                static_cast<long long>(B));
  });
}
