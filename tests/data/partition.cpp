#include "data/partition.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "support/error_text.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

/// 4 clients, 50 images each, 6 questions an image with 5 different answers; every fifth image is a
/// test.
Manifest manifest_of(int images = 50) {
  Manifest manifest{"folder", "set", false, {}};
  const std::vector<std::string> answers = {"yes", "no", "left", "right", "two"};
  for (int client = 0; client < 4; ++client)
    for (int image = 0; image < images; ++image)
      for (int question = 0; question < 6; ++question) {
        const std::string name = std::string(1, static_cast<char>('a' + client));
        manifest.examples.push_back({name + std::to_string(image),
                                     "q" + std::to_string(question),
                                     {answers[(image / 5 + question) % 5]},
                                     image % 5 == 0 ? "test" : "train",
                                     name,
                                     "closed",
                                     client < 3 ? "first" : "second"});
      }
  return manifest;
}

/// Disjoint, complete, ascending, and every list holds its split only.
void check_cover(const Manifest& manifest, const Partition& partition) {
  std::set<int> seen;
  std::size_t total = 0;
  const auto visit = [&](const std::vector<int>& list, const std::string& split) {
    CHECK(std::is_sorted(list.begin(), list.end()));
    for (const int i : list) CHECK(manifest.examples.at(i).split == split);
    seen.insert(list.begin(), list.end());
    total += list.size();
  };
  for (const ClientExamples& client : partition.clients) {
    CHECK_FALSE(client.train.empty());
    visit(client.train, "train");
    visit(client.test, "test");
  }
  visit(partition.public_train, "train");
  CHECK(seen.size() == total);
  CHECK(total == manifest.examples.size());
}

bool splits_images(const Manifest& manifest, const Partition& partition) {
  std::map<std::string, std::set<std::string>> owners;
  for (const ClientExamples& client : partition.clients)
    for (const auto* list : {&client.train, &client.test})
      for (const int i : *list) owners[manifest.examples[i].image].insert(client.name);
  for (const auto& [image, names] : owners)
    if (names.size() > 1) return true;
  return false;
}

/// Mean over answers of the largest client's share of the answer's training examples.
double skew(const Manifest& manifest, const Partition& partition) {
  std::map<std::string, std::map<std::string, double>> counts;
  std::map<std::string, double> totals;
  for (const ClientExamples& client : partition.clients)
    for (const int i : client.train) {
      const std::string& answer = manifest.examples[i].answers.front();
      ++counts[answer][client.name];
      ++totals[answer];
    }
  double sum = 0;
  for (const auto& [answer, by_client] : counts) {
    double largest = 0;
    for (const auto& [name, count] : by_client) largest = std::max(largest, count);
    sum += largest / totals[answer];
  }
  return sum / static_cast<double>(counts.size());
}

}  // namespace

TEST_CASE("every scheme gives each example to exactly one client or to the public share") {
  const Manifest manifest = manifest_of();
  for (const std::string& scheme : partition_schemes().names())
    for (const double share : {0.0, 0.25}) {
      INFO(scheme << ", public " << share);
      PartitionOptions options;
      options.scheme = partition_schemes().value(scheme);
      options.public_fraction = share;
      if (scheme == "iid" || scheme == "dirichlet") options.clients = 6;
      if (scheme == "dirichlet") options.alpha = 1;
      const Partition partition = make_partition(manifest, options);
      check_cover(manifest, partition);
      CHECK(splits_images(manifest, partition) == (scheme == "dirichlet" || scheme == "fesvibs"));
      // 160 training images of 6 questions.
      CHECK(partition.public_train.size() == static_cast<std::size_t>(share * 160) * 6);

      const Partition again = make_partition(manifest, options);
      CHECK(again.public_train == partition.public_train);
      for (std::size_t i = 0; i < partition.clients.size(); ++i) {
        CHECK(again.clients[i].train == partition.clients[i].train);
        CHECK(again.clients[i].test == partition.clients[i].test);
      }
    }
}

