#include "fedrunner/publish.h"

#include <utility>

#include "core/console.h"
#include "fedrunner/foundation.h"
#include "fedrunner/run_folder.h"
#include "models/tokenizer_files.h"
#include "models/torch.h"
#include "peft/files.h"
#include "strata/core/atomic_file.h"
#include "strata/fedrunner/round_folder.h"

namespace strata::fedrunner {
namespace {

Json this_process() {
  Json provenance = provenance_json();
  provenance["threads"] = at::get_num_threads();
  return provenance;
}

Json costs_json(const std::vector<Unit>& units) {
  Json costs = Json::array();
  for (const auto& unit : units) {
    costs.push_back({{"name", unit.name},
                     {"parameters", unit.parameter_count},
                     {"bytes", unit.bytes},
                     {"forward_flops", unit.forward_flops},
                     {"activation_bytes", unit.activation_bytes}});
  }
  return costs;
}

}  // namespace

Publisher::Publisher(const FederatedTask& task, const PlannedRun& run, const RunUnits& units,
                     std::vector<std::int64_t> budgets)
    : task_(task),
      run_(run),
      units_(units),
      budgets_(std::move(budgets)),
      provenance_(this_process()) {}

void Publisher::describe_model(const models::Blueprint& blueprint) const {
  const auto folder = run_.folder / "model";
  write_file(folder / "config.json", blueprint.architecture().config().dump(2) + "\n");
  peft::save_configs(blueprint, folder);
}

void Publisher::write_client_files(const Plan& plan, int round, const ClientFiles& files) const {
  if (!files) return;
  for (const auto& [path, content] :
       files(plan, round_folder(run_.folder, round), run_.folder / "model" / peft::kPeftConfigFile))
    write_file(path, content);
}

void Publisher::keep_provenance() {
  const auto file = run_.folder / "run.json";
  if (!std::filesystem::exists(file)) return;
  const Document document = load_json(file);
  ObjectReader reader(document);
  const Json& first = reader.raw("provenance");
  if (!first.is_object()) return;
  const auto text = [](const Json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
  };
  const std::vector<std::pair<std::string, std::string>> kinds = {
      {"commit", "commit"}, {"machine", "machine"}, {"threads", "number of threads"}};
  for (const auto& [key, name] : kinds) {
    const std::string now = text(provenance_.at(key));
    const std::string before = first.contains(key) ? text(first.at(key)) : now;
    if (before != now)
      log_warning("the run began with another " + name + " (" + before + "; now " + now + ")");
  }
  provenance_ = first;
}

void Publisher::publish(const models::Model& model, int rounds_done, bool done) {
  const SaveModel save = task_.run.save;
  if (save == SaveModel::kEvery || (done && save == SaveModel::kEnd)) {
    save_foundation(model, task_.several_labels, run_.folder / "model");
    // The same in every round, and each file waits for the disk.
    if (!tokenizer_saved_) {
      models::save_tokenizer(task_.tokenizer, model.architecture(), run_.folder / "model");
      if (!task_.language_folder.empty())
        models::copy_language(task_.language_folder, run_.folder / "model");
    }
    tokenizer_saved_ = true;
  }
  write_run_json(rounds_done, done);
}

void Publisher::write_run_json(int rounds_done, bool done) const {
  const auto clients = task_.clients;
  Json budgets = Json::object();
  for (std::size_t i = 0; i < clients.size(); ++i) budgets[clients[i]] = budgets_[i];
  Json root{{"version", 1},
            {"name", task_.name},
            {"strategy", run_.strategy.name},
            {"seed", run_.seed},
            {"metric", run_.strategy.metric},
            {"algorithm", run_.strategy.algorithm},
            {"budget", budgets},
            {"clients", clients},
            {"units", {{"selectable", units_.selectable}, {"always", units_.always}}},
            {"unit_costs", costs_json(units_.all)},
            {"foundation", task_.foundation_fingerprint},
            {"synthetic", task_.synthetic},
            {"status", done ? kDone : kRunning},
            {"rounds_done", rounds_done},
            {"provenance", provenance_}};
  if (!task_.run.budget.counts_units()) root["budget_of"] = task_.run.budget.of;
  if (task_.planned_ranks > 1 && !run_.strategy.own && task_.run.budget.counts_units())
    root["budget_of"] = kOfRanks;
  write_file(run_.folder / "run.json", root.dump(1) + "\n");
}

}  // namespace strata::fedrunner
