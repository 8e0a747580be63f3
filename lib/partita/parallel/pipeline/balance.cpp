#include <partita/core/partition.hpp>
#include <partita/parallel/pipeline/balance.hpp>
namespace partita::parallel {
std::vector<index_t> equal_stages(index_t layers, int stages) {
  std::vector<index_t> n;
  for (int s = 0; s < stages; ++s) n.push_back(partition(layers, stages, s).extent);
  return n;
}
std::vector<index_t> balance_stages(std::span<const double> cost, int stages) {
  return equal_stages(std::ssize(cost), stages);
}
}  // namespace partita::parallel
