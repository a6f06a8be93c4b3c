#include "strata/optimizers/choose.h"

#include <cmath>
#include <limits>

#include "core/csv.h"
#include "strata/core/error.h"

namespace strata {
namespace {

struct ParsedRule {
  std::string name;
  double number = 0;  // of rules that have one
};

ParsedRule parse(const std::string& rule) {
  const auto colon = rule.find(':');
  ParsedRule parsed{rule.substr(0, colon)};
  double greatest = 0;
  std::string range;
  if (parsed.name == "knee" || parsed.name == "ideal") {
    if (colon == std::string::npos) return parsed;
    throw InputError("choose: \"" + rule + "\": the rule " + parsed.name + " takes no number");
  }
  if (parsed.name == "weights") {
    greatest = 1;
    range = "a weight of 0 to 1, as in weights:0.5";
  } else if (parsed.name == "importance") {
    greatest = 100;
    range = "a percentage of 0 to 100, as in importance:95";
  } else if (parsed.name == "variance") {
    greatest = std::numeric_limits<double>::max();
    range = "a usage variance of 0 or more, as in variance:2.5";
  } else {
    // The nearest name is sought among the names alone; the message lists what follows them, too.
    static const std::vector<std::string> names = {"knee", "ideal", "weights", "importance",
                                                   "variance"};
    throw InputError("choose: unknown rule \"" + rule + "\"" + did_you_mean(parsed.name, names) +
                     "; allowed: " + quoted_list(choice_rules()));
  }
  const std::string number = colon == std::string::npos ? "" : rule.substr(colon + 1);
  if (!parse_double(number, parsed.number) || !(parsed.number >= 0 && parsed.number <= greatest)) {
    throw InputError("choose: \"" + rule + "\": found " +
                     (number.empty() ? "no number" : "\"" + number + "\"") + " after " +
                     parsed.name + ", allowed is " + range);
  }
  return parsed;
}

/// The points that are nondominated in importance and usage variance, by ascending both.
std::vector<std::size_t> nondominated_in_two(const std::vector<Objectives>& front) {
  std::vector<std::size_t> kept;
  for (std::size_t i = 0; i < front.size(); ++i) {
    if (kept.empty() || front[i].importance > front[kept.back()].importance) kept.push_back(i);
  }
  return kept;
}

/// The first of the greatest values, where values that differ by rounding are equal.
template <typename Value>
std::size_t first_greatest(std::size_t count, Value value) {
  std::size_t best = 0;
  double best_value = value(0);
  for (std::size_t i = 1; i < count; ++i) {
    const double other = value(i);
    if (other > best_value + 1e-12) {
      best = i;
      best_value = other;
    }
  }
  return best;
}

}  // namespace

const std::vector<std::string>& choice_rules() {
  static const std::vector<std::string> rules = {"knee", "ideal", "weights:W", "importance:X",
                                                 "variance:V"};
  return rules;
}

void check_choice(const std::string& rule) {
  parse(rule);
}

std::size_t choose(const std::vector<Objectives>& front, const std::string& rule) {
  const ParsedRule parsed = parse(rule);
  if (front.empty()) throw InputError("choose: the front is empty");
  const std::vector<std::size_t> points = nondominated_in_two(front);
  const Objectives& first = front[points.front()];
  const Objectives& last = front[points.back()];

  const double width = last.usage_variance - first.usage_variance;
  const double height = last.importance - first.importance;
  const auto importance = [&](std::size_t i) {
    return height > 0 ? (front[points[i]].importance - first.importance) / height : 0.0;
  };
  const auto variance = [&](std::size_t i) {
    return width > 0 ? (front[points[i]].usage_variance - first.usage_variance) / width : 0.0;
  };

  if (parsed.name == "importance") {
    const double least = parsed.number / 100 * last.importance;
    for (const std::size_t point : points) {
      if (front[point].importance >= least) return point;
    }
    return points.back();
  }
  if (parsed.name == "variance") {
    if (first.usage_variance > parsed.number) {
      throw InputError("choose: \"" + rule +
                       "\": no plan of the front has a usage variance of at " + "most " +
                       format_double(parsed.number) + "; the least there is is " +
                       format_double(first.usage_variance));
    }
    std::size_t best = 0;
    while (best + 1 < points.size() && front[points[best + 1]].usage_variance <= parsed.number) {
      ++best;
    }
    return points[best];
  }
  if (parsed.name == "ideal") {
    return points[first_greatest(
        points.size(), [&](std::size_t i) { return -std::hypot(1 - importance(i), variance(i)); })];
  }
  if (parsed.name == "weights") {
    return points[first_greatest(points.size(), [&](std::size_t i) {
      return parsed.number * importance(i) - (1 - parsed.number) * variance(i);
    })];
  }
  // After normalisation the chord is the diagonal, and the distance to it is this times √½.
  return points[first_greatest(points.size(),
                               [&](std::size_t i) { return importance(i) - variance(i); })];
}

}  // namespace strata
