#include "fedrunner/site_rules.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <string>

#include "core/console.h"
#include "core/csv.h"
#include "core/resources.h"
#include "core/text.h"
#include "fedrunner/private_gradient.h"
#include "strata/core/error.h"
#include "strata/core/rdp_accountant.h"

namespace strata::fedrunner {
namespace {

using experiment::SiteFile;

[[noreturn]] void refuse(const SiteFile& site, const std::string& key, const std::string& why) {
  throw InputError(site.file + ": " + key + ": the site does not allow it: " + why);
}

/// A site's list that is empty allows every name.
bool allows(const std::vector<std::string>& list, const std::string& name) {
  return list.empty() || contains(list, name);
}

/// A file that is locked as long as this lives.
class LockedFile {
 public:
  explicit LockedFile(const std::string& path)
      : path_(path), descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    if (descriptor_ < 0 || ::flock(descriptor_, LOCK_EX) != 0) fail();
  }
  ~LockedFile() { ::close(descriptor_); }
  LockedFile(const LockedFile&) = delete;
  LockedFile& operator=(const LockedFile&) = delete;

  std::string read() const {
    std::string text;
    char part[4096];
    for (;;) {
      const auto count = ::pread(descriptor_, part, sizeof part, static_cast<off_t>(text.size()));
      if (count < 0) fail();
      if (count == 0) return text;
      text.append(part, static_cast<std::size_t>(count));
    }
  }
  /// Of lines that count something. @throws InputError where the last one is cut off
  std::string read_whole(const std::string& counted) const {
    std::string text = read();
    if (!text.empty() && text.back() != '\n')
      throw InputError(path_ + ": the last line is not whole, so that " + counted +
                       " cannot be counted");
    return text;
  }
  void append(const std::string& text) const {
    if (::lseek(descriptor_, 0, SEEK_END) < 0 ||
        ::write(descriptor_, text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        ::fsync(descriptor_) != 0)
      fail();
  }

 private:
  [[noreturn]] void fail() const { throw WorkError(path_ + ": " + std::strerror(errno)); }

  std::string path_;
  int descriptor_;
};

/// The client stands at the end of a line, as it may hold blanks.
std::int64_t releases_of(const std::string& ledger, const std::string& client) {
  std::int64_t count = 0;
  std::istringstream lines(ledger);
  for (std::string line; std::getline(lines, line);) {
    const auto second = line.find(' ', line.find(' ') + 1);
    if (second != std::string::npos && line.substr(second + 1) == client) ++count;
  }
  return count;
}

/// Of a client's earlier orders, and what all releases of scores may cost. @throws InputError
RdpAccountant spent_so_far(const SiteFile& site, const std::string& ledger,
                           const std::string& client, const NoiseMultiplier& score_noise) {
  RdpAccountant accountant;
  std::istringstream lines(ledger);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string round, id, name;
    std::int64_t steps = 0;
    double rate = 0, noise = 0;
    if (!(fields >> round >> id >> steps >> rate >> noise) || fields.get() != ' ')
      throw InputError(site.private_training->ledger + ": a line that is no count: " + line);
    std::getline(fields, name);
    if (name == client) accountant.add_sampled(rate, noise, steps);
  }
  // All that may still be released counts from the start, so that no later one is beyond ε.
  if (const auto& scores = site.private_scores)
    accountant.add_gaussian(score_noise(scores->epsilon, scores->delta), 1);
  return accountant;
}

}  // namespace

void check_order(const SiteFile& site, const Order& order) {
  const std::string phase = phases().name(order.phase());
  if (!allows(site.clients, order.client))
    refuse(site, "clients", "an order is for client " + order.client);
  if (!allows(site.phases, phase)) refuse(site, "phases", "an order is to " + phase);
  const auto* score = std::get_if<ScoreWork>(&order.work);
  if (score && !allows(site.metrics, score->metric))
    refuse(site, "metrics", "an order is to score by " + score->metric);
  if (!site.private_training) return;
  if (score && !site.private_scores)
    refuse(site, "private_training", "an order is to score, and private_scores gives no noise");
  const auto* train = std::get_if<TrainWork>(&order.work);
  if (train && !order.units.empty() && !train->local.privacy)
    refuse(site, "private_training", "an order is to train without noise (run.local.private)");
}