TEST_CASE("iid keeps an image at one client, also where training and test both ask about it") {
  Manifest manifest = manifest_of();
  // As in VQA-RAD: the first question on every training image becomes a test question.
  for (Example& example : manifest.examples)
    if (example.question == "q0") example.split = "test";
  PartitionOptions options;
  options.scheme = PartitionScheme::kIid;
  options.clients = 6;
  const Partition partition = make_partition(manifest, options);
  check_cover(manifest, partition);
  CHECK_FALSE(splits_images(manifest, partition));
}

TEST_CASE("names and sizes of the clients") {
  const Manifest manifest = manifest_of();
  PartitionOptions options;
  const Partition modality = make_partition(manifest, options);
  REQUIRE(modality.clients.size() == 4);
  CHECK(modality.clients[0].name == "a");
  CHECK(modality.clients[3].train.size() == 240);
  CHECK(modality.clients[3].test.size() == 60);
  options.scheme = PartitionScheme::kDataset;
  const Partition dataset = make_partition(manifest, options);
  REQUIRE(dataset.clients.size() == 2);
  CHECK(dataset.clients[1].name == "second");
  CHECK(dataset.clients[0].train.size() == 720);
  options.scheme = PartitionScheme::kIid;
  options.clients = 10;
  const Partition iid = make_partition(manifest, options);
  CHECK(iid.clients.front().name == "client-01");
  CHECK(iid.clients.back().name == "client-10");
  // 160 training images over 10 clients are 16 each, of 6 questions.
  for (const ClientExamples& client : iid.clients) CHECK(client.train.size() == 96);
  options.seed = 2;
  CHECK(make_partition(manifest, options).clients[0].train != iid.clients[0].train);
}

TEST_CASE("a smaller alpha skews the answers more, and test examples follow the training shares") {
  const Manifest manifest = manifest_of(500);
  PartitionOptions options;
  options.scheme = PartitionScheme::kDirichlet;
  options.clients = 5;
  std::vector<double> skews;
  for (const double alpha : {100.0, 1.0, 0.2}) {
    options.alpha = alpha;
    double mean = 0;
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      options.seed = seed;
      const Partition partition = make_partition(manifest, options);
      mean += skew(manifest, partition) / 5;
      for (const ClientExamples& client : partition.clients) {
        std::map<std::string, double> train, test;
        for (const int i : client.train) ++train[manifest.examples[i].answers.front()];
        for (const int i : client.test) ++test[manifest.examples[i].answers.front()];
        // Four training examples to one test example of every answer, up to rounding.
        for (const auto& [answer, count] : train) CHECK(std::abs(test[answer] - count / 4) <= 1.25);
      }
    }
    skews.push_back(mean);
  }
  CHECK(skews[0] < 0.26);  // an even share is 0.2
  CHECK(skews[0] < skews[1] - 0.1);
  CHECK(skews[1] < skews[2] - 0.1);
}

TEST_CASE("dirichlet rounds what is due to a client and those before it, and does not cut it off") {
  Manifest manifest{"folder", "set", false, {}};
  for (int image = 0; image < 8; ++image)
    manifest.examples.push_back(
        {std::to_string(image), "q", {"yes"}, image < 5 ? "train" : "test", "ct", "closed", ""});
  PartitionOptions options;
  options.scheme = PartitionScheme::kDirichlet;
  options.clients = 3;
  options.alpha = 1e12;  // equal shares, to 1e-5
  const Partition partition = make_partition(manifest, options);
  // 5 · (1/3, 2/3, 1) = (1.67, 3.33, 5); cut off, the sizes would be 1, 2 and 2.
  CHECK(partition.clients[0].train.size() == 2);
  CHECK(partition.clients[1].train.size() == 1);
  CHECK(partition.clients[2].train.size() == 2);
  for (const ClientExamples& client : partition.clients) CHECK(client.test.size() == 1);
}

