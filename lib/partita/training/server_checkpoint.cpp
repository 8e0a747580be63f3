// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/server_checkpoint.hpp>

#include <algorithm>
#include <cmath>

#include <partita/core/error.hpp>
#include <partita/driver/terminal.hpp>

namespace partita::training {

namespace ps = parallel::server;

template <class Scalar>
std::vector<nn::Kept> ServerCheckpoints<Scalar>::kept() const {
  std::vector<nn::Kept> kept;
  for (const nn::Kept what : {nn::Kept::weights, nn::Kept::m, nn::Kept::v})
    if (nn::keeps(parts_.train.update.optimizer, what)) kept.push_back(what);
  return kept;
}

template <class Scalar>
std::vector<nn::Sum<Scalar>> ServerCheckpoints<Scalar>::state(const nn::Update<Scalar>& update, Range keys) const {
  std::vector<Real> state;
  for (const nn::Kept what : kept()) {
    const std::vector<Real> values = update.get(parts_.context.exec(), what, keys);
    state.insert(state.end(), values.begin(), values.end());
  }
  return state;
}

template <class Scalar>
void ServerCheckpoints<Scalar>::tell(ps::ServerRank<Scalar>& server, index_t done) {
  const nn::Update<Scalar>& update = *server.rule().keeper();
  if (parts_.world.is_root()) told_[done].counters = update.counters(parts_.context.exec());
  server.tell_state(done, state(update, server.statistics.keys));
}

template <class Scalar>
bool ServerCheckpoints<Scalar>::told(int server, index_t done, std::span<const Real> piece) {
  Told& of = told_[done];
  of.servers.resize(keys_.size());
  std::vector<Real>& state = of.servers[static_cast<std::size_t>(server)];
  state.insert(state.end(), piece.begin(), piece.end());
  for (std::size_t s = 0; s < keys_.size(); ++s)
    if (std::ssize(of.servers[s]) < keys_[s].extent * std::ssize(kept())) return false;
  const bool finite = std::all_of(of.servers.begin(), of.servers.end(), [](const std::vector<Real>& values) {
    return std::all_of(values.begin(), values.end(), [](Real value) { return std::isfinite(value); });
  });
  if (!finite) told_.erase(done);
  return finite;
}

template <class Scalar>
index_t ServerCheckpoints<Scalar>::write(index_t done, std::span<const double> losses) {
  const Told of = std::move(told_.extract(done).mapped());
  io::CheckpointWriter writer =
      begin_checkpoint(options_.path, parts_.train,
                       {deck_, done, losses.first(static_cast<std::size_t>(done)), of.counters,
                        "parameter server, " + parts_.server.text(), parts_.world.size()});
  const nn::ParameterTable& table = parts_.model.table();
  std::vector<Real> whole(static_cast<std::size_t>(table.size()));
  const std::vector<nn::Kept> all = kept();
  for (std::size_t k = 0; k < all.size(); ++k) {
    for (std::size_t s = 0; s < keys_.size(); ++s)
      std::copy_n(of.servers[s].begin() + static_cast<std::ptrdiff_t>(k) * keys_[s].extent, keys_[s].extent,
                  whole.begin() + keys_[s].offset);
    for (const nn::Parameter& tensor : table.parameters())
      writer.tensor(group_of(all[k]), tensor.name, shape_of(tensor),
                    std::span<const Real>(whole).subspan(static_cast<std::size_t>(tensor.range.offset),
                                                         static_cast<std::size_t>(tensor.range.extent)));
  }
  saved_ = done;
  return writer.finish();
}

template <class Scalar>
void ServerCheckpoints<Scalar>::save_stopped(driver::AfterLoop& loop, const ps::ServerRank<Scalar>* server,
                                             index_t first) {
  if (!options_.saves()) return;
  const comm::Communicator& world = parts_.world;
  const index_t done = world.on_root([&] { return server->machine().version(); });
  if (done == first || world.on_root([&] { return saved_; }) == done) return;
  if (!world.all_of(server == nullptr || server->machine().version() == done)) {
    if (world.is_root())
      driver::say_aside("note: servers were stopped between two updates: there is no checkpoint of the last one\n");
    return;
  }
  std::vector<Real> mine;
  if (server != nullptr) mine = state(*server->rule().keeper(), server->statistics.keys);
  const std::vector<Real> all = world.gather(std::span<const Real>(mine));
  const bool of_use = world.on_root([&] {
    told_[done].counters = server->rule().keeper()->counters(parts_.context.exec());
    std::span<const Real> rest = all;
    bool whole = false;
    for (std::size_t s = 0; s < keys_.size(); ++s) {
      const std::size_t n = static_cast<std::size_t>(keys_[s].extent) * kept().size();
      whole = told(static_cast<int>(s), done, rest.first(n));
      rest = rest.subspan(n);
    }
    return whole;
  });
  if (of_use) loop.checkpoint(done);
}

template class ServerCheckpoints<float>;

void check(const CheckpointOptions& checkpoints, const ServerOptions& server) {
  if (!checkpoints.saves() && !checkpoints.resume) return;
  if (server.engine == Engine::virtual_time)
    refuse<UsageError>("run.engine", "virtual time, of whose messages no checkpoint says where they are",
                       "run.engine = \"mpi\" with checkpoints");
  if (server.protocol.protocol == ps::Protocol::elastic)
    refuse<UsageError>("server.protocol", "elastic, whose workers have weights of their own, which no checkpoint has",
                       "another protocol with checkpoints");
}

}  // namespace partita::training
