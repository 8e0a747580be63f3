// SPDX-License-Identifier: BSD-3-Clause
// param_server: workers pull weights, compute gradients of their own samples and push them; servers have ranges of the
// weights, and update.
//
//     g = dloss/dw at the w that was pulled,   w <- rule(w, mean of the gradients of an update)
//
// server.protocol says when a worker may go on and what an update is made of: README.md draws them. run.engine says
// whether servers and workers are ranks, or one rank emulates them in virtual time.
//
// Sample runs (each is a test; * only by hand):
//     mpiexec -n 1 param_server inputs/param_server/tiny.toml  # tiny
//     mpiexec -n 1 param_server inputs/param_server/tiny.toml --set server.protocol=k-batch-sync --set server.k=5
//         --set virtual.network=links --set virtual.latency_s=0.01 --set virtual.byte_per_s=1e5  # k_batch_sync
//     mpiexec -n 1 param_server inputs/param_server/tiny.toml --set server.protocol=elastic --set train.optimizer=sgd
//         --set server.accumulate=4 --set data.skew_alpha=0.5  # elastic
//     mpiexec -n 1 param_server inputs/param_server/tiny.toml --set server.measure_shares=true
//         --set virtual.slow_factor=3 --set virtual.slow_workers=2 --set 'virtual.deaths=[7,0.5]'  # uneven
//     mpiexec -n 4 param_server inputs/param_server/as_mlp_dp.toml --set server.protocol=ssp
//         --set server.count=2  # ranks
//     mpiexec -n 2 param_server inputs/param_server/as_mlp_dp.toml --set server.protocol=async
//         --set server.placement=shared  # shared
//   * mpiexec -n 2 param_server inputs/param_server/small.toml
//   * mpiexec -n 1 param_server inputs/param_server/straggler.toml
//   * mpiexec -n 1 param_server inputs/param_server/sparse.toml
#include <partita/driver/experiment.hpp>
#include <partita/training/server_checkpoint.hpp>
#include <partita/training/server_footprint.hpp>
#include <partita/training/server_run.hpp>
#include <partita/training/virtual_run.hpp>

#include "config.hpp"

using namespace partita;

int main(int argc, char** argv) {
  comm::Environment env(argc, argv);  // 1. MPI, then Kokkos; undone on every path
  return env.guard([&] {              //    one exit code, agreed by all ranks
    // 2. Deck and overrides, checked, the same on all ranks.
    training::CheckpointOptions checkpoints;
    driver::Session session(env, argc, argv, "param_server",
                            "A parameter server: consistency protocols compared, in real and in virtual time", true,
                            checkpoints.flags());
    param_server::Config config = param_server::read_config(session.deck(), env.size());
    checkpoints.read(session.deck(), config.run.output);
    const auto check_files = [&] {
      training::check(checkpoints, config.server);
      checkpoints.check(env.world(), config.data, config.train, config.run.output);
    };
    if (session.settled(config.run, driver::Describes::model, check_files)) return ExitCode::done;
    session.start(config.run);

    // 3. The data, of which each worker has its own rows; the model, whose weights the servers share, if all find room.
    const comm::Mesh mesh(env.world(), {{"world", env.size()}});
    const training::Dataset data(env.world(), config.data, config.train, config.server.workers);
    driver::require_memory(env.world(), training::server_memory_needs<float>(config.train, config.server, config.model,
                                                                             data, env.world().is_root()));
    auto model =
        training::plan_model<float>(config.model, data.shape(), config.train.model(), {}).make(config.train.model());
    const double flop = config.train.flop(model, training::samples_of_update(config.train, config.server));
    if (session.describe(model.describe(), flop)) return ExitCode::done;
    kernels::Context context(Exec(), config.train.kernels);
    const nn::WholeRows<float> head(config.train.loss, model);

    // 4. Servers and workers run, a step is an update; one HDF5 file; the figure of merit.
    const training::ServerParts<float> parts = {config.train, config.server, config.model, data,
                                                model,        context,       env.world(),  head};
    if (config.server.engine == training::Engine::mpi) {
      const training::ServerRun ranks = training::make_server_run<float>(parts, checkpoints, config.run.origin.deck);
      return driver::run_asynchronous(session, mesh, config.run, context.exec(), ranks.work, ranks.loop);
    }
    return driver::run_experiment(session, mesh, config.run, context.exec(),
                                  training::make_virtual_workload<float>(parts));
  });
}
