// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/weight_transfer.hpp>

#include <algorithm>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <partita/core/error.hpp>
#include <partita/core/extent.hpp>
#include <partita/core/partition.hpp>
#include <partita/io/safetensors.hpp>
#include <partita/kernels/cast.hpp>
#include <partita/parallel/whole_tensor.hpp>

namespace partita::training {
namespace {

constexpr index_t at_once = index_t{1} << 20;  // numbers that travel, or are turned, together

// A tensor of a file as rows and columns; one of a single dimension is a column.
struct FileMatrix {
  index_t rows, columns;
  explicit FileMatrix(const nn::Gpt2Tensor& tensor)
      : rows(tensor.shape[0]), columns(tensor.shape.size() == 2 ? tensor.shape[1] : 1) {}
  index_t rows_at_once() const { return std::clamp<index_t>(at_once / std::max<index_t>(columns, 1), 1, rows); }
};

std::vector<Slice> slices_of(const nn::Parameter& parameter) {
  std::vector<Slice> slices;
  for (const nn::Dimension& dimension : parameter.dimensions) slices.push_back(dimension.slice);
  return slices;
}

// My part of a tensor that comes by in rows of the file.
class LocalPart {
 public:
  LocalPart(const nn::Gpt2Tensor& tensor, const nn::Parameter& parameter)
      : tensor_(tensor), file_(tensor), values_(static_cast<std::size_t>(parameter.range.extent)) {
    std::vector<Slice> slices = slices_of(parameter);
    columns_ = whole(1);
    if (tensor.shape.size() == 2) {
      columns_ = slices.back();
      slices.pop_back();
    }
    rows_ = global_indices(slices);
    index_t rows = 1;
    for (const Slice& slice : slices) rows *= slice.global;
    const auto [file_rows, file_columns] =
        tensor.transposed ? std::pair(columns_.global, rows) : std::pair(rows, columns_.global);
    if (file_rows != file_.rows || file_columns != file_.columns)
      refuse<ShapeError>(parameter.name, fmt::format("{} x {} elements in GPT-2's layout", file_rows, file_columns),
                         fmt::format("{} x {}", file_.rows, file_.columns));
  }

  void take(index_t first, const std::vector<float>& some) {
    const index_t end = first + std::ssize(some) / file_.columns;
    tensor_.transposed ? take_columns(first, end, some.data()) : take_rows(first, end, some.data());
  }
  const std::vector<float>& values() const { return values_; }

 private:
  void take_rows(index_t first, index_t end, const float* some) {
    for (auto row = std::lower_bound(rows_.begin(), rows_.end(), first); row != rows_.end() && *row < end; ++row)
      std::copy_n(some + ((*row - first) * file_.columns + columns_.offset), columns_.extent,
                  values_.begin() + (row - rows_.begin()) * columns_.extent);
  }
  void take_columns(index_t first, index_t end, const float* some) {
    for (index_t k = std::max(first, columns_.offset); k < std::min(end, columns_.end()); ++k)
      for (index_t r = 0; r < std::ssize(rows_); ++r)
        values_[static_cast<std::size_t>(r * columns_.extent + k - columns_.offset)] =
            some[(k - first) * file_.columns + rows_[static_cast<std::size_t>(r)]];
  }

  const nn::Gpt2Tensor& tensor_;
  FileMatrix file_;
  std::vector<index_t> rows_;  // of the whole, ascending
  Slice columns_;
  std::vector<float> values_;
};

// A checkpoint, and where in it the model's tensors are: on rank 0 alone.
class Checkpoint {
 public:
  Checkpoint(const std::string& path, const nn::GptShape& shape, const std::vector<nn::Gpt2Tensor>& tensors)
      : file_(path) {
    check_metadata(nn::gpt2_metadata(shape));
    std::map<std::string, const io::SafeTensor*> there;
    for (const io::SafeTensor& tensor : file_.tensors()) {
      const std::string name = nn::gpt2_name(tensor.name);
      if (!name.empty() && !there.emplace(name, &tensor).second)
        refuse(name, "it is there twice, with and without \"transformer.\"", "one of the two");
    }
    for (const nn::Gpt2Tensor& tensor : tensors) {
      auto found = there.find(tensor.name);
      if (found == there.end() && tensor.name == head) found = there.find(token_table);
      if (found == there.end()) refuse(tensor.name, "it is not there", "every tensor of the model");
      check_tensor(tensor, *found->second);
      found_[tensor.name] = found->second;
    }
    for (const auto& [name, tensor] : there) {
      if (found_.contains(name)) continue;
      if (!shape.tied || name != head) refuse(tensor->name, "the model has no such tensor", "those of its blocks");
      require_equal(*tensor, *found_.at(token_table));
    }
  }

  std::vector<float> rows(const nn::Gpt2Tensor& tensor, index_t first, index_t count) const {
    const index_t columns = FileMatrix(tensor).columns;
    return file_.read<float>(*found_.at(tensor.name), first * columns, count * columns);
  }

