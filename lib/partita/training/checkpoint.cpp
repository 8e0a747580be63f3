// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/checkpoint.hpp>

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <partita/core/error.hpp>
#include <partita/core/partition.hpp>
#include <partita/driver/terminal.hpp>
#include <partita/kernels/cast.hpp>

namespace partita::training {
namespace {

constexpr index_t sent_at_once = index_t{1} << 20;  // numbers that travel together

index_t elements(const std::vector<index_t>& shape) {
  index_t product = 1;
  for (const index_t extent : shape) product *= extent;
  return product;
}

// Which elements of a tensor are here: their indices in the whole, in the order of the flat buffer.
std::vector<index_t> places(const nn::Parameter& parameter, const std::vector<Range>& owned) {
  std::vector<Slice> slices;
  for (const nn::Dimension& dimension : parameter.dimensions) slices.push_back(dimension.slice);
  const std::vector<index_t> all = global_indices(slices);
  std::vector<index_t> here;
  for (const Range& range : owned) {
    const index_t first = std::max(range.offset, parameter.range.offset),
                  end = std::min(range.end(), parameter.range.end());
    for (index_t i = first; i < end; ++i) here.push_back(all[static_cast<std::size_t>(i - parameter.range.offset)]);
  }
  return here;
}

// Neighbours as (first, how many): what travels in place of every index.
std::vector<Range> runs_of(const std::vector<index_t>& indices) {
  std::vector<Range> runs;
  for (const index_t i : indices) {
    if (!runs.empty() && runs.back().end() == i)
      ++runs.back().extent;
    else
      runs.push_back({i, 1});
  }
  return runs;
}

// Parts of a tensor from all ranks -> the whole, on rank 0. Several ranks may bring the same elements.
class Gathered {
 public:
  Gathered(const comm::Communicator& world, std::string name, index_t elements, const std::vector<Range>& mine)
      : world_(world), name_(std::move(name)), elements_(elements), runs_(world.gather(std::span<const Range>(mine))) {}

  std::vector<float> whole(const std::vector<float>& mine) const {
    const std::vector<float> all = world_.gather(std::span<const float>(mine));
    return world_.is_root() ? placed(all) : std::vector<float>();
  }

 private:
  std::vector<float> placed(const std::vector<float>& all) const {
    std::vector<float> tensor(static_cast<std::size_t>(elements_));
    std::vector<bool> there(tensor.size());
    auto from = all.begin();
    for (const Range& run : runs_) {
      std::copy_n(from, run.extent, tensor.begin() + run.offset);
      std::fill_n(there.begin() + run.offset, run.extent, true);
      from += run.extent;
    }
    if (from != all.end() || !std::all_of(there.begin(), there.end(), [](bool is) { return is; }))
      refuse<ShapeError>(name_, "its parts are not the whole", "every element on some rank");
    return tensor;
  }

