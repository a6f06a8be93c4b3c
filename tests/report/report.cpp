#include "report/report.h"

#include <cmath>
#include <cstdlib>
#include <regex>
#include <set>

#include "catch.h"
#include "core/console.h"
#include "core/document.h"
#include "pages.h"
#include "report/figures.h"
#include "report/gnuplot.h"
#include "report/intervals.h"
#include "report/run_folder.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/optimizers/comparison_files.h"
#include "strata/optimizers/statistics.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::report;
using namespace strata::test;

namespace {

const std::vector<std::string> kFigures = {
    "fig-accuracy",           "fig-client-accuracy", "fig-scores", "fig-assignments",
    "fig-assignments-rounds", "fig-usage",           "fig-front",  "fig-coverage"};

}  // namespace

TEST_CASE("a page about an experiment is complete, unambiguous and self-contained") {
  const TempDir folder;
  test::write_synthetic_experiment(folder.path(), 4, 2, small());
  const auto path = write_report(folder.path()).page;
  REQUIRE(path == folder / "report.html");
  const std::string page = slurp(path);

  const auto found = ids(page);
  for (const auto& id : kFigures) {
    INFO(id);
    CHECK(found.count(id) == 1);
  }
  for (const auto& id : found) {
    INFO(id);
    REQUIRE(found.count(id) == 1);
  }
  // Every reference inside the page leads to an id that exists.
  const std::regex reference("(?:href=[\"']#|url\\(#)([^\"')]+)");
  std::size_t references = 0;
  for (std::sregex_iterator i(page.begin(), page.end(), reference), end; i != end; ++i) {
    ++references;
    REQUIRE(found.count((*i)[1]) == 1);
  }
  CHECK(references > 0);

  CHECK_FALSE(
      std::regex_search(page, std::regex("(src|href|action|data)\\s*=\\s*[\"']?(https?:)?//")));
  CHECK_FALSE(std::regex_search(
      page, std::regex("url\\(\\s*[\"']?[^#]|@import|<link|<script|<image|<img")));
  std::string without_namespace = page;
  const std::string name = "xmlns=\"http://www.w3.org/2000/svg\"";
  for (auto at = without_namespace.find(name); at != std::string::npos;
       at = without_namespace.find(name)) {
    without_namespace.erase(at, name.size());
  }
  CHECK_FALSE(contains(without_namespace, "://"));
  CHECK_FALSE(contains(page, "<?xml"));
  CHECK(contains(page, "Synthetic data"));

  // The same folder gives the same bytes.
  write_report(folder.path());
  CHECK(slurp(path) == page);
}

