# SPDX-License-Identifier: BSD-3-Clause
"""Holds the tree to DESIGN.md sections 3 to 5: python3 check_tree.py ROOT RULE, where RULE is one of RULES below.

Every rule is a function of (path, text) that yields (line, message); self_test.py breaks each and sees it reported.
"""

import functools
import os
import posixpath
import re
import shutil
import subprocess
import sys
from pathlib import Path

FOLDERS = ("lib", "apps", "inputs", "tests", "scripts", ".ci")
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
    (r'#include [<"](hdf5|H5)', r"lib/partita/io/hdf5_file\.|tests/fuzz/", "<hdf5.h> belongs in io/hdf5_file"),
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
        defined = re.match(r"\s*#\s*define (?!PARTITA_)(\w+)", line)
        if defined and f"#undef {defined[1]}\n#define {defined[1]} " not in text:  # another library's, which is mended
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
KEYS = (
    "Shapes|Units|Runs|Throws|Cost|Bits|Source|Memory|Traffic|Scratch|Needs|Returns|Writes|Prints|Locks|Errors|Failure"
    "|Hangs|Clock|How"
)
COLUMN = 9
WIDTH = 120


def blocks(text):
    """Runs of comment lines of one indentation, each as (number of its first line, indentation, texts)."""
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
                yield number, f"torn, or no empty line ahead: the text of a key begins in column {COLUMN + 1}"
            keyed = bool(words) and (keyed or key is not None)
            # A short rest between a full line and a deeper one is what a reflow leaves.
            before = texts[at - 1] if at else ""
            after = texts[at + 1] if at + 1 < len(texts) else ""
            rest = re.match(r" *(\S+(?: \S+){0,2})$", words)
            full = before and margin + len(before) + 1 + len(words.split(" ")[0]) > WIDTH - 10
            depth = len(words) - len(words.lstrip())
            if rest and full and not words.endswith((":", ".")) and after.startswith(" " * (depth + 2)):
                yield number, "torn: these words belong to the next line"


# Blocks of includes, in this order: own header, system, std, third party, partita, local.
OWN, SYSTEM, STD, FOREIGN_HEADER, PARTITA, LOCAL = range(6)
SYSTEM_HEADERS = r"(arpa|netinet|sys)/\w+\.h|(dirent|dlfcn|fcntl|poll|pthread|pty|sched|spawn|strings|termios|unistd)\.h"


def kind_of(path, include):
    """The block that an include of a file belongs to."""
    name = include[1:-1]
    stem = Path(path).with_suffix("").as_posix()
    if path.endswith(".cpp") and Path(name).suffix == ".hpp" and Path(name).with_suffix("").as_posix() in (stem.removeprefix("lib/"), Path(path).stem):
        return OWN
    if name.startswith("partita/"):
        return PARTITA
    if include.startswith('"') or name.startswith("support/"):
        return LOCAL
    if re.fullmatch(SYSTEM_HEADERS, name):
        return SYSTEM
    return STD if re.fullmatch(r"[a-z_]+", name) else FOREIGN_HEADER


def includes(path, text):
    """Includes stand in blocks with an empty line between them: own header, system, std, third party, partita, local."""
    if Path(path).suffix not in CODE:
        return
    before, gap = None, True
    for number, line in enumerate(text.splitlines(), 1):
        include = re.match(r'#include (<[^>]+>|"[^"]+")', line)
        if include:
            kind = kind_of(path, include[1])
            if before is not None and kind < before:
                yield number, f"{include[1]} belongs further up: own header, system, std, third party, partita, local"
            elif before is not None and (kind != before) != gap:
                yield number, "an empty line separates blocks of includes, and nothing else does"
            before, gap = kind, False
        elif line.strip():
            before, gap = None, True
        else:
            gap = True


# What is said of a file of ours; others' files, patterns (*, <>) and variables are not.
CITED = re.compile(
    r"(?<![\w/.*<>{}$~+-])((?:[\w.-]+/)*[\w-]+\.(?:hpp|cpp|md|py|cmake|sh)|(?:[\w.-]+/)+[\w-]+\.toml)(?![\w*<>{}/])"
)
FOREIGN = re.compile(r"Kokkos_\w+\.hpp$|^dnnl-config\.cmake$|(^|/)[a-z]\.\w+$")  # and x.cpp is anybody's


