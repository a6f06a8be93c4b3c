#include "strata/optimizers/choose.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include "core/amount.h"
#include "core/csv.h"
#include "strata/core/error.h"

namespace strata::optimizers {
namespace {

/// Differences below this are rounding.
constexpr double kChoiceRounding = 1e-12;

/// An objective as rules name it, and as messages do.
struct Objective {
  const char* name;
  const char* text;
  double Objectives::*value;
};
const std::vector<Objective>& all_objectives() {
  static const std::vector<Objective> all = {
      {"importance", "importance", &Objectives::importance},
      {"usage_variance", "a usage variance", &Objectives::usage_variance},
      {"uplink_bytes", "an uplink in bytes", &Objectives::uplink_bytes},
      {"slowest_client", "a slowest client's time in seconds", &Objectives::slowest_seconds}};
  return all;
}

/// Their places in all_objectives().
constexpr std::size_t kImportance = 0, kUsageVariance = 1, kUplinkBytes = 2, kSlowestClient = 3;

enum class RuleKind { kKnee, kIdeal, kWeights, kRow, kLimits };

/// What a rule begins with.
struct RuleName {
  const char* name;
  RuleKind kind;
  std::vector<std::string> forms;  ///< as help and messages write it; none of a second name
  std::size_t objective = 0;       ///< of limits
};
const std::vector<RuleName>& rule_names() {
  static const std::vector<RuleName> names = {
      {"knee", RuleKind::kKnee, {"knee"}},
      {"ideal", RuleKind::kIdeal, {"ideal"}},
      {"weights", RuleKind::kWeights, {"weights:W", "weights:NAME=W,…"}},
      {"importance", RuleKind::kLimits, {"importance:X"}, kImportance},
      {"variance", RuleKind::kLimits, {"variance:V"}, kUsageVariance},
      {"usage_variance", RuleKind::kLimits, {}, kUsageVariance},
      {"uplink_bytes", RuleKind::kLimits, {"uplink_bytes:B"}, kUplinkBytes},
      {"slowest_client", RuleKind::kLimits, {"slowest_client:S"}, kSlowestClient},
      {"row", RuleKind::kRow, {"row:N"}}};
  return names;
}

/// nullptr where there is none.
const RuleName* find_rule(const std::string& name) {
  const auto& names = rule_names();
  const auto at = std::find_if(names.begin(), names.end(),
                               [&](const RuleName& each) { return each.name == name; });
  return at == names.end() ? nullptr : &*at;
}

/// An upper limit of an objective; of importance the least, in percent of the greatest.
struct Limit {
  std::string text;
  std::size_t objective = 0;
  double number = 0;
};

struct ParsedRule {
  RuleKind kind;
  std::vector<double> weights;  // by objective, of weights
  std::size_t row = 0;          // from 1
  std::vector<Limit> limits;
};

class Parser {
 public:
  explicit Parser(const std::string& rule) : rule_(rule) {}

  ParsedRule parse() const {
    const auto colon = rule_.find(':');
    const std::string name = rule_.substr(0, colon);
    const std::string rest = colon == std::string::npos ? "" : rule_.substr(colon + 1);
    // What no rule begins with is refused as a limit.
    const RuleName* named = find_rule(name);
    ParsedRule parsed{named ? named->kind : RuleKind::kLimits, {}, 0, {}};
    switch (parsed.kind) {
      case RuleKind::kKnee:
      case RuleKind::kIdeal:
        if (colon != std::string::npos) fail("the rule " + name + " takes no number");
        break;
      case RuleKind::kWeights:
        parsed.weights = weights(rest);
        break;
      case RuleKind::kRow:
        parsed.row = row(rest);
        break;
      case RuleKind::kLimits:
        parsed.limits = limits();
    }
    return parsed;
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw InputError("choose: \"" + rule_ + "\": " + message);
  }
  static std::string found(const std::string& number) {
    return "found " + (number.empty() ? "no number" : "\"" + number + "\"");
  }
  static std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> parts;
    std::istringstream in(text);
    for (std::string part; std::getline(in, part, ',');) parts.push_back(part);
    if (text.empty() || text.back() == ',') parts.emplace_back();
    return parts;
  }
  std::size_t row(const std::string& text) const {
    std::int64_t row = 0;
    if (!parse_integer(text, row) || row < 1)
      fail(found(text) + " after row, allowed is a row of the front from 1, as in row:3");
    return static_cast<std::size_t>(row);
  }
  static std::size_t objective_of(const std::string& name) {
    const auto& all = all_objectives();
    const auto at = std::find_if(all.begin(), all.end(),
                                 [&](const Objective& each) { return each.name == name; });
    return static_cast<std::size_t>(at - all.begin());
  }