TEST_CASE("the tables hold the numbers of the files") {
  const TempDir folder;
  const SyntheticRun shape = small();
  test::write_synthetic_experiment(folder.path(), 3, 1, shape);
  const std::string page = slurp(write_report(folder.path()).page);

  const auto results = table(page, "table-result");
  REQUIRE(results.size() == 5);
  // The planned strategy first, the baselines after it by name, then what to hold them against.
  CHECK(results[0][0] == "f3ocus");
  CHECK(results[1][0] == "random");
  CHECK(results[2][0] == "topk");
  SyntheticRun run = shape;
  const auto metrics = test::synthetic_metrics(run);
  const auto row = [&](int round, const std::string& client) {
    for (const auto& r : metrics) {
      if (r.round == round && r.client == client) return r;
    }
    throw std::logic_error("no such row");
  };
  const auto& all = row(2, "all");
  CHECK(results[0][1] == fixed(100 * all.values[0], 1));
  const Interval known =
      wilson(std::lround(all.values[0] * static_cast<double>(all.test_samples)), all.test_samples);
  CHECK(results[0][2] == fixed(100 * known.low, 1) + " to " + fixed(100 * known.high, 1));
  CHECK(results[0][3] == fixed(100 * row(2, "mean").values[0], 1));
  // Clients send 0.5, 0.625 and 0.75 MBit in each of two rounds and receive 1 each.
  CHECK(results[0][4] == fixed((0.5 + 0.625 + 0.75) / 3, 2));
  CHECK(results[0][5] == fixed(2 * (0.5 + 0.625 + 0.75) + 6, 1));
  CHECK(results[0][6] == "1.5");
  CHECK(results[3][0] == "before training");
  CHECK(results[3][1] == fixed(100 * row(0, "all").values[0], 1));
  // The most frequent answer is right for questions 0, 1, 5, 6, … of 40, 43 and 46.
  CHECK(results[4][0] == "most frequent answer");
  CHECK(results[4][1] == fixed(100 * (16 + 18 + 19) / 129.0, 1));
  CHECK(results[4][3] == fixed(100 * (16 / 40.0 + 18 / 43.0 + 19 / 46.0) / 3, 1));

  const auto every = table(page, "table-metrics");
  REQUIRE(every.size() == 4);
  CHECK(every[0] == std::vector<std::string>{"f3ocus", fixed(100 * all.values[0], 1),
                                             fixed(100 * all.values[1], 1),
                                             fixed(100 * all.values[2], 1)});
  CHECK(every[3][0] == "before training");
  CHECK(every[3][2] == fixed(100 * row(0, "all").values[1], 1));

  const auto bytes = table(page, "table-bytes");
  REQUIRE(bytes.size() == 4);
  const double full = 8e-6 * (4 * 199936 + 48000);
  CHECK(bytes[0] == std::vector<std::string>{"f3ocus", "0.625", "1.000", "3.8", "6.0", "9.8",
                                             fixed(100 * 1.625 / (2 * full), 1)});
  CHECK(bytes[3][1] == fixed(full, 3));
  CHECK(bytes[3][5] == fixed(12 * full, 1));
  const auto clients = table(page, "table-client-bytes");
  REQUIRE(clients.size() == 3);
  CHECK(clients[1][0] == "south");
  CHECK(clients[1][1] == "0.625");
  CHECK(clients[1][2] == "1.000");

  const auto before_after = table(page, "table-usage");
  REQUIRE(before_after.size() == 2);
  const ScoreTable scores = test::synthetic_scores(run, 1);
  const Plan plan = test::synthetic_plan(run, scores, 1);
  run.algorithm = "topk";
  const Plan top = test::synthetic_plan(run, scores, 1);
  CHECK(before_after[0] == std::vector<std::string>{"1", fixed(top.objectives.usage_variance, 3),
                                                    fixed(plan.objectives.usage_variance, 3),
                                                    fixed(top.objectives.importance, 3),
                                                    fixed(plan.objectives.importance, 3)});
  const auto front = table(page, "table-front");
  REQUIRE(front.size() == 2);
  CHECK(front[0][3] == std::to_string(plan.front.size()));
  CHECK(front[0][6] == "0.0125");
  CHECK(front[0][7] == "0.50");
  CHECK(front[0][8] == "1.0000");

  // Which units nobody trains follows from the plans.
  const auto coverage = table(page, "table-coverage");
  const auto counts = usage(top.assignment);
  std::string untrained;
  for (std::size_t l = 0; l < counts.size(); ++l) {
    if (counts[l] == 0) untrained += (untrained.empty() ? "" : ", ") + run.units[l];
  }
  REQUIRE_FALSE(untrained.empty());
  bool named = false;
  for (const auto& r : coverage)
    named = named || (r[0] == "topk" && r[1] == "1" && r[2] == untrained);
  CHECK(named);
}

TEST_CASE(
    "who trains everything in every round has no map of assignments, whatever its algorithm") {
  const TempDir folder;
  test::write_synthetic_experiment(folder.path(), 4, 1, small());
  replace_in(folder / "full-seed1" / "run.json", "\"algorithm\": \"full\"",
             "\"algorithm\": \"exact\"");
  replace_in(folder / "topk-seed1" / "run.json", "\"algorithm\": \"topk\"",
             "\"algorithm\": \"full\"");
  const std::string page = slurp(write_report(folder.path()).page);
  CHECK_FALSE(contains(page, "Share of rounds, strategy full"));
  CHECK(contains(page, "Share of rounds, strategy topk"));
}

TEST_CASE("the plan that is each client's best units has a square, under whatever name") {
  const TempDir folder;
  SyntheticRun shape = small();
  shape.rounds = 1;  // later ones show the primary strategy alone
  test::write_synthetic_experiment(folder.path(), 3, 1, shape);
  const auto legend = [&] {
    return figure_of(slurp(write_report(folder.path()).page), "fig-front");
  };
  CHECK_FALSE(contains(legend(), "importance alone (top-k)"));
  std::filesystem::remove_all(folder / "topk-seed1");
  CHECK(contains(legend(), "importance alone (top-k)"));
}

TEST_CASE("seeds are summarised by their mean and Student's interval") {
  const TempDir folder;
  test::write_synthetic_experiment(folder.path(), 1, 3, small());
  const auto results = table(slurp(write_report(folder.path()).page), "table-result");
  std::vector<double> values;
  for (const std::uint64_t seed : {1, 2, 3}) {
    SyntheticRun run = small();
    run.seed = seed;
    values.push_back(100 * test::synthetic_metrics(run)[2 * 5 + 3].values[0]);
  }
  REQUIRE(values[0] != values[1]);
  const Interval known = mean_interval(values, 100.0 / 129);
  CHECK(results[0][1] == "3");
  CHECK(results[0][2] == fixed(known.value, 1));
  CHECK(results[0][3] == fixed(known.low, 1) + " to " + fixed(known.high, 1));
}

