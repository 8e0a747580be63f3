// SPDX-License-Identifier: BSD-3-Clause
// The one file that knows hdf5.h: longer than others for that.
#include <partita/io/hdf5_file.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>

#include <fmt/format.h>
#include <hdf5.h>
#include <hdf5_hl.h>

#include <partita/core/error.hpp>
#include <partita/core/extent.hpp>

namespace partita::io {
namespace {

static_assert(std::is_same_v<hid_t, std::int64_t>,
              "hdf5_file.hpp keeps handles as std::int64_t to stay free of hdf5.h");

constexpr index_t copy_bytes = index_t{16} << 20;

// Keeps HDF5 from printing while it lives; the handler of an application around us is put back.
class Quiet {
 public:
  Quiet() {
    H5Eget_auto2(H5E_DEFAULT, &handler_, &data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~Quiet() { H5Eset_auto2(H5E_DEFAULT, handler_, data_); }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;

 private:
  H5E_auto2_t handler_ = nullptr;
  void* data_ = nullptr;
};

// The innermost reason of the last failure; where it quotes the system's error message, that alone.
std::string reason() {
  std::string text;
  const auto innermost = [](unsigned n, const H5E_error2_t* error, void* out) -> herr_t {
    if (n == 0 && error->desc != nullptr) *static_cast<std::string*>(out) = error->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, &text);
  const std::string quote = "error message = '";
  if (const auto begin = text.find(quote); begin != std::string::npos) {
    const auto from = begin + quote.size();
    text = text.substr(from, text.find('\'', from) - from);
  }
  return text.empty() ? "unknown HDF5 error" : text;
}

// Owns any kind of identifier.
class Handle {
 public:
  Handle(hid_t id) : id_(id) {}  // NOLINT: an hid_t is what it stands for
  ~Handle() {
    if (id_ > 0) {
      const Quiet quiet;
      H5Idec_ref(id_);
    }
  }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
  Handle& operator=(Handle&&) = delete;
  operator hid_t() const { return id_; }

 private:
  hid_t id_;
};

Handle string_type() {
  Handle type(H5Tcopy(H5T_C_S1));
  H5Tset_size(type, H5T_VARIABLE);
  H5Tset_cset(type, H5T_CSET_UTF8);
  return type;
}

// The type of a value in memory, or as it is stored. A copy, so that all types are owned alike.
Handle type_id(File::Type type, bool stored = false) {
  switch (type) {
    case File::Type::float64:
      return H5Tcopy(stored ? H5T_IEEE_F64LE : H5T_NATIVE_DOUBLE);
    case File::Type::int64:
      return H5Tcopy(stored ? H5T_STD_I64LE : H5T_NATIVE_INT64);
    case File::Type::int8:
      return H5Tcopy(stored ? H5T_STD_I8LE : H5T_NATIVE_INT8);
    case File::Type::float32:
      return H5Tcopy(stored ? H5T_IEEE_F32LE : H5T_NATIVE_FLOAT);
    case File::Type::string:
      break;
  }
  return string_type();
}

File::Type type_of(const metrics::ColumnData& data) { return static_cast<File::Type>(data.index()); }

index_t bytes_of(File::Type type) { return type == File::Type::int8 ? 1 : type == File::Type::float32 ? 4 : 8; }

std::vector<hsize_t> sizes(const std::vector<index_t>& extents) { return {extents.begin(), extents.end()}; }

// To be called before anything else of HDF5. A file that cannot be flushed (disk full) cannot be closed either, and
// HDF5's own clean-up at exit would crash on it and hide our exit code. We close what we open; nothing is left for it
// to do.
void start_library() { H5dont_atexit(); }

// Superblock and objects in the oldest format: the newest marks a file as open for writing, and after a kill it would
// not open.
Handle access() {
  start_library();
  Handle list(H5Pcreate(H5P_FILE_ACCESS));
  H5Pset_file_locking(list, false, true);
  H5Pset_libver_bounds(list, H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST);
  return list;
}

}  // namespace

// Runs a call that fails with a negative result.
template <class Call>
auto File::check(const char* operation, const std::string& object, Call&& call) const {
  const Quiet quiet;
  auto result = call();
  if (static_cast<std::int64_t>(result) < 0) {
    throw Error(
        fmt::format("cannot {} {}{}'{}': {}", operation, object, object.empty() ? "" : " in ", path_, reason()));
  }
  return result;
}

// What is to be known of an open dataset is asked once.
class File::Dataset {
 public:
  Dataset(const File& file, const std::string& name)
      : file_(file),
        name_(name),
        id_(file.check("open", name, [&] { return H5Dopen2(file.id_, name.c_str(), H5P_DEFAULT); })) {
    const Handle space(H5Dget_space(id_));
    std::vector<hsize_t> size(static_cast<std::size_t>(std::max(0, H5Sget_simple_extent_ndims(space))));
    H5Sget_simple_extent_dims(space, size.data(), nullptr);
    for (const hsize_t extent : size)
      extents_.push_back(static_cast<index_t>(std::min<hsize_t>(extent, static_cast<hsize_t>(too_large))));
    if (H5Sget_simple_extent_type(space) == H5S_NULL) refuse_it("it holds nothing", "values");
    const Handle stored(H5Dget_type(id_));
    if (H5Tget_class(stored) == H5T_STRING)
      type_ = Type::string;
    else if (H5Tget_class(stored) == H5T_FLOAT)
      type_ = H5Tget_size(stored) == sizeof(float) ? Type::float32 : Type::float64;
    else if (H5Tget_class(stored) == H5T_INTEGER)
      type_ = H5Tget_size(stored) == 1 ? Type::int8 : Type::int64;
    else
      refuse_it("its values are of another type", "numbers or texts");
  }

