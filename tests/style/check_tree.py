# SPDX-License-Identifier: BSD-3-Clause
"""Holds the tree to DESIGN.md sections 3 to 5: python3 check_tree.py ROOT RULE, where RULE is one of RULES below or self_test.

Every rule is a function of (path, text) that yields (line, message); self_test breaks each rule once and sees it reported.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

FOLDERS = ("lib", "apps", "tests", "scripts", ".ci")
CODE = {".cpp", ".hpp"}
SKIPPED = 77  # CTest's SKIP_RETURN_CODE

# Who may include whom, as DESIGN.md section 4 draws it; what a module includes, its users may include too.
# Calibration (driver) times the kernels that the apps run.
INCLUDES = {
    "core": [],
    "config": ["core"],
    "kernels": ["core"],
    "nn": ["core", "kernels"],
    "data": ["core"],
    "comm": ["core"],
    "metrics": ["core"],
    "io": ["core", "metrics"],
    "parallel": ["core", "kernels", "nn", "comm", "metrics"],
    "driver": ["core", "kernels", "config", "comm", "metrics", "io"],
    "training": ["core", "kernels", "nn", "config", "data", "comm", "metrics", "io", "parallel", "driver"],
}

# Header or word, where it may appear (a pattern of paths), what to say.
RESERVED = [
    (r'#include [<"]mpi', r"lib/partita/comm/|tests/mpi/|tests/support/mpi", "<mpi.h> belongs in comm/"),
    (r"\bMPI_[A-Z]\w*", r"lib/partita/comm/|tests/mpi/|tests/support/mpi", "MPI calls belong in comm/"),
    (r'#include [<"](hdf5|H5)', r"lib/partita/io/hdf5_file\.", "<hdf5.h> belongs in io/hdf5_file"),
    (
        r'#include [<"](oneapi/|dnnl|cblas|mkl|cuda|cublas|cudnn|nccl|hip/|hipblas|rccl|rocblas)',
        r"/backend/",
        "vendor headers belong in backend/",
    ),
    (
        r"Kokkos::parallel_\w+",
        r"lib/partita/(kernels|data|comm)/|tests/|apps/\w+/kernels",
        "Kokkos::parallel_* belongs in kernels/, data/ and comm/",
    ),
    (
        r"#\s*(el)?if.*\b(KOKKOS_ENABLE_(CUDA|HIP|SYCL|OPENMP|THREADS|SERIAL)|__CUDA\w*|__HIP\w*|PARTITA_(HAS|HAVE|WITH|ENABLE)\w*)",
        r"lib/partita/core/|/backend/|tests/",
        "a backend #if belongs in core/ and backend/",
    ),
]


def lines(text):
    """Numbered lines without // comments; what stands in a string stays."""
    for number, line in enumerate(text.splitlines(), 1):
        yield number, re.sub(r"(^|\s)//.*$", "", line)


def module_of(path):
    parts = Path(path).parts
    return parts[2] if parts[:2] == ("lib", "partita") and len(parts) > 3 else None


def layers(path, text):
    """DESIGN.md section 4: modules include only what is below them; reserved headers and words stay where they belong."""
    if Path(path).suffix not in CODE:
        return
    module = module_of(path)
    for number, line in lines(text):
        included = re.match(r"\s*#\s*include <partita/(\w+)/", line)
        if included and module and included[1] not in [module, *INCLUDES.get(module, [])]:
            yield number, f"{module} must not include {included[1]}"
        if module and re.match(r'\s*#\s*include "', line):
            yield number, "include as <partita/module/header.hpp>"
        public = path.endswith(".hpp") and "/backend/" not in path
        if public and module and re.match(r"\s*#\s*include <partita/\w+/(\w+/)*backend/", line):
            yield number, "a public header must not include a backend's"
        if not line.lstrip().startswith("#"):
            line = re.sub(r'"(\\.|[^"\\])*"', '""', line)
        for pattern, allowed, message in RESERVED:
            if re.search(pattern, line) and not re.search(allowed, path):
                yield number, message


