// SPDX-License-Identifier: BSD-3-Clause
#include <partita/training/tensor_options.hpp>

#include <fmt/format.h>

#include <partita/parallel/tensor/slices.hpp>
#include <partita/training/mesh_options.hpp>

namespace partita::training {

TensorMesh read_tensor_mesh(config::Deck& deck, comm::Allreduce how, bool deterministic, int ranks) {
  TensorMesh mesh;
  const MeshExtents extents =
      read_mesh_extents(deck, "parallel.tensor", "that hold one replica of the model between them", ranks);
  mesh.replicas = extents.replicas;
  mesh.parts = extents.parts;
  parallel::TensorOptions& options = mesh.options;
  options.how = how;
  options.deterministic = deterministic;
  deck.boolean("parallel.sequence", options.sequence,
               "gpt: norms, residuals and dropout work on a share of the tokens; sums become reduce-scatters");
  deck.boolean("parallel.regather", options.regather,
               "parallel.sequence: gathered inputs of products are not kept, but gathered again in backward");
  deck.integer(
      "parallel.overlap_chunks", options.overlap_chunks, {0, parallel::most_chunks},
      "parts of a product whose sum is under way while the next one is computed; 1 = all at once; 0 = for each "
      "product 1, 2, 4 or 8 as is faster in the first step of warm-up, and 1 where sums are scattered or trees");
  if (options.regather && !options.sequence)
    deck.reject("parallel.regather", "parallel.sequence = false gathers nothing", "false");
  if (options.overlap_chunks > 1 && options.sequence)
    deck.reject("parallel.overlap_chunks", "parallel.sequence = true scatters sums", "0 or 1");
  if (options.overlap_chunks > 1 && deterministic)
    deck.reject("parallel.overlap_chunks", "train.deterministic = true adds up trees", "0 or 1");
  if (options.sequence || deterministic || mesh.parts == 1) options.overlap_chunks = 1;
  return mesh;
}

std::string TensorMesh::text(const parallel::DataParallelOptions& gradients) const {
  std::string words = replicas > 1 ? fmt::format("data {} x ", replicas) : std::string();
  words += fmt::format("tensor {}/{}", parts, comm::to_string(options.how));
  if (options.sequence) words += options.regather ? "/sequence, regathered" : "/sequence";
  if (options.overlap_chunks > 1) words += fmt::format("/{} chunks", options.overlap_chunks);
  if (options.overlap_chunks == 0) words += "/chunks by time";
  if (gradients.bucket_bytes > 0) words += "/buckets";
  return words;
}

void check(const config::Deck& deck, const TensorMesh& mesh, const TrainOptions& train, const ModelOptions& model,
           const DataOptions& data, index_t warmup) {
  if (model.kind == ModelKind::bag) deck.reject("model.kind", "a bag is not split by this app", "\"gpt\" or \"mlp\"");
  if (model.kind == ModelKind::cnn) deck.reject("model.kind", "a CNN is not split by this app", "\"gpt\" or \"mlp\"");
  if (mesh.options.sequence && !model.language()) deck.reject("parallel.sequence", "an MLP has no tokens", "false");
  if (mesh.options.overlap_chunks == 0 && (warmup == 0 || train.steps == 1))
    deck.reject("parallel.overlap_chunks", "there is no step of warm-up to measure in",
                "a number of parts, or run.warmup above 0 and more than one step");
  if (train.deterministic && train.chunks < mesh.parts)
    deck.reject("train.deterministic_chunks",
                fmt::format("sums in {} leaves over {} ranks that hold a model between them", train.chunks, mesh.parts),
                fmt::format("at least {}, or a smaller parallel.tensor", mesh.parts));
  if (!model.language() || mesh.parts == 1) return;
  const auto at_most = [&](const char* key, const char* what, index_t n) {
    if (n < mesh.parts)
      deck.reject(key, fmt::format("{} {} over {} ranks: the last would have nothing to do", n, what, mesh.parts),
                  fmt::format("at least {}, or a smaller parallel.tensor", mesh.parts));
  };
  at_most("model.heads", "heads", model.gpt.H);
  at_most("model.hidden", "hidden columns", model.gpt.hidden());
  at_most("model.vocabulary", "words", data.synthetic.classes);
  if (mesh.options.sequence) at_most("model.tokens", "tokens", data.tokens);
}

}  // namespace partita::training