  hid_t id() const { return id_; }
  const std::string& name() const { return name_; }
  const std::vector<index_t>& extents() const { return extents_; }
  Type type() const { return type_; }
  index_t values() const { return checked_product(extents_); }
  index_t row_values() const {
    return extents_.empty() ? 1 : checked_product(std::span(extents_.begin() + 1, extents_.end()));
  }

  // Before memory is taken for all values: a dataset whose parts were never written may have any extents, and deflated
  // zeros are a thousandth of what they stand for.
  void require_stored() const {
    constexpr index_t always = index_t{64} << 20, most_shrunk = 1100;
    const auto stored = static_cast<index_t>(H5Dget_storage_size(id_));
    if (checked_product(values(), bytes_of(type_)) > std::max(always, checked_product(stored, most_shrunk)))
      refuse_it(fmt::format("{} values in {} bytes", values(), stored), "values that are in the file");
  }

  // All values.
  void write(const void* in) const {
    file_.check("write", name_, [&] { return H5Dwrite(id_, type_id(type_), H5S_ALL, H5S_ALL, H5P_DEFAULT, in); });
  }
  void read(void* out) const {
    file_.check("read", name_, [&] { return H5Dread(id_, type_id(type_), H5S_ALL, H5S_ALL, H5P_DEFAULT, out); });
  }

  void write_rows(index_t first_row, index_t rows, const void* in) const {
    with_rows("write", first_row, rows,
              [&](hid_t type, hid_t here, hid_t there) { return H5Dwrite(id_, type, here, there, H5P_DEFAULT, in); });
  }
  void read_rows(index_t first_row, index_t rows, void* out) const {
    with_rows("read", first_row, rows,
              [&](hid_t type, hid_t here, hid_t there) { return H5Dread(id_, type, here, there, H5P_DEFAULT, out); });
  }

 private:
  [[noreturn]] void refuse_it(const std::string& found, const std::string& expected) const {
    refuse<Error>(fmt::format("{} in '{}'", name_, file_.path_), found, expected);
  }

