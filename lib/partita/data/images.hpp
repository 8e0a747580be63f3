// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <partita/core/index.hpp>

namespace partita::data {

/// Labelled images as stored: one byte a pixel, channels-last, sample by sample.
struct ImageSet {
  std::vector<std::uint8_t> pixels;  ///< (count, height, width, channels)
  std::vector<std::uint8_t> labels;  ///< (count), each below classes
  index_t count = 0;
  index_t height = 0;
  index_t width = 0;
  index_t channels = 1;
  index_t classes = 0;

  index_t features() const { return height * width * channels; }
};

/// The pair <train|t10k>-images-idx3-ubyte[.gz], <train|t10k>-labels-idx1-ubyte[.gz] of a folder; the plain file where
/// both exist.
///
/// Throws   UsageError naming the file, what is wrong and the remedy: no folder, no file, a malformed file (read_idx),
///          another number of dimensions, no images, unequal counts, a label outside [0, classes).
ImageSet load_idx_folder(const std::string& folder, bool train, index_t classes = 10);

/// Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): 60,000 training and 10,000 test images of 28 x 28 in 10 classes.
///
/// folder   Empty: where Debian's dataset-fashion-mnist puts it.
/// Throws   as load_idx_folder; also when the images are not 28 x 28.
ImageSet load_fashion_mnist(const std::string& folder, bool train);

/// Where the package puts the files, or empty when it is not installed.
std::string find_fashion_mnist();

}  // namespace partita::data