  /// `0.3`, or weights by the objectives' names.
  std::vector<double> weights(const std::string& text) const {
    std::vector<double> weights(all_objectives().size(), 0.0);
    if (text.find('=') == std::string::npos) {
      double weight = 0;
      if (!parse_double(text, weight) || !(weight >= 0 && weight <= 1))
        fail(found(text) + " after weights, allowed is a weight of 0 to 1, as in weights:0.5, or " +
             "weights by name, as in weights:importance=0.7,usage_variance=0.3");
      weights[0] = weight;
      weights[1] = 1 - weight;
      return weights;
    }
    std::vector<std::string> names, given;
    for (const Objective& objective : all_objectives()) names.emplace_back(objective.name);
    double sum = 0;
    for (const std::string& part : split(text)) {
      const auto equals = part.find('=');
      const std::string name = part.substr(0, equals);
      const std::string number = equals == std::string::npos ? "" : part.substr(equals + 1);
      const std::size_t objective = objective_of(name);
      if (objective == names.size())
        fail("unknown objective \"" + name + "\"" + did_you_mean(name, names) +
             "; allowed: " + quoted_list(names));
      if (std::find(given.begin(), given.end(), name) != given.end())
        fail(name + " has two weights");
      given.push_back(name);
      double& weight = weights[objective];
      if (!parse_double(number, weight) || !(weight >= 0 && weight <= 1e9))
        fail(found(number) + " after " + name + "=, allowed is a weight of 0 or more");
      sum += weight;
    }
    if (sum == 0) fail("all weights are 0");
    return weights;
  }

  std::vector<Limit> limits() const {
    std::vector<Limit> limits;
    for (const std::string& part : split(rule_)) {
      const auto colon = part.find(':');
      const std::string name = part.substr(0, colon);
      const std::string number = colon == std::string::npos ? "" : part.substr(colon + 1);
      const RuleName* named = find_rule(name);
      if (!named || named->kind != RuleKind::kLimits) unknown(part, name);
      Limit limit{part, named->objective, 0};
      if (!valid(number, limit))
        fail(found(number) + " after " + name + ", allowed is " + allowed(limit.objective));
      for (const Limit& other : limits)
        if (other.objective == limit.objective)
          fail("\"" + other.text + "\" and \"" + part + "\" limit the same objective");
      limits.push_back(limit);
    }
    return limits;
  }
  [[noreturn]] void unknown(const std::string& part, const std::string& name) const {
    if (part != rule_ && find_rule(name))
      fail("\"" + part + "\" cannot be joined with others; limits can, as in " +
           "uplink_bytes:4MB,slowest_client:0.5");
    // The nearest name is sought among the names alone; the message lists what follows them, too.
    std::vector<std::string> names;
    for (const RuleName& each : rule_names()) names.emplace_back(each.name);
    throw InputError("choose: unknown rule \"" + part + "\"" + did_you_mean(name, names) +
                     "; allowed: " + quoted_list(choice_rules(), choice_rules().size()));
  }
  static bool valid(const std::string& text, Limit& limit) {
    std::int64_t bytes = 0;
    if (limit.objective == kUplinkBytes && parse_amount(text, "bytes", bytes)) {
      limit.number = static_cast<double>(bytes);
      return true;
    }
    const double greatest =
        limit.objective == kImportance ? 100 : std::numeric_limits<double>::max();
    return parse_double(text, limit.number) && limit.number >= 0 && limit.number <= greatest;
  }
  static std::string allowed(std::size_t objective) {
    switch (objective) {
      case kImportance:
        return "a percentage of 0 to 100, as in importance:95";
      case kUsageVariance:
        return "a usage variance of 0 or more, as in variance:2.5";
      case kUplinkBytes:
        return "a number of bytes, as in uplink_bytes:1e6 or uplink_bytes:4MB";
      default:
        return "a number of seconds, as in slowest_client:0.5";
    }
  }

  const std::string& rule_;
};

/// The first of the greatest values, where values that differ by rounding are equal.
template <typename Value>
std::size_t first_greatest(std::size_t count, Value value) {
  std::size_t best = 0;
  double best_value = value(0);
  for (std::size_t i = 1; i < count; ++i) {
    const double other = value(i);
    if (other > best_value + kChoiceRounding) {
      best = i;
      best_value = other;
    }
  }
  return best;
}

/// The points that a rule looks at, and their objectives over [0, 1].
class Candidates {
 public:
  Candidates(const std::vector<Objectives>& front, std::size_t objectives)
      : front_(front), objectives_(objectives) {
    for (std::size_t i = 0; i < front.size(); ++i) {
      // With two objectives a front holds no others, but those of equal importance to rounding.
      if (objectives > 2 || points_.empty() ||
          front[i].importance > front[points_.back()].importance)
        points_.push_back(i);
    }
    for (std::size_t k = 0; k < objectives; ++k) {
      const auto [low, high] = std::minmax_element(
          points_.begin(), points_.end(),
          [&](std::size_t a, std::size_t b) { return value(a, k) < value(b, k); });
      least_.push_back(value(*low, k));
      width_.push_back(value(*high, k) - least_.back());
    }
  }

