// SPDX-License-Identifier: BSD-3-Clause
#include "hdf5_mutations.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <limits>

#include <hdf5.h>

#include <support/temporary_folder.hpp>

namespace partita::fuzz {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
constexpr std::array numbers{0., 1., -1., 2., 0.5, 3., nan, inf, -inf, 1e9, 1e300, -1e9, 1e-300, 4., 128., 9.3e18};

void close(hid_t id) {
  if (id >= 0) H5Idec_ref(id);
}

// Of 13 kinds, among them those that nobody writes.
hid_t make_type(std::uint8_t kind) {
  switch (kind % 13) {
    case 0:
      return H5Tcopy(H5T_IEEE_F64LE);
    case 1:
      return H5Tcopy(H5T_STD_I64LE);
    case 2:
      return H5Tcopy(H5T_STD_I8LE);
    case 3:
      return H5Tcopy(H5T_IEEE_F32BE);
    case 4:
      return H5Tcopy(H5T_STD_U64BE);
    case 5:
      return H5Tcopy(H5T_STD_B16LE);
    case 6:
      return H5Tcreate(H5T_OPAQUE, 3);
    case 7: {
      const hid_t type = H5Tcreate(H5T_COMPOUND, 16);
      H5Tinsert(type, "a", 0, H5T_IEEE_F64LE);
      H5Tinsert(type, "b", 8, H5T_STD_I64LE);
      return type;
    }
    case 8: {
      const hid_t type = H5Tenum_create(H5T_STD_I8LE);
      const std::int8_t value = 1;
      H5Tenum_insert(type, "TRUE", &value);
      return type;
    }
    case 9: {
      const hsize_t extents[] = {4};
      return H5Tarray_create2(H5T_STD_I64LE, 1, extents);
    }
    case 10:
      return H5Tvlen_create(H5T_STD_I64LE);
    default: {
      const hid_t type = H5Tcopy(H5T_C_S1);
      H5Tset_size(type, kind % 13 == 11 ? H5T_VARIABLE : 5);
      return type;
    }
  }
}

// None, one, few or more than any disk holds; `chunked` where that has to be.
hid_t make_space(Bytes& input, bool& chunked, std::vector<hsize_t>& extents) {
  const std::uint8_t how = take(input);
  extents.clear();
  chunked = false;
  if (how % 8 == 0) return H5Screate(H5S_NULL);
  if (how % 8 == 1) return H5Screate(H5S_SCALAR);
  for (int axis = 0; axis < how % 8 % 4; ++axis) {
    const std::uint8_t extent = take(input);
    chunked = chunked || extent > 250;
    extents.push_back(extent > 250 ? hsize_t{1} << (extent - 221) : extent % 12);
  }
  if (extents.empty()) extents.push_back(1);
  return H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr);
}

void replace_dataset(hid_t file, const char* name, Bytes& input) {
  const hid_t type = make_type(take(input));
  bool chunked = false;
  std::vector<hsize_t> extents;
  const hid_t space = make_space(input, chunked, extents), list = H5Pcreate(H5P_DATASET_CREATE);
  if (chunked) {
    const std::vector<hsize_t> chunk(extents.size(), 2);
    H5Pset_chunk(list, static_cast<int>(chunk.size()), chunk.data());
  }
  H5Ldelete(file, name, H5P_DEFAULT);
  close(H5Dcreate2(file, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT));
  for (const hid_t id : {list, space, type}) close(id);
}