void check_budget(const SiteFile& site, const Order& order, const std::vector<Unit>& selectable) {
  if (!site.budget || order.phase() != Phase::kTrain) return;
  const Budget& budget = *site.budget;
  std::vector<std::string> clients = {order.client};
  for (const auto& named : budget.clients)
    if (named.name != order.client) clients.push_back(named.name);
  const auto most = budget.values(clients, static_cast<int>(selectable.size())).front();
  std::int64_t spent = 0;
  for (const auto& unit : selectable) {
    if (std::find(order.units.begin(), order.units.end(), unit.name) == order.units.end()) continue;
    spent += budget.counts_units() ? 1 : cost_of(unit, budget.of);
  }
  if (spent > most)
    refuse(site, "budget",
           "an order is to train " + std::to_string(spent) + " " + budget.of + ", where " +
               std::to_string(most) + " are the most");
}

void check_cohorts(const SiteFile& site, const Order& order) {
  const auto* train = std::get_if<TrainWork>(&order.work);
  if (!train || site.least_cohort <= 1) return;
  for (const auto& unit : order.units) {
    const auto found = train->cohorts.find(unit);
    const std::int64_t clients = found == train->cohorts.end() ? 0 : found->second;
    if (clients < site.least_cohort)
      refuse(site, "least_cohort",
             "an order is to train the unit " + unit + ", of which it says that " +
                 std::to_string(clients) + " clients train it, where " +
                 std::to_string(site.least_cohort) + " are the least");
  }
}

void check_samples(const SiteFile& site, const Order& order, std::int64_t train_samples) {
  const bool looks =
      order.phase() == Phase::kScore || (order.phase() == Phase::kTrain && !order.units.empty());
  if (looks && train_samples < site.least_samples)
    refuse(
        site, "least_samples",
        "client " + order.client + " has " + std::to_string(train_samples) + " training examples");
}

void count_release(const SiteFile& site, const Order& order) {
  const auto& privacy = *site.private_scores;
  const LockedFile ledger(privacy.ledger);
  const std::string text = ledger.read_whole("releases");
  const auto made = releases_of(text, order.client);
  if (made >= privacy.releases)
    refuse(site, "private_scores.releases",
           "client " + order.client + " has released its scores " + std::to_string(made) +
               " times (" + privacy.ledger + ")");
  ledger.append(std::to_string(order.round) + " " + order.id() + " " + order.client + "\n");
}

void count_training(const SiteFile& site, const Order& order, std::int64_t train_samples,
                    const NoiseMultiplier& score_noise) {
  const auto* work = std::get_if<TrainWork>(&order.work);
  if (!site.private_training || !work || order.units.empty()) return;
  const auto& privacy = *site.private_training;
  const LockedFile ledger(privacy.ledger);
  const std::string text = ledger.read_whole("steps");
  RdpAccountant accountant = spent_so_far(site, text, order.client, score_noise);
  const double before = accountant.epsilon(privacy.delta);
  const double rate = sampling_rate(train_samples, work->local.training.batch_size);
  const double noise = work->local.privacy->noise;
  const std::int64_t steps = work->steps(train_samples);
  accountant.add_sampled(rate, noise, steps);
  const double after = accountant.epsilon(privacy.delta);
  if (!(after <= privacy.epsilon))
    refuse(site, "private_training.epsilon",
           "client " + order.client + " would come from " + fixed(before, 3) + " to " +
               fixed(after, 3) + ", where " + format_double(privacy.epsilon) + " is the most (" +
               privacy.ledger + ")");
  ledger.append(std::to_string(order.round) + " " + order.id() + " " + std::to_string(steps) + " " +
                format_double(rate) + " " + format_double(noise) + " " + order.client + "\n");
}

}  // namespace strata::fedrunner