  const std::vector<std::size_t>& points() const { return points_; }
  double value(std::size_t point, std::size_t objective) const {
    return front_[point].*all_objectives()[objective].value;
  }
  double scaled(std::size_t point, std::size_t objective) const {
    return width_[objective] > 0 ? (value(point, objective) - least_[objective]) / width_[objective]
                                 : 0.0;
  }
  /// Importance less the costs, each with its weight.
  double weighted(std::size_t point, const std::vector<double>& weights) const {
    double sum = weights[0] * scaled(point, 0);
    for (std::size_t k = 1; k < objectives_; ++k) sum -= weights[k] * scaled(point, k);
    return sum;
  }
  /// From the best of every objective.
  double distance(std::size_t point) const {
    double squares = std::pow(1 - scaled(point, 0), 2);
    for (std::size_t k = 1; k < objectives_; ++k) squares += std::pow(scaled(point, k), 2);
    return std::sqrt(squares);
  }
  template <typename Value>
  std::size_t best(Value value) const {
    return points_[first_greatest(points_.size(),
                                  [&](std::size_t i) { return value(points_[i]); })];
  }

 private:
  const std::vector<Objectives>& front_;
  std::size_t objectives_;
  std::vector<std::size_t> points_;
  std::vector<double> least_, width_;
};

std::size_t within_limits(const Candidates& candidates, const std::string& rule,
                          const std::vector<Limit>& limits) {
  std::vector<std::size_t> kept = candidates.points();
  std::string before;
  bool floor = false;
  const double most = candidates.value(
      candidates.best([&](std::size_t point) { return candidates.value(point, 0); }), 0);
  for (const Limit& limit : limits) {
    const auto value = [&](std::size_t point) { return candidates.value(point, limit.objective); };
    const double number = limit.objective == kImportance ? limit.number / 100 * most : limit.number;
    const double slack = kChoiceRounding * number;
    std::vector<std::size_t> rest;
    for (const std::size_t point : kept) {
      if (limit.objective == kImportance ? value(point) >= number - slack
                                         : value(point) <= number + slack)
        rest.push_back(point);
    }
    floor |= limit.objective == kImportance;
    const std::string text = all_objectives()[limit.objective].text;
    if (rest.empty()) {
      const auto less = [&](std::size_t a, std::size_t b) { return value(a) < value(b); };
      const auto [low, high] = std::minmax_element(kept.begin(), kept.end(), less);
      const std::string with = before.empty() ? "" : " with " + before;
      throw InputError("choose: \"" + rule + "\": no plan that was found" + with +
                       (limit.objective == kImportance
                            ? " has " + format_double(limit.number) +
                                  " % of the greatest importance; the most found is " +
                                  format_double(100 * value(*high) / most) + " %"
                            : " has " + text + " of at most " + format_double(limit.number) +
                                  "; the least found is " + format_double(value(*low))));
    }
    before += (before.empty() ? "" : " and ") + limit.text;
    kept = std::move(rest);
  }
  if (floor) return kept.front();  // by ascending usage variance
  return kept[first_greatest(kept.size(),
                             [&](std::size_t i) { return candidates.scaled(kept[i], 0); })];
}

}  // namespace

const std::vector<std::string>& choice_rules() {
  static const std::vector<std::string> rules = [] {
    std::vector<std::string> forms;
    for (const RuleName& each : rule_names())
      forms.insert(forms.end(), each.forms.begin(), each.forms.end());
    return forms;
  }();
  return rules;
}

void check_choice(const std::string& rule) {
  Parser(rule).parse();
}

std::size_t choose(const std::vector<Objectives>& front, const std::string& rule,
                   const std::vector<std::string>& objectives) {
  const ParsedRule parsed = Parser(rule).parse();
  if (front.empty()) throw InputError("choose: the front is empty");
  const auto fail = [&](const std::string& message) {
    throw InputError("choose: \"" + rule + "\": " + message);
  };
  if (parsed.kind == RuleKind::kRow) {
    if (parsed.row > front.size())
      fail("the front has " + std::to_string(front.size()) +
           " rows; allowed is row:1 to row:" + std::to_string(front.size()));
    return parsed.row - 1;
  }
  const auto& all = all_objectives();
  // The front of a problem without a further objective has 0 there.
  const auto require = [&](std::size_t objective) {
    if (std::find(objectives.begin(), objectives.end(), all[objective].name) == objectives.end())
      fail(std::string(all[objective].name) + " is not among the problem's objectives, which are " +
           quoted_list(objectives));
  };
  for (const Limit& limit : parsed.limits) require(limit.objective);
  for (std::size_t k = 0; k < parsed.weights.size(); ++k)
    if (parsed.weights[k] > 0) require(k);

  const Candidates candidates(front, objectives.size() > 2 ? all.size() : 2);
  if (parsed.kind == RuleKind::kLimits) return within_limits(candidates, rule, parsed.limits);
  if (parsed.kind == RuleKind::kIdeal)
    return candidates.best([&](std::size_t point) { return -candidates.distance(point); });
  const std::vector<double> equal(all.size(), 1.0);
  const auto& weights = parsed.kind == RuleKind::kWeights ? parsed.weights : equal;
  return candidates.best([&](std::size_t point) { return candidates.weighted(point, weights); });
}

}  // namespace strata::optimizers