  template <class Transfer>
  void with_rows(const char* operation, index_t first_row, index_t rows, Transfer transfer) const {
    const Handle there(H5Dget_space(id_));
    std::vector<hsize_t> count = sizes(extents_), start(extents_.size(), 0);
    count[0] = static_cast<hsize_t>(rows);
    start[0] = static_cast<hsize_t>(first_row);
    const Handle here(H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr));
    file_.check(operation, name_, [&] {
      if (H5Sselect_hyperslab(there, H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr) < 0)
        return herr_t{-1};
      return transfer(type_id(type_), here, there);
    });
  }

  const File& file_;
  std::string name_;
  Handle id_;
  std::vector<index_t> extents_;
  Type type_ = Type::string;
};

File File::create(const std::string& path, index_t reserved) {
  File file(path, -1);
  const Handle list = access(), creation(H5Pcreate(H5P_FILE_CREATE));
  H5Pset_userblock(creation, static_cast<hsize_t>(reserved));
  file.id_ = file.check("create", "", [&] { return H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation, list); });
  return file;
}

File File::open(const std::string& path) {
  File file(path, -1);
  const Handle list = access();
  file.id_ = file.check("open", "", [&] { return H5Fopen(path.c_str(), H5F_ACC_RDONLY, list); });
  return file;
}

File::File(File&& other) noexcept : path_(std::move(other.path_)), id_(std::exchange(other.id_, -1)) {}

File::~File() {
  if (id_ < 0) return;
  const Quiet quiet;
  H5Fclose(id_);
}

void File::create_group(const std::string& group) {
  const Handle list(H5Pcreate(H5P_LINK_CREATE));
  H5Pset_create_intermediate_group(list, 1);
  const Handle id(
      check("create", group, [&] { return H5Gcreate2(id_, group.c_str(), list, H5P_DEFAULT, H5P_DEFAULT); }));
}

bool File::exists(const std::string& object) const {
  return check("look for", object, [&] { return object == "/" ? 1 : H5Lexists(id_, object.c_str(), H5P_DEFAULT); }) > 0;
}

void File::link(const std::string& object, const std::string& alias) {
  check("link", object,
        [&] { return H5Lcreate_hard(id_, object.c_str(), id_, alias.c_str(), H5P_DEFAULT, H5P_DEFAULT); });
}

void File::write_attributes(const std::string& object, const metrics::Attributes& attributes) {
  const Handle owner(check("open", object, [&] { return H5Oopen(id_, object.c_str(), H5P_DEFAULT); }));
  const Handle space(H5Screate(H5S_SCALAR));
  for (const auto& attribute : attributes) {
    const std::string& name = attribute.first;
    const metrics::Attribute& value = attribute.second;
    const auto put = [&](Type type, const void* data) {
      const std::string what = "attribute " + name + " of " + object;
      if (check("look for", what, [&] { return H5Aexists(owner, name.c_str()); }) > 0) {
        check("replace", what, [&] { return H5Adelete(owner, name.c_str()); });
      }
      const Handle stored = type_id(type, true);
      const Handle id(check("create", what,
                            [&] { return H5Acreate2(owner, name.c_str(), stored, space, H5P_DEFAULT, H5P_DEFAULT); }));
      check("write", what, [&] { return H5Awrite(id, type_id(type), data); });
    };
    if (const auto* text = std::get_if<std::string>(&value)) {
      const char* characters = text->c_str();
      put(Type::string, &characters);
    } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
      put(Type::int64, integer);
    } else {
      put(Type::float64, &std::get<double>(value));
    }
  }
}

