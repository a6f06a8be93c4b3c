#include "strata/ntk/score.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <set>

#include "cli/command_line.h"
#include "core/console.h"
#include "core/document.h"
#include "data/manifest.h"
#include "data/partition.h"
#include "fedrunner/run_config.h"
#include "models/device.h"
#include "models/transformer.h"
#include "models/vqa_tensors.h"
#include "strata/core/error.h"
#include "strata/core/score_table.h"

namespace strata {
namespace {

ExperimentData load(const ScoreArguments& arguments) {
  if (!arguments.config.empty()) {
    return load_experiment_data(std::filesystem::path(arguments.config));
  }
  if (arguments.data.empty()) throw InputError("score: --data or --config is needed");
  ExperimentData data;
  data.manifest = load_data(arguments.data);
  data.partition = make_partition(data.manifest, {});
  return data;
}

/// Those of `all` that were asked for (all of them when nothing was), in the order of `all`.
std::vector<std::string> chosen(const std::string& option, const std::vector<std::string>& all,
                                const std::vector<std::string>& asked) {
  if (asked.empty()) return all;
  std::set<std::string> wanted;
  for (const std::string& name : asked) {
    if (std::find(all.begin(), all.end(), name) == all.end()) {
      throw InputError(option + ": there is no \"" + name + "\"" + did_you_mean(name, all) +
                       "; there are " + quoted_list(all));
    }
    if (!wanted.insert(name).second) throw InputError(option + ": \"" + name + "\" stands twice");
  }
  std::vector<std::string> names;
  std::copy_if(all.begin(), all.end(), std::back_inserter(names),
               [&](const std::string& name) { return wanted.count(name) > 0; });
  return names;
}

void print_table(const ScoreTable& table) {
  std::vector<std::string> header = {"client"};
  header.insert(header.end(), table.units.begin(), table.units.end());
  TextTable text(header);
  for (int client = 0; client < table.client_count(); ++client) {
    std::vector<std::string> row = {table.clients[client]};
    for (int unit = 0; unit < table.unit_count(); ++unit) {
      row.push_back(fixed(table.scores(client, unit), 3));
    }
    text.row(row);
  }
  std::cout << text.str();
}

void print_json(const ScoreTable& table, double largest_residual) {
  Json out = {{"version", 1},
              {"metric", table.metric},
              {"samples", table.samples},
              {"units", table.units},
              {"largest_residual", largest_residual}};
  out["clients"] = Json::object();
  for (int client = 0; client < table.client_count(); ++client) {
    const Eigen::VectorXd row = table.scores.row(client);
    out["clients"][table.clients[client]] = std::vector<double>(row.begin(), row.end());
  }
  std::cout << out.dump() << '\n';
}

}  // namespace

int run_score(const ScoreArguments& arguments, const CommonArguments& common) {
  prepare_torch(arguments.threads);
  const torch::Device device = parse_device(arguments.device);
  const Transformer model = Transformer::load(arguments.model, device);
  const WordPiece tokenizer = load_tokenizer(arguments.model);
  const ExperimentData data = load(arguments);

  std::vector<std::string> all_units, all_clients;
  for (const Unit& unit : model.units()) all_units.push_back(unit.name);
  for (const ClientExamples& client : data.partition.clients) all_clients.push_back(client.name);

  ScoreTable table;
  table.metric = arguments.metric;
  table.model_fingerprint = model.fingerprint();
  table.samples = arguments.samples;
  table.units = chosen("--unit", all_units, arguments.units);
  table.clients = chosen("--client", all_clients, arguments.clients);
  table.raw.resize(table.client_count(), table.unit_count());

  ScoreOptions options;
  options.metric = arguments.metric;
  options.samples = arguments.samples;
  options.seed = arguments.seed;
  double largest_residual = 0;
  Progress progress("score", table.client_count());
  int done = 0;
  for (const ClientExamples& client : data.partition.clients) {
    const bool wanted =
        std::find(table.clients.begin(), table.clients.end(), client.name) != table.clients.end();
    if (!wanted) continue;
    progress.update(done, "client " + client.name);
    const VqaTensors examples(data.manifest, client.train, model.config(), tokenizer);
    const std::vector<UnitScore> scores = score_units(model, examples, table.units, options);
    for (int unit = 0; unit < table.unit_count(); ++unit) {
      table.raw(done, unit) = scores[unit].value;
      largest_residual = std::max(largest_residual, scores[unit].residual);
    }
    ++done;
  }
  progress.finish();

  table.scores = table.raw;
  normalise_rows(table.scores);
  write_scores(table, arguments.out);
  if (common.json) {
    print_json(table, largest_residual);
  } else if (!common.quiet) {
    print_table(table);
  }
  return kExitDone;
}

}  // namespace strata