 private:
  static constexpr const char* head = "lm_head.weight";
  static constexpr const char* token_table = "wte.weight";
  static constexpr const char* position_table = "wpe.weight";

  [[noreturn]] void refuse(const std::string& what, const std::string& found, const std::string& expected) const {
    partita::refuse<UsageError>(fmt::format("{}: {}", file_.path(), what), found, expected);
  }

  void check_metadata(const std::map<std::string, std::string>& own) const {
    for (const char* key : {"n_head", "n_layer"})
      if (const auto given = file_.metadata().find(key);
          given != file_.metadata().end() && given->second != own.at(key))
        refuse(key, fmt::format("the file has {}, the model {}", given->second, own.at(key)), "the same");
  }

  void check_tensor(const nn::Gpt2Tensor& tensor, const io::SafeTensor& given) const {
    std::vector<index_t> least = given.shape;
    if (tensor.name == position_table && !least.empty()) least[0] = std::min(least[0], tensor.shape[0]);
    if (least != tensor.shape)
      refuse(given.name, fmt::format("it has the shape [{}]", fmt::join(given.shape, ", ")),
             fmt::format("[{}], as the model's{}", fmt::join(tensor.shape, ", "),
                         tensor.name == position_table ? ", or more positions" : ""));
    file_.read<float>(given, 0, 0);  // refuses a type that is none of numbers
  }

  void require_equal(const io::SafeTensor& a, const io::SafeTensor& b) const {
    bool equal = a.shape == b.shape;
    for (index_t first = 0; equal && first < a.elements(); first += at_once) {
      const index_t count = std::min(at_once, a.elements() - first);
      equal = file_.read<float>(a, first, count) == file_.read<float>(b, first, count);
    }
    if (!equal) refuse(a.name, fmt::format("it differs from {}", b.name), "the same, or model.tied = false");
  }

  io::SafeTensorsFile file_;
  std::map<std::string, const io::SafeTensor*> found_;  // by GPT-2's names
};

// Hands each tensor that is here to f, in the order of the table, as the exchange gives the weights: its numbers on the
// host.
template <class Scalar, class F>
void visit_tensors(const nn::ParameterTable& table, nn::Exchange<Scalar>& exchange, const Exec& exec, F f) {
  const std::vector<nn::Parameter>& all = table.parameters();
  auto parameter = all.begin();
  std::vector<float> values;
  const auto hand_on = [&] {
    for (; parameter != all.end() && std::ssize(values) == parameter->range.extent; ++parameter)
      f(*parameter, std::exchange(values, {}));
  };
  hand_on();
  exchange.visit_weights(exec, [&](ConstVector<Scalar> part) {
    const index_t n = static_cast<index_t>(part.extent(0));
    for (index_t at = 0; at < n;) {
      const index_t count = std::min(n - at, parameter->range.extent - std::ssize(values));
      const ConstVector<Scalar> piece(part.data() + at, static_cast<std::size_t>(count));
      const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), piece);
      for (index_t i = 0; i < count; ++i) values.push_back(static_cast<float>(host(i)));
      at += count;
      hand_on();
    }
  });
}

// Conv1D's turned order, some of its rows at a time.
void write(io::SafeTensorsWriter& writer, const nn::Gpt2Tensor& tensor, const std::vector<float>& whole) {
  if (!tensor.transposed) return writer.write(tensor.name, whole);
  const FileMatrix file(tensor);
  for (index_t first = 0; first < file.rows; first += file.rows_at_once()) {
    const index_t rows = std::min(file.rows_at_once(), file.rows - first);
    std::vector<float> some(static_cast<std::size_t>(rows * file.columns));
    for (index_t n = 0; n < file.columns; ++n)
      for (index_t k = 0; k < rows; ++k)
        some[static_cast<std::size_t>(k * file.columns + n)] =
            whole[static_cast<std::size_t>(n * file.rows + first + k)];
    writer.write(tensor.name, first * file.columns, std::span<const float>(some));
  }
}

io::SafeTensorsHeader header_of(const std::vector<nn::Gpt2Tensor>& tensors, const nn::GptShape& shape) {
  io::SafeTensorsHeader header{.metadata = nn::gpt2_metadata(shape), .tensors = {}};
  for (const nn::Gpt2Tensor& tensor : tensors)
    header.tensors.push_back({.name = tensor.name, .type = "F32", .shape = tensor.shape});
  return header;
}

}  // namespace

