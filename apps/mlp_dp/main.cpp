// SPDX-License-Identifier: BSD-3-Clause
// mlp_dp: an MLP trained with replicated weights; gradients are summed over ranks.
//
//     loss(w) = 1/B sum_b cross_entropy(mlp(x_b; w), y_b),   w <- optimizer(w, all-reduce(dloss/dw))
//
// Sample runs (each is a test; * only by hand):
//     mpiexec -n 2 mlp_dp inputs/mlp_dp/tiny.toml
//     mpiexec -n 3 mlp_dp inputs/mlp_dp/tiny.toml --set parallel.allreduce=ring --set train.batch=50
//     mpiexec -n 2 mlp_dp inputs/mlp_dp/tiny.toml --set train.deterministic=true
//     mpiexec -n 2 mlp_dp inputs/mlp_dp/tiny.toml --set run.mode=infer
//   * mpiexec -n 2 mlp_dp inputs/mlp_dp/fashion.toml
#include <cstdio>
#include <partita/driver/experiment.hpp>

#include "workload.hpp"

using namespace partita;

int main(int argc, char** argv) {
  comm::Environment env(argc, argv);  // 1. MPI, then Kokkos; undone on every path
  return env.guard([&] {              //    one exit code, agreed by all ranks
    // 2. Deck and overrides, checked, the same on all ranks.
    driver::Session session(env, argc, argv, "mlp_dp", "An MLP classifier, trained with replicated weights");
    mlp_dp::Config config = mlp_dp::read_config(session, env.size());
    if (session.settled(config.run, driver::Describes::model)) return ExitCode::done;

    // 3. Who talks to whom, and my share of the data.
    const comm::Mesh mesh(env.world(), {{"data", env.size()}});
    const mlp_dp::Dataset data(env.world(), config.data, config.seed, config.parallel.batch);

    // 4. The same weights on any number of ranks.
    nn::Model<float> model =
        nn::make_mlp<float>({data.features(), config.hidden, data.classes(), config.activation}, config.seed);

    // 5. The strategy that this app is about.
    kernels::Context context(Exec(), config.kernels);
    config.parallel.planned_rows = mlp_dp::evaluation_rows;
    nn::FlatOptimizer<float> optimizer(context.exec(), config.optimizer, config.learning_rate, model.parameters());
    parallel::DataParallel<float> replica(model, context, mesh["data"], config.parallel, optimizer);

    // 6. Calibrate, warm up, run, verify; one HDF5 file; the figure of merit.
    const auto work = mlp_dp::make_workload(config, data, model, context, mesh["data"], replica);
    if (session.describe()) {
      if (env.rank() == 0) std::puts(work.description.c_str());
      return ExitCode::done;
    }
    return driver::run_experiment(env, mesh, config.run, context.exec(), work);
  });
}
