#include "strata/ntk/score.h"

#include <fnmatch.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <limits>
#include <set>

#include "cli/command_line.h"
#include "cli/data_options.h"
#include "cli/output_files.h"
#include "cli/system_seed.h"
#include "core/console.h"
#include "core/csv.h"
#include "core/document.h"
#include "data/manifest.h"
#include "data/partition.h"
#include "experiment/experiment.h"
#include "models/device.h"
#include "models/model.h"
#include "models/stage_inputs.h"
#include "models/tokenizer_files.h"
#include "peft/files.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "strata/core/score_table.h"
#include "strata/core/unit_choice.h"
#include "strata/ntk/metric_table.h"
#include "strata/ntk/private_scores.h"
#include "tasks/dataset.h"
#include "tasks/task.h"

namespace strata::cli {
namespace {

constexpr double kMebibyte = 1 << 20;

experiment::ExperimentData load(const ScoreArguments& arguments) {
  if (!arguments.config.empty()) {
    return experiment::load_experiment_data(std::filesystem::path(arguments.config));
  }
  const DataOptions& data = arguments.data;
  if (data.folder.empty()) throw InputError("score: --data or --config is needed");
  return experiment::load_experiment_data(data_config(data), data.task);
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

models::Model load_model(const ScoreArguments& arguments) {
  models::Model model = peft::load_model(arguments.model, models::parse_device(arguments.device));
  peft::add_methods(model, peft::parse_methods(arguments.peft, "--peft"), arguments.seed);
  peft::set_units(model, arguments.scheme, models::Buffers::kFrozen);
  models::set_spill(model, arguments.spill);
  return model;
}

/// The units asked for, without the weights that are frozen; these, too.
std::vector<Unit> trainable_units(const models::Model& model, const ScoreArguments& arguments,
                                  std::set<std::string>& frozen) {
  std::vector<std::string> names;
  for (const Unit& unit : model.units()) names.push_back(unit.name);
  std::vector<Unit> units;
  const std::vector<std::string> asked =
      arguments.units.empty() ? std::vector<std::string>{"*"} : arguments.units;
  for (const std::size_t unit : matching_units(asked, names, "--unit", "the model"))
    units.push_back(model.units()[unit]);
  for (const std::string& pattern : arguments.freeze) {
    const auto matches = [&](const std::string& weight) {
      return fnmatch(pattern.c_str(), weight.c_str(), 0) == 0;
    };
    const bool known = std::any_of(model.weights().begin(), model.weights().end(),
                                   [&](const auto& entry) { return matches(entry.first); });
    if (!known) {
      std::vector<std::string> weights;
      for (const auto& entry : model.weights()) weights.push_back(entry.first);
      throw InputError("--freeze: no weight is called \"" + pattern + "\"" +
                       did_you_mean(pattern, weights));
    }
    for (const auto& [name, weight] : model.weights()) {
      if (matches(name)) frozen.insert(name);
    }
    for (Unit& unit : units) {
      unit.parameters.erase(std::remove_if(unit.parameters.begin(), unit.parameters.end(), matches),
                            unit.parameters.end());
    }
  }
  for (const Unit& unit : units) {
    if (unit.parameters.empty()) {
      throw InputError("unit \"" + unit.name +
                       "\" has no trainable parameter: --freeze leaves none");
    }
  }
  return units;
}

std::vector<std::int64_t> chosen_outputs(const models::Model& model,
                                         const ScoreArguments& arguments) {
  const std::vector<std::string>& labels = model.architecture().labels();
  if (model.architecture().answers_in_words() &&
      (arguments.random_outputs > 0 || !arguments.outputs.empty()))
    throw InputError(std::string(arguments.outputs.empty() ? "--random-outputs" : "--output") +
                     ": a model of the type \"" + model.architecture().type() +
                     "\" answers in words and has no labels; --answers names answers");
  if (!model.architecture().answers_in_words() && !arguments.answers.empty())
    throw InputError("--answers: a model of the type \"" + model.architecture().type() +
                     "\" chooses among labels, of which --output names some");
  std::vector<std::int64_t> outputs;
  // Of which those of a model that segments are directions in place of outputs.
  const bool segments = model.architecture().segments();
  const auto count = static_cast<int>(labels.size());
  if (arguments.random_outputs > count && !segments) {
    throw InputError("--random-outputs: found " + std::to_string(arguments.random_outputs) +
                     ", but the model has " + std::to_string(count) + " answers");
  }
  if (arguments.random_outputs > 0 && !segments) {
    Random random(derive_seed(arguments.seed, "outputs"));
    for (const int k : random.sample(count, arguments.random_outputs)) outputs.push_back(k);
    std::sort(outputs.begin(), outputs.end());
  } else if (!arguments.outputs.empty()) {
    // Two outputs may have one label, as ImageNet's two kinds of crane do.
    const auto names = chosen("--output", labels, arguments.outputs);
    for (std::size_t k = 0; k < labels.size(); ++k) {
      if (std::find(names.begin(), names.end(), labels[k]) != names.end())
        outputs.push_back(static_cast<std::int64_t>(k) + (segments ? 1 : 0));  // 0: background
    }
  }
  return outputs;
}

void check(const ScoreArguments& arguments) {
  const bool files = !arguments.out.empty() || !arguments.table.empty();
  if (!files && !arguments.dry_run) throw InputError("score: --out or --table is needed");
  refuse_same_files({}, {{"--out", arguments.out}, {"--table", arguments.table}});
  // Scoring takes minutes.
  for (const auto& file : {arguments.out, arguments.table}) check_writable(file);
  if (arguments.metrics.size() > 1 && arguments.table.empty()) {
    throw InputError("--metric: several metrics need --table FILE.csv");
  }
  if (arguments.memory < 1 || arguments.memory > std::numeric_limits<std::int64_t>::max()) {
    throw InputError("--memory: a number of bytes above 0 was expected, e.g. 4GiB");
  }
  if (arguments.private_epsilon > 0 && !arguments.table.empty()) {
    throw InputError("--private-epsilon: --table would hold the scores without noise");
  }
  if (arguments.release > arguments.releases) {
    throw InputError("--release: found " + std::to_string(arguments.release) +
                     ", but there are only " + std::to_string(arguments.releases) +
                     " (--releases)");
  }
}

/// With the model's default for "auto".
std::vector<std::string> settled_metrics(const ScoreArguments& arguments,
                                         const models::Model& model) {
  std::vector<std::string> metrics;
  for (const std::string& metric : arguments.metrics) {
    metrics.push_back(ntk::settled_metric(model, metric));
    if (std::count(metrics.begin(), metrics.end(), metrics.back()) > 1)
      throw InputError("--metric: \"" + metrics.back() + "\" stands twice");
  }
  return metrics;
}

/// All that scoring takes.
struct Scoring {
  models::Model model;
  data::WordPiece tokenizer;
  std::shared_ptr<const data::Tokenizer> language;  ///< of a model that speaks
  experiment::ExperimentData data;  ///< its partition has the clients asked for alone
  std::vector<Unit> units;
  std::vector<std::string> metrics;
  ntk::ScoreOptions options;  ///< of all metrics and clients
};

std::vector<std::string> names_of(const std::vector<data::ClientExamples>& clients) {
  std::vector<std::string> names;
  for (const data::ClientExamples& client : clients) names.push_back(client.name);
  return names;
}

Scoring prepare(const ScoreArguments& arguments) {
  const models::CoreShares shares =
      models::choose_shares(peft::read_blueprint(arguments.model), arguments.samples, 1,
                            models::parse_device(arguments.device), arguments.threads, 0);
  models::prepare_torch(shares.threads);
  models::Model model = load_model(arguments);
  auto tokenizer = models::load_tokenizer(model.architecture(), arguments.model);
  auto language = models::load_language(model.architecture(), arguments.model);
  Scoring scoring{
      std::move(model), std::move(tokenizer), std::move(language), load(arguments), {}, {}, {}};
  scoring.metrics = settled_metrics(arguments, scoring.model);
  ntk::ScoreOptions& options = scoring.options;
  scoring.units = trainable_units(scoring.model, arguments, options.frozen);
  options.samples = arguments.samples;
  options.seed = arguments.seed;
  // Only the kernels' products are apart, so they do not keep cores from the rest.
  if (arguments.threads == 0) options.parallel = std::max(1, models::core_count() / shares.threads);
  options.outputs = chosen_outputs(scoring.model, arguments);
  options.answers = arguments.answers;
  options.top_answers = arguments.top_answers;
  if (scoring.model.architecture().segments()) options.random_outputs = arguments.random_outputs;
  options.top = arguments.top;
  options.memory_bytes = static_cast<std::int64_t>(arguments.memory);

  std::vector<data::ClientExamples>& clients = scoring.data.partition.clients;
  const auto names = chosen("--client", names_of(clients), arguments.clients);
  std::erase_if(clients, [&](const data::ClientExamples& client) {
    return std::find(names.begin(), names.end(), client.name) == names.end();
  });
  return scoring;
}

/// What a client scores on.
std::unique_ptr<tasks::Dataset> training_examples(const Scoring& scoring,
                                                  const data::ClientExamples& client) {
  const experiment::ExperimentData& data = scoring.data;
  const models::Blueprint& blueprint = scoring.model.blueprint();
  // Only the samples' images are decoded, when they are asked for; a cache is filled once for all.
  const std::string& cache = data.config.cache;
  const auto images =
      std::make_shared<data::ImageStore>(data.manifest, blueprint.image_processor(), cache);
  auto examples = data.task->encode(
      client.train, {data.manifest, blueprint, scoring.tokenizer, data.config.drop_unseen, images,
                     scoring.language, data.config.prompt});
  tasks::log_unseen({{client.name, examples.get()}}, "training examples are left out");
  if (!cache.empty()) images->load();
  return examples;
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

/// What was found, with the certificates of eigenvalues.
struct Result {
  ScoreTable table;  ///< of the first metric
  ntk::MetricTable metrics;
  std::vector<std::vector<ntk::UnitScore>> first;  ///< the first metric's, by client
};

void print_json(const Result& result, const ScoreTable& published, bool with_certificates) {
  Json out = {{"version", 1},
              {"metric", published.metric},
              {"samples", published.samples},
              {"units", published.units}};
  double largest = 0;
  for (const auto& client : result.first) {
    for (const ntk::UnitScore& score : client) largest = std::max(largest, score.residual);
  }
  if (with_certificates) out["largest_residual"] = largest;
  out["clients"] = Json::object();
  for (int client = 0; client < published.client_count(); ++client) {
    const Eigen::VectorXd row = published.scores.row(client);
    out["clients"][published.clients[client]] = std::vector<double>(row.begin(), row.end());
  }
  if (with_certificates) {
    Json certificates = Json::object();
    for (std::size_t client = 0; client < result.first.size(); ++client) {
      Json units = Json::object();
      for (std::size_t unit = 0; unit < result.first[client].size(); ++unit) {
        const ntk::UnitScore& score = result.first[client][unit];
        units[published.units[unit]] = {{"eigenvalues", score.eigenvalues},
                                        {"residual", score.residual},
                                        {"second_start", score.second_start},
                                        {"status", score.status}};
      }
      certificates[published.clients[client]] = units;
    }
    out["certificates"] = certificates;
  }
  if (result.metrics.metrics.size() > 1) {
    Json pairs = Json::array();
    for (const ntk::RankAgreement& pair : ntk::rank_agreement(result.metrics)) {
      pairs.push_back({{"first", pair.first},
                       {"second", pair.second},
                       {"mean", pair.mean},
                       {"least", pair.least},
                       {"greatest", pair.greatest},
                       {"constant", pair.constant}});
    }
    out["rank_agreement"] = pairs;
  }
  std::cout << printable_json(out.dump()) << '\n';
}

void warn_of(const std::string& client, const std::string& metric, const std::string& unit,
             const ntk::UnitScore& score) {
  if (score.ok()) return;
  log_warning("client " + client + ", unit " + unit + ": the " + metric + " is " + score.status +
              " (residual " + format_double(score.residual) + ")");
}

ScoreTable privatised(const ScoreTable& table, const ScoreArguments& arguments) {
  ntk::PrivacyOptions options;
  options.epsilon = arguments.private_epsilon;
  options.delta = arguments.private_delta;
  if (arguments.private_clip > 0) options.clip = arguments.private_clip;
  options.releases = arguments.releases;
  options.release = arguments.release;
  options.seed = arguments.private_seed.value_or(system_seed());
  if (arguments.private_seed) {
    log_warning("--private-seed: whoever knows the seed can undo the noise");
  }
  const ntk::PrivateScores found = ntk::privatise_scores(table, options);
  log_info("private scores: rows clipped to " + format_double(found.clip) +
           ", noise σ = " + format_double(found.sigma) + "; ε = " + format_double(found.epsilon) +
           " and δ = " + format_double(found.delta) + " for " + std::to_string(arguments.releases) +
           (arguments.releases == 1 ? " release" : " releases"));
  for (const std::string& client : found.uniform) {
    log_warning("client " + client + ": the noise left no score above 0; the row is uniform");
  }
  return found.table;
}

int print_estimates(const Scoring& scoring, const ScoreArguments& arguments,
                    const CommonArguments& common) {
  ntk::ScoreOptions options = scoring.options;
  TextTable text({"client", "metric", "seconds", "MiB", "least MiB", "passes through a block"});
  Json list = Json::array();
  for (const data::ClientExamples& client : scoring.data.partition.clients) {
    with_context("client " + client.name, [&] {
      const auto examples = training_examples(scoring, client);
      for (const std::string& metric : scoring.metrics) {
        options.metric = metric;
        const ntk::ScoreEstimate found =
            ntk::estimate_score(scoring.model, *examples, scoring.units, options);
        text.row({client.name, metric, fixed(found.seconds, 2),
                  fixed(static_cast<double>(found.bytes) / kMebibyte, 1),
                  fixed(static_cast<double>(found.least_bytes) / kMebibyte, 1),
                  std::to_string(found.backward_passes)});
        list.push_back({{"client", client.name},
                        {"metric", metric},
                        {"seconds", found.seconds},
                        {"bytes", found.bytes},
                        {"least_bytes", found.least_bytes},
                        {"backward_passes", found.backward_passes}});
      }
    });
  }
  if (common.json) {
    std::cout << printable_json(Json{{"version", 1}, {"estimates", list}}.dump()) << '\n';
  } else if (!common.quiet) {
    std::cout
        << text.str()
        << "An estimate from two samples of each client; memory beyond the model and the samples "
           "(lntk, trace, gradient: and one block's activations).\n";
  }
  return kExitDone;
}

/// The tables of the scoring's clients and units, still without values.
Result empty_result(const Scoring& scoring, const ScoreArguments& arguments) {
  Result result;
  ScoreTable& table = result.table;
  table.metric = scoring.metrics.front();
  table.model_fingerprint = scoring.model.fingerprint();
  table.samples = arguments.samples;
  for (const Unit& unit : scoring.units) {
    table.units.push_back(unit.name);
    table.roles.push_back(unit.role);
  }
  table.clients = names_of(scoring.data.partition.clients);
  table.raw.resize(table.client_count(), table.unit_count());
  result.metrics = {scoring.metrics, table.clients, table.units, {}};
  result.metrics.allocate();
  return result;
}

/// Fills in the client of row `row`; `scores` are by metric and unit.
void take(const std::vector<std::vector<ntk::UnitScore>>& scores, int row, Result& result) {
  for (std::size_t metric = 0; metric < scores.size(); ++metric) {
    for (int unit = 0; unit < result.table.unit_count(); ++unit) {
      const ntk::UnitScore& score = scores[metric][unit];
      warn_of(result.table.clients[row], result.metrics.metrics[metric], result.table.units[unit],
              score);
      result.metrics.at(static_cast<int>(metric), row, unit) = {score.value, score.residual,
                                                                score.status};
      if (metric == 0) result.table.raw(row, unit) = score.value;
    }
  }
  result.first.push_back(scores.front());
}

Result score_clients(const Scoring& scoring, const ScoreArguments& arguments) {
  Result result = empty_result(scoring, arguments);
  ntk::ScoreOptions options = scoring.options;
  constexpr std::int64_t kSteps = 100;
  Progress progress("score", kSteps * result.table.client_count());
  int done = 0;
  for (const data::ClientExamples& client : scoring.data.partition.clients) {
    progress.update(kSteps * done, "client " + client.name);
    options.progress = [&](std::int64_t stage, std::int64_t stages, const std::string& name) {
      progress.update(kSteps * done + kSteps * stage / stages,
                      "client " + client.name + ", " + name);
    };
    const auto scores = with_context("client " + client.name, [&] {
      const auto examples = training_examples(scoring, client);
      return ntk::score_metrics(scoring.model, *examples, scoring.units, scoring.metrics, options);
    });
    take(scores, done, result);
    ++done;
  }
  progress.finish();
  result.table.scores = result.table.raw;
  normalise_rows(result.table.scores);
  return result;
}

}  // namespace

int run_score(const ScoreArguments& arguments, const CommonArguments& common) {
  check(arguments);
  const Scoring scoring = prepare(arguments);
  if (arguments.dry_run) return print_estimates(scoring, arguments, common);
  const Result result = score_clients(scoring, arguments);
  const bool noised = arguments.private_epsilon > 0;
  const ScoreTable published = noised ? privatised(result.table, arguments) : result.table;
  if (!arguments.out.empty()) write_scores(published, arguments.out);
  if (!arguments.table.empty()) ntk::write_metric_table(result.metrics, arguments.table);
  if (common.json) {
    print_json(result, published, !noised);
  } else if (!common.quiet) {
    print_table(published);
    if (arguments.metrics.size() > 1) {
      std::cout << '\n' << ntk::rank_agreement_text(ntk::rank_agreement(result.metrics));
    }
  }
  return kExitDone;
}

}  // namespace strata::cli
