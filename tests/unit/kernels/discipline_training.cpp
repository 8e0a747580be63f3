// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/activation.hpp>
#include <partita/kernels/cast.hpp>
#include <partita/kernels/dropout.hpp>
#include <partita/kernels/elementwise.hpp>
#include <partita/kernels/loss.hpp>
#include <partita/kernels/loss_scale.hpp>
#include <partita/kernels/norm.hpp>
#include <partita/kernels/optimizer.hpp>
#include <partita/kernels/split_loss.hpp>
#include <partita/kernels/statistics.hpp>

#include <support/discipline.hpp>
#include "support.hpp"

// What a training step in 16 bits calls beside its layers: after the first time it allocates nothing, fences nothing,
// and every kernel has Partita's label and runs on the context's instance.

namespace partita::kernels::test::discipline_training_tests {
namespace {

template <class Storage>
struct Step {
  static constexpr index_t B = 37, V = 70, n = B * V;
  Context context;
  Matrix<Storage> z{"z", B, V}, dz{"dz", B, V}, a{"a", B, V};
  Vector<float> g{"g", n}, p{"p", n}, m{"m", n}, v{"v", n};
  Vector<NormCell> cells = to_device(norm_cells({0, n}));
  Vector<double> sums{"sums", cells.extent(0)};
  Vector<std::int32_t> label{"label", B};
  static constexpr Slice part{0, V, 8 * V / 5};  // 5 of 8 blocks: two nodes
  std::vector<LossNode> nodes = loss_nodes(part, {0, 5, 8});
  Vector<double> top{"top", B}, target{"target", B}, ahead{"ahead", B}, exponentials{"exponentials", B};
  Matrix<double> of_nodes{"of_nodes", nodes.size(), B};
  Kokkos::View<double, Memory> loss{"loss"}, sum{"sum"}, norm{"norm"};
  Kokkos::View<index_t, Memory> correct{"correct"};
  OptimizerStateView state{"state"};
  LossScaleView scaling{"scaling"};

  explicit Step(const Exec& exec) : context(exec) {}

  static constexpr int kernels = 38;
  void run() {
    const Exec& exec = context.exec();
    const Vector<Storage> z_flat(z.data(), n), dz_flat(dz.data(), n), a_flat(a.data(), n);
    loss_scale_start(exec, {}, scaling);
    cast<Storage, float>(exec, p, z_flat);
    dropout<Storage>(exec, {.rate = 0.1, .rows = whole(B), .columns = whole(V)}, z, a);
    add<Storage>(exec, z_flat, a_flat, a_flat);
    add_relu<Storage>(exec, z_flat, a_flat, a_flat);
    triad<Storage>(exec, 0.5f, z_flat, a_flat, a_flat);
    activation_forward<Storage>(exec, Activation::gelu, z, a);
    loss_forward(context, {}, z, label, loss, correct);
    loss_forward_backward(context, {}, z, label, 1.0 / B, dz, loss, loss_scale_value(scaling));
    loss_forward_backward(context, {.kind = Loss::mse}, z, label, 1.0 / B, dz, loss, loss_scale_value(scaling));
    loss_max<Storage>(exec, part, z, label, top, target);
    loss_sums<Storage>(exec, nodes, z, label, top, of_nodes, dz);
    loss_ahead<Storage>(exec, part, z, label, top, ahead);
    loss_finish<Storage>(context, part, z, label, top, target, exponentials, 1.0 / B, dz, loss,
                         loss_scale_value(scaling));
    loss_finish(context, part.global, label, top, target, exponentials, ahead, loss, correct);
    activation_backward_from_input<Storage>(exec, Activation::gelu, z, dz, dz);
    activation_backward<Storage>(exec, Activation::relu, z, dz);
    cast<float, Storage>(exec, dz_flat, g);
    norm_squared<float>(context, cells, g, sums);
    norm_total(exec, sums, sum);
    clip_by_norm<float>(exec, 1e-3, sum, g);
    loss_scale_update(exec, {}, sum, scaling, state);
    gradient_norm(exec, sum, state, norm);
    optimizer_clip(exec, 1.0, sum, state);
    optimizer_set_learning_rate(exec, 1e-3, state);
    for (Optimizer kind : {Optimizer::sgd, Optimizer::adagrad, Optimizer::adam, Optimizer::adamw}) {
      optimizer_advance(exec, {.kind = kind}, state);
      optimizer_update(exec, {.kind = kind}, state, g, p, m, v, z_flat);
    }
    statistics_update<float>(exec, 0.1, state, m, v);
  }
};

template <class Storage>
class discipline_training : public ::testing::Test {};
using Storages = ::testing::Types<bfloat16, float16>;
TYPED_TEST_SUITE(discipline_training, Storages);

TYPED_TEST(discipline_training, has_own_labels_and_neither_fences_nor_view_allocations) {
  Step<TypeParam> step(instances().back());
  step.run();
  ::partita::test::expect_own_labels_and_no_fences(step.context.exec(), step.kernels, [&] { step.run(); });
}

TYPED_TEST(discipline_training, asks_the_heap_for_nothing) {
  if (!::partita::test::allocation_counter_works()) GTEST_SKIP() << "malloc cannot be interposed in this build";
  Step<TypeParam> step{Exec()};
  step.run();
  ::partita::test::expect_no_allocation(false, [&] { step.run(); });
}

}  // namespace
}  // namespace partita::kernels::test::discipline_training_tests
