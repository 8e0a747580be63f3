// SPDX-License-Identifier: BSD-3-Clause
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/io/hdf5_file.hpp>

#include <support/temporary_folder.hpp>

namespace partita::io::hdf5_file_tests {
namespace {

using namespace partita;
using io::File;
using partita::testing::TemporaryFolder;
using Reals = std::vector<double>;
using Integers = std::vector<std::int64_t>;
using Bytes = std::vector<std::int8_t>;
using Texts = std::vector<std::string>;

template <class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(hdf5_file, what_was_written_is_read_back_after_reopening) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  {
    File file = File::create(path);
    file.create_group("/a/b");
    file.create_dataset("/a/b/real", File::Type::float64, {2, 3});
    file.write("/a/b/real", Reals{1, 2, 3, 4, 5, 6});
    file.create_dataset("/a/integer", File::Type::int64, {2});
    file.write("/a/integer", Integers{-1, std::int64_t{1} << 60});
    file.create_dataset("/a/byte", File::Type::int8, {3});
    file.write("/a/byte", Bytes{0, 1, -128});
    file.create_dataset("/a/text", File::Type::string, {2});
    file.write("/a/text", Texts{"", "gr\u00fc\u00df"});
    file.create_dataset("/a/scalar", File::Type::int64, {});
    file.write("/a/scalar", Integers{42});
    file.close();
  }
  const File file = File::open(path);
  EXPECT_EQ(file.extents("/a/b/real"), (std::vector<index_t>{2, 3}));
  EXPECT_EQ(std::get<Reals>(file.read("/a/b/real")), (Reals{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(std::get<Integers>(file.read("/a/integer")), (Integers{-1, std::int64_t{1} << 60}));
  EXPECT_EQ(std::get<Bytes>(file.read("/a/byte")), (Bytes{0, 1, -128}));
  EXPECT_EQ(std::get<Texts>(file.read("/a/text")), (Texts{"", "gr\u00fc\u00df"}));
  EXPECT_EQ(file.extents("/a/scalar"), std::vector<index_t>{});
  EXPECT_EQ(std::get<Integers>(file.read("/a/scalar")), Integers{42});
  EXPECT_TRUE(file.exists("/a/b"));
  EXPECT_FALSE(file.exists("/a/c"));
}

TEST(hdf5_file, a_new_dataset_is_filled) {
  const TemporaryFolder folder;
  File file = File::create(folder / "x.h5");
  file.create_dataset("/real", File::Type::float64, {3});
  file.create_dataset("/integer", File::Type::int64, {3});
  file.create_dataset("/empty", File::Type::float64, {0, 3});
  const auto real = std::get<Reals>(file.read("/real"));
  EXPECT_TRUE(std::all_of(real.begin(), real.end(), [](double x) { return std::isnan(x); }));
  EXPECT_EQ(std::get<Integers>(file.read("/integer")), (Integers{0, 0, 0}));
  EXPECT_EQ(std::get<Reals>(file.read("/empty")), Reals{});
}

TEST(hdf5_file, rows_land_where_they_belong) {
  const TemporaryFolder folder;
  File file = File::create(folder / "x.h5");
  file.create_dataset("/x", File::Type::int64, {4, 2});
  file.write_rows("/x", 1, Integers{1, 2, 3, 4});
  file.write_rows("/x", 4, Integers{});
  EXPECT_EQ(std::get<Integers>(file.read("/x")), (Integers{0, 0, 1, 2, 3, 4, 0, 0}));
}

TEST(hdf5_file, rows_that_do_not_fit_are_refused) {
  const TemporaryFolder folder;
  File file = File::create(folder / "x.h5");
  file.create_dataset("/x", File::Type::int64, {4, 2});
  EXPECT_THROW(file.write_rows("/x", 3, Integers{1, 2, 3, 4}), ShapeError);  // one row too many
  EXPECT_THROW(file.write_rows("/x", -1, Integers{1, 2}), ShapeError);
  EXPECT_THROW(file.write_rows("/x", 0, Integers{1, 2, 3}), ShapeError);  // one row and a half
  EXPECT_THROW(file.write_rows("/x", 0, Reals{1, 2}), ShapeError);
  EXPECT_THROW(file.write("/x", Integers{1, 2}), ShapeError);
  EXPECT_THROW(file.write("/x", Reals(8)), ShapeError);
}

TEST(hdf5_file, rows_are_copied_in_pieces) {
  const TemporaryFolder folder;
  constexpr index_t rows = 5, width = 1 << 19;  // a row of 4 MiB: four to a piece
  Integers values(static_cast<std::size_t>(rows * width));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int64_t>(i);
  File from = File::create(folder / "from.h5"), to = File::create(folder / "to.h5");
  from.create_dataset("/x", File::Type::int64, {rows + 1, width});
  from.write_rows("/x", 0, values);
  to.create_dataset("/x", File::Type::int64, {rows, width});
  to.copy_rows(from, "/x", rows);
  EXPECT_TRUE(std::get<Integers>(to.read("/x")) == values);
}

TEST(hdf5_file, attributes_are_written_replaced_and_read) {
  const TemporaryFolder folder;
  File file = File::create(folder / "x.h5");
  file.create_dataset("/x", File::Type::float64, {});
  file.write_attributes("/", {{"complete", std::int64_t{0}}, {"exit_reason", "running"}});
  file.write_attributes("/", {{"complete", std::int64_t{1}}, {"exit_reason", "done"}});
  file.write_attributes("/x", {{"units", ""}, {"scale", 0.5}});
  EXPECT_EQ(std::get<std::int64_t>(file.read_attribute("/", "complete")), 1);
  EXPECT_EQ(std::get<std::string>(file.read_attribute("/", "exit_reason")), "done");
  EXPECT_EQ(std::get<std::string>(file.read_attribute("/x", "units")), "");
  EXPECT_EQ(std::get<double>(file.read_attribute("/x", "scale")), 0.5);
}

TEST(hdf5_file, a_flushed_file_opens_while_it_is_written) {
  const TemporaryFolder folder;
  File writer = File::create(folder / "x.h5");
  writer.create_dataset("/x", File::Type::int64, {2});
  writer.flush();
  // A copy is what another process would see: HDF5 shares an open file within a process.
  std::filesystem::copy_file(folder / "x.h5", folder / "seen.h5");
  EXPECT_EQ(std::get<Integers>(File::open(folder / "seen.h5").read("/x")), (Integers{0, 0}));
  writer.write_rows("/x", 1, Integers{7});
  std::filesystem::copy_file(folder / "x.h5", folder / "seen.h5", std::filesystem::copy_options::overwrite_existing);
  EXPECT_EQ(std::get<Integers>(File::open(folder / "seen.h5").read("/x")), (Integers{0, 7}));
}

TEST(hdf5_file, a_lock_of_somebody_else_does_not_matter) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  File::create(path).close();
  const int descriptor = ::open(path.c_str(), O_RDWR);
  ASSERT_EQ(::flock(descriptor, LOCK_EX | LOCK_NB), 0);
  EXPECT_NO_THROW(File::open(path));
  EXPECT_NO_THROW(File::create(path));
  ::close(descriptor);
}

TEST(hdf5_file, errors_name_operation_object_file_and_reason) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  EXPECT_EQ(message_of([&] { File::open(path); }), "cannot open '" + path + "': No such file or directory");
  File file = File::create(path);
  const std::string message = message_of([&] { (void)file.read("/nothing"); });
  EXPECT_TRUE(message.starts_with("cannot open /nothing in '" + path + "': ")) << message;
  EXPECT_NE(message.find("doesn't exist"), std::string::npos) << message;
}

TEST(hdf5_file, nothing_is_printed_when_a_call_fails) {
  const TemporaryFolder folder;
  std::ofstream(folder / "text.h5") << "not HDF5";
  ::testing::internal::CaptureStderr();
  EXPECT_THROW(File::open(folder / "text.h5"), Error);
  EXPECT_THROW(File::open(folder / "none.h5"), Error);
  EXPECT_THROW((void)File::create(folder / "x.h5").read_attribute("/", "none"), Error);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace partita::io::hdf5_file_tests