  const comm::Communicator& world_;
  std::string name_;
  index_t elements_;
  std::vector<Range> runs_;  // rank by rank
};

// What a rank brings: replicas that all own the same let the first one speak.
template <class Scalar>
std::vector<Range> brought(const Parts<Scalar>& parts) {
  const bool first_of_rows = parts.rows == nullptr || parts.rows->ranks().is_root();
  std::vector<Range> owned = parts.update->owned();
  std::vector<Range> first = owned;
  parts.replicas.broadcast(first);
  const bool alike = parts.replicas.all_of(
      std::equal(owned.begin(), owned.end(), first.begin(), first.end(),
                 [](const Range& a, const Range& b) { return a.offset == b.offset && a.extent == b.extent; }));
  if (!first_of_rows || (alike && !parts.replicas.is_root())) owned.clear();
  return owned;
}

template <class Scalar>
Vector<nn::Sum<Scalar>> on_device(const Exec& exec, const std::vector<float>& values) {
  const Vector<nn::Sum<Scalar>> there("partita::training::checkpoint::values", values.size());
  Kokkos::deep_copy(exec, there, Kokkos::View<const float*, Kokkos::HostSpace>(values.data(), values.size()));
  exec.fence("partita::training::checkpoint: values are on the device");
  return there;
}

// A tensor that rank 0 reads, to all ranks in pieces; each keeps what it has of it.
template <class Read>
std::vector<float> my_part(const comm::Communicator& world, const nn::Parameter* mine, index_t elements, Read read) {
  std::vector<float> whole, values;
  world.on_root([&] { whole = read(); });
  const std::vector<index_t> here = mine == nullptr ? std::vector<index_t>() : places(*mine, {mine->range});
  auto next = here.begin();
  for (index_t first = 0; first < elements; first += sent_at_once) {
    const index_t end = std::min(first + sent_at_once, elements);
    std::vector<float> some;
    if (world.is_root()) some.assign(whole.begin() + first, whole.begin() + end);
    world.broadcast(some);
    for (; next != here.end() && *next < end; ++next) values.push_back(some[static_cast<std::size_t>(*next - first)]);
  }
  return values;
}

}  // namespace

template <class Scalar>
index_t save_checkpoint(const std::string& path, const std::string& deck, index_t done, std::span<const double> losses,
                        const driver::Writing& writing, const Parts<Scalar>& parts) {
  const comm::Communicator& world = parts.world;
  const Exec& exec = parts.context.exec();
  const nn::Update<Scalar>& update = *parts.update;
  const nn::UpdateCounters counters = update.counters(exec);
  std::optional<io::CheckpointWriter> writer;
  const auto on_root = [&](auto write) {
    world.on_root([&] {
      const auto lock = writing();
      write();
    });
  };
  on_root([&] {
    writer.emplace(begin_checkpoint(path, parts.train, {deck, done, losses, counters, parts.strategy, world.size()}));
  });

  const std::vector<Range> mine = brought(parts);
  const auto save = [&](const nn::ParameterTable& whole, const nn::ParameterTable& here,
                        const std::vector<Range>& owned, auto each_group) {
    for (const nn::Parameter& tensor : whole.parameters()) {
      const nn::Parameter* const local = here.find(tensor.name);
      const std::vector<index_t> shape = shape_of(tensor);
      const Gathered parts_of(world, tensor.name, elements(shape),
                              local == nullptr ? std::vector<Range>() : runs_of(places(*local, owned)));
      each_group([&](const char* group, auto values_of) {
        const std::vector<float> all =
            parts_of.whole(local == nullptr || owned.empty() ? std::vector<float>() : values_of(local->range));
        on_root([&] { writer->tensor(group, tensor.name, shape, all); });
      });
    }
  };
  save(parts.whole.table(), parts.model.table(), mine, [&](auto put) {
    for (const auto& group : checkpoint_groups)
      if (update.keeps(group.kept)) put(group.name, [&](Range range) { return update.get(exec, group.kept, range); });
  });
  const index_t statistics = parts.model.statistics_table().size();
  const bool speaks = parts.replicas.is_root() && (parts.rows == nullptr || parts.rows->ranks().is_root());
  const auto running = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), parts.model.running());
  save(parts.whole.statistics_table(), parts.model.statistics_table(),
       speaks ? std::vector<Range>{{0, statistics}} : std::vector<Range>(), [&](auto put) {
         put(checkpoint_statistics, [&](Range range) {
           return std::vector<float>(running.data() + range.offset, running.data() + range.end());
         });
       });
  index_t bytes = 0;
  on_root([&] { bytes = writer->finish(); });
  return bytes;
}

