// SPDX-License-Identifier: BSD-3-Clause
#include <partita/driver/terminal.hpp>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <partita/core/error.hpp>

namespace partita::driver {
namespace {

struct Process {
  std::string name;
  std::string parent;
};

// Field 2 of /proc/<pid>/stat is "(name)", which may hold anything; field 4 is the parent.
Process process(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::string line;
  std::getline(file, line);
  const std::size_t open = line.find('(');
  const std::size_t close = line.rfind(')');
  if (open == std::string::npos || close == std::string::npos || close + 4 >= line.size()) return {};
  const std::size_t parent = close + 4;  // ") S "
  return {line.substr(open + 1, close - open - 1), line.substr(parent, line.find(' ', parent) - parent)};
}

bool is_launcher(const std::string& name) {
  for (const char* launcher : {"mpiexec", "mpirun", "hydra", "srun", "slurmstepd", "orterun", "prterun"})
    if (name.starts_with(launcher)) return true;
  return false;
}

}  // namespace

void say(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void say_aside(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

void require_said() {
  // Whatever went wrong since the start: the stream remembers.
  if (std::ferror(stdout) != 0)
    refuse<Error>("standard output", "it is closed or full, and what was printed is lost",
                  "an open file, pipe or terminal");
}

bool output_is_watched() {
  const char* const kind = std::getenv("TERM");
  if (kind != nullptr && std::string_view(kind) == "dumb") return false;
  if (isatty(STDOUT_FILENO) == 1) return true;
  std::string launcher;
  for (Process at = process("self"); !at.parent.empty() && at.parent != "0";) {
    const Process above = process(at.parent);
    if (!is_launcher(above.name)) break;
    launcher = at.parent;
    at = above;
  }
  if (launcher.empty()) return false;
  std::error_code error;
  const std::string output = std::filesystem::read_symlink("/proc/" + launcher + "/fd/1", error).string();
  return output.starts_with("/dev/pts/") || output.starts_with("/dev/tty");
}

}  // namespace partita::driver
