#include "ntk/stage_plan.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "ntk/jacobian.h"

namespace strata::ntk {
namespace {

/// What Lanczos is expected to need: products with blocks, and columns of all of them together.
/// Four to seven and 13 to 17 were seen at initialisation, where the first eigenvalues are close.
constexpr double kExpectedSteps = 6, kExpectedColumns = 15;
/// Multiply-adds in the time of moving one byte from memory: a core's peak over its share of the
/// memory's bandwidth, in round numbers for processors of today.
constexpr double kMultiplyAddsPerByte = 6;
/// kernel_product holds so many images of a block of vectors.
constexpr double kProductImages = 4;

std::vector<Cluster> clusters_of(const StageSizes& stage) {
  const std::vector<OpShape>& shapes = stage.ops;
  std::vector<std::size_t> parent(shapes.size());
  std::iota(parent.begin(), parent.end(), 0);
  const auto root = [&](std::size_t i) {
    while (parent[i] != i) i = parent[i];
    return i;
  };
  std::map<std::string, std::size_t> user;
  std::set<std::string> several;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const std::string output = "output " + std::to_string(shapes[i].output);
    for (const std::string& key :
         {"parameter " + shapes[i].weight, "parameter " + shapes[i].bias, output}) {
      if (key.back() == ' ') continue;
      const auto [at, added] = user.emplace(key, i);
      if (added) continue;
      parent[root(i)] = root(at->second);
      if (key != output) several.insert(key.substr(key.find(' ') + 1));
    }
  }
  std::map<std::size_t, Cluster> by_root;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const OpShape& shape = shapes[i];
    Cluster& cluster = by_root[root(i)];
    // Uses that continue each other's tokens are copied beside each other.
    const bool copied = several.count(shape.weight) > 0;
    if (cluster.outputs.insert(shape.output).second || copied) {
      cluster.column_bytes += stage.samples * stage.outputs * shape.tokens * stage.element_bytes;
    }
    // Uses of one weight, like operations of one output, have the same width.
    cluster.columns = static_cast<std::int64_t>(shape.out);
    cluster.ops.push_back(i);
  }
  std::vector<Cluster> clusters;
  for (auto& [first, cluster] : by_root) clusters.push_back(std::move(cluster));
  return clusters;
}

/// The sizes of every weight over all its uses in a stage.
std::map<std::string, FactorShape> weight_shapes(const StageSizes& stage) {
  std::map<std::string, FactorShape> found;
  for (const OpShape& shape : stage.ops) {
    if (!shape.bias.empty()) {
      found[shape.bias] = {stage.samples, stage.outputs, 1, 0, shape.out, true};
    }
    if (shape.weight.empty()) continue;
    const auto [at, added] = found.emplace(
        shape.weight,
        FactorShape{stage.samples, stage.outputs, 0, shape.in, shape.out, !shape.factored});
    at->second.tokens += shape.factored ? shape.tokens : shape.row_tokens;
  }
  return found;
}

double lanczos_cost(const FactorShape& s, double element) {
  const double contraction =
      kMultiplyAddsPerByte * 2 * element * s.samples * s.outputs * s.tokens * s.out;
  const double products = s.explicit_rows ? 0 : 2 * s.samples * s.tokens * s.in * s.out;
  return kExpectedColumns * products + kExpectedSteps * contraction;
}

/// What decides on the kernels of one stage, and what it has decided.
class Planner {
 public:
  Planner(const StageSizes& stage, const LntkOptions& options)
      : stage_(stage), options_(options), weights_(weight_shapes(stage)) {
    plan_.clusters = clusters_of(stage);
  }

  StagePlan run() {
    if (!share_memory()) return std::move(plan_);  // the caller reports it, with the least bytes
    for (const std::size_t unit : stage_.here) choose_way(unit);
    make_groups();
    return std::move(plan_);
  }

 private:
  double patch_bytes(const OpShape& shape) const {
    return shape.patches ? stage_.samples * shape.tokens * shape.in * stage_.element_bytes : 0;
  }

  /// What is left for δ's beside all else. False where not even one column of them fits.
  bool share_memory() {
    double largest_patches = 0, least_column = 0, widest = 1;
    for (const OpShape& shape : stage_.ops) {
      largest_patches = std::max(largest_patches, patch_bytes(shape));
      widest = std::max(widest, shape.in);
    }
    for (const Cluster& cluster : plan_.clusters)
      least_column = std::max(least_column, cluster.column_bytes);
    fixed_bytes_ = stage_.fixed_bytes + largest_patches;
    const double jacobian_column = stage_.samples * stage_.outputs * widest * stage_.element_bytes;
    plan_.least_bytes = fixed_bytes_ + least_column + jacobian_column;
    const double available = static_cast<double>(options_.memory_bytes) - fixed_bytes_;
    plan_.chunk_bytes =
        std::max(whole_bytes(jacobian_column), std::min({kLargestChunk, whole_bytes(available / 4),
                                                         whole_bytes(available - least_column)}));
    budget_ = available - static_cast<double>(plan_.chunk_bytes);
    return budget_ >= least_column;
  }

