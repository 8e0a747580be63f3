// SPDX-License-Identifier: BSD-3-Clause
#include <partita/io/checkpoint_file.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <zlib.h>

#include <partita/core/error.hpp>
#include <partita/core/printable.hpp>
#include <partita/io/files.hpp>

namespace partita::io {
namespace {

constexpr const char* checkpoint_convention = "Partita-checkpoint-1";
constexpr index_t seal_bytes = 512;  // the least that HDF5 leaves to others
constexpr const char* magic = "Partita checkpoint 1\n";

// A descriptor that closes itself.
class Descriptor {
 public:
  Descriptor(const std::string& path, int flags) : id_(::open(path.c_str(), flags | O_CLOEXEC)) {}
  ~Descriptor() {
    if (id_ >= 0) ::close(id_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  operator int() const { return id_; }

 private:
  int id_;
};

struct Seal {
  index_t size = 0;
  std::uint32_t crc = 0;

  std::string text() const {
    std::string words = fmt::format("{}bytes {}\ncrc32 {:08x}\n", magic, size, crc);
    words.resize(seal_bytes, '\0');
    return words;
  }
};

std::optional<Seal> read_seal(int descriptor) {
  std::array<char, seal_bytes + 1> words{};
  if (::pread(descriptor, words.data(), seal_bytes, 0) != seal_bytes) return std::nullopt;
  const std::string_view all(words.data());
  if (!all.starts_with(magic)) return std::nullopt;
  Seal seal;
  if (std::sscanf(words.data() + std::strlen(magic), "bytes %" SCNd64 "\ncrc32 %8" SCNx32, &seal.size, &seal.crc) != 2)
    return std::nullopt;
  return seal;
}

// Of all that follows the seal; negative: it could not be read.
std::int64_t crc_of_rest(int descriptor) {
  std::vector<unsigned char> some(std::size_t{1} << 16);
  uLong crc = ::crc32(0, nullptr, 0);
  for (off_t at = seal_bytes;;) {
    const ssize_t n = ::pread(descriptor, some.data(), some.size(), at);
    if (n < 0) return -1;
    if (n == 0) return static_cast<std::int64_t>(crc);
    crc = ::crc32(crc, some.data(), static_cast<uInt>(n));
    at += n;
  }
}

[[noreturn]] void refuse_file(const std::string& path, const std::string& found) {
  refuse<UsageError>(path, found, "a checkpoint of Partita");
}

[[noreturn]] void no_place(const std::string& path, const std::string& found) {
  refuse<UsageError>(path, found, "the name of a new file or of a checkpoint, in a folder that can be written");
}

bool is_checkpoint(const std::string& path) {
  const Descriptor file(path, O_RDONLY | O_NONBLOCK);
  return file >= 0 && read_seal(file);
}

// HDF5's word on what is there, but not what is read.
template <class Read>
auto reading(const std::string& path, Read read) {
  try {
    return read();
  } catch (const UsageError&) {
    throw;
  } catch (const Error& error) {
    refuse_file(path, error.what());
  }
}

std::string joined(const std::string& group, const std::string& name) { return "/" + group + "/" + name; }

}  // namespace

CheckpointWriter::CheckpointWriter(const std::string& path) : path_(path), part_(path + ".part") {
  try {
    file_ = std::make_unique<File>(File::create(part_, seal_bytes));
    attributes({{"Conventions", checkpoint_convention}});
  } catch (...) {
    file_.reset();
    ::unlink(part_.c_str());
    throw;
  }
}

CheckpointWriter::~CheckpointWriter() {
  if (part_.empty()) return;
  file_.reset();
  ::unlink(part_.c_str());
}

void CheckpointWriter::column(const std::string& name, const std::vector<double>& values) {
  file_->create_dataset("/" + name, File::Type::float64, {std::ssize(values)});
  file_->write("/" + name, values);
}

void CheckpointWriter::text(const std::string& name, const std::string& value) {
  file_->create_dataset("/" + name, File::Type::string, {});
  file_->write("/" + name, std::vector<std::string>{value});
}

void CheckpointWriter::tensor(const std::string& group, const std::string& name, const std::vector<index_t>& shape,
                              std::span<const float> values) {
  if (!file_->exists("/" + group)) file_->create_group("/" + group);
  file_->create_dataset(joined(group, name), File::Type::float32, shape);
  file_->write(joined(group, name), values);
}

index_t CheckpointWriter::finish() {
  file_->close();
  file_.reset();
  const auto fail = [&](const char* what) {
    throw Error(fmt::format("cannot {} '{}': {}", what, part_, std::strerror(errno)));
  };
  Seal seal;
  {
    const Descriptor file(part_, O_RDWR);
    struct stat status {};
    if (file < 0 || ::fstat(file, &status) != 0) fail("open");
    seal.size = status.st_size;
    const std::int64_t crc = crc_of_rest(file);
    if (crc < 0) fail("read");
    seal.crc = static_cast<std::uint32_t>(crc);
    const std::string words = seal.text();
    if (::pwrite(file, words.data(), words.size(), 0) != std::ssize(words)) fail("write");
    if (::fsync(file) != 0) fail("bring to disk");
  }
  rename_file(part_, path_);
  part_.clear();
  sync_folder(path_);
  return seal.size;
}

CheckpointFile::CheckpointFile(const std::string& path) {
  const Descriptor file(path, O_RDONLY | O_NONBLOCK);
  struct stat status {};
  if (file < 0 || ::fstat(file, &status) != 0) refuse_file(path, std::strerror(errno));
  if (!S_ISREG(status.st_mode)) refuse_file(path, kind_of_file(status.st_mode));
  const std::optional<Seal> seal = read_seal(file);
  if (!seal) refuse_file(path, "it does not begin as a checkpoint does");
  if (seal->size != status.st_size)
    refuse_file(path, fmt::format("it is damaged: {} bytes of {}", status.st_size, seal->size));
  if (crc_of_rest(file) != std::int64_t{seal->crc}) refuse_file(path, "it is damaged: its checksum is another one");
  file_ = reading(path, [&] { return std::make_unique<File>(File::open(path)); });
  if (const std::string named = text_attribute("Conventions"); named != checkpoint_convention)
    refuse_file(path, fmt::format("its Conventions are \"{}\"", printable(named)));
}

template <class T>
T CheckpointFile::attribute(const std::string& name) const {
  try {
    const metrics::Attribute value = file_->read_attribute("/", name);
    if (const T* found = std::get_if<T>(&value)) return *found;
  } catch (const Error&) {  // it is not there
  }
  refuse_file(path(), fmt::format("its attribute {} is missing or of another type", name));
}

std::int64_t CheckpointFile::integer(const std::string& name) const { return attribute<std::int64_t>(name); }
double CheckpointFile::real(const std::string& name) const { return attribute<double>(name); }
std::string CheckpointFile::text_attribute(const std::string& name) const { return attribute<std::string>(name); }

std::vector<double> CheckpointFile::column(const std::string& name) const {
  return reading(path(), [&] {
    if (file_->exists("/" + name) && file_->type("/" + name) == File::Type::float64)
      return std::get<std::vector<double>>(file_->read("/" + name));
    refuse_file(path(), fmt::format("/{} is missing or of another type", name));
  });
}

std::string CheckpointFile::text(const std::string& name) const {
  return reading(path(), [&] {
    if (file_->exists("/" + name) && file_->type("/" + name) == File::Type::string)
      if (const auto texts = std::get<std::vector<std::string>>(file_->read("/" + name)); texts.size() == 1)
        return texts.front();
    refuse_file(path(), fmt::format("/{} is missing or of another type", name));
  });
}

std::vector<std::string> CheckpointFile::tensors(const std::string& group) const {
  return reading(path(),
                 [&] { return file_->exists("/" + group) ? file_->names("/" + group) : std::vector<std::string>(); });
}

std::vector<float> CheckpointFile::tensor(const std::string& group, const std::string& name,
                                          const std::vector<index_t>& shape) const {
  const std::string whole = joined(group, name);
  return reading(path(), [&] {
    if (!file_->exists("/" + group) || !file_->exists(whole))
      refuse<UsageError>(path() + ": " + whole, "it is not there", "every tensor of the model and its optimizer");
    const std::vector<index_t> extents = file_->extents(whole);
    if (extents != shape || file_->type(whole) != File::Type::float32)
      refuse<UsageError>(path() + ": " + whole, fmt::format("it has the shape [{}]", fmt::join(extents, ", ")),
                         fmt::format("float32 of [{}], as the model's", fmt::join(shape, ", ")));
    return file_->read_floats(whole);
  });
}

void try_checkpoint(const std::string& path) {
  struct stat status {};
  for (const std::string& name : {path, path + ".part"}) {
    if (::lstat(name.c_str(), &status) != 0) {
      if (errno == ENOENT) continue;
      no_place(name, std::strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) no_place(name, kind_of_file(status.st_mode));
    if (::access(name.c_str(), W_OK) != 0) no_place(name, std::strerror(errno));
    if (name == path && !is_checkpoint(name)) no_place(name, "another file has this name, which is no checkpoint");
  }
  const std::string folder = std::filesystem::absolute(path).parent_path().string();
  if (::access(folder.c_str(), W_OK | X_OK) != 0) no_place(path, std::strerror(errno));
}

}  // namespace partita::io