metrics::Attribute File::read_attribute(const std::string& object, const std::string& name) const {
  const std::string what = "attribute " + name + " of " + object;
  const Handle id(check("open", what,
                        [&] { return H5Aopen_by_name(id_, object.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT); }));
  const Handle stored(H5Aget_type(id)), space(H5Aget_space(id));
  if (const auto values = H5Sget_simple_extent_npoints(space); values != 1)
    refuse<Error>(fmt::format("{} in '{}'", what, path_), fmt::format("{} values", values), "one");
  const auto get = [&](Type type, void* out) { check("read", what, [&] { return H5Aread(id, type_id(type), out); }); };
  if (H5Tget_class(stored) == H5T_STRING) {
    char* characters = nullptr;
    get(Type::string, &characters);
    std::string text(characters == nullptr ? "" : characters);
    H5free_memory(characters);
    return text;
  }
  if (H5Tget_class(stored) == H5T_INTEGER) {
    std::int64_t integer = 0;
    get(Type::int64, &integer);
    return integer;
  }
  double real = 0;
  get(Type::float64, &real);
  return real;
}

void File::create_dataset(const std::string& dataset, Type type, const std::vector<index_t>& extents) {
  const std::vector<hsize_t> size = sizes(extents);
  const Handle space(check("create", dataset, [&] {
    return extents.empty() ? H5Screate(H5S_SCALAR)
                           : H5Screate_simple(static_cast<int>(size.size()), size.data(), nullptr);
  }));
  const Handle list(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_layout(list, H5D_CONTIGUOUS);
  H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY);
  H5Pset_obj_track_times(list, false);
  if (type == Type::float64) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    H5Pset_fill_value(list, H5T_NATIVE_DOUBLE, &nan);
  }
  // Integers keep HDF5's default fill value 0: one that is set explicitly is taken for "missing" by netCDF readers.
  H5Pset_fill_time(list, H5D_FILL_TIME_ALLOC);
  const Handle stored = type_id(type, true);
  const Handle id(check("create", dataset, [&] {
    return H5Dcreate2(id_, dataset.c_str(), stored, space, H5P_DEFAULT, list, H5P_DEFAULT);
  }));
}

std::vector<index_t> File::extents(const std::string& dataset) const { return Dataset(*this, dataset).extents(); }

File::Type File::type(const std::string& dataset) const { return Dataset(*this, dataset).type(); }

void File::make_scale(const std::string& dataset, const std::string& dimension) {
  const Dataset it(*this, dataset);
  check("make a scale of", dataset, [&] { return H5DSset_scale(it.id(), dimension.c_str()); });
}

void File::attach_scale(const std::string& dataset, int axis, const std::string& scale) {
  const Dataset it(*this, dataset), other(*this, scale);
  check("attach a scale to", dataset,
        [&] { return H5DSattach_scale(it.id(), other.id(), static_cast<unsigned>(axis)); });
}

void File::write(const std::string& dataset, const metrics::ColumnData& data) {
  const Dataset it(*this, dataset);
  if (static_cast<index_t>(metrics::size(data)) != it.values() || it.type() != type_of(data))
    refuse<ShapeError>(fmt::format("{} in '{}'", dataset, path_),
                       fmt::format("{} values of type {}", metrics::size(data), data.index()),
                       fmt::format("{} of type {}", it.values(), static_cast<int>(it.type())));
  if (it.values() == 0) return;
  if (const auto* texts = std::get_if<std::vector<std::string>>(&data)) {
    std::vector<const char*> characters;
    for (const std::string& text : *texts) characters.push_back(text.c_str());
    it.write(characters.data());
  } else {
    std::visit([&](const auto& column) { it.write(column.data()); }, data);
  }
}

metrics::ColumnData File::read(const std::string& dataset) const {
  const Dataset it(*this, dataset);
  it.require_stored();
  const auto get = [&](auto column) {
    column.resize(static_cast<std::size_t>(it.values()));
    it.read(column.data());
    return column;
  };
  switch (it.type()) {
    case Type::float64:
      return get(std::vector<double>());
    case Type::float32: {
      const std::vector<float> values = get(std::vector<float>());
      return std::vector<double>(values.begin(), values.end());
    }
    case Type::int64:
      return get(std::vector<std::int64_t>());
    case Type::int8:
      return get(std::vector<std::int8_t>());
    case Type::string:
      break;
  }
  const std::vector<char*> characters = get(std::vector<char*>());
  std::vector<std::string> texts;
  for (char* text : characters) {
    texts.emplace_back(text == nullptr ? "" : text);
    H5free_memory(text);
  }
  return texts;
}