// One value, or all.
void change_values(hid_t file, const char* name, Bytes& input) {
  const hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
  if (dataset < 0) return;
  const hid_t space = H5Dget_space(dataset);
  const std::uint8_t what = take(input), where = take(input);
  const hssize_t points = H5Sget_simple_extent_npoints(space);
  if (points > 0 && points < 100'000) {
    std::vector<double> values(static_cast<std::size_t>(points));
    if (H5Dread(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0) {
      const double value = numbers[what % numbers.size()];
      if (where == 255)
        std::fill(values.begin(), values.end(), value);
      else
        values[where % values.size()] = value;
      H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
    }
  }
  close(space);
  close(dataset);
}

// The so-many-th attribute goes; another, of any type and extents, may come.
void change_attribute(hid_t file, const char* name, Bytes& input, bool replaced) {
  const hid_t owner = H5Oopen(file, name, H5P_DEFAULT);
  if (owner < 0) return;
  const std::uint8_t which = take(input);
  std::array<char, 64> attribute{};
  const int count = H5Aget_num_attrs(owner);
  if (count > 0) {
    const auto at = static_cast<hsize_t>(which % count);
    H5Aget_name_by_idx(owner, ".", H5_INDEX_NAME, H5_ITER_INC, at, attribute.data(), attribute.size(), H5P_DEFAULT);
    H5Adelete(owner, attribute.data());
    if (replaced) {
      bool chunked = false;
      std::vector<hsize_t> extents;
      const hid_t type = make_type(take(input)), space = make_space(input, chunked, extents);
      if (!chunked) close(H5Acreate2(owner, attribute.data(), type, space, H5P_DEFAULT, H5P_DEFAULT));
      close(space);
      close(type);
    }
  }
  close(owner);
}

void write_text(hid_t file, const char* name, Bytes& input) {
  const std::string text(text_of(take_until_zero(input)));
  const hid_t type = make_type(11), space = H5Screate(H5S_SCALAR);
  H5Ldelete(file, name, H5P_DEFAULT);
  const hid_t dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  const char* characters = text.c_str();
  if (dataset >= 0) H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &characters);
  for (const hid_t id : {dataset, space, type}) close(id);
}

void change(hid_t file, const std::vector<std::string>& objects, Bytes& input) {
  const std::uint8_t how = take(input);
  const char* name = objects[take(input) % objects.size()].c_str();
  const char* other = objects[take(input) % objects.size()].c_str();
  switch (how % 9) {
    case 0:
      H5Ldelete(file, name, H5P_DEFAULT);
      break;
    case 1:  // two names change places
      H5Lmove(file, name, file, "/moved", H5P_DEFAULT, H5P_DEFAULT);
      H5Lmove(file, other, file, name, H5P_DEFAULT, H5P_DEFAULT);
      H5Lmove(file, "/moved", file, other, H5P_DEFAULT, H5P_DEFAULT);
      break;
    case 2:
      replace_dataset(file, name, input);
      break;
    case 3:
      change_values(file, name, input);
      break;
    case 4:
      change_attribute(file, how < 128 ? "/" : name, input, true);
      break;
    case 5:
      change_attribute(file, how < 128 ? "/" : name, input, false);
      break;
    case 6:  // one that may lead nowhere, or round
      H5Ldelete(file, name, H5P_DEFAULT);
      H5Lcreate_soft(other, file, name, H5P_DEFAULT, H5P_DEFAULT);
      break;
    case 7:
      H5Ldelete(file, name, H5P_DEFAULT);
      H5Lcreate_hard(file, how < 128 ? "/" : other, file, name, H5P_DEFAULT, H5P_DEFAULT);
      break;
    default:
      write_text(file, name, input);
  }
}

herr_t add(hid_t, const char* name, const H5O_info_t*, void* to) {
  if (std::string(name) != ".") static_cast<std::vector<std::string>*>(to)->push_back("/" + std::string(name));
  return 0;
}

std::vector<std::string> objects_of(const std::string& path) {
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  std::vector<std::string> objects;
  H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, add, &objects, H5O_INFO_BASIC);
  close(file);
  return objects;
}

}  // namespace

void write_file(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

BaseFile::BaseFile(void (*write)(const std::string& path)) {
  const testing::TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  write(path);
  bytes_ = read_file(path);
  objects_ = objects_of(path);
}

void BaseFile::write_changed(const std::string& path, Bytes input) const {
  write_file(path, bytes_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  const hid_t list = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_file_locking(list, false, true);
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, list);
  if (file < 0) report("the base file cannot be opened");
  for (int changes = 0; !input.empty() && changes < 6; ++changes) change(file, objects_, input);
  close(list);
  if (H5Fclose(file) < 0) report("the changed file cannot be closed");
}

}  // namespace partita::fuzz
