// SPDX-License-Identifier: BSD-3-Clause
#include <partita/kernels/dropout.hpp>

#include <algorithm>
#include <string>

#include <partita/core/error.hpp>
#include <partita/core/random.hpp>
#include <partita/kernels/backend/range.hpp>

namespace partita::kernels {
namespace {

constexpr index_t philox_lanes = 64;  // blocks of Philox side by side: GCC would unroll 16, not vectorise them
constexpr index_t philox_group = 4 * philox_lanes;  // elements that they serve

/// Philox4x32-10 (core/random.hpp) for `lanes` consecutive counters at once: word w of block l is word[w * lanes + l].
struct PhiloxBlocks {
  std::uint32_t word[philox_group];

  PhiloxBlocks(std::uint64_t key, std::uint64_t first) {
    std::uint32_t c0[philox_lanes], c1[philox_lanes], c2[philox_lanes], c3[philox_lanes];
    for (index_t l = 0; l < philox_lanes; ++l) {
      const std::uint64_t index = first + std::uint64_t(l);
      c0[l] = std::uint32_t(index), c1[l] = std::uint32_t(index >> 32);
      c2[l] = std::uint32_t(Stream::dropout), c3[l] = 0;
    }
    auto key0 = std::uint32_t(key), key1 = std::uint32_t(key >> 32);
    for (int round = 0; round < 10; ++round, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u)
      for (index_t l = 0; l < philox_lanes; ++l) {
        const std::uint64_t a = std::uint64_t{0xD2511F53u} * c0[l], b = std::uint64_t{0xCD9E8D57u} * c2[l];
        c0[l] = std::uint32_t(b >> 32) ^ c1[l] ^ key0;
        c1[l] = std::uint32_t(b);
        c2[l] = std::uint32_t(a >> 32) ^ c3[l] ^ key1;
        c3[l] = std::uint32_t(a);
      }
    for (index_t l = 0; l < philox_lanes; ++l) {
      word[l] = c0[l], word[philox_lanes + l] = c1[l];
      word[2 * philox_lanes + l] = c2[l], word[3 * philox_lanes + l] = c3[l];
    }
  }
};

/// Rows of one length; where rows are whole and lie side by side, one row.
template <class Scalar>
struct DropoutRows {
  std::uint64_t key;
  std::uint32_t dropped;  // words below it
  accumulate_t<Scalar> factor;
  index_t rows, columns;
  index_t first, pitch;  // global index of x(0, 0); from there to that of x(1, 0)
  index_t x_stride, y_stride;
  const Scalar* x;
  Scalar* y;
  index_t row_groups = 0;  // that a row touches at most

  /// Groups that n elements from global index `from` on touch.
  KOKKOS_FUNCTION static index_t groups(index_t from, index_t n) {
    return n == 0 ? 0 : (from + n + philox_group - 1) / philox_group - from / philox_group;
  }
  KOKKOS_FUNCTION index_t row_begin(index_t r) const { return first + r * pitch; }
  KOKKOS_FUNCTION accumulate_t<Scalar> mask(std::uint32_t word) const {
    return static_cast<accumulate_t<Scalar>>(word >= dropped) * factor;
  }
  KOKKOS_FUNCTION static void apply(const Scalar* from, Scalar* to, index_t i, accumulate_t<Scalar> by) {
    to[i] = Scalar(accumulate_t<Scalar>(from[i]) * by);
  }
};

/// A task is 16 groups of 256 elements of a row, or some short rows. Each group has 64 blocks of Philox side by side;
/// the ends of a row may cut it, and rows that follow each other may share it.
template <class Scalar>
struct DropoutOnHost : DropoutRows<Scalar> {
  static constexpr index_t groups_per_task = 16;
  index_t row_tasks, task_rows;  // tasks that share a row; rows of a task (one of these is 1)

  explicit DropoutOnHost(const DropoutRows<Scalar>& what) : DropoutRows<Scalar>(what) {
    row_tasks = (what.row_groups + groups_per_task - 1) / groups_per_task;
    task_rows =
        row_tasks > 1 ? 1 : std::max<index_t>(1, groups_per_task * philox_group / std::max<index_t>(1, what.columns));
  }
  index_t tasks() const { return (this->rows + task_rows - 1) / task_rows * row_tasks; }