def words(path, text):
    """Numbered lines of what is prose: all of a page, else comments and Python's docstrings."""
    string = None  # where a line begins: within a docstring ("doc"), within another long string ("data")
    for number, line in enumerate(text.splitlines(), 1):
        if path.endswith(".md"):
            yield number, line
            continue
        comment = re.search(r"(?:^|\s)//+ (.*)$" if Path(path).suffix in CODE else r"(?:^|\s)# (.*)$", line)
        begins = path.endswith(".py") and string is None and re.match(r'(?=.*""")(\s*r?""")?', line)
        kind = string or (("doc" if begins[1] else "data") if begins else None)
        if kind == "doc":
            yield number, line
        elif comment and kind is None:
            yield number, comment[1]
        quotes = len(re.findall(r'(?<!\')"""(?!\')', line)) if path.endswith(".py") else 0
        if quotes % 2:
            string = None if string else kind


def cited(path, text, files, sections):
    """Every file and every section of DESIGN.md that is spoken of exists, and nothing lies outside of the tree."""
    here = Path(path).parent
    for number, line in enumerate(text.splitlines(), 1):
        if re.search(r"\.\./shared\b", line):
            yield number, "what is not in the tree is no source"
    for number, line in words(path, text):
        for first, last in re.findall(r"DESIGN\.md,? sections? (\d+)(?:(?: to |-)(\d+))?", line):
            for section in range(int(first), int(last or first) + 1):
                if section not in sections:
                    yield number, f"DESIGN.md has no section {section}"
        if re.search(r"DESIGN\.md,? \d", line):
            yield number, "say `DESIGN.md section N`"
        if path.endswith(".md"):
            for target in re.findall(r"\]\(([^)#\s]+)", line):
                goal = posixpath.normpath((here / target).as_posix())
                inside = goal in files or any(file.startswith(goal + "/") for file in files)
                if not inside and not re.match(r"https?:", target):
                    yield number, f"the link leads nowhere: {target}"
        for name in CITED.findall(re.sub(r"\]\([^)]*\)|https?://\S+", "", line)):
            inside = name in files or any(file.endswith("/" + name) for file in files)
            if not inside and not FOREIGN.search(name):
                yield number, f"there is no {name} in the tree"


def page(path, text):
    """Pages are read in a terminal too: prose of at most 100 columns, tables and pictures as they come."""
    if not path.endswith(".md") or path == "CHANGELOG.md":
        return
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > 100 and not re.match(r"\||!\[|\[.*\]: ", line):
            yield number, f"a line of {len(line)} columns: at most 100"


MAKERS = re.compile(
    r"\b(MPI_(?:Comm_(?:i?dup|split|create|group)\w*|Group_(?:incl|excl|union|inter|diff|range)\w*"
    r"|Type_(?:contiguous|h?vector|h?indexed|create|dup)\w*|Op_create|Win_(?:create|allocate)\w*|Info_(?:create|dup)"
    r"|I(?!m?probe|nit)[a-z]\w*|[A-Z]\w*_init))\("
)


def objects(path, text):
    """What makes an object of MPI is counted in the tests: tests/support/mpi_objects.cpp knows the call."""
    if Path(path).suffix not in CODE or not path.startswith("lib/"):
        return
    made = [(number, call) for number, line in lines(text) for call in MAKERS.findall(line)]
    if made:
        counted = (Path(__file__).parents[1] / "support" / "mpi_objects.cpp").read_text(encoding="utf-8")
        for number, call in made:
            if f"int {call}(" not in counted:
                yield number, f"{call} makes an object that tests/support/mpi_objects.cpp does not count"


RULES = {rule.__name__: rule for rule in (layers, state, labels, spdx, suites, docs, includes, cited, page, objects)}


def known(root):
    """What `cited` asks: the paths of all files, and the numbers of the sections of DESIGN.md."""
    design = root / "DESIGN.md"
    headings = re.findall(r"^## (\d+)\.", design.read_text(encoding="utf-8"), re.MULTILINE) if design.exists() else []
    files = set()
    for folder, below, names in os.walk(root):
        here = Path(folder).relative_to(root)
        if here == Path("."):
            below[:] = [name for name in below if name not in {"build", "runs", ".git"}]  # not part of the tree
        files.update((here / name).as_posix() for name in names)
    return files, {int(number) for number in headings}


def tree(root):
    """Every text file of the project's folders, as (path relative to root, text)."""
    files = [root / "CMakeLists.txt", *sorted(root.glob("*.md")), *sorted((root / "results").rglob("*.md"))]
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


def main():
    root, rule = Path(sys.argv[1]).resolve(), sys.argv[2]
    if rule == "formatted":
        return formatted(root)
    check = RULES[rule]
    if check is cited:
        check = functools.partial(cited, **dict(zip(("files", "sections"), known(root))))
    found = [f"{path}:{line}: {message}" for path, text in tree(root) for line, message in check(path, text)]
    print("\n".join(found) or f"{rule}: nothing found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