template <class Scalar>
std::pair<index_t, std::vector<double>> load_checkpoint(const std::string& path, const std::string& deck, index_t steps,
                                                        const Resumed<Scalar>& by) {
  const comm::Communicator& world = by.world;
  const Exec& exec = by.context.exec();
  std::optional<io::CheckpointFile> file;
  CheckpointState state;
  world.on_root([&] {
    file.emplace(path);
    state = read_state(*file, {by.train, deck, steps, by.whole.table(), by.whole.statistics_table()});
    if (!state.same_precision && by.update != nullptr)
      state.counters.loss_scale = by.update->counters(exec).loss_scale;  // that of the other says nothing here
    if (!state.differs.empty())
      driver::say_aside(fmt::format("note: {} was made with {}\n", path, fmt::join(state.differs, ", ")));
  });
  world.broadcast(state.done);
  world.broadcast(state.counters);
  if (by.update != nullptr) by.update->set_counters(exec, state.counters);

  const auto load = [&](const char* group, const nn::Parameter& tensor, const nn::Parameter* local) {
    const std::vector<index_t> shape = shape_of(tensor);
    return my_part(world, local, elements(shape), [&] { return file->tensor(group, tensor.name, shape); });
  };
  for (const nn::Parameter& tensor : by.whole.table().parameters()) {
    const nn::Parameter* const local = by.model.table().find(tensor.name);
    for (const auto& group : checkpoint_groups) {
      if (!nn::keeps(by.train.update.optimizer, group.kept)) continue;
      const std::vector<float> values = load(group.name, tensor, local);
      if (local == nullptr) continue;
      const auto there = on_device<Scalar>(exec, values);
      // Of weights that another rank updates there may be a copy here.
      if (const Vector<Scalar> own = by.model.parameters(); group.kept == nn::Kept::weights && own.extent(0) > 0)
        kernels::cast<Scalar, nn::Sum<Scalar>>(exec, there,
                                               Vector<Scalar>(own.data() + local->range.offset, values.size()));
      if (by.update != nullptr) by.update->set(exec, group.kept, local->range, there);
      exec.fence("partita::training::load_checkpoint: the next tensor has a buffer of its own");
    }
  }
  for (const nn::Parameter& tensor : by.whole.statistics_table().parameters()) {
    const nn::Parameter* const local = by.model.statistics_table().find(tensor.name);
    const std::vector<float> values = load(checkpoint_statistics, tensor, local);
    if (local == nullptr) continue;
    Kokkos::deep_copy(exec, Vector<nn::Sum<Scalar>>(by.model.running().data() + local->range.offset, values.size()),
                      Kokkos::View<const float*, Kokkos::HostSpace>(values.data(), values.size()));
    exec.fence("partita::training::load_checkpoint: values are on the device");
  }
  return {state.done, state.losses};
}

template <class Scalar>
void resume(const CheckpointOptions& checkpoints, const std::string& deck, const Resumed<Scalar>& by,
            driver::Workload& work) {
  if (!checkpoints.resume) return;
  try {
    std::tie(work.first_step, work.earlier_losses) = load_checkpoint<Scalar>(*checkpoints.resume, deck, work.steps, by);
  } catch (const UsageError& error) {
    throw UsageError(std::string("--resume: ") + error.what());
  }
  work.attributes["resumed_from"] = *checkpoints.resume;
}

template <class Scalar>
void attach(const CheckpointOptions& checkpoints, const driver::RunOptions& run, const Parts<Scalar>& parts,
            driver::Workload& work) {
  resume<Scalar>(checkpoints, run.origin.deck,
                 {parts.train, parts.context, parts.world, parts.model, parts.whole, parts.update}, work);
  if (!checkpoints.saves()) return;
  work.checkpoint_every = checkpoints.every;
  work.checkpoint = [path = checkpoints.path, deck = run.origin.deck, parts](
                        index_t done, std::span<const double> losses, const driver::Writing& writing) {
    return save_checkpoint<Scalar>(path, deck, done, losses, writing, parts);
  };
}

#define PARTITA_CHECKPOINT(Scalar)                                                                                  \
  template index_t save_checkpoint(const std::string&, const std::string&, index_t, std::span<const double>,        \
                                   const driver::Writing&, const Parts<Scalar>&);                                   \
  template std::pair<index_t, std::vector<double>> load_checkpoint(const std::string&, const std::string&, index_t, \
                                                                   const Resumed<Scalar>&);                         \
  template void resume(const CheckpointOptions&, const std::string&, const Resumed<Scalar>&, driver::Workload&);    \
  template void attach(const CheckpointOptions&, const driver::RunOptions&, const Parts<Scalar>&, driver::Workload&);
PARTITA_CHECKPOINT(float)
PARTITA_CHECKPOINT(bfloat16)
PARTITA_CHECKPOINT(float16)
#undef PARTITA_CHECKPOINT

}  // namespace partita::training
