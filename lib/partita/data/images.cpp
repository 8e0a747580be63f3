// SPDX-License-Identifier: BSD-3-Clause
#include <partita/data/images.hpp>

#include <filesystem>

#include <partita/core/error.hpp>
#include <partita/data/idx.hpp>

namespace partita::data {
namespace {

namespace fs = std::filesystem;

constexpr const char* package_folder = "/usr/share/datasets/fashion-mnist";  // Debian's dataset-fashion-mnist

// Answers without throwing: a folder that may not be entered is as good as none.
bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

std::string file_in(const std::string& folder, const std::string& name) {
  for (const std::string& candidate : {name, name + ".gz"}) {
    if (is_file(fs::path(folder) / candidate)) return (fs::path(folder) / candidate).string();
  }
  refuse_file(folder, "holds neither " + name + " nor " + name + ".gz");
}

IdxArray read_dimensions(const std::string& path, std::size_t dimensions, const std::string& what) {
  IdxArray array = read_idx(path);
  if (array.shape.size() != dimensions) {
    refuse_file(path, "holds " + std::to_string(array.shape.size()) + " dimensions, not " + std::to_string(dimensions) +
                          ", " + what);
  }
  return array;
}

}  // namespace

ImageSet load_idx_folder(const std::string& folder, bool train, index_t classes) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored))
    refuse_file(folder, fs::exists(folder, ignored) ? "is not a folder" : "no such folder");
  const std::string prefix = train ? "train" : "t10k";
  const std::string image_path = file_in(folder, prefix + "-images-idx3-ubyte");
  const std::string label_path = file_in(folder, prefix + "-labels-idx1-ubyte");
  IdxArray images = read_dimensions(image_path, 3, "(image, row, column)");
  IdxArray labels = read_dimensions(label_path, 1, "(image)");

  if (images.bytes.empty()) refuse_file(image_path, "holds no pixels");
  if (labels.shape[0] != images.shape[0]) {
    refuse_file(label_path, "holds " + std::to_string(labels.shape[0]) + " labels for the " +
                                std::to_string(images.shape[0]) + " images of " + image_path);
  }
  for (std::size_t i = 0; i < labels.bytes.size(); ++i) {
    if (labels.bytes[i] >= classes) {
      refuse_file(label_path, "label " + std::to_string(labels.bytes[i]) + " of image " + std::to_string(i) +
                                  " is not below " + std::to_string(classes) + ", the number of classes");
    }
  }
  return {
      std::move(images.bytes), std::move(labels.bytes), images.shape[0], images.shape[1], images.shape[2], 1, classes};
}

std::string find_fashion_mnist() {
  return is_file(fs::path(package_folder) / "train-images-idx3-ubyte.gz") ? package_folder : "";
}

ImageSet load_fashion_mnist(const std::string& folder, bool train) {
  constexpr index_t edge = 28;
  ImageSet images = load_idx_folder(folder.empty() ? package_folder : folder, train);
  if (images.height != edge || images.width != edge) {
    refuse_file(folder.empty() ? package_folder : folder, "images are " + std::to_string(images.height) + " x " +
                                                              std::to_string(images.width) +
                                                              ", not 28 x 28 as in Fashion-MNIST");
  }
  return images;
}

}  // namespace partita::data
