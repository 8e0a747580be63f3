// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>
#include <filesystem>
#include <numeric>

#include <gtest/gtest.h>

#include <partita/core/error.hpp>
#include <partita/data/batch.hpp>
#include <partita/data/idx.hpp>
#include <partita/data/images.hpp>

#include <support/caught.hpp>
#include <support/temporary_folder.hpp>
#include "idx_files.hpp"

namespace partita::data::images_tests {
namespace {

using namespace partita;
using namespace partita::data;
using namespace partita::testing;

const std::string remedy = ": expected " + data_remedy();

class images_folder : public ::testing::Test {
 protected:
  images_folder() {
    write(images_, idx({4, 2, 3}, pixels_));
    write(labels_, idx({4}, {1, 0, 2, 1}));
  }
  std::string complaint(index_t classes = 3) const {
    return caught<UsageError>([&] { load_idx_folder(folder_.path(), true, classes); });
  }

  TemporaryFolder folder_;
  std::string images_ = folder_ / "train-images-idx3-ubyte";
  std::string labels_ = folder_ / "train-labels-idx1-ubyte";
  Bytes pixels_ = noise(4 * 2 * 3);
};

TEST_F(images_folder, a_pair_of_files_is_a_set) {
  const ImageSet set = load_idx_folder(folder_.path(), true, 3);
  EXPECT_EQ(set.count, 4);
  EXPECT_EQ(set.height, 2);
  EXPECT_EQ(set.width, 3);
  EXPECT_EQ(set.channels, 1);
  EXPECT_EQ(set.classes, 3);
  EXPECT_EQ(set.features(), 6);
  EXPECT_EQ(set.pixels, pixels_);
  EXPECT_EQ(set.labels, (Bytes{1, 0, 2, 1}));
}

TEST_F(images_folder, gzip_and_the_test_set_are_found_by_name) {
  write(folder_ / "t10k-images-idx3-ubyte.gz", gzipped(folder_ / "scratch", idx({1, 2, 3}, noise(6))));
  write(folder_ / "t10k-labels-idx1-ubyte", idx({1}, {2}));
  const ImageSet set = load_idx_folder(folder_.path(), false, 3);
  EXPECT_EQ(set.count, 1);
  EXPECT_EQ(set.pixels, noise(6));
}

TEST_F(images_folder, missing_folders_and_files_are_named) {
  EXPECT_EQ(caught<UsageError>([&] { load_idx_folder(folder_ / "none", true); }),
            (folder_ / "none") + ": no such folder" + remedy);
  EXPECT_EQ(caught<UsageError>([&] { load_idx_folder(images_, true); }), images_ + ": is not a folder" + remedy);
  EXPECT_EQ(caught<UsageError>([&] { load_idx_folder(folder_.path(), false); }),
            folder_.path() + ": holds neither t10k-images-idx3-ubyte nor t10k-images-idx3-ubyte.gz" + remedy);
  std::filesystem::remove(labels_);
  EXPECT_EQ(complaint(),
            folder_.path() + ": holds neither train-labels-idx1-ubyte nor train-labels-idx1-ubyte.gz" + remedy);
}

TEST_F(images_folder, counts_must_agree) {
  write(labels_, idx({3}, {0, 1, 2}));
  EXPECT_EQ(complaint(), labels_ + ": holds 3 labels for the 4 images of " + images_ + remedy);
}

TEST_F(images_folder, labels_must_be_classes) {
  EXPECT_EQ(complaint(2), labels_ + ": label 2 of image 2 is not below 2, the number of classes" + remedy);
}

TEST_F(images_folder, dimensions_must_be_those_of_images) {
  write(images_, idx({4, 6}, pixels_));
  EXPECT_EQ(complaint(), images_ + ": holds 2 dimensions, not 3, (image, row, column)" + remedy);
  write(images_, idx({0, 2, 3}, {}));
  EXPECT_EQ(complaint(), images_ + ": holds no pixels" + remedy);
  write(images_, idx({4, 2, 3}, pixels_));
  write(labels_, idx({4, 1}, {0, 0, 0, 0}));
  EXPECT_EQ(complaint(), labels_ + ": holds 2 dimensions, not 1, (image)" + remedy);
}

TEST_F(images_folder, damaged_files_are_named) {
  write(labels_, idx({4}, {0, 1, 2}));
  EXPECT_EQ(complaint(), labels_ + ": truncated: the header promises 4 = 4 bytes, the file holds 3" + remedy);
}

TEST_F(images_folder, fashion_mnist_is_28_by_28) {
  EXPECT_EQ(caught<UsageError>([&] { load_fashion_mnist(folder_.path(), true); }),
            folder_.path() + ": images are 2 x 3, not 28 x 28 as in Fashion-MNIST" + remedy);
}

TEST(images, fashion_mnist_as_debian_ships_it) {
  if (find_fashion_mnist().empty()) GTEST_SKIP() << "dataset-fashion-mnist is not installed";
  for (const bool train : {true, false}) {
    const ImageSet set = load_fashion_mnist("", train);
    EXPECT_EQ(set.count, train ? 60000 : 10000);
    EXPECT_EQ(set.features(), 784);
    std::array<index_t, 10> count{};
    for (const std::uint8_t label : set.labels) ++count[label];
    for (const index_t c : count) EXPECT_EQ(c, set.count / 10) << "the classes are of equal size";
    if (!train) continue;
    double sum = 0, square = 0;
    for (const std::uint8_t pixel : set.pixels) {
      sum += pixel / 255.0;
      square += pixel / 255.0 * (pixel / 255.0);
    }
    const double n = static_cast<double>(set.pixels.size());
    constexpr double last_digit = 5e-5;
    EXPECT_NEAR(fashion_mnist_normalisation.mean, sum / n, last_digit);
    EXPECT_NEAR(fashion_mnist_normalisation.deviation, std::sqrt(square / n - sum / n * (sum / n)), last_digit);
  }
}

}  // namespace
}  // namespace partita::data::images_tests
