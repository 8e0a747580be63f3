// SPDX-License-Identifier: BSD-3-Clause
// comm_bench: what the network gives to the collectives of a training step, MPI's own and ours side by side.
//
//     algbw = bytes / s        busbw = algbw x 2 (P-1) / P  (all-reduce over P ranks; README.md has the others)
//     time  = alpha + beta bytes                            (a fit, from 5 sizes on)
//
// Sample runs (each is a test; * only by hand):
//     mpiexec -n 2 comm_bench inputs/comm_bench/tiny.toml  # tiny
//     mpiexec -n 3 comm_bench inputs/comm_bench/tiny.toml --set bench.operation=allreduce --set bench.min_bytes=100000
//         --set parallel.chunk_kib=1  # small_chunks
//     mpiexec -n 2 comm_bench inputs/comm_bench/tiny.toml --set bench.operation=all_to_all,halo
//         --set bench.compute_us=20 --set bench.slices=4  # shuffle_and_stencil
//     mpiexec -n 2 comm_bench inputs/comm_bench/tiny.toml --set bench.operation=reduce,gather
//         --set bench.algorithm=mpi,central,direct --set bench.overlap=false  # to_the_root
//   * mpiexec -n 2 comm_bench inputs/comm_bench/default.toml
#include "config.hpp"
#include "measure.hpp"
#include "report.hpp"
#include "table.hpp"

using namespace partita;

int main(int argc, char** argv) {
  comm::Environment env(argc, argv);  // 1. MPI, then Kokkos; undone on every path
  return env.guard([&] {              //    one exit code, agreed by all ranks
    // 2. Deck and overrides, checked, the same on all ranks.
    driver::Session session(env, argc, argv, "comm_bench", "Collectives over message sizes");
    comm_bench::Config config = comm_bench::read_config(session);
    if (session.settled(config.run)) return ExitCode::done;
    session.start(config.run);

    // 3. Who talks to whom, on what machine; the record, so that a bad output path is known now.
    const comm::Mesh mesh(env.world(), {{"data", env.size()}});
    comm_bench::Report report(env, mesh, config);

    // 4. Size by size, algorithms interleaved; a line of the table as soon as it is known.
    const comm_bench::Table table(env.rank() == 0, env.size());
    const std::vector<comm_bench::Series> all = comm_bench::measure(mesh["data"], config, table);

    // 5. Were the results right? One HDF5 file; the figure of merit.
    return report.finish(all);
  });
}
