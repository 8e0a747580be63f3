// SPDX-License-Identifier: BSD-3-Clause
// cnn_pp: a convolutional network whose layers are placed on stages, micro-batches flowing through.
//
//     stage s of S:   y_s = f_s(y_{s-1}; w_s),   dy_{s-1} = (df_s/dy_{s-1})^T dy_s,   w_s <- optimizer(w_s, dloss/dw_s)
//
// A rank has one stage or several; activations go forward and their gradients back, a message for each micro-batch.
// parallel.schedule says in which order a rank passes its stages over the micro-batches: README.md. Ranks of
// parallel.spatial have the same stages and share the rows of every image; edges of their slices travel as halos.
//
// Sample runs (each is a test; * only by hand):
//     mpiexec -n 2 cnn_pp inputs/cnn_pp/tiny.toml  # tiny
//     mpiexec -n 3 cnn_pp inputs/cnn_pp/tiny.toml --set parallel.schedule=gpipe --set parallel.balance=equal  # gpipe
//     mpiexec -n 2 cnn_pp inputs/cnn_pp/tiny.toml --set parallel.schedule=interleaved  # interleaved
//     mpiexec -n 3 cnn_pp inputs/cnn_pp/tiny.toml --set parallel.schedule=zb-h1 --set train.micro_batches=5  # zb_h1
//     mpiexec -n 2 cnn_pp inputs/cnn_pp/tiny.toml --set parallel.schedule=zb-v --set train.precision=bf16  # zb_v_bf16
//     mpiexec -n 4 cnn_pp inputs/cnn_pp/tiny.toml --set parallel.data=2 --set parallel.bucket_mib=0.001  # hybrid
//     mpiexec -n 2 cnn_pp inputs/cnn_pp/tiny.toml --set parallel.step_barrier=false  # no_barrier
//     mpiexec -n 3 cnn_pp inputs/cnn_pp/tiny.toml --set train.deterministic=true  # deterministic
//     mpiexec -n 2 cnn_pp inputs/cnn_pp/tiny.toml --set parallel.balance=measured --set train.recompute=block
//         # measured_recompute
//     mpiexec -n 2 cnn_pp inputs/mlp_dp/tiny_gpt.toml --set train.micro_batches=3  # gpt
//     mpiexec -n 3 cnn_pp inputs/mlp_dp/tiny.toml --set model.kind=mlp --set train.micro_batches=4  # mlp
//     mpiexec -n 2 cnn_pp inputs/cnn_pp/tiny.toml --set parallel.spatial=2  # spatial
//     mpiexec -n 4 cnn_pp inputs/cnn_pp/tiny.toml --set parallel.spatial=2 --set parallel.data=2  # spatial_data
//     mpiexec -n 4 cnn_pp inputs/cnn_pp/tiny.toml --set parallel.spatial=2 --set parallel.pipeline=2
//         # spatial_pipeline
//     mpiexec -n 1 cnn_pp inputs/cnn_pp/tiny.toml --set parallel.pipeline=4 --show-schedule  # show_schedule
//   * mpiexec -n 2 cnn_pp inputs/cnn_pp/fashion.toml
#include <fmt/format.h>

#include <partita/driver/experiment.hpp>
#include <partita/training/checkpoint.hpp>
#include <partita/training/footprint.hpp>
#include <partita/training/pipeline_report.hpp>
#include <partita/training/spatial_ranks.hpp>
#include <partita/training/stage_layers.hpp>
#include <partita/training/workload.hpp>

#include "config.hpp"

using namespace partita;