  /// Products with a unit's J, or its kernel.
  void choose_way(std::size_t unit) {
    double gram = 0, lanczos = 0;
    std::set<std::string> names;
    for (const std::string& name : stage_.units[unit].parameters) {
      const auto at = weights_.find(name);
      if (at == weights_.end()) continue;
      names.insert(name);
      gram += gram_cost(at->second, cheapest_way(at->second));
      lanczos += lanczos_cost(at->second, stage_.element_bytes);
    }
    const bool wanted = options_.method == NtkMethod::kLanczos ||
                        (options_.method == NtkMethod::kAutomatic && lanczos < gram);
    const bool possible =
        stage_.whole.count(unit) > 0 && stage_.samples * stage_.outputs > 4 * (options_.top + 1);
    const bool chosen = wanted && possible && keep_for_lanczos(names);
    if (chosen) plan_.by_lanczos.insert(unit);
    plan_.kernel_multiply_adds += chosen ? lanczos : gram;
  }

  /// Keeps the δ's of these weights for all of the stage, beside those that are kept already; false
  /// where they do not fit.
  bool keep_for_lanczos(const std::set<std::string>& names) {
    std::set<std::size_t> needed = kept_;
    for (std::size_t c = 0; c < plan_.clusters.size(); ++c) {
      for (const std::size_t op : plan_.clusters[c].ops) {
        if (names.count(stage_.ops[op].weight) || names.count(stage_.ops[op].bias))
          needed.insert(c);
      }
    }
    const double bytes = lanczos_bytes(needed);
    const bool fits = bytes <= budget_;
    if (!fits) return false;
    kept_ = needed;
    kept_bytes_ = bytes;
    return true;
  }

  double lanczos_bytes(const std::set<std::size_t>& clusters) const {
    double largest_image = 0;
    for (const OpShape& shape : stage_.ops) {
      largest_image =
          std::max(largest_image, stage_.samples * shape.tokens * shape.out * stage_.element_bytes);
    }
    double bytes = kProductImages * std::max(5, options_.top + 2) * largest_image;
    for (const std::size_t c : clusters) {
      bytes += plan_.clusters[c].bytes();
      for (const std::size_t op : plan_.clusters[c].ops) bytes += patch_bytes(stage_.ops[op]);
    }
    return bytes;
  }

  /// What Lanczos keeps first, then the other clusters in order, as many at a time as fit, and
  /// those that do not fit by columns.
  void make_groups() {
    Group group;
    for (const std::size_t c : kept_) group.push_back({c, 0, plan_.clusters[c].columns});
    double used = kept_bytes_, most = kept_bytes_;
    const auto close = [&] {
      if (!group.empty()) plan_.groups.push_back(std::move(group));
      group.clear();
      used = 0;
    };
    for (std::size_t c = 0; c < plan_.clusters.size(); ++c) {
      if (kept_.count(c)) continue;
      const Cluster& cluster = plan_.clusters[c];
      if (used + cluster.bytes() > budget_) close();
      if (cluster.bytes() <= budget_) {
        group.push_back({c, 0, cluster.columns});
        used += cluster.bytes();
        most = std::max(most, used);
        continue;
      }
      const auto step = static_cast<std::int64_t>(budget_ / cluster.column_bytes);
      for (std::int64_t begin = 0; begin < cluster.columns; begin += step) {
        group.push_back({c, begin, std::min(step, cluster.columns - begin)});
        close();
      }
      most = std::max(most, static_cast<double>(step) * cluster.column_bytes);
    }
    close();
    plan_.bytes = fixed_bytes_ + static_cast<double>(plan_.chunk_bytes) + most;
  }

  const StageSizes& stage_;
  const LntkOptions& options_;
  const std::map<std::string, FactorShape> weights_;
  StagePlan plan_;
  double fixed_bytes_ = 0, budget_ = 0;  ///< held anyway; for δ's
  std::set<std::size_t> kept_;           ///< clusters, for Lanczos
  double kept_bytes_ = 0;
};

}  // namespace

StagePlan plan_stage(const StageSizes& stage, const LntkOptions& options) {
  return Planner(stage, options).run();
}

}  // namespace strata::ntk