  void operator()(index_t task) const {
    const DropoutRows<Scalar> local = *this;
    const index_t row = task / row_tasks * task_rows, skip = task % row_tasks * groups_per_task;
    index_t drawn = -1;
    accumulate_t<Scalar> mask[philox_group];
    for (index_t r = row; r < row + task_rows && r < local.rows; ++r) {
      const index_t start = local.row_begin(r);
      const index_t begin = start / philox_group + skip,
                    end = start / philox_group + local.groups(start, local.columns);
      const Scalar* const read = local.x + r * local.x_stride;
      Scalar* const written = local.y + r * local.y_stride;
      for (index_t g = begin; g < begin + groups_per_task && g < end; ++g) {
        if (g != drawn) {
          const PhiloxBlocks random(local.key, std::uint64_t(g) * philox_lanes);
          for (index_t e = 0; e < philox_group; ++e) mask[e] = local.mask(random.word[e]);
          drawn = g;
        }
        const index_t at = g * philox_group - start;
        const index_t from = at < 0 ? -at : 0,
                      to = at + philox_group > local.columns ? local.columns - at : philox_group;
#pragma GCC ivdep
        for (index_t e = from; e < to; ++e) local.apply(read, written, at + e, mask[e]);
      }
    }
  }
};

/// A task is one block of Philox: four elements of a row, 64 apart.
template <class Scalar>
struct DropoutOnDevice : DropoutRows<Scalar> {
  KOKKOS_FUNCTION void operator()(index_t task) const {
    const index_t row_blocks = this->row_groups * philox_lanes;
    const index_t r = this->rows == 1 ? 0 : task / row_blocks, start = this->row_begin(r);
    const index_t block = start / philox_group * philox_lanes + (task - r * row_blocks), g = block / philox_lanes,
                  l = block % philox_lanes;
    const PhiloxCounter drawn = random_block(this->key, Stream::dropout, std::uint64_t(block));
    for (int w = 0; w < 4; ++w) {
      const index_t c = g * philox_group + w * philox_lanes + l - start;
      if (c >= 0 && c < this->columns)
        this->apply(this->x + r * this->x_stride, this->y + r * this->y_stride, c, this->mask(drawn.word[w]));
    }
  }
};

void require_slice(const char* dimension, Slice slice, std::size_t x, std::size_t y) {
  const auto found = [&] {
    return std::string(dimension) + " are [" + std::to_string(slice.offset) + ", " + std::to_string(slice.end()) +
           ") of " + std::to_string(slice.global);
  };
  if (slice.offset < 0 || slice.extent < 0 || slice.end() > slice.global)
    refuse<ShapeError>("dropout", found(), "a slice within its global extent");
  if (index_t(x) != slice.extent || index_t(y) != slice.extent)
    refuse<ShapeError>("dropout", found() + ", x has " + std::to_string(x) + ", y has " + std::to_string(y),
                       "x and y (rows.extent, columns.extent)");
}

}  // namespace

template <class Scalar>
void dropout(const Exec& exec, const DropoutOptions& options, std::type_identity_t<ConstMatrix<Scalar>> x,
             Matrix<Scalar> y) {
  static const std::string label = "partita::kernels::dropout";
  const Slice rows = options.rows, columns = options.columns;
  require_slice("rows", rows, x.extent(0), y.extent(0));
  require_slice("columns", columns, x.extent(1), y.extent(1));
  if (!(options.rate >= 0 && options.rate < 1))
    refuse<UsageError>("dropout", "a rate of " + std::to_string(options.rate), "0 <= rate < 1");
  if (options.layer >= (std::uint64_t{1} << 56) - 1)
    refuse<UsageError>("dropout", "layer " + std::to_string(options.layer), "a name_key, below 2^56 - 1");
  DropoutRows<Scalar> task{.key = random_bits(options.seed, substream(Stream::dropout, options.layer), options.step),
                           .dropped = std::uint32_t(options.rate * 0x1p32),
                           .factor = accumulate_t<Scalar>(1 / (1 - options.rate)),
                           .rows = rows.extent,
                           .columns = columns.extent,
                           .first = rows.offset * columns.global + columns.offset,
                           .pitch = columns.global,
                           .x_stride = index_t(x.stride(0)),
                           .y_stride = index_t(y.stride(0)),
                           .x = x.data(),
                           .y = y.data()};
  if (task.columns == task.pitch && task.x_stride == task.columns && task.y_stride == task.columns)
    task.columns *= task.rows, task.rows = 1;
  // Rows that begin at different places in a group may touch one more.
  task.row_groups =
      task.rows == 1 ? task.groups(task.first, task.columns) : task.groups(philox_group - 1, task.columns);
  if constexpr (backend::runs_on_host) {
    const DropoutOnHost<Scalar> body(task);
    Kokkos::parallel_for(label, backend::range_policy(exec, body.tasks()), body);
  } else {
    Kokkos::parallel_for(label, backend::range_policy(exec, task.rows * task.row_groups * philox_lanes),
                         DropoutOnDevice<Scalar>{task});
  }
}

template void dropout<float>(const Exec&, const DropoutOptions&, ConstMatrix<float>, Matrix<float>);
template void dropout<double>(const Exec&, const DropoutOptions&, ConstMatrix<double>, Matrix<double>);
template void dropout<bfloat16>(const Exec&, const DropoutOptions&, ConstMatrix<bfloat16>, Matrix<bfloat16>);
template void dropout<float16>(const Exec&, const DropoutOptions&, ConstMatrix<float16>, Matrix<float16>);

}  // namespace partita::kernels
