# SPDX-License-Identifier: BSD-3-Clause
"""Breaks each rule of check_tree.py once and sees it reported; and what is fine is not."""

import functools
import sys

from check_tree import WIDTH, cited, docs, includes, labels, layers, objects, page, spdx, state, suites


def main():
    """Each rule reports what breaks it and nothing else."""
    good = "// SPDX-License-Identifier: BSD-3-Clause\n"
    broken = [
        (layers, "lib/partita/kernels/a.hpp", "#include <partita/comm/mesh.hpp>"),
        (layers, "lib/partita/nn/a.hpp", '#include "unit.hpp"'),
        (layers, "lib/partita/kernels/a.hpp", "#include <partita/kernels/backend/onednn.hpp>"),
        (layers, "lib/partita/nn/a.cpp", "#include <mpi.h>"),
        (layers, "apps/mlp_dp/main.cpp", "  MPI_Barrier(MPI_COMM_WORLD);"),
        (layers, "lib/partita/io/record_file.cpp", "#include <hdf5.h>"),
        (layers, "lib/partita/kernels/linear.cpp", "#include <oneapi/dnnl/dnnl.hpp>"),
        (layers, "lib/partita/nn/a.cpp", '  Kokkos::parallel_for("partita::nn::a", n, f);'),
        (layers, "lib/partita/kernels/linear.cpp", "#ifdef KOKKOS_ENABLE_CUDA"),
        (state, "lib/partita/comm/a.cpp", "int calls = 0;"),
        (state, "lib/partita/comm/a.cpp", "static std::vector<int> seen;"),
        (state, "lib/partita/comm/a.cpp", "  static int calls = 0;"),
        (state, "lib/partita/comm/a.hpp", "#define CHECK(x) x"),
        (labels, "lib/partita/kernels/a.cpp", "  Kokkos::parallel_for(Kokkos::RangePolicy<Exec>(exec, 0, n), f);"),
        (labels, "lib/partita/kernels/a.cpp", '  Kokkos::parallel_for("axpy", n, f);'),
        (labels, "lib/partita/kernels/a.cpp", '  Kokkos::parallel_for(\n      "partita::nn::axpy", n, f);'),
        (labels, "lib/partita/data/a.cpp", '  Vector<float> x("x", n);'),
        (labels, "lib/partita/data/a.cpp", '  auto a = Kokkos::view_alloc(exec, "x");'),
        (spdx, "lib/partita/core/a.hpp", None),
        (suites, "tests/unit/core/tree.cpp", "TEST(forest, grows) {"),
        (docs, "lib/partita/nn/a.hpp", "/// Throws  ShapeError unless it fits."),
        (docs, "lib/partita/nn/a.hpp", "/// Throws ShapeError unless it fits."),
        (docs, "lib/partita/nn/a.hpp", "/// Cost: cost::linear_forward."),
        (docs, "lib/partita/nn/a.hpp", "/// Shapes   x (B), left as it was. Runs     enqueued on exec."),
        (docs, "lib/partita/nn/a.hpp", "/// The count. Throws Error when it does not fit."),
        (docs, "lib/partita/nn/a.hpp", "/// Shapes   x (B, K)   ->   y (B, N),\n/// overwritten."),
        (docs, "lib/partita/nn/a.hpp", f"/// plain   {'words ' * 17}{'x' * 8}\n/// per\n///         thread"),
        (docs, "lib/partita/nn/a.hpp", f"int a;  ///< {'x' * WIDTH}"),
        (includes, "lib/partita/nn/a.cpp", "#include <vector>\n\n#include <partita/nn/a.hpp>"),
        (includes, "lib/partita/nn/a.cpp", "#include <fmt/format.h>\n\n#include <vector>"),
        (includes, "lib/partita/nn/a.hpp", "#include <vector>\n#include <partita/core/types.hpp>"),
        (includes, "lib/partita/nn/a.hpp", "#include <string>\n\n#include <vector>"),
        (cited, "lib/partita/nn/a.hpp", "// as DESIGN.md section 9 says"),
        (cited, "lib/partita/nn/a.hpp", "// as DESIGN.md sections 1 to 3 say"),
        (cited, "lib/partita/nn/a.hpp", "// as DESIGN.md, 1 says"),
        (cited, "lib/partita/nn/a.hpp", "// see nn/lost.hpp"),
        (cited, "scripts/a.cmake", "# see STYLE.md"),
        (objects, "lib/partita/comm/a.cpp", "  MPI_Comm_create_group(comm, group, 0, &made);"),
        (objects, "lib/partita/comm/a.cpp", "  MPI_Win_allocate(n, 1, MPI_INFO_NULL, comm, &at, &window);"),
        (objects, "lib/partita/comm/a.cpp", "  check(MPI_Ialltoallw(in, out, &request));"),
        (objects, "lib/partita/comm/a.cpp", "  MPI_Send_init(at, 1, MPI_CHAR, 0, 0, comm, &request);"),
        (cited, "scripts/a.py", '"""See lost.hpp."""'),
        (cited, "apps/README.md", "[here](lost/README.md)"),
        (cited, "README.md", "in `inputs/mlp_dp/lost.toml`"),
        (cited, "README.md", "as in .." + "/shared"),
        (page, "README.md", "word " * 21),
    ]
    fine = [
        (layers, "lib/partita/nn/a.hpp", "#include <partita/kernels/linear.hpp>"),
        (layers, "lib/partita/comm/a.cpp", "#include <mpi.h>"),
        (layers, "lib/partita/nn/a.hpp", "// unlike MPI_Allreduce"),
        (layers, "apps/mlp_dp/a.cpp", '  help("MPI_Allreduce or the ring");'),
        (state, "lib/partita/comm/a.cpp", "constexpr int calls = 0;"),
        (state, "lib/partita/comm/a.cpp", "  static const int calls = count();"),
        (labels, "lib/partita/kernels/a.cpp", '  Kokkos::parallel_for("partita::kernels::axpy", n, f);'),
        (labels, "lib/partita/kernels/a.cpp", "  Kokkos::parallel_for(Kokkos::TeamVectorRange(team, n), f);"),
        (labels, "lib/partita/kernels/a.cpp", "  Kokkos::parallel_for(label, policy, f);"),
        (state, "lib/partita/driver/a.cpp", "volatile std::sig_atomic_t seen = 0;"),
        (spdx, "lib/partita/core/a.hpp", ""),
        (suites, "tests/unit/core/tree.cpp", "TEST(tree_sum, is_exact) {"),
        (docs, "lib/partita/nn/a.hpp", "/// y = x.\n///\n/// Shapes   x (B),\n///          overwritten.\n///\n/// More."),
        (docs, "lib/partita/nn/a.hpp", f"/// {'word ' * 22}that\n/// ends.\n///\n///     f(x)"),
        (docs, "lib/partita/nn/a.hpp", "/// Runs f on root alone. Bits are those of the units. Shapes may differ."),
        (
            includes,
            "lib/partita/nn/a.cpp",
            "#include <partita/nn/a.hpp>\n\n#include <unistd.h>\n\n#include <map>\n#include <vector>\n\n"
            "#include <mpi.h>\n\n#include <partita/core/index.hpp>\n#include <partita/core/types.hpp>\n\n#ifdef A\n"
            "#include <vector>\n#endif",
        ),
        (includes, "apps/x/config.cpp", '#include "config.hpp"\n\n#include <vector>\n\n#include "other.hpp"'),
        (cited, "lib/partita/nn/a.hpp", "// DESIGN.md sections 1 to 2, nn/unit.hpp, Kokkos_Core.hpp, test_*.py"),
        (cited, "scripts/a.py", 'lost("nn/lost.hpp")'),
        (cited, "apps/README.md", "[here](mlp_dp/README.md), [there](../README.md), [folder](mlp_dp)"),
        (page, "README.md", "| " + "word " * 21),
        (objects, "lib/partita/comm/a.cpp", "  MPI_Comm_dup(comm, &made); MPI_Improbe(0, 0, comm, &there, &m, &s); MPI_Init(0, 0);"),
    ]
    files = {"README.md", "DESIGN.md", "apps/mlp_dp/README.md", "lib/partita/nn/unit.hpp"}
    rules = {cited: functools.partial(cited, files=files, sections={1, 2})}
    wrong = 0
    for rule, path, line in broken:
        if not list(rules.get(rule, rule)(path, "" if line is None else good + line + "\n")):
            wrong += 1
            print(f"{rule.__name__} does not see: {path}: {line}")
    for rule, path, line in fine:
        for _, message in rules.get(rule, rule)(path, good + line + "\n"):
            wrong += 1
            print(f"{rule.__name__} is wrong about: {path}: {line}: {message}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