TEST_CASE("the result comes first, after the warnings alone, and the settings are folded below") {
  const TempDir folder;
  test::write_synthetic_experiment(folder.path(), 3, 1, small());
  replace_in(folder / "topk-seed1" / "run.json", "\"done\"", "\"running\"");
  const std::string page = slurp(write_report(folder.path()).page);
  std::size_t last = 0;
  for (const std::string part :
       {"<h1>", "Synthetic data", "Unfinished: topk", "class=\"verdict\"",
        "<table id=\"table-result\"", "<figure id=\"fig-accuracy\"",
        "<table id=\"table-differences\"", "<figure id=\"fig-client-accuracy\"",
        "<figure id=\"fig-scores\"", "<h2>What was run</h2>", "<table id=\"table-run\"",
        "config.yaml of"}) {
    const std::size_t at = page.find(part);
    INFO(part);
    REQUIRE(at != std::string::npos);
    CHECK(at > last);
    last = at;
  }
  for (const std::string id : {"table-run", "table-units", "table-differences"}) {
    const std::size_t at = page.find("<table id=\"" + id);
    CHECK(count(page.substr(0, at), "<details>") == count(page.substr(0, at), "</details>") + 1);
  }
}

TEST_CASE("test questions are counted, for all clients and for each") {
  const TempDir folder;
  test::write_synthetic_experiment(folder.path(), 2, 1, small());
  const std::string page = slurp(write_report(folder.path()).page);
  CHECK(contains(page, "3 clients with 129 test questions (40 to 46 each)"));
  for (const std::string name : {"north (40)", "south (43)", "west (46)"})
    CHECK(contains(page, name + "</text>"));
}

TEST_CASE("the most frequent answer is a line in every plot of accuracies, where it is known") {
  const TempDir folder;
  SyntheticRun shape = small();
  test::write_synthetic_experiment(folder / "new", 3, 1, shape);
  const std::string page = slurp(write_report(folder / "new").page);
  const std::string figure = figure_of(page, "fig-accuracy");
  // One in the legend and one in each panel.
  CHECK(count(figure, "stroke-dasharray=\"6,4\"") == 1);
  CHECK(count(figure, "stroke-dasharray='4.8,3.2'") == 2);
  CHECK(contains(figure, "</svg>most frequent answer</span>"));
  CHECK(contains(figure_of(page, "fig-client-accuracy"), "</svg>most frequent answer</span>"));
  CHECK_FALSE(contains(page, "How often the most frequent answer is right is not known"));

  // Run folders of an earlier Strata are reported without it, and the page says so.
  shape.question_file = false;
  test::write_synthetic_experiment(folder / "old", 3, 1, shape);
  const std::string old = slurp(write_report(folder / "old").page);
  CHECK(table(old, "table-result").size() == 4);
  CHECK_FALSE(contains(figure_of(old, "fig-accuracy"), "'4.8,3.2'"));
  CHECK(contains(old, "How often the most frequent answer is right is not known"));
  CHECK(contains(old, "questions, not paired"));
}