def state(path, text):
    """DESIGN.md section 4: no mutable globals, no singletons (a signal handler reaches nothing else); section 5: macros are PARTITA_*."""
    if Path(path).suffix not in CODE or not path.startswith(("lib/", "apps/")):
        return
    for number, line in lines(text):
        if re.match(r"\s*#\s*define (?!PARTITA_)", line):
            yield number, "macros are named PARTITA_*"
        local = re.match(r"\s+(static|thread_local|static thread_local) (?!const\b|constexpr\b|_assert)[^()]*(=|;|\{)", line)
        word = re.match(r"(const|constexpr|using|typedef|template|extern|friend|class|struct|enum|union|namespace|return|inline constexpr|static const)", line)
        variable = re.match(r"(static |inline |thread_local )*[A-Za-z_][\w:<>,*& ]* [a-z_]\w*(\s*=[^=].*|\{.*\})?;$", line)
        if local or (variable and not word and " const " not in line and "sig_atomic_t" not in line):
            yield number, "mutable state outlives the call"


def labels(path, text):
    """DESIGN.md section 5: Views and kernels are labelled partita::<module>::<function>[::thing]."""
    module = module_of(path)
    if Path(path).suffix not in CODE or not path.startswith(("lib/", "apps/")):
        return
    nested = r"Kokkos::(Team|Thread)\w*(Range|MDRange)"
    for call in re.finditer(r"Kokkos::parallel_(?:for|reduce|scan)\(\s*([^,]*)", text):
        number = text.count("\n", 0, call.start()) + 1
        first = call[1].strip()
        if re.match(nested, first):
            continue
        if re.match(r"(Kokkos::)?\w*Policy\b|\d|(policy|range|n|count|size)$", first):
            yield number, "a kernel without a label"
        if first.startswith('"') and not first.startswith(f'"partita::{module or ""}'):
            yield number, f"a label starts with partita::{module or '<app>'}::"
    for view in re.finditer(r'(?:view_alloc\((?:[\w:()]+, )*|\b(?:View<[^;(]*>|Vector<\w+>|Matrix<\w+>)(?: \w+)?\()"([^"]*)"', text):
        if not view[1].startswith(f"partita::{module or ''}"):
            yield text.count("\n", 0, view.start()) + 1, f"a label starts with partita::{module or '<app>'}::"


def spdx(path, text):
    """Every source file says its licence in the first line (second after a #!)."""
    first = [line for line in text.splitlines()[:2] if not line.startswith("#!")][:1]
    script = text.startswith("#!")
    source = Path(path).suffix in CODE | {".py", ".cmake", ".sh"} or Path(path).name in ("CMakeLists.txt", "CMakePresets.txt")
    if (source or script) and not re.match(r"(//|#) SPDX-License-Identifier: BSD-3-Clause$", (first or [""])[0]):
        yield 1, "the first line is not `SPDX-License-Identifier: BSD-3-Clause`"


def suites(path, text):
    """partita_tests runs the suites named like the file: another name would never run."""
    if not re.match(r"tests/(unit|mpi)/.*\.cpp$", path):
        return
    stem = Path(path).stem
    for test in re.finditer(r"^(?:TYPED_)?TEST(?:_F|_P)?\(\s*(\w+)", text, re.MULTILINE):
        if not re.fullmatch(rf"{stem}(_\w+)?", test[1]):
            yield text.count("\n", 0, test.start()) + 1, f"suite {test[1]} is not named like its file ({stem} or {stem}_*)"


# What a doc block may say of a declaration, in one column of keys and one of text.
KEYS = "Shapes|Units|Runs|Throws|Cost|Bits|Source|Memory|Traffic|Scratch|Needs|Returns|Writes|Prints|Locks|Errors|Failure|Hangs|Clock|How"
COLUMN = 9
WIDTH = 120


def blocks(text):
    """Runs of comment lines of one indentation, each as (number of its first line, indentation, texts without the marks)."""
    start, margin, texts = 0, None, []
    for number, line in enumerate([*text.splitlines(), ""], 1):
        comment = re.match(r"(\s*)(///|//)(?: (.*)|$)", line)
        here = (comment[1], comment[2]) if comment else None
        if margin and here != margin:
            yield start, margin, texts
        if here and here != margin:
            start, texts = number, []
        if here:
            texts.append((comment[3] or "").rstrip())
        margin = here


