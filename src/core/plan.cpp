#include "strata/core/plan.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <limits>

#include "core/csv.h"
#include "core/document.h"
#include "core/infinity.h"
#include "core/name_index.h"
#include "core/plan.h"
#include "core/resources.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata {
namespace {

/// Of every AlgorithmKind and CertificateKind, in their order.
const std::vector<std::string> kKinds = {"", "exact", "price", "search", "baseline"};
const std::vector<std::string> kCertificates = {"exact", "prices", "branches"};

/// The place among `names` of the text under a key, 0 where the key is missing.
template <typename Enumeration>
Enumeration read_enumeration(ObjectReader& reader, const std::string& key,
                             const std::vector<std::string>& names) {
  std::vector<std::string> allowed;
  std::copy_if(names.begin(), names.end(), std::back_inserter(allowed),
               [](const std::string& name) { return !name.empty(); });
  const std::string found = reader.choice(key, allowed, names.front());
  return static_cast<Enumeration>(std::find(names.begin(), names.end(), found) - names.begin());
}

Objectives read_objectives(ObjectReader reader) {
  Objectives out;
  out.importance = reader.number("importance", 0, kInfinity);
  out.usage_variance = reader.number("usage_variance", 0, kInfinity);
  out.uplink_bytes = reader.number("uplink_bytes", 0, kInfinity, 0.0);
  out.slowest_seconds = reader.number("slowest_seconds", 0, kInfinity, 0.0);
  reader.finish();
  return out;
}

Json budget_json(const Plan& plan) {
  Json::object_t clients;
  clients.reserve(plan.clients.size());
  for (std::size_t i = 0; i < plan.clients.size(); ++i)
    clients.emplace_back(plan.clients[i],
                         Json{{"used", plan.used[i]}, {"budget", plan.budgets[i]}});
  return {{"of", plan.counted}, {"clients", std::move(clients)}};
}

/// A list of units, or the rank of each.
void read_client(ObjectReader& clients, Eigen::Index client, const NameIndex& units, Plan& plan) {
  const std::string& name = plan.clients[static_cast<std::size_t>(client)];
  const auto set = [&](const std::string& unit, int rank) {
    const auto found = units.find(unit);
    if (!found)
      clients.fail(name, "the plan has no unit \"" + unit + "\"" + did_you_mean(unit, plan.units));
    auto& cell = plan.assignment(client, static_cast<Eigen::Index>(*found));
    if (cell) clients.fail(name, "the unit \"" + unit + "\" stands twice");
    cell = static_cast<std::uint8_t>(rank);
  };
  if (!plan.has_ranks()) {
    for (const auto& unit : clients.texts(name)) set(unit, 1);
    return;
  }
  ObjectReader ranks = clients.object(name, true);
  for (const auto& unit : ranks.keys())
    set(unit, static_cast<int>(ranks.integer(unit, 1, plan.ranks)));
  ranks.finish();
}

void read_budget(ObjectReader reader, Plan& plan) {
  std::vector<std::string> of = plan.has_ranks() ? resource_names() : budget_kinds();
  if (plan.has_ranks()) of.emplace_back(kOfRanks);
  plan.counted = reader.choice("of", of);
  ObjectReader clients = reader.object("clients", true);
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  for (const auto& client : plan.clients) {
    ObjectReader budget = clients.object(client, true);
    plan.used.push_back(budget.integer("used", 0, kMost));
    plan.budgets.push_back(budget.integer("budget", 0, kMost));
    budget.finish();
  }
  clients.finish();
  reader.finish();
}

Fact read_fact(ObjectReader& provenance, const std::string& key) {
  const Json& value = provenance.raw(key);
  if (value.is_boolean()) return value.get<bool>();
  const bool fits = !value.is_number_unsigned() ||
                    value.get<std::uint64_t>() <= std::numeric_limits<std::int64_t>::max();
  if (value.is_number_integer() && fits) return value.get<std::int64_t>();
  if (value.is_number()) return value.get<double>();
  return provenance.text(key);
}

}  // namespace

const std::string& kind_name(AlgorithmKind kind) {
  return kKinds[static_cast<std::size_t>(kind)];
}

const std::string& certificate_name(CertificateKind kind) {
  return kCertificates[static_cast<std::size_t>(kind)];
}

Json objectives_json(const Objectives& objectives) {
  Json json{{"importance", to_fifteen_digits(objectives.importance)},
            {"usage_variance", to_fifteen_digits(objectives.usage_variance)}};
  if (objectives.uplink_bytes > 0) json["uplink_bytes"] = objectives.uplink_bytes;
  if (objectives.slowest_seconds > 0)
    json["slowest_seconds"] = to_fifteen_digits(objectives.slowest_seconds);
  return json;
}

double to_fifteen_digits(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.14e", value);
  double rounded = value;
  parse_double(text, rounded);
  return rounded;
}

Json ranks_json(const Plan& plan, const Assignment& assignment, std::size_t client) {
  Json::object_t ranks;
  each_unit(plan, assignment, client,
            [&](const std::string& unit, int rank) { ranks.emplace_back(unit, rank); });
  return ranks;
}

std::vector<std::string> Plan::units_of(int client) const {
  std::vector<std::string> out;
  each_unit(*this, assignment, static_cast<std::size_t>(client),
            [&](const std::string& unit, int) { out.push_back(unit); });
  return out;
}

void Plan::count_budgets(const PlanningProblem& problem) {
  counted = problem.resource;
  if (problem.counts_units()) counted = problem.has_ranks() ? kOfRanks : kOfUnits;
  used = spent(problem, assignment);
  if (problem.counts_units())
    budgets.assign(problem.budgets.begin(), problem.budgets.end());
  else
    budgets = problem.capacities;
}