int main(int argc, char** argv) {
  comm::Environment env(argc, argv);  // 1. MPI, then Kokkos; undone on every path
  return env.guard([&] {              //    one exit code, agreed by all ranks
    // 2. Deck and overrides, checked, the same on all ranks.
    training::ScheduleFlags flags;
    training::CheckpointOptions checkpoints;
    driver::Session session(env, argc, argv, "cnn_pp", "A model cut into stages: pipeline schedules compared", true,
                            config::joined(flags.options(), checkpoints.flags()));
    cnn_pp::Config config = cnn_pp::read_config(session.deck(), flags.asked() ? 0 : env.size());
    checkpoints.read(session.deck(), config.run.output);
    parallel::PipelinePlan plan;
    const auto check_options = [&] {
      plan = training::plan_schedule(env.world(), config.mesh, config.train.micro_batches);
      checkpoints.check(env.world(), config.data, config.train, config.run.output);
    };
    if (session.settled(config.run, driver::Describes::model, check_options)) return ExitCode::done;
    if (flags.answer(env.world(), plan)) return ExitCode::done;
    session.start(config.run);

    // 3. Who talks to whom, who does what when, and my share of the data.
    const comm::Mesh mesh(
        env.world(),
        {{"data", config.mesh.replicas}, {"pipeline", config.mesh.ranks}, {"spatial", config.mesh.spatial}});
    const comm::Communicator& replicas = mesh["data"];
    const comm::Communicator& axis = mesh["pipeline"];
    const training::Dataset data(env.world(), config.data, config.train, replicas.size(),
                                 {config.mesh.spatial, mesh.coordinate("spatial")});

    return training::with_precision(config.train.precision, [&]<class Scalar>() {
      // 4. The layers of my stages, if they find room, and the shapes of the whole.
      const nn::Division division = config.train.division(replicas.size(), replicas.rank());
      const nn::ModelOptions how = config.train.model();
      const auto layers = training::plan_model<Scalar>(config.model, data.shape(), how);
      const auto whole = layers.make(how.without_weights());
      const auto shared = training::share_layers(env.world(), config.mesh, plan.stages(), layers, whole, how,
                                                 division.largest_piece(), config.train.kernels);
      plan.layers = shared.layers;
      plan.tied = training::tied_table(config.model);
      training::SpatialRanks<Scalar> beside(mesh, config.mesh, config.replicas.how, config.train, config.model,
                                            data.shape().image.rows);
      training::require_memory<Scalar>(env.world(), replicas, config.train, config.model, data, division,
                                       config.replicas, beside.splits(), {&plan, axis.rank()});
      const auto own = training::plan_model<Scalar>(config.model, data.shape(), how, beside.splits());
      const auto listed = own.make(how.without_weights());
      nn::Model<Scalar> model(own.layers, own.output, how, plan.cuts(), plan.stages_of(axis.rank()));
      if (session.describe(training::describe(plan, whole), config.train.flop(whole, config.train.batch)))
        return ExitCode::done;
      kernels::Context context(Exec(), config.train.kernels);

      // 5. The step: its parts, and the strategy that this app is about.
      parallel::Pipeline<Scalar> strategy(beside.adders(), axis, env.rank(), plan, config.mesh.step_barrier,
                                          config.replicas, model, whole.table(), division, config.train.seed);
      const nn::WholeRows<Scalar> head(config.train.loss, model);
      const nn::GradientPass<Scalar> pass(model, division, strategy.actions(), head, &strategy.sum(),
                                          &strategy.links());
      const auto update = strategy.make_update(context.exec(), config.train.update);
      nn::TrainStep<Scalar> step(context, pass, strategy.exchange(), update.get(), config.train.seed);

      // 6. Calibrate, warm up, run, verify; one HDF5 file; the figure of merit.
      const training::Parts<Scalar> parts = {.train = config.train,
                                             .model_options = config.model,
                                             .data = data,
                                             .model = model,
                                             .context = context,
                                             .world = env.world(),
                                             .replicas = replicas,
                                             .axis = nullptr,
                                             .whole = whole,
                                             .head = head,
                                             .pass = pass,
                                             .exchange = strategy.exchange(),
                                             .step = step,
                                             .update = update.get(),
                                             .memory = strategy.allocated(*update),
                                             .expected = strategy.bytes(config.train.update.optimizer),
                                             .strategy = config.mesh.text(config.replicas),
                                             .pipeline = &strategy,
                                             .listed = &listed,
                                             .rows = beside.rows()};
      auto work = training::make_workload<Scalar>(parts);
      training::attach<Scalar>(config.mesh, shared, parts, work);
      training::attach_halos<Scalar>(parts, work);
      training::attach<Scalar>(checkpoints, config.run, parts, work);
      return driver::run_experiment(session, mesh, config.run, context.exec(), work);
    });
  });
}
