// SPDX-License-Identifier: BSD-3-Clause
// mlp_dp: a model trained by data parallelism of any kind: ranks share the rows of each batch.
//
//     loss(w) = 1/B sum_b cross_entropy(f(x_b; w), y_b),   w <- optimizer(w, sum over ranks of dloss/dw)
//
// parallel.strategy says who keeps and updates what of w, and what travels when: README.md, "Strategies".
//
// Sample runs (each is a test; * only by hand):
//     mpiexec -n 2 mlp_dp inputs/mlp_dp/tiny.toml  # tiny
//     mpiexec -n 3 mlp_dp inputs/mlp_dp/tiny.toml --set parallel.allreduce=ring --set train.batch=50  # ring_uneven
//     mpiexec -n 2 mlp_dp inputs/mlp_dp/tiny.toml --set train.deterministic=true  # deterministic
//     mpiexec -n 2 mlp_dp inputs/mlp_dp/tiny.toml --set run.mode=infer  # infer
//     mpiexec -n 2 mlp_dp inputs/mlp_dp/tiny_gpt.toml --set train.micro_batches=2
//         --set train.precision=bf16  # gpt_bf16
//     mpiexec -n 2 mlp_dp inputs/mlp_dp/tiny_gpt.toml --set train.recompute=block  # gpt_recompute
//     mpiexec -n 2 mlp_dp inputs/mlp_dp/tiny_cnn.toml  # cnn
//     mpiexec -n 3 mlp_dp inputs/mlp_dp/tiny_cnn.toml --set model.sync_batchnorm=true --set train.batch=50
//         # cnn_sync_batchnorm
//     mpiexec -n 2 mlp_dp inputs/mlp_dp/tiny_bag.toml  # bag
//     mpiexec -n 3 mlp_dp inputs/mlp_dp/stream.toml  # stream
//     mpiexec -n 2 mlp_dp inputs/mlp_dp/stream.toml --set data.stream_rate=100000
//         --set data.stream_when_full=drop  # stream_drop
//     mpiexec -n 2 mlp_dp inputs/mlp_dp/tiny.toml --set parallel.bucket_mib=0.005 --set parallel.allreduce=automatic
//         # buckets
//     mpiexec -n 3 mlp_dp inputs/mlp_dp/tiny.toml --set parallel.strategy=gather_broadcast  # gather_broadcast
//     mpiexec -n 3 mlp_dp inputs/mlp_dp/tiny.toml --set parallel.strategy=zero1 --set parallel.allreduce=ring  # zero1
//     mpiexec -n 2 mlp_dp inputs/mlp_dp/tiny_cnn.toml --set parallel.strategy=zero2 --set train.micro_batches=2
//         # zero2
//     mpiexec -n 4 mlp_dp inputs/mlp_dp/tiny_gpt.toml --set parallel.strategy=zero3 --set train.precision=bf16
//         # zero3_bf16
//     mpiexec -n 2 mlp_dp inputs/mlp_dp/tiny.toml --set parallel.strategy=local_sgd --set parallel.local_steps=5
//         --set evaluate.every=10  # local_sgd
//     mpiexec -n 2 mlp_dp inputs/transformer_tp/text.toml --set train.steps=3 --set data.path=README.md
//         --set run.calibration=off  # text
//   * mpiexec -n 2 mlp_dp inputs/mlp_dp/fashion.toml
//   * mpiexec -n 2 mlp_dp inputs/transformer_tp/text.toml
#include <fmt/format.h>

#include <partita/driver/experiment.hpp>
#include <partita/training/checkpoint.hpp>
#include <partita/training/footprint.hpp>
#include <partita/training/weight_transfer.hpp>

#include "config.hpp"

using namespace partita;

int main(int argc, char** argv) {
  comm::Environment env(argc, argv);  // 1. MPI, then Kokkos; undone on every path
  return env.guard([&] {              //    one exit code, agreed by all ranks
    // 2. Deck and overrides, checked, the same on all ranks.
    training::WeightFiles files;
    training::CheckpointOptions checkpoints;
    driver::Session session(env, argc, argv, "mlp_dp",
                            "A model trained by data parallelism: strategies compared on one model", true,
                            config::joined(files.options(), checkpoints.flags()));
    mlp_dp::Config config = mlp_dp::read_config(session.deck(), env.size());
    checkpoints.read(session.deck(), config.run.output);
    const auto check_files = [&] {
      training::check(files, env.world(), config.model, config.run.output);
      checkpoints.check(env.world(), config.data, config.train, config.run.output, config.parallel.strategy);
    };
    if (session.settled(config.run, driver::Describes::model, check_files)) return ExitCode::done;
    session.start(config.run);

    // 3. Who talks to whom, and my share of the data.
    const comm::Mesh mesh(env.world(), {{"data", env.size()}});
    const comm::Communicator& replicas = mesh["data"];
    const training::Dataset data(env.world(), config.data, config.train, replicas.size());

    return training::with_precision(config.train.precision, [&]<class Scalar>() {
      // 4. The same weights on any number of ranks, if they find room.
      const nn::Division division = config.train.division(replicas.size(), replicas.rank());
      training::check(config.parallel, config.train, data.steps_per_epoch(), replicas.size());
      training::require_memory<Scalar>(env.world(), replicas, config.train, config.model, data, division,
                                       config.parallel);
      nn::ModelOptions options = config.train.model();
      options.weights = config.parallel.whole_weights();
      parallel::BatchNormAxis norms(replicas, config.parallel.how);
      auto model = training::plan_model<Scalar>(config.model, data.shape(), options, {.norms = &norms}).make(options);
      if (session.describe(model.describe(), config.train.flop(model, config.train.batch))) return ExitCode::done;
      kernels::Context context(Exec(), config.train.kernels);

      // 5. The step: its parts, and the strategy that this app is about.
      parallel::DataParallel<Scalar> strategy(replicas, config.parallel, model, division, config.train.seed);
      const nn::WholeRows<Scalar> head(config.train.loss, model);
      const nn::GradientPass<Scalar> pass(model, division, nn::in_turn(config.train.micro_batches), head,
                                          &strategy.sum());
      const auto update = strategy.make_update(context.exec(), config.train.update);
      nn::TrainStep<Scalar> step(context, pass, strategy.exchange(), update.get(), config.train.seed);

      // 6. Calibrate, warm up, run, verify; one HDF5 file; the figure of merit. Weights come and go as files.
      training::Parts<Scalar> parts = {config.train,
                                       config.model,
                                       data,
                                       model,
                                       context,
                                       env.world(),
                                       replicas,
                                       nullptr,
                                       model,
                                       head,
                                       pass,
                                       strategy.exchange(),
                                       step,
                                       update.get(),
                                       strategy.allocated(*update),
                                       strategy.bytes(config.train.update.optimizer),
                                       config.parallel.text()};
      parts.one_model = config.parallel.strategy != parallel::Strategy::local_sgd;
      auto work = training::make_workload<Scalar>(parts);
      training::attach<Scalar>(files, parts, work);
      training::attach<Scalar>(checkpoints, config.run, parts, work);
      return driver::run_experiment(session, mesh, config.run, context.exec(), work);
    });
  });
}