TEST_CASE("nothing is ranked that the intervals do not support") {
  const TempDir folder;
  SyntheticRun shape = small();
  shape.rounds = 5;
  test::write_synthetic_experiment(folder / "one", 3, 1, shape);
  const std::string page = slurp(write_report(folder / "one").page);
  // Each pair by McNemar's exact test on the files, with Holm's correction over all six.
  const auto runs = read_run_folders(folder / "one").runs;
  REQUIRE(runs.size() == 3);
  std::vector<double> p;
  const auto test_of = [&](const auto& first, const auto& second) {
    std::int64_t gained = 0, lost = 0;
    for (std::size_t q = 0; q < runs[0].questions.size(); ++q) {
      gained += first(q) && !second(q);
      lost += !first(q) && second(q);
    }
    p.push_back(paired_questions(gained, lost, 129).p);
  };
  const auto answers = [&](std::size_t run) {
    return [&, run](std::size_t q) { return runs[run].questions[q].correct; };
  };
  const auto majority = [&](std::size_t q) { return runs[0].questions[q].majority_correct; };
  test_of(answers(0), answers(1));
  test_of(answers(0), answers(2));
  test_of(answers(1), answers(2));
  for (std::size_t run = 0; run < 3; ++run) test_of(answers(run), majority);
  const auto adjusted = holm(p);
  const auto rows = table(page, "table-differences");
  REQUIRE(rows.size() == 6);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    INFO(rows[i][0] << " " << rows[i][1]);
    CHECK(rows[i][4] == "questions, paired");
    CHECK(rows[i][5] == (adjusted[i] < 0.0001 ? "&lt; 0.0001" : fixed(adjusted[i], 4)));
    CHECK(rows[i][6] == (adjusted[i] < 0.05 ? "yes" : "no"));
  }
  // f3ocus and topk are alike in these runs, both far from random.
  CHECK(rows[1][6] == "no");
  CHECK(rows[0][6] == "yes");
  CHECK(contains(page, "Told apart: f3ocus above random (95 % interval of the difference +"));
  CHECK(contains(page, "Not told apart: f3ocus and topk."));

  // Equal runs: no pair is told apart, and the page does not call them equal either.
  for (const std::string name : {"a", "b"}) {
    shape.strategy = name;
    test::write_synthetic_run(shape, folder / "equal" / name);
  }
  const std::string equal = slurp(write_report(folder / "equal").page);
  CHECK(contains(equal,
                 "The two strategies cannot be told apart: their difference is no greater than "
                 "another choice of test questions may make by chance. That does not show that "
                 "they are equal."));
  CHECK(contains(equal, "Lines that lie on each other: a and b."));

  // With seeds the differences are paired by seed.
  test::write_synthetic_experiment(folder / "seeds", 3, 3, shape);
  const auto seeds = table(slurp(write_report(folder / "seeds").page), "table-differences");
  REQUIRE(seeds.size() == 6);
  for (const auto& row : seeds) CHECK(row[4] == "seeds, paired");
  const auto several = read_run_folders(folder / "seeds").runs;
  std::vector<double> differences;
  for (std::size_t seed = 0; seed < 3; ++seed) {
    differences.push_back(100 * several[seed].find(5, "all")->values[0] -
                          100 * several[3 + seed].find(5, "all")->values[0]);
  }
  const Interval known = paired_seeds(differences, 100.0 / 129).interval;
  CHECK(seeds[0][2] == "+" + fixed(known.value, 1));
  CHECK(seeds[0][3] == "+" + fixed(known.low, 1) + " to +" + fixed(known.high, 1));

  // Runs that stand at different rounds are not held against each other.
  shape.strategy = "c";
  shape.rounds = 3;
  test::write_synthetic_run(shape, folder / "equal" / "c");
  CHECK(contains(slurp(write_report(folder / "equal").page),
                 "Not compared, as they share no seed at the same round: a and c; b and c."));
}

TEST_CASE("clients of one size have one accuracy, not two that are the same") {
  const TempDir folder;
  SyntheticRun shape = small();
  test::write_synthetic_run(shape, folder / "uneven");
  const std::string uneven = slurp(write_report(folder / "uneven").page);
  CHECK(contains(uneven, "<figure id=\"fig-accuracy-plain\">"));
  CHECK(contains(uneven, "client mean, %"));
  shape.further_questions = 0;
  test::write_synthetic_run(shape, folder / "even");
  const std::string even = slurp(write_report(folder / "even").page);
  CHECK_FALSE(contains(even, "fig-accuracy-plain"));
  CHECK_FALSE(contains(even, "client mean, %"));
  CHECK(contains(even, "120 test questions (40 each)"));
}

TEST_CASE("a single run and a run without plans are reported, too") {
  const TempDir folder;
  SyntheticRun run = small();
  run.synthetic = false;
  test::write_synthetic_run(run, folder.path());
  const std::string page = slurp(write_report(folder.path()).page);
  for (const auto& id : kFigures) CHECK(contains(page, "<figure id=\"" + id + "\">"));
  CHECK_FALSE(contains(page, "Synthetic data"));

  std::filesystem::remove_all(folder / "rounds");
  const std::string bare = slurp(write_report(folder.path()).page);
  CHECK(contains(bare, "<figure id=\"fig-accuracy\">"));
  CHECK_FALSE(contains(bare, "<figure id=\"fig-front\">"));
  CHECK(contains(bare, "No strategy of this run chooses who trains what."));
}

