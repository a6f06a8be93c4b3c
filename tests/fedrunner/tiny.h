#pragma once
// A data set of a few coloured squares, a model of three blocks, and stand-ins for scorer and
// planner.

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "data/image.h"
#include "data/manifest.h"
#include "data/text/wordpiece.h"
#include "models/tokenizer_files.h"
#include "strata/core/random.h"
#include "strata/fedrunner/run.h"
#include "support/answers.h"
#include "support/tiny_model.h"
#include "temp_dir.h"

namespace strata::test {

inline const std::vector<std::string> kColours = {"red", "green", "blue"};

/// Clients ct, mri and oct with 4, 5 and 6 training images and two test images each; every image
/// has an open question (its colour) and a closed one. Labels: blue, green, no, red, yes.
inline data::Manifest write_tiny_data(const std::filesystem::path& folder) {
  data::Manifest manifest;
  manifest.folder = folder;
  manifest.name = "tiny";
  manifest.synthetic = true;
  Random random(7);
  int training = 4;
  for (const std::string& client : {std::string("ct"), std::string("mri"), std::string("oct")}) {
    for (int i = 0; i < training + 2; ++i) {
      const std::size_t colour = static_cast<std::size_t>(i) % 3;
      data::Image image{16, 16, std::vector<std::uint8_t>(16 * 16 * 3)};
      for (std::size_t p = 0; p < image.pixels.size(); ++p) {
        image.pixels[p] =
            static_cast<std::uint8_t>(random.below(60) + (p % 3 == colour ? 180u : 0u));
      }
      const std::string name = client + "-" + std::to_string(i) + ".png";
      data::write_png(image, folder / name);
      const std::string split = i < training ? "train" : "test";
      manifest.examples.push_back(
          {name, "which colour is it?", {kColours[colour]}, split, client, "open", ""});
      manifest.examples.push_back(
          {name, "is it red?", {colour == 0 ? "yes" : "no"}, split, client, "closed", ""});
    }
    ++training;
  }
  data::write_manifest(manifest);
  return manifest;
}

inline data::WordPiece tiny_tokenizer() {
  return data::WordPiece(data::build_vocabulary({"which colour is it?", "is it red?"}));
}

inline ModelShape tiny_config() {
  ModelShape config = small_shape();
  config.vocab_size = static_cast<std::int64_t>(tiny_tokenizer().vocabulary().size());
  return config;
}

inline void write_tiny_foundation(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  peft::save_model(make_model(tiny_config(), 3), folder);
  models::save_tokenizer(tiny_tokenizer(), *tiny_config().architecture(), folder);
}

/// Indices of the examples of one client ("" for all) in one split.
inline std::vector<int> examples_of(const data::Manifest& manifest, const std::string& client,
                                    const std::string& split) {
  std::vector<int> indices;
  for (std::size_t i = 0; i < manifest.examples.size(); ++i) {
    const auto& example = manifest.examples[i];
    if (example.split == split && (client.empty() || example.client == client))
      indices.push_back(static_cast<int>(i));
  }
  return indices;
}

inline bool same_bits(const torch::Tensor& a, const torch::Tensor& b) {
  const auto x = a.detach().contiguous(), y = b.detach().contiguous();
  return x.sizes() == y.sizes() && x.scalar_type() == y.scalar_type() &&
         std::memcmp(x.data_ptr(), y.data_ptr(), x.nbytes()) == 0;
}

/// Scores depend on the model, the client's seed and the unit; every algorithm but `random` takes
/// each client's best units.
inline fedrunner::RunTools tiny_tools() {
  fedrunner::RunTools tools;
  tools.names = {{"lntk", "magnitude"}, {"exact", "topk", "random"}, {"knee", "importance"}};
  tools.names.count_units = {"exact"};
  tools.score = [](const models::Model& model, const tasks::Dataset&,
                   const std::vector<std::string>& units, const fedrunner::ScoreRequest& request) {
    std::vector<double> values;
    Random random(request.seed);
    for (const auto& unit : units) {
      double size = 0;
      for (const auto& weight : model.weights_of(model.unit(unit)))
        size += weight.abs().mean().item<double>();
      values.push_back(size * random.uniform(0.5, 1));
    }
    return values;
  };
  tools.plan = [](const PlanningProblem& problem, const PlanOptions& request) {
    Plan plan;
    plan.algorithm = request.algorithm;
    plan.choose = request.choose;
    plan.seed = request.search.seed;
    plan.clients = problem.clients;
    plan.units = problem.units;
    plan.assignment = Assignment::Zero(problem.client_count(), problem.unit_count());
    Random random(request.search.seed);
    for (int i = 0; i < problem.client_count(); ++i) {
      std::vector<int> order = random.sample(problem.unit_count(), problem.unit_count());
      if (request.algorithm != "random") {
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
          return problem.importance(i, a) > problem.importance(i, b);
        });
      }
      for (int k = 0; k < problem.budgets[static_cast<std::size_t>(i)]; ++k)
        plan.assignment(i, order[static_cast<std::size_t>(k)]) = 1;
    }
    plan.objectives = evaluate(problem, plan.assignment);
    plan.front = {plan.objectives};
    plan.provenance = {{"strata", "test"}, {"command", "strata run --resume"}, {"date", "today"}};
    return plan;
  };
  return tools;
}

/// An experiment file on the data and the foundation in the same folder.
inline std::string tiny_experiment(const TempDir& dir, const std::string& run_lines) {
  return "version: 1\nname: tiny\ndata:\n  folder: " + (dir / "data").string() +
         "\nmodel:\n  folder: " + (dir / "foundation").string() + "\nrun:\n" + run_lines;
}

/// The line of the error that `action` must throw; "" when it throws none.
template <typename Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace strata::test