void write_plan(const Plan& plan, const std::filesystem::path& path) {
  write_file(path, plan_json(plan));
}

std::string plan_json(const Plan& plan) {
  Json root{{"version", 2}, {"algorithm", plan.algorithm}};
  if (plan.kind != AlgorithmKind::kUnknown) root["kind"] = kind_name(plan.kind);
  root["choose"] = plan.choose;
  root["seed"] = plan.seed;
  root["evaluations"] = plan.evaluations;
  root["units"] = plan.units;
  if (plan.has_ranks()) root["ranks"] = plan.ranks;
  if (!plan.always.empty()) root["always"] = plan.always;
  // Json's own way looks for every key among all earlier ones.
  Json::object_t clients;
  clients.reserve(plan.clients.size());
  for (std::size_t i = 0; i < plan.clients.size(); ++i) {
    Json units = plan.has_ranks() ? ranks_json(plan, plan.assignment, i)
                                  : Json(plan.units_of(static_cast<int>(i)));
    clients.emplace_back(plan.clients[i], std::move(units));
  }
  root["clients"] = std::move(clients);
  if (!plan.counted.empty()) root["budget"] = budget_json(plan);
  root["objectives"] = objectives_json(plan.objectives);
  if (plan.row > 0) root["row"] = plan.row;
  root["front"] = Json::array();
  for (const auto& point : plan.front) root["front"].push_back(objectives_json(point));
  if (plan.gap.known)
    root["gap"] = {{"certificate", certificate_name(plan.gap.certificate)},
                   {"importance", plan.gap.importance},
                   {"relative", plan.gap.relative},
                   {"hypervolume_ratio", plan.gap.hypervolume_ratio}};
  root["scores_digest"] = plan.scores_digest;
  Json provenance = Json::object();
  for (const auto& [key, fact] : plan.provenance)
    std::visit([&, &name = key](const auto& value) { provenance[name] = value; }, fact);
  root["provenance"] = std::move(provenance);
  return root.dump(1) + '\n';
}

Plan read_plan(const std::filesystem::path& path) {
  const Document document = load_json(path);
  ObjectReader reader(document);
  Plan plan;
  reader.integer("version", 1, 2);
  plan.algorithm = reader.text("algorithm");
  plan.kind = read_enumeration<AlgorithmKind>(reader, "kind", kKinds);
  plan.choose = reader.text("choose", "");
  plan.seed = reader.seed("seed");
  plan.evaluations = reader.integer("evaluations", 0, std::numeric_limits<std::int64_t>::max(), 0);
  plan.units = reader.texts("units");
  plan.ranks = static_cast<int>(reader.integer("ranks", 2, kLargestRank, 1));
  plan.always = reader.texts("always", std::vector<std::string>{});
  ObjectReader clients = reader.object("clients", true);
  plan.clients = clients.keys();
  plan.assignment = Assignment::Zero(static_cast<Eigen::Index>(plan.clients.size()),
                                     static_cast<Eigen::Index>(plan.units.size()));
  const NameIndex units(plan.units);
  for (std::size_t i = 0; i < plan.clients.size(); ++i)
    read_client(clients, static_cast<Eigen::Index>(i), units, plan);
  plan.objectives = read_objectives(reader.object("objectives", true));
  if (reader.has("budget")) read_budget(reader.object("budget"), plan);
  for (auto& point : reader.objects("front")) plan.front.push_back(read_objectives(point));
  plan.row = static_cast<std::size_t>(reader.integer(
      "row", 1, static_cast<std::int64_t>(std::max<std::size_t>(1, plan.front.size())), 0));
  if (reader.has("gap")) {
    ObjectReader gap = reader.object("gap");
    plan.gap.known = true;
    plan.gap.certificate = read_enumeration<CertificateKind>(gap, "certificate", kCertificates);
    plan.gap.importance = gap.number("importance", -kInfinity, kInfinity);
    plan.gap.relative = gap.number("relative", -kInfinity, kInfinity);
    plan.gap.hypervolume_ratio = gap.number("hypervolume_ratio", 0, kInfinity);
    gap.finish();
  }
  plan.scores_digest = reader.text("scores_digest", "");
  ObjectReader provenance = reader.object("provenance");
  for (const auto& key : provenance.keys())
    plan.provenance.emplace_back(key, read_fact(provenance, key));
  reader.finish();
  return plan;
}

void write_front_csv(const std::vector<Objectives>& front, const std::filesystem::path& path) {
  write_file(path, front_csv(front));
}

std::string front_csv(const std::vector<Objectives>& front) {
  const auto any = [&](double Objectives::*objective) {
    return std::any_of(front.begin(), front.end(),
                       [&](const Objectives& point) { return point.*objective > 0; });
  };
  const bool bytes = any(&Objectives::uplink_bytes), seconds = any(&Objectives::slowest_seconds);
  std::string out = "importance,usage_variance";
  out += std::string(bytes ? ",uplink_bytes" : "") + (seconds ? ",slowest_seconds" : "") + "\n";
  const auto add = [&](double value) {
    if (out.back() != '\n') out += ',';
    out += format_double(to_fifteen_digits(value));
  };
  for (const auto& point : front) {
    add(point.importance);
    add(point.usage_variance);
    if (bytes) add(point.uplink_bytes);
    if (seconds) add(point.slowest_seconds);
    out += '\n';
  }
  return out;
}

}  // namespace strata