TEST_CASE("dirichlet goes by the first label, and images without one are a group of their own") {
  Manifest manifest{"folder", "set", false, {}};
  manifest.classes = {"mass", "edema"};
  manifest.multi_label = true;
  const std::vector<std::vector<std::string>> kinds = {{"mass"}, {"mass", "edema"}, {"edema"}, {}};
  for (int i = 0; i < 400; ++i) {
    manifest.examples.push_back({"i" + std::to_string(i),
                                 "",
                                 {},
                                 i < 320 ? "train" : "test",
                                 "x",
                                 "",
                                 "",
                                 kinds[i % kinds.size()]});
  }
  PartitionOptions options;
  options.scheme = PartitionScheme::kDirichlet;
  options.clients = 3;
  options.alpha = 100;
  const Partition partition = make_partition(manifest, options);
  check_cover(manifest, partition);
  // As many of each group as the questions with three answers in the same places would give.
  Manifest questions = manifest;
  questions.classes = {};
  for (Example& example : questions.examples) {
    example.answers = {target_of(example)};
    example.labels = {};
  }
  const Partition same = make_partition(questions, options);
  for (std::size_t c = 0; c < 3; ++c) CHECK(partition.clients[c].train == same.clients[c].train);
  // The two groups with "mass" first are one: its shares are rounded once.
  for (Example& example : questions.examples)
    if (example.answers[0] == "mass" && example.image.back() % 2) example.answers = {"other"};
  CHECK(make_partition(questions, options).clients[0].train != partition.clients[0].train);

  const std::string table = partition_table(manifest, partition);
  CHECK(contains(table, "classes (commonest)"));
  const std::string total = table.substr(table.rfind("total"));
  // Half have each label, a quarter none: an image counts for both of its labels.
  CHECK(contains(total, "edema 50 %, mass 50 %, (none) 25 %"));
}

TEST_CASE("wrong options are errors") {
  const Manifest manifest = manifest_of();
  const auto error = [&](auto change) {
    PartitionOptions options;
    change(options);
    return input_error([&] { make_partition(manifest, options); });
  };
  CHECK(contains(error([](auto& o) { o.scheme = PartitionScheme::kIid; }), "number of clients"));
  CHECK(contains(
      error([](auto& o) { o.scheme = PartitionScheme::kDirichlet, o.clients = 3, o.alpha = 0; }),
      "alpha"));
  CHECK(contains(error([](auto& o) { o.public_fraction = 1; }), "public fraction"));
  CHECK(contains(error([](auto& o) { o.public_fraction = -0.1; }), "public fraction"));
  CHECK(contains(error([](auto& o) { o.fraction = 0; }),
                 "the fraction is 0, expected a number above 0, at most 1"));
  CHECK(contains(error([](auto& o) { o.fraction = 1.25; }), "the fraction is 1.25"));
  CHECK(contains(error([](auto& o) { o.fraction = std::nan(""); }), "the fraction is"));
  CHECK(contains(error([](auto& o) { o.clients = 3; }), "the scheme \"modality\" gives 4"));
  CHECK(contains(error([](auto& o) { o.scheme = PartitionScheme::kFesvibs, o.clients = 8; }),
                 "the scheme \"fesvibs\" gives 6"));
  CHECK(contains(error([](auto& o) { o.scheme = PartitionScheme::kIid, o.clients = 161; }),
                 "\"client-161\" gets no training example"));
}

TEST_CASE("fesvibs: a class is six times likelier at the clients that the published rule names") {
  Manifest manifest;
  manifest.classes = {"c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"};
  // 16 and 21 parts: two or three clients of six have six parts each.
  for (const std::string& name : manifest.classes)
    for (int i = 0; i < 2 * 16 * 21; ++i) {
      Example example;
      example.image = name + "-" + std::to_string(i);
      example.labels = {name};
      example.split = i < 16 * 21 ? "train" : "test";
      manifest.examples.push_back(example);
    }
  PartitionOptions options;
  options.scheme = PartitionScheme::kFesvibs;
  const Partition partition = make_partition(manifest, options);
  check_cover(manifest, partition);
  REQUIRE(partition.clients.size() == 6);
  CHECK(partition.clients[5].name == "client-6");
  const std::vector<std::set<int>> favoured = {{0, 1, 2}, {0, 1, 2}, {0, 3, 5},
                                               {0, 4, 5}, {3, 4, 5}, {3, 4, 5},
                                               {4, 5},    {0, 1, 2}, {0, 1, 2}};
  for (int c = 0; c < 6; ++c) {
    for (const auto* list : {&partition.clients[c].train, &partition.clients[c].test}) {
      std::vector<int> counts(9);
      for (const int i : *list) ++counts[manifest.examples[i].labels[0][1] - '0'];
      for (int k = 0; k < 9; ++k) {
        INFO("client " << c << ", class " << k);
        const int part = favoured[k].size() == 2 ? 21 : 16;
        CHECK(counts[k] == (favoured[k].count(c) ? 6 * part : part));
      }
    }
  }
  // The seed says which examples, not how many.
  options.seed = 2;
  const Partition other = make_partition(manifest, options);
  CHECK(other.clients[0].train != partition.clients[0].train);
  CHECK(other.clients[0].train.size() == partition.clients[0].train.size());
}