TEST_CASE("budgets are shown with what they count") {
  const TempDir folder;
  test::write_synthetic_run(small(), folder.path());
  const std::string json = slurp(folder / "run.json");
  const auto shown = [&](const std::string& budget) {
    write_file(folder / "run.json", json);
    replace_in(folder / "run.json", "\"budget\": 2", budget);
    for (const auto& row : table(slurp(write_report(folder.path()).page), "table-run"))
      if (row[0] == "budget") return row[1];
    return std::string();
  };
  CHECK(shown(R"("budget": 1)") == "1 unit per client and round");
  CHECK(shown(R"("budget": 2)") == "2 units per client and round");
  CHECK(shown(R"("budget_of": "bytes", "budget": 4000000)") == "4 MB per client and round");
  CHECK(shown(R"("budget_of": "flops", "budget": 2500000)") == "2.5 MFLOP per client and round");
  CHECK(shown(R"("budget_of": "memory", "budget": 4000)") == "4 kB of memory per client and round");
  CHECK(shown(R"("budget": {"north": 1, "south": 0, "west": 2})") ==
        "units per client and round: north 1, south 0, west 2");
  CHECK(shown(R"("budget_of": "memory", "budget": {"north": 1, "south": 0, "west": 2000})") ==
        "memory per client and round: north 1 B, south 0 B, west 2 kB");
}

TEST_CASE("a page says which learning rate every strategy had, once where they are equal") {
  const TempDir folder;
  test::write_synthetic_experiment(folder.path(), 2, 1);
  const auto shown = [&] {
    for (const auto& row : table(slurp(write_report(folder.path()).page), "table-run"))
      if (row[0] == "learning rate") return row[1];
    return std::string();
  };
  CHECK(shown().empty());  // an earlier Strata's
  std::vector<std::filesystem::path> configs;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    if (std::filesystem::exists(entry.path() / "config.yaml"))
      configs.push_back(entry.path() / "config.yaml");
  std::sort(configs.begin(), configs.end());
  REQUIRE(configs.size() == 2);
  for (const auto& config : configs)
    replace_in(config, "run:\n", "run:\n  local: {learning_rate: 0.002}\n");
  CHECK(shown() == "0.002");
  replace_in(configs[1], "0.002", "0.1");
  const std::string both = shown();
  CHECK(contains(both, " 0.002"));
  CHECK(contains(both, " 0.1"));
  CHECK(contains(both, "f3ocus "));
}

TEST_CASE("a page says that a run is unfinished, and what a strategy scored by if it did") {
  const TempDir folder;
  test::write_synthetic_run(small(), folder.path());
  const auto strategies = [](const std::string& page) { return table(page, "table-run")[0][1]; };
  const std::string finished = slurp(write_report(folder.path()).page);
  CHECK_FALSE(contains(finished, "Unfinished"));
  CHECK(strategies(finished) == "f3ocus (plan exact, scores lntk)");
  replace_in(folder / "run.json", "\"status\": \"done\"", "\"status\": \"running\"");
  replace_in(folder / "run.json", "\"metric\": \"lntk\"", "\"metric\": \"none\"");
  const std::string page = slurp(write_report(folder.path()).page);
  CHECK(contains(page, "Unfinished: f3ocus, seed 1 stands at round 2."));
  CHECK(strategies(page) == "f3ocus (plan exact)");
}

TEST_CASE("names are data: they are shown as they are and never interpreted") {
  const TempDir folder;
  SyntheticRun run = small();
  run.name = "<script>alert(1)</script> & \"co\"";
  run.clients = {"a_b^{c} <&\"'>", "`touch /tmp/x` %d $(id)", "Zürich-Ωμέγα 病院"};
  run.units = {"u\\n{0}", "id=\"x\" url(#y)", "@system", "très.long.nom.d'unité.qui.ne.finit.pas"};
  test::write_synthetic_run(run, folder.path());
  const std::string page = slurp(write_report(folder.path()).page);
  CHECK_FALSE(contains(page, "<script"));
  CHECK(contains(page, "<h1>&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;co&quot;</h1>"));
  const auto clients = table(page, "table-client-bytes");
  CHECK(clients[0][0] == "a_b^{c} &lt;&amp;&quot;&#39;&gt;");
  CHECK(clients[1][0] == "`touch /tmp/x` %d $(id)");
  CHECK(clients[2][0] == "Zürich-Ωμέγα 病院");
  // gnuplot's own escaping, in the figures.
  const std::string figure = page.substr(page.find("<figure id=\"fig-client-accuracy\""));
  CHECK(contains(figure, "a_b^{c} &lt;&amp;\"'></text>"));
  CHECK(contains(figure, "`touch /tmp/x` %d $… (43)</text>"));
  CHECK(contains(figure, "Zürich-Ωμέγα 病院</text>"));
  CHECK(contains(figure, "id=\"x\" url(#y)</text>"));
  CHECK(contains(figure, "u\\n{0}</text>"));
}