def docs(path, text):
    """Doc blocks are whole: keys begin their lines, text stands in one column, no line was torn, none is too wide."""
    if Path(path).suffix not in CODE:
        return
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > WIDTH:
            yield number, f"a line of {len(line)} columns: at most {WIDTH}"
    for start, (indent, mark), texts in blocks(text):
        margin = len(indent) + len(mark) + 1
        keyed = False
        for at, words in enumerate(texts):
            number = start + at
            key = re.match(rf"({KEYS})(:|  |(?= [a-z]+::| \w*Error\b| as | unless ))", words)
            if key and not re.match(rf"{key[1]:<{COLUMN}}\S", words):
                yield number, f"the text of {key[1]} begins in column {COLUMN + 1} of the block"
            inside = re.search(rf"\S +({KEYS})  +\S|[.;)] ({KEYS}):? (\w*Error\b|cost::|as |\w+ \()", words)
            if inside:
                yield number, f"{inside[1] or inside[2]} belongs at the beginning of a line"
            entry = re.match(r"\w+   *\S", words) is not None
            if keyed and words and not key and not entry and not words.startswith(" " * COLUMN):
                yield number, f"torn, or a paragraph without an empty line ahead: text of a key begins in column {COLUMN + 1}"
            keyed = bool(words) and (keyed or key is not None)
            # A short rest between a full line and a deeper one is what a reflow leaves.
            before = texts[at - 1] if at else ""
            after = texts[at + 1] if at + 1 < len(texts) else ""
            rest = re.match(r" *(\S+(?: \S+){0,2})$", words)
            full = before and margin + len(before) + 1 + len(words.split(" ")[0]) > WIDTH - 10
            depth = len(words) - len(words.lstrip())
            if rest and full and not words.endswith((":", ".")) and after.startswith(" " * (depth + 2)):
                yield number, "torn: these words belong to the next line"


RULES = {rule.__name__: rule for rule in (layers, state, labels, spdx, suites, docs)}


def tree(root):
    """Every text file of the project's folders, as (path relative to root, text)."""
    files = [root / "CMakeLists.txt"]
    for folder in FOLDERS:
        files += [path for path in sorted((root / folder).rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    for path in files:
        try:
            yield path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture, a record


def formatted(root):
    """clang-format agrees with every source; its verdict differs between versions, so only version 14 is asked."""
    program = next((p for p in ("clang-format-14", "clang-format") if shutil.which(p)), None)
    version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout if program else "no clang-format"
    if "version 14." not in version:
        print(f"skipped: needs clang-format 14, found: {version.strip()}")
        return SKIPPED
    files = [str(root / path) for path, _ in tree(root) if Path(path).suffix in CODE]
    return subprocess.run([program, "--dry-run", "-Werror", *files]).returncode


def self_test():
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
        (docs, "lib/partita/nn/a.hpp", "/// y = x.\n///\n/// Shapes   x (B),\n///          overwritten.\n/// Throws   Error.\n///\n/// More."),
        (docs, "lib/partita/nn/a.hpp", f"/// {'word ' * 22}that\n/// ends.\n///\n///     f(x)"),
        (docs, "lib/partita/nn/a.hpp", "/// Runs f on root alone. Bits are those of the units. Shapes of x and y may differ."),
    ]
    wrong = 0
    for rule, path, line in broken:
        if not list(rule(path, "" if line is None else good + line + "\n")):
            wrong += 1
            print(f"{rule.__name__} does not see: {path}: {line}")
    for rule, path, line in fine:
        for _, message in rule(path, good + line + "\n"):
            wrong += 1
            print(f"{rule.__name__} is wrong about: {path}: {line}: {message}")
    return 1 if wrong else 0


def main():
    root, rule = Path(sys.argv[1]).resolve(), sys.argv[2]
    if rule == "self_test":
        return self_test()
    if rule == "formatted":
        return formatted(root)
    found = [f"{path}:{line}: {message}" for path, text in tree(root) for line, message in RULES[rule](path, text)]
    print("\n".join(found) or f"{rule}: nothing found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