TEST_CASE("fesvibs: images without a label are dealt as a class behind the others") {
  Manifest manifest;
  manifest.multi_label = true;
  manifest.classes = {"z", "y", "x", "w", "v", "u"};
  for (int i = 0; i < 16; ++i) {
    Example example;
    example.image = std::to_string(i);
    example.split = "train";
    manifest.examples.push_back(example);
    example.image += "z";
    example.labels = {"z"};
    for (int copy = 0; copy < 3; ++copy) manifest.examples.push_back(example);
  }
  PartitionOptions options;
  options.scheme = PartitionScheme::kFesvibs;
  const Partition partition = make_partition(manifest, options);
  std::vector<int> unlabelled;
  for (const ClientExamples& client : partition.clients)
    unlabelled.push_back(
        static_cast<int>(std::count_if(client.train.begin(), client.train.end(), [&](int i) {
          return manifest.examples[i].labels.empty();
        })));
  // The seventh class's: six of sixteen at each of the last two.
  CHECK(unlabelled == std::vector<int>{1, 1, 1, 1, 6, 6});
}

TEST_CASE("a fraction of every client's training examples, and all of the tests") {
  const Manifest manifest = manifest_of();
  for (const std::string& scheme : partition_schemes().names()) {
    INFO(scheme);
    PartitionOptions options;
    options.scheme = partition_schemes().value(scheme);
    if (is_counted(options.scheme)) options.clients = 6;
    options.public_fraction = 0.25;
    const Partition all = make_partition(manifest, options);
    options.fraction = 0.1;
    const Partition tenth = make_partition(manifest, options);
    options.fraction = 0.5;
    const Partition half = make_partition(manifest, options);
    CHECK(tenth.public_train == all.public_train);
    REQUIRE(tenth.clients.size() == all.clients.size());
    for (std::size_t c = 0; c < all.clients.size(); ++c) {
      const auto &whole = all.clients[c].train, &small = tenth.clients[c].train,
                 &large = half.clients[c].train;
      CHECK(tenth.clients[c].test == all.clients[c].test);
      CHECK(static_cast<double>(small.size()) ==
            std::round(0.1 * static_cast<double>(whole.size())));
      CHECK(static_cast<double>(large.size()) ==
            std::round(0.5 * static_cast<double>(whole.size())));
      CHECK(std::includes(whole.begin(), whole.end(), large.begin(), large.end()));
      CHECK(std::includes(large.begin(), large.end(), small.begin(), small.end()));
    }
    options.seed = 2;
    if (!is_counted(options.scheme))
      CHECK(make_partition(manifest, options).clients[0].train != half.clients[0].train);
  }
}

TEST_CASE("the table has a row for every client, the public share and the total") {
  const Manifest manifest = manifest_of();
  PartitionOptions options;
  options.public_fraction = 0.25;
  const std::string table = partition_table(manifest, make_partition(manifest, options));
  CHECK(std::count(table.begin(), table.end(), '\n') >= 7);
  CHECK(contains(table, "(public)"));
  CHECK(contains(table, "total"));
  CHECK(contains(table, "960"));
  CHECK(contains(table, "no 20 %"));
}
