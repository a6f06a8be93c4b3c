#include "data/partition.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "core/console.h"
#include "core/csv.h"
#include "data/fraction.h"
#include "strata/core/error.h"
#include "strata/core/random.h"

namespace strata::data {
namespace {

void check(const PartitionOptions& options) {
  const bool is_dirichlet = options.scheme == PartitionScheme::kDirichlet;
  if (is_counted(options.scheme) && options.clients < 1)
    throw InputError("partition: the scheme \"" + partition_schemes().name(options.scheme) +
                     "\" needs the number of clients, at least 1, found " +
                     std::to_string(options.clients));
  if (is_dirichlet && !(options.alpha > 0 && std::isfinite(options.alpha)))
    throw InputError("partition: alpha is " + std::to_string(options.alpha) +
                     ", expected a finite number above 0");
  if (!(options.public_fraction >= 0 && options.public_fraction < 1))
    throw InputError("partition: the public fraction is " +
                     std::to_string(options.public_fraction) +
                     ", expected a number from 0 up to, but without, 1");
  if (!(options.fraction > 0 && options.fraction <= 1))
    throw InputError("partition: the fraction is " + format_double(options.fraction) +
                     ", expected a number above 0, at most 1");
  if (!(options.validation > 0 && options.validation < 1))
    throw InputError("partition: the validation share is " + format_double(options.validation) +
                     ", expected a number above 0 and below 1");
}

std::set<std::string> public_images(const Manifest& manifest, const PartitionOptions& options) {
  std::vector<std::string> images;
  std::set<std::string> seen;
  for (const Example& example : manifest.examples)
    if (example.trains() && seen.insert(example.image).second) images.push_back(example.image);
  Random random(derive_seed(options.seed, "partition.public"));
  random.shuffle(images);
  images.resize(std::llround(options.public_fraction * static_cast<double>(images.size())));
  return {images.begin(), images.end()};
}

std::vector<ClientExamples> numbered_clients(int count) {
  const std::size_t width = std::to_string(count).size();
  std::vector<ClientExamples> clients(count);
  for (int i = 0; i < count; ++i) {
    const std::string number = std::to_string(i + 1);
    clients[i].name = "client-" + std::string(width - number.size(), '0') + number;
  }
  return clients;
}

void by_name(const Manifest& manifest, const std::vector<bool>& is_public, bool by_dataset,
             Partition& partition) {
  std::map<std::string, std::size_t> index;
  for (std::size_t i = 0; i < manifest.examples.size(); ++i) {
    const Example& example = manifest.examples[i];
    const std::string& dataset = example.dataset.empty() ? manifest.name : example.dataset;
    const std::string& name = by_dataset ? dataset : example.client;
    const auto [entry, fresh] = index.emplace(name, partition.clients.size());
    if (fresh) partition.clients.push_back({name, {}, {}});
    if (is_public[i]) continue;
    ClientExamples& client = partition.clients[entry->second];
    (example.trains() ? client.train : client.test).push_back(static_cast<int>(i));
  }
}

void iid(const Manifest& manifest, const std::vector<bool>& is_public,
         const PartitionOptions& options, Partition& partition) {
  partition.clients = numbered_clients(options.clients);
  // Some sets ask about the same image in training and in the test.
  std::map<std::string, std::size_t> owner;
  for (const std::string& split : {std::string(kTrainSplit), std::string(kTestSplit)}) {
    std::vector<std::string> images;
    std::set<std::string> seen;
    for (std::size_t i = 0; i < manifest.examples.size(); ++i) {
      const Example& example = manifest.examples[i];
      if (example.split == split && !is_public[i] && owner.count(example.image) == 0 &&
          seen.insert(example.image).second)
        images.push_back(example.image);
    }
    Random random(derive_seed(options.seed, "partition.iid." + split));
    random.shuffle(images);
    for (std::size_t i = 0; i < images.size(); ++i) owner[images[i]] = i % partition.clients.size();
    for (std::size_t i = 0; i < manifest.examples.size(); ++i) {
      const Example& example = manifest.examples[i];
      if (example.split != split || is_public[i]) continue;
      ClientExamples& client = partition.clients[owner.at(example.image)];
      (example.trains() ? client.train : client.test).push_back(static_cast<int>(i));
    }
  }
}

/// One draw from the symmetric Dirichlet distribution over `count` clients.
std::vector<double> dirichlet_shares(int count, double alpha, Random& random) {
  std::vector<double> shares(count);
  double sum = 0;
  for (double& share : shares) sum += share = random.gamma(alpha);
  if (sum > 0) {
    for (double& share : shares) share /= sum;
  } else {
    // For very small alpha every gamma variate underflows; the limit gives all to one client.
    shares[random.below(count)] = 1;
  }
  return shares;
}

/// The shares of an answer's or class's examples that the clients get.
using SharesOf = std::function<std::vector<double>(const std::string& target, Random& random)>;

/// Adds these shares of the examples, drawn at random, to the clients' lists.
void deal(std::vector<int>& examples, const std::vector<double>& shares,
          std::vector<int> ClientExamples::*list, Random& random, Partition& partition) {
  random.shuffle(examples);
  const auto total = static_cast<double>(examples.size());
  double cumulative = 0;
  std::size_t begin = 0;
  for (std::size_t c = 0; c < shares.size(); ++c) {
    cumulative += shares[c];
    const std::size_t end =
        c + 1 == shares.size()
            ? examples.size()
            : std::min(examples.size(),
                       static_cast<std::size_t>(std::floor(cumulative * total + 0.5)));
    auto& target = partition.clients[c].*list;
    target.insert(target.end(), examples.begin() + begin, examples.begin() + end);
    begin = end;
  }
}

void deal_by_target(const Manifest& manifest, const std::vector<bool>& is_public,
                    const SharesOf& shares_of, Random random, Partition& partition) {
  struct Indices {
    std::vector<int> train, test;
  };
  std::map<std::string, Indices> by_target;
  for (std::size_t i = 0; i < manifest.examples.size(); ++i) {
    if (is_public[i]) continue;
    Indices& indices = by_target[target_of(manifest.examples[i])];
    (manifest.examples[i].trains() ? indices.train : indices.test).push_back(static_cast<int>(i));
  }
  for (auto& [target, indices] : by_target) {
    const std::vector<double> shares = shares_of(target, random);
    deal(indices.train, shares, &ClientExamples::train, random, partition);
    deal(indices.test, shares, &ClientExamples::test, random, partition);
  }
  for (ClientExamples& client : partition.clients) {
    std::sort(client.train.begin(), client.train.end());
    std::sort(client.test.begin(), client.test.end());
  }
}

void dirichlet(const Manifest& manifest, const std::vector<bool>& is_public,
               const PartitionOptions& options, Partition& partition) {
  partition.clients = numbered_clients(options.clients);
  deal_by_target(
      manifest, is_public,
      [&](const std::string&, Random& random) {
        return dirichlet_shares(options.clients, options.alpha, random);
      },
      Random(derive_seed(options.seed, "partition.dirichlet")), partition);
}

constexpr int kFesvibsClients = 6;
constexpr double kFesvibsWeight = 6;
/// Who is favoured in BloodMNIST's eight classes by the published code of FeSViBS (Almalik et al.
/// 2023, arXiv 2306.14638; faresmalik/FeSViBS, utils.py).
const std::vector<std::vector<int>> kFesvibsFavoured = {{0, 1, 2}, {0, 1, 2}, {0, 3, 5}, {0, 4, 5},
                                                        {3, 4, 5}, {3, 4, 5}, {4, 5},    {0, 1, 2}};

/// Of the class or answer with this number; a ninth is dealt as the first.
std::vector<double> fesvibs_shares(std::size_t number) {
  const std::vector<int>& favoured = kFesvibsFavoured[number % kFesvibsFavoured.size()];
  const double sum = kFesvibsClients + static_cast<double>(favoured.size()) * (kFesvibsWeight - 1);
  std::vector<double> shares(kFesvibsClients, 1 / sum);
  for (const int client : favoured) shares[client] = kFesvibsWeight / sum;
  return shares;
}

void fesvibs(const Manifest& manifest, const std::vector<bool>& is_public,
             const PartitionOptions& options, Partition& partition) {
  partition.clients = numbered_clients(kFesvibsClients);
  const auto names = manifest.has_labels() ? manifest.classes : manifest.answers();
  std::map<std::string, std::size_t> numbers;
  for (const std::string& name : names) numbers.emplace(name, numbers.size());
  deal_by_target(
      manifest, is_public,
      [&](const std::string& target, Random&) {
        const auto found = numbers.find(target);
        // Images without a label are a group behind the classes.
        return fesvibs_shares(found == numbers.end() ? names.size() : found->second);
      },
      Random(derive_seed(options.seed, "partition.fesvibs")), partition);
}

/// @throws InputError: another number of clients than was asked for, one without a training example
void check_clients(const PartitionOptions& options, const Partition& partition) {
  const int found = static_cast<int>(partition.clients.size());
  const bool counted = is_counted(options.scheme);
  if (!counted && options.clients != 0 && options.clients != found)
    throw InputError("partition: " + std::to_string(options.clients) +
                     " clients were asked for, but the scheme \"" +
                     partition_schemes().name(options.scheme) + "\" gives " +
                     std::to_string(found) +
                     "; leave the number out or use \"iid\" or \"dirichlet\"");
  const std::string remedy =
      !counted ? "its examples are all for testing or public"
               : std::string("use fewer clients") + (options.scheme == PartitionScheme::kDirichlet
                                                         ? ", a larger alpha or another seed"
                                                         : " or a smaller public fraction");
  for (const ClientExamples& client : partition.clients) {
    if (client.train.empty()) {
      throw InputError("partition: the client \"" + client.name + "\" gets no training example; " +
                       remedy);
    }
  }
}

std::vector<std::string> table_row(const Manifest& manifest, const std::string& name,
                                   const std::vector<int>& train, const std::vector<int>& test) {
  std::set<std::string> images;
  std::map<std::string, int> counts;
  for (const auto* list : {&train, &test})
    for (const int i : *list) {
      const Example& example = manifest.examples[i];
      images.insert(example.image);
      // An image counts for each of its labels.
      for (std::size_t l = 1; l < example.labels.size(); ++l) ++counts[example.labels[l]];
      const std::string target = target_of(example);
      ++counts[target.empty() ? "(none)" : target];
    }
  std::vector<std::pair<std::string, int>> common(counts.begin(), counts.end());
  std::stable_sort(common.begin(), common.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  if (manifest.has_masks())
    return {name, std::to_string(train.size()), std::to_string(test.size()),
            std::to_string(images.size())};
  const double total = static_cast<double>(train.size() + test.size());
  std::string answers;
  for (std::size_t i = 0; i < common.size() && i < 4; ++i)
    answers +=
        (i ? ", " : "") + common[i].first + " " + fixed(100 * common[i].second / total, 0) + " %";
  return {name, std::to_string(train.size()), std::to_string(test.size()),
          std::to_string(images.size()), answers};
}

void test_on_validation(const Manifest& manifest, const PartitionOptions& options,
                        Partition& partition) {
  bool any = false;
  for (ClientExamples& client : partition.clients) {
    auto parts =
        hold_out(manifest, client.train, options.validation,
                 derive_seed(derive_seed(options.seed, "partition.validation"), client.name));
    client.train = std::move(parts.kept);
    client.test = std::move(parts.held);
    any = any || !client.test.empty();
  }
  if (!any)
    throw InputError(
        "partition: no client has two images for training, of two patients or lesions where these "
        "are known, one of which could be for validation");
}

}  // namespace

const Choices<EvaluateOn>& evaluation_splits() {
  static const Choices<EvaluateOn> splits(
      {{EvaluateOn::kTest, "test"}, {EvaluateOn::kValidation, "validation"}});
  return splits;
}

const Choices<PartitionScheme>& partition_schemes() {
  static const Choices<PartitionScheme> schemes({{PartitionScheme::kModality, "modality"},
                                                 {PartitionScheme::kDataset, "dataset"},
                                                 {PartitionScheme::kIid, "iid"},
                                                 {PartitionScheme::kDirichlet, "dirichlet"},
                                                 {PartitionScheme::kFesvibs, "fesvibs"}});
  return schemes;
}

bool is_counted(PartitionScheme scheme) {
  return scheme == PartitionScheme::kIid || scheme == PartitionScheme::kDirichlet;
}

Partition make_partition(const Manifest& manifest, const PartitionOptions& options) {
  check(options);
  Partition partition;
  const std::set<std::string> held = public_images(manifest, options);
  std::vector<bool> is_public(manifest.examples.size());
  for (std::size_t i = 0; i < manifest.examples.size(); ++i) {
    const Example& example = manifest.examples[i];
    is_public[i] = example.trains() && held.count(example.image) > 0;
    if (is_public[i]) partition.public_train.push_back(static_cast<int>(i));
  }
  if (options.scheme == PartitionScheme::kIid)
    iid(manifest, is_public, options, partition);
  else if (options.scheme == PartitionScheme::kDirichlet)
    dirichlet(manifest, is_public, options, partition);
  else if (options.scheme == PartitionScheme::kFesvibs)
    fesvibs(manifest, is_public, options, partition);
  else
    by_name(manifest, is_public, options.scheme == PartitionScheme::kDataset, partition);
  check_clients(options, partition);
  for (ClientExamples& client : partition.clients)
    client.train =
        nested_share(manifest, client.train, options.fraction,
                     derive_seed(derive_seed(options.seed, "partition.fraction"), client.name));
  if (options.evaluate_on == EvaluateOn::kValidation)
    test_on_validation(manifest, options, partition);
  return partition;
}

std::string partition_table(const Manifest& manifest, const Partition& partition) {
  std::vector<std::string> columns = {"client", "train", "test",
                                      manifest.has_masks() ? "volumes" : "images"};
  if (!manifest.has_masks())
    columns.push_back(manifest.has_labels() ? "classes (commonest)" : "answers (commonest)");
  TextTable table(columns);
  std::vector<int> train, test;
  for (const ClientExamples& client : partition.clients) {
    table.row(table_row(manifest, client.name, client.train, client.test));
    train.insert(train.end(), client.train.begin(), client.train.end());
    test.insert(test.end(), client.test.begin(), client.test.end());
  }
  if (!partition.public_train.empty()) {
    table.row(table_row(manifest, "(public)", partition.public_train, {}));
    train.insert(train.end(), partition.public_train.begin(), partition.public_train.end());
  }
  table.row(table_row(manifest, "total", train, test));
  return table.str();
}

}  // namespace strata::data
