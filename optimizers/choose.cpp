#include "strata/optimizers/choose.h"

#include "strata/core/error.h"

namespace strata {
namespace {

std::size_t knee(const std::vector<Objectives>& front) {
  const double width = front.back().usage_variance - front.front().usage_variance;
  const double height = front.back().importance - front.front().importance;
  if (!(width > 0 && height > 0)) return 0;
  std::size_t best = 0;
  double best_height = 0;
  for (std::size_t i = 1; i < front.size(); ++i) {
    // After normalisation the chord is the diagonal, and the distance to it is this times √½.
    const double above = (front[i].importance - front.front().importance) / height -
                         (front[i].usage_variance - front.front().usage_variance) / width;
    if (above > best_height + 1e-12) {
      best = i;
      best_height = above;
    }
  }
  return best;
}

}  // namespace

const std::vector<std::string>& choice_rules() {
  static const std::vector<std::string> rules = {"knee"};
  return rules;
}

std::size_t choose(const std::vector<Objectives>& front, const std::string& rule) {
  if (rule != "knee") {
    throw InputError("choose: unknown rule \"" + rule + "\"" + did_you_mean(rule, choice_rules()) +
                     "; allowed: " + quoted_list(choice_rules()));
  }
  if (front.empty()) throw InputError("choose: the front is empty");
  return knee(front);
}

}  // namespace strata
