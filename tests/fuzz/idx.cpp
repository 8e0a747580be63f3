// SPDX-License-Identifier: BSD-3-Clause
// IDX files: how = byte 0; the bytes before the first zero pair (0xff 0x00) are images, those behind it labels.
#include <unistd.h>

#include <vector>

#include <zlib.h>

#include <partita/core/extent.hpp>
#include <partita/data/idx.hpp>
#include <partita/data/images.hpp>

#include <support/temporary_folder.hpp>
#include "support.hpp"

namespace partita::fuzz {
namespace {

// A folder of links to files in memory.
struct Folder {
  Folder() {
    link(images, "train-images-idx3-ubyte");
    link(labels, "train-labels-idx1-ubyte");
  }
  void link(const MemoryFile& file, const std::string& name) const {
    if (::symlink(file.path().c_str(), (folder / name).c_str()) != 0) report("no link", name);
  }
  testing::TemporaryFolder folder;
  MemoryFile images, labels;
};

std::vector<std::uint8_t> compressed(Bytes bytes) {
  z_stream stream{};
  if (deflateInit2(&stream, 1, Z_DEFLATED, 16 + MAX_WBITS, 1, Z_DEFAULT_STRATEGY) != Z_OK) report("no zlib");
  std::vector<std::uint8_t> all(deflateBound(&stream, bytes.size()));
  stream.next_in = const_cast<std::uint8_t*>(bytes.data());  // zlib's interface from before const
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = all.data();
  stream.avail_out = static_cast<uInt>(all.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) report("no whole gzip");
  all.resize(stream.total_out);
  deflateEnd(&stream);
  return all;
}

// Up to the mark, which goes, too.
Bytes take_file(Bytes& input) {
  std::size_t end = 0;
  while (end < input.size() && !(input[end] == 0xff && end + 1 < input.size() && input[end + 1] == 0)) ++end;
  const Bytes part = input.first(end);
  input = input.subspan(std::min(end + 2, input.size()));
  return part;
}

}  // namespace

void idx(Bytes input) {
  static Folder files;
  const std::uint8_t how = take(input);
  const Bytes images = take_file(input);
  if (how % 8 == 1)
    files.images.set(compressed(images));
  else
    files.images.set(images);
  accepted(files.images.path(), [&] {
    const data::IdxArray array = data::read_idx(files.images.path());
    if (checked_product(array.shape) != std::ssize(array.bytes)) report("an array of another size than its shape");
  });
  if (how % 2 == 1) return;
  files.labels.set(input);
  accepted(files.folder.path(), [&] {
    const data::ImageSet set = data::load_idx_folder(files.folder.path(), true, 1 + how / 8);
    if (std::ssize(set.labels) != set.count || std::ssize(set.pixels) != set.count * set.height * set.width)
      report("images of another size than their shape");
    for (const std::uint8_t label : set.labels)
      if (label >= set.classes) report("a label of no class");
  });
}

}  // namespace partita::fuzz