template <class Scalar>
void load_weights(const std::string& path, const nn::GptShape& shape, const comm::Communicator& world, const Exec& exec,
                  const nn::Model<Scalar>& model, const nn::Update<Scalar>* update) {
  using Real = nn::Sum<Scalar>;
  const std::vector<nn::Gpt2Tensor> tensors = nn::gpt2_tensors(shape);
  std::optional<Checkpoint> checkpoint;
  world.on_root([&] { checkpoint.emplace(path, shape, tensors); });
  for (const nn::Gpt2Tensor& tensor : tensors) {
    const nn::Parameter& parameter = model.table().at(tensor.parameter);
    LocalPart mine(tensor, parameter);
    const FileMatrix file(tensor);
    for (index_t first = 0; first < file.rows; first += file.rows_at_once()) {
      const index_t rows = std::min(file.rows_at_once(), file.rows - first);
      mine.take(first, world.on_root([&] { return checkpoint->rows(tensor, first, rows); }));
    }
    const auto n = static_cast<std::size_t>(parameter.range.extent);
    const Vector<Real> values("partita::training::load_weights::values", n);
    const auto host = Kokkos::create_mirror_view(values);
    std::copy(mine.values().begin(), mine.values().end(), host.data());
    Kokkos::deep_copy(exec, values, host);
    if (const Vector<Scalar> own = model.parameters(); own.extent(0) > 0)
      kernels::cast<Scalar, Real>(exec, values, Vector<Scalar>(own.data() + parameter.range.offset, n));
    if (update != nullptr) update->set(exec, nn::Kept::weights, parameter.range, values);
    exec.fence("partita::training::load_weights: the next tensor has buffers of its own");
  }
}

template <class Scalar>
void save_weights(const std::string& path, const nn::GptShape& shape, const WeightAxes& axes, const Exec& exec,
                  const nn::Model<Scalar>& model, nn::Exchange<Scalar>& exchange, const std::function<void()>& alive) {
  const std::vector<nn::Gpt2Tensor> tensors = nn::gpt2_tensors(shape);
  std::optional<io::SafeTensorsWriter> writer;
  axes.world.on_root([&] { writer.emplace(path, header_of(tensors, shape)); });

  // Other replicas are in the same visit: what fails is told when it is over.
  std::exception_ptr failure;
  visit_tensors(model.table(), exchange, exec, [&](const nn::Parameter& parameter, std::vector<float> values) {
    alive();
    if (axes.replicas.rank() != 0 || failure) return;
    try {
      const auto tensor = std::find_if(tensors.begin(), tensors.end(),
                                       [&](const nn::Gpt2Tensor& each) { return each.parameter == parameter.name; });
      if (tensor == tensors.end())
        refuse<ShapeError>(parameter.name, "GPT-2 has no such tensor", "the model that the layout was made for");
      const std::vector<float> whole =
          parallel::whole_tensor(axes.tensor, parameter.name, slices_of(parameter), std::move(values));
      axes.tensor.on_root([&] { write(*writer, *tensor, whole); });
    } catch (...) {
      failure = std::current_exception();
    }
  });
  axes.world.on_root([&] {
    if (failure) std::rethrow_exception(failure);
    writer->finish();
  });
}

template <class Scalar>
void attach(const WeightFiles& files, const Parts<Scalar>& parts, driver::Workload& work) {
  if (!files.load && !files.saves()) return;
  const nn::GptShape shape = gpt_shape(parts.model_options, parts.data.shape());
  const comm::Communicator& world = parts.data.world();
  if (files.load) {
    try {
      load_weights<Scalar>(*files.load, shape, world, parts.context.exec(), parts.model, parts.update);
    } catch (const UsageError& error) {
      throw UsageError(std::string("--load-weights: ") + error.what());
    }
  }
  if (!files.saves()) return;
  std::shared_ptr<comm::Communicator> alone;
  const comm::Communicator* tensor = parts.axis == nullptr ? nullptr : &parts.axis->ranks();
  if (tensor == nullptr) {
    alone = std::make_shared<comm::Communicator>(world.split(world.rank(), 0, "one replica"));
    tensor = alone.get();
  }
  work.save = [files, shape, parts, &world, tensor, alone](const std::function<void()>& alive) {
    const WeightAxes axes{world, parts.replicas, *tensor};
    if (files.save)
      save_weights<Scalar>(*files.save, shape, axes, parts.context.exec(), parts.model, parts.exchange, alive);
    if (files.save_batch) save_batch<Scalar>(*files.save_batch, parts, axes);
  };
}

#define PARTITA_WEIGHT_TRANSFER(Scalar)                                                                       \
  template void load_weights(const std::string&, const nn::GptShape&, const comm::Communicator&, const Exec&, \
                             const nn::Model<Scalar>&, const nn::Update<Scalar>*);                            \
  template void save_weights(const std::string&, const nn::GptShape&, const WeightAxes&, const Exec&,         \
                             const nn::Model<Scalar>&, nn::Exchange<Scalar>&, const std::function<void()>&);  \
  template void attach(const WeightFiles&, const Parts<Scalar>&, driver::Workload&);
PARTITA_WEIGHT_TRANSFER(float)
PARTITA_WEIGHT_TRANSFER(bfloat16)
PARTITA_WEIGHT_TRANSFER(float16)
#undef PARTITA_WEIGHT_TRANSFER

}  // namespace partita::training
