// SPDX-License-Identifier: BSD-3-Clause
// transformer_tp: a language model whose blocks are split over ranks: heads, hidden columns, vocabulary.
//
//     block:   x <- x + sum over ranks of proj(attention(qkv(norm(x))))
//              x <- x + sum over ranks of down(gelu(up(norm(x))))
//
// A rank computes the heads and hidden columns that it has; two sums over ranks forward and two backward put a block
// together. Replicas of the split model share the rows of each batch: README.md.
//
// Sample runs (each is a test; * only by hand):
//     mpiexec -n 2 transformer_tp inputs/transformer_tp/tiny.toml  # tiny
//     mpiexec -n 3 transformer_tp inputs/transformer_tp/tiny.toml --set parallel.allreduce=ring  # ring_uneven
//     mpiexec -n 2 transformer_tp inputs/transformer_tp/tiny.toml --set parallel.sequence=true  # sequence
//     mpiexec -n 3 transformer_tp inputs/transformer_tp/tiny.toml --set parallel.sequence=true
//         --set parallel.regather=true --set train.precision=bf16  # regather_bf16
//     mpiexec -n 4 transformer_tp inputs/transformer_tp/tiny.toml --set parallel.data=2
//         --set parallel.bucket_mib=0.01 --set train.micro_batches=2  # hybrid
//     mpiexec -n 2 transformer_tp inputs/transformer_tp/tiny.toml --set parallel.overlap_chunks=3  # chunks
//     mpiexec -n 2 transformer_tp inputs/transformer_tp/tiny.toml --set parallel.overlap_chunks=0  # chosen_chunks
//     mpiexec -n 3 transformer_tp inputs/transformer_tp/tiny.toml --set train.deterministic=true  # deterministic
//     mpiexec -n 2 transformer_tp inputs/transformer_tp/tiny.toml --set run.mode=infer  # infer
//     mpiexec -n 3 transformer_tp inputs/transformer_tp/tiny.toml --sample 30 --temperature 0.5  # sample
//     mpiexec -n 2 transformer_tp inputs/transformer_tp/tiny_mlp.toml  # mlp
//   * mpiexec -n 2 transformer_tp inputs/transformer_tp/text.toml
#include <fmt/format.h>

#include <partita/driver/experiment.hpp>
#include <partita/parallel/tensor/tensor_parallel.hpp>
#include <partita/training/checkpoint.hpp>
#include <partita/training/footprint.hpp>
#include <partita/training/sample.hpp>
#include <partita/training/weight_transfer.hpp>

#include "config.hpp"

using namespace partita;

int main(int argc, char** argv) {
  comm::Environment env(argc, argv);  // 1. MPI, then Kokkos; undone on every path
  return env.guard([&] {              //    one exit code, agreed by all ranks
    // 2. Deck and overrides, checked, the same on all ranks.
    training::WeightFiles files;
    training::SampleFlags flags;
    training::CheckpointOptions checkpoints;
    driver::Session session(env, argc, argv, "transformer_tp",
                            "A language model split over ranks by tensor parallelism", true,
                            config::joined(config::joined(files.options(), flags.options()), checkpoints.flags()));
    transformer_tp::Config config = transformer_tp::read_config(session.deck(), env.size());
    checkpoints.read(session.deck(), config.run.output);
    std::optional<training::SampleRequest> sample;
    const auto check_options = [&] {
      training::check(files, env.world(), config.model, config.run.output);
      checkpoints.check(env.world(), config.data, config.train, config.run.output);
      sample = flags.request(config.model, config.data.synthetic.classes);
    };
    if (session.settled(config.run, driver::Describes::model, check_options)) return ExitCode::done;
    session.start(config.run);

    // 3. Who talks to whom, and my share of the data.
    const comm::Mesh mesh(env.world(), {{"data", config.mesh.replicas}, {"tensor", config.mesh.parts}});
    const comm::Communicator& replicas = mesh["data"];
    const training::Dataset data(env.world(), config.data, config.train, replicas.size());

    return training::with_precision(config.train.precision, [&]<class Scalar>() {
      // 4. My part of the model, if it finds room, and the shapes of the whole.
      const nn::Division division = config.train.division(replicas.size(), replicas.rank());
      const nn::ModelOptions how = config.train.model();
      auto axis = training::tensor_axis<Scalar>(mesh["tensor"], config.mesh, data.shape(), how);
      training::require_memory<Scalar>(env.world(), replicas, config.train, config.model, data, division,
                                       config.replicas, {.tensor = &axis});
      const auto whole = training::plan_model<Scalar>(config.model, data.shape(), how).make(how.without_weights());
      const auto plan = training::plan_model<Scalar>(config.model, data.shape(), how, {.tensor = &axis});
      auto model = plan.make(how);
      if (session.describe(model.describe(), config.train.flop(whole, config.train.batch))) return ExitCode::done;
      kernels::Context context(Exec(), config.train.kernels);

      // 5. The step: its parts, and the strategy that this app is about.
      parallel::TensorParallel<Scalar> strategy(replicas, axis, config.replicas, model, whole.table(), division,
                                                config.train.seed);
      const auto head = training::make_head<Scalar>(config.train.loss, model, plan, &axis);
      const nn::GradientPass<Scalar> pass(model, division, nn::in_turn(config.train.micro_batches), *head,
                                          &strategy.sum());
      const auto update = strategy.make_update(context.exec(), config.train.update);
      nn::TrainStep<Scalar> step(context, pass, strategy.exchange(), update.get(), config.train.seed);

      // 6. Calibrate, warm up, run, verify; one HDF5 file; the figure of merit. Weights come and go as files.
      const training::Parts<Scalar> parts = {config.train,
                                             config.model,
                                             data,
                                             model,
                                             context,
                                             env.world(),
                                             replicas,
                                             &axis,
                                             whole,
                                             *head,
                                             pass,
                                             strategy.exchange(),
                                             step,
                                             update.get(),
                                             strategy.allocated(*update),
                                             strategy.bytes(config.train.update.optimizer),
                                             config.mesh.text(config.replicas)};
      auto work = training::make_workload<Scalar>(parts);
      training::attach<Scalar>(files, parts, work);
      training::attach<Scalar>(checkpoints, config.run, parts, work);
      training::attach<Scalar>(sample, parts, work);
      return driver::run_experiment(session, mesh, config.run, context.exec(), work);
    });
  });
}
