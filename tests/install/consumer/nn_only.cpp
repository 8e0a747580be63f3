// SPDX-License-Identifier: BSD-3-Clause
// One forward and backward pass of a model, in a program without MPI.
#include <cmath>
#include <cstdio>

#include <partita/nn/mlp.hpp>
#include <partita/nn/serial_step.hpp>

int main(int argc, char** argv) {
  Kokkos::ScopeGuard kokkos(argc, argv);
  using namespace partita;
  kernels::Context context;
  nn::Model<float> model = nn::make_mlp<float>({4, {5}, 3});
  nn::SerialStep<float> step(context, model, 6);
  step.run({Matrix<float>("x", 6, 4), {}, Vector<std::int32_t>("label", 6)});
  context.exec().fence();
  const auto loss = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), step.losses);
  std::printf("mean loss %g, as from equal scores: %g\n", double(loss(0)) / 6, std::log(3.0));
  return std::isfinite(double(loss(0))) ? 0 : 1;
}
