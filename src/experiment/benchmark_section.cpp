#include "experiment/benchmark_section.h"

#include <algorithm>

#include "core/csv.h"
#include "experiment/folder_name.h"
#include "strata/core/error.h"

namespace strata::experiment {
namespace {

const std::string kSection = "benchmark", kOnly = "backbones";

/// What is laid over the file's own keys, and where it stands.
struct Settings {
  std::string name, path;              ///< path: "benchmark.methods.lora"
  std::vector<std::string> backbones;  ///< of a method: those that it is for
  Json values = Json::object();
};

/// Mappings are merged, everything else is replaced.
void lay_over(Json& base, const Json& settings) {
  for (const auto& [key, value] : settings.items()) {
    if (value.is_object() && base.contains(key) && base[key].is_object())
      lay_over(base[key], value);
    else
      base[key] = value;
  }
}

/// The same, and errors in what was laid over name its line.
void lay_over(Document& document, const Settings& settings) {
  lay_over(document.root, settings.values);
  const std::string prefix = settings.path + ".";
  const auto move = [&](auto& places) {
    auto moved = places;
    for (const auto& [key, place] : places)
      if (key.starts_with(prefix)) moved[key.substr(prefix.size())] = place;
    places = std::move(moved);
  };
  move(document.lines);
  move(document.assigned);
}

void check_name(const ObjectReader& reader, const std::string& name) {
  if (!names_folder(name, "+"))
    reader.fail(name, "the name cannot name a folder (letters, digits, '_', '-', '+' and '.' can)");
}

std::vector<Settings> read_settings(ObjectReader& reader, const std::string& key) {
  static const std::vector<std::string> kSections = {"answering", "data", "model",
                                                     "run",       "task", "units"};
  ObjectReader all = reader.object(key, true);
  std::vector<Settings> list;
  for (const std::string& name : all.keys()) {
    check_name(all, name);
    Settings settings{name, kSection + "." + key + "." + name, {}};
    ObjectReader one = all.object(name);
    if (key == "methods") settings.backbones = one.texts(kOnly, std::vector<std::string>());
    for (const std::string& section : kSections)
      if (one.has(section)) settings.values[section] = one.raw(section);
    one.finish();
    list.push_back(std::move(settings));
  }
  if (list.empty()) reader.fail(key, "at least one was expected, found none");
  return list;
}

std::vector<double> read_fractions(ObjectReader& reader) {
  const Json& list = reader.raw("fractions");
  if (list.is_null()) return {};
  if (!list.is_array() || list.empty())
    reader.fail("fractions", "a list of shares was expected, e.g. [1, 0.1, 0.01]");
  std::vector<double> fractions;
  for (const Json& share : list) {
    const bool is_share = share.is_number() && share.get<double>() > 0 && share.get<double>() <= 1;
    if (!is_share)
      reader.fail("fractions", "a number above 0, at most 1 was expected, found " + excerpt(share));
    if (std::count(fractions.begin(), fractions.end(), share.get<double>()) > 0)
      reader.fail("fractions", "the share " + share.dump() + " stands twice");
    fractions.push_back(share.get<double>());
  }
  return fractions;
}

ExperimentConfig read_one(Document document, const Settings& backbone, const Settings& method,
                          const std::optional<double>& fraction, const std::string& score,
                          const ToolNames& names) {
  lay_over(document, backbone);
  lay_over(document, method);
  if (fraction) document.root["data"]["fraction"] = *fraction;
  ExperimentConfig config = with_context(method.name + " of " + backbone.name, [&] {
    return read_experiment(std::move(document), names);
  });
  config.name += ": " + method.name + " of " + backbone.name;
  const std::string where = config.file + ": " + method.path;
  if (!config.run) throw InputError(config.file + ": run: the key is missing");
  if (config.run->strategies.size() != 1)
    throw InputError(where + ": a method is run with one strategy, found " +
                     std::to_string(config.run->strategies.size()) + " in run.strategies");
  if (config.run->local.chosen_by.empty()) config.run->local.chosen_by = score;
  return config;
}

}  // namespace

BenchmarkConfig read_benchmark_file(const std::filesystem::path& file,
                                    const std::vector<std::string>& set, const ToolNames& names) {
  Document document = load_yaml(file);
  for (const auto& assignment : set) set_value(document, assignment);
  ObjectReader root(document);
  BenchmarkConfig benchmark{document.file, root.text("name"), "", {}, {}, {}, {}};
  ObjectReader section = root.object(kSection, true);
  benchmark.score = section.text("score", "");
  benchmark.fractions = read_fractions(section);
  const auto backbones = read_settings(section, "backbones");
  const auto methods = read_settings(section, "methods");
  for (const Settings& backbone : backbones) benchmark.backbones.push_back(backbone.name);
  for (const Settings& method : methods) {
    benchmark.methods.push_back(method.name);
    for (const std::string& name : method.backbones)
      require_name(section.where("methods." + method.name + "." + kOnly), name,
                   benchmark.backbones);
  }
  section.finish();

  const Document base = document;
  std::vector<std::optional<double>> fractions(benchmark.fractions.begin(),
                                               benchmark.fractions.end());
  if (fractions.empty()) fractions.push_back({});
  for (const Settings& backbone : backbones) {
    for (const Settings& method : methods) {
      const auto& only = method.backbones;
      if (!only.empty() && std::count(only.begin(), only.end(), backbone.name) == 0) continue;
      for (const auto& fraction : fractions) {
        BenchmarkExperiment one{backbone.name,
                                method.name,
                                1,
                                {},
                                read_one(base, backbone, method, fraction, benchmark.score, names)};
        one.fraction = one.config.data.partition.fraction;
        one.folder = std::filesystem::path("cells") / backbone.name / method.name /
                     format_double(one.fraction);
        benchmark.experiments.push_back(std::move(one));
      }
    }
  }
  if (benchmark.fractions.empty()) benchmark.fractions = {benchmark.experiments.front().fraction};
  return benchmark;
}

}  // namespace strata::experiment