void File::write(const std::string& dataset, std::span<const float> values) {
  const Dataset it(*this, dataset);
  if (std::ssize(values) != it.values() || it.type() != Type::float32)
    refuse<ShapeError>(fmt::format("{} in '{}'", dataset, path_), fmt::format("{} values of float32", values.size()),
                       fmt::format("{} of type {}", it.values(), static_cast<int>(it.type())));
  if (it.values() > 0) it.write(values.data());
}

std::vector<float> File::read_floats(const std::string& dataset) const {
  const Dataset it(*this, dataset);
  it.require_stored();
  if (it.type() != Type::float32)
    refuse<ShapeError>(fmt::format("{} in '{}'", dataset, path_), fmt::format("type {}", static_cast<int>(it.type())),
                       "float32");
  std::vector<float> values(static_cast<std::size_t>(it.values()));
  it.read(values.data());
  return values;
}

std::vector<std::string> File::names(const std::string& group) const {
  std::vector<std::string> found;
  const auto add = [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  check("list", group, [&] {
    return H5Literate_by_name(id_, group.c_str(), H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &found, H5P_DEFAULT);
  });
  return found;
}

void File::write_rows(const std::string& dataset, index_t first_row, const metrics::ColumnData& data) {
  const Dataset it(*this, dataset);
  const index_t values = it.row_values(), given = static_cast<index_t>(metrics::size(data));
  const index_t rows = values == 0 ? 0 : given / values, all = it.extents().empty() ? 0 : it.extents()[0];
  if (it.extents().empty() || rows * values != given || first_row < 0 || first_row + rows > all ||
      it.type() != type_of(data) || it.type() == Type::string)
    refuse<ShapeError>(
        fmt::format("{} in '{}'", dataset, path_),
        fmt::format("{} values of type {} at row {}", given, data.index(), first_row),
        fmt::format("whole rows of {} values of type {}, within {} rows", values, static_cast<int>(it.type()), all));
  if (rows == 0) return;
  std::visit([&](const auto& column) { it.write_rows(first_row, rows, column.data()); }, data);
}

void File::copy_rows(const File& source, const std::string& dataset, index_t rows) {
  const Dataset from(source, dataset), to(*this, dataset);
  const index_t values = to.row_values();
  if (from.type() != to.type() || from.row_values() != values || to.type() == Type::string)
    refuse<ShapeError>(dataset, fmt::format("it differs between '{}' and '{}'", source.path_, path_),
                       "the same numbers in a row");
  if (values == 0) return;
  const index_t row_bytes = values * bytes_of(to.type()), piece = std::max<index_t>(1, copy_bytes / row_bytes);
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min(piece, rows) * row_bytes));
  for (index_t row = 0; row < rows; row += piece) {
    const index_t count = std::min(piece, rows - row);
    from.read_rows(row, count, buffer.data());
    to.write_rows(row, count, buffer.data());
  }
}

void File::flush() {
  check("flush", "", [&] { return H5Fflush(id_, H5F_SCOPE_LOCAL); });
}

void File::close() {
  flush();
  const hid_t id = std::exchange(id_, -1);
  check("close", "", [&] { return H5Fclose(id); });
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = descriptor >= 0 && ::fsync(descriptor) == 0;
  const int error = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (!synced) throw Error(fmt::format("cannot bring '{}' to disk: {}", path_, std::strerror(error)));
}

std::string hdf5_version() {
  start_library();
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(release);
}

}  // namespace partita::io
