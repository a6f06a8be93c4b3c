#include "strata/fedrunner/run.h"

#include <algorithm>
#include <set>

#include "catch.h"
#include "core/document.h"
#include "fedrunner/four_rounds.h"
#include "models/device.h"
#include "strata/core/error.h"
#include "strata/core/safetensors.h"
#include "strata/core/score_table.h"
#include "strata/fedrunner/metrics.h"
#include "strata/fedrunner/pretrain.h"

using namespace strata;
using namespace strata::data;
using namespace strata::fedrunner;
using namespace strata::models;
using Catch::Matchers::Contains;
using strata::test::row_of;
using strata::test::Stop;
namespace fs = std::filesystem;

namespace {

using Fixture = strata::test::FourRounds;

}  // namespace

TEST_CASE_METHOD(Fixture, "a run folder holds the whole run, and counts every bit sent") {
  const auto summaries = run("out");
  REQUIRE(summaries.size() == 1);
  CHECK(summaries[0].folder == dir / "out");
  const std::set<std::string> expected = {"config.yaml",
                                          "metrics.csv",
                                          "model/config.json",
                                          "model/model.safetensors",
                                          "model/preprocessor_config.json",
                                          "model/tokenizer_config.json",
                                          "model/vocab.txt",
                                          "questions.csv",
                                          "rounds/001/aggregation.json",
                                          "rounds/001/plan.json",
                                          "rounds/001/scores.json",
                                          "rounds/002/aggregation.json",
                                          "rounds/002/plan.json",
                                          "rounds/003/aggregation.json",
                                          "rounds/003/plan.json",
                                          "rounds/003/scores.json",
                                          "rounds/004/aggregation.json",
                                          "rounds/004/plan.json",
                                          "state/round-004.safetensors",
                                          "state/state.json"};
  std::set<std::string> found;
  for (const auto& [name, content] : test::contents(dir / "out")) found.insert(name);
  CHECK(found == expected);
  CHECK_THAT(test::slurp(dir / "out" / "run.json"),
             Contains("\"status\": \"done\"") && Contains("\"rounds_done\": 4"));
  CHECK_THAT(test::slurp(dir / "out" / "run.log"),
             Contains("round 1: 3 updates; matched by all: block.0, head; untouched: block.1") &&
                 Contains("; partial: block.0 (mri), block.1 (oct), block.2 (ct)"));

  const auto rows = read_metrics(dir / "out" / "metrics.csv").rows;
  CHECK(rows.size() == 5 * 5);
  // Weights by hand: a block has 3 · (16² + 16) for queries, keys and values, 16² + 16 behind them,
  // two LayerNorms of 2 · 16, 64 · 16 + 64 and 16 · 64 + 16; the head a LayerNorm of 2 · 16, the
  // pooler's 16² + 16, 32 · 16 + 32, a LayerNorm of 2 · 32 and 5 · 32 + 5.
  const double block = 32.0 * 3280 / 1e6, head = 32.0 * 1077 / 1e6, scores = 64.0 * 3 / 1e6;
  for (const std::string client : {"ct", "mri", "oct"}) {
    CHECK(row_of(rows, 0, client).up_mbit == 0);
    CHECK(row_of(rows, 1, client).up_mbit == Approx(block + head + scores).epsilon(1e-12));
    CHECK(row_of(rows, 2, client).up_mbit == Approx(block + head).epsilon(1e-12));
    CHECK(row_of(rows, 1, client).down_mbit == 0);
  }
  for (int round = 2; round <= 4; ++round) {
    const auto before =
        read_plan(dir / "out" / "rounds" / ("00" + std::to_string(round - 1)) / "plan.json");
    double changed = head;
    for (const int clients : usage(before.assignment)) changed += clients > 0 ? block : 0;
    CHECK(row_of(rows, round, "ct").down_mbit == Approx(changed).epsilon(1e-12));
    CHECK(row_of(rows, round, "all").down_mbit == Approx(3 * changed).epsilon(1e-12));
    CHECK(row_of(rows, round, "mean").down_mbit == Approx(changed).epsilon(1e-12));
  }
  // Aggregates: all clients have four test questions, so both accuracies agree; training losses are
  // weighted by 8, 10 and 12 samples.
  const auto& all = row_of(rows, 4, "all");
  CHECK(all.train_samples == 30);
  CHECK(all.test_samples == 12);
  CHECK(row_of(rows, 4, "mean").train_samples == 10);
  CHECK(row_of(rows, 4, "mean").test_samples == 4);
  CHECK(all.values[0] == Approx(row_of(rows, 4, "mean").values[0]));
  CHECK(all.train_loss ==
        Approx((8 * row_of(rows, 4, "ct").train_loss + 10 * row_of(rows, 4, "mri").train_loss +
                12 * row_of(rows, 4, "oct").train_loss) /
               30));
  const auto plan = read_plan(dir / "out" / "rounds" / "004" / "plan.json");
  CHECK(all.importance == Approx(plan.objectives.importance).epsilon(1e-14));
  CHECK(all.usage_variance == Approx(plan.objectives.usage_variance).epsilon(1e-14));
  CHECK(std::isnan(row_of(rows, 4, "ct").importance));
  // Round 4 plans on the scores of round 3.
  CHECK(plan.scores_digest == digest(read_scores(dir / "out" / "rounds" / "003" / "scores.json")));
  for (const auto& [key, value] : plan.provenance) CHECK(key == "strata");

  CHECK(summaries[0].final_accuracy == all.values[0]);
  CHECK(summaries[0].foundation_accuracy == row_of(rows, 0, "all").values[0]);
  CHECK(summaries[0].up_mbit_per_round == Approx(3 * (block + head + scores / 2)).epsilon(1e-12));

  // The model in the folder is the one that was measured last.
  const auto global = peft::load_model(dir / "out" / "model");
  const auto state = test::slurp(dir / "out" / "state" / "state.json");
  CHECK_THAT(state, Contains("round-004.safetensors"));
  CHECK(global.fingerprint() != peft::load_model(dir / "foundation").fingerprint());
}

TEST_CASE_METHOD(
    Fixture, "a round writes what was trained; the whole model comes with the last, or with each") {
  std::map<std::string, std::vector<bool>> model_after;
  RunOptions options;
  options.after_round = [&](const fs::path& folder, int round) {
    const auto file = folder / "model" / "model.safetensors";
    model_after[folder.filename().string()].push_back(fs::exists(file));
    if (round == 0) return;
    const SafetensorsFile state(folder / "state" /
                                ("round-00" + std::to_string(round) + ".safetensors"));
    for (const auto& entry : state.tensors()) {
      INFO(entry.name);
      CHECK(entry.name.find("embeddings") == std::string::npos);
    }
    // Three blocks of 16 and the head of 10 weights.
    CHECK(state.tensors().size() == 3 * 16 + 10);
  };
  run("end", {}, options);
  run("every", {"run.save=every"}, options);
  CHECK(model_after["end"] == std::vector<bool>{false, false, false, false, true});
  CHECK(model_after["every"] == std::vector<bool>{false, true, true, true, true});
  CHECK(test::slurp(dir / "end" / "model" / "model.safetensors") ==
        test::slurp(dir / "every" / "model" / "model.safetensors"));
  CHECK_THAT(test::slurp(dir / "every" / "config.yaml"), Contains("save: every"));
}

TEST_CASE_METHOD(Fixture, "a published model gets an output layer for the data's answers") {
  auto config = test::tiny_config();
  config.labels = {"no", "yes"};
  peft::save_model(test::make_model(config, 5), dir / "published");
  save_tokenizer(test::tiny_tokenizer(), *config.architecture(), dir / "published");
  std::vector<std::string> set = {"model.folder=" + (dir / "published").string()};
  CHECK_THROWS_WITH(run("own", set),
                    Contains("model.answers: data makes a label of every training answer"));

  // Stopped and resumed, it is the run from the foundation that `strata pretrain` makes.
  const auto made =
      dir.write("made.yaml", "version: 1\nname: made\ndata: {folder: " + (dir / "data").string() +
                                 "}\nmodel: {}\npretrain: {from: " + (dir / "published").string() +
                                 ", epochs: 0}\n");
  pretrain_model(made, {}, dir / "made", "cpu", tools.names);
  run("expected", {"model.folder=" + (dir / "made").string()});
  set.push_back("model.answers=data");
  RunOptions options;
  options.after_round = [](const fs::path&, int round) {
    if (round == 2) throw Stop{};
  };
  CHECK_THROWS_AS(run("out", set, options), Stop);
  options = {};
  options.resume = true;
  run("out", set, options);
  CHECK(peft::load_model(dir / "out" / "model").architecture().labels() ==
        test::tiny_config().labels);
  auto expected = test::contents(dir / "expected"), found = test::contents(dir / "out");
  CHECK_THAT(found["config.yaml"], Contains("answers: data\n  seed: 1\n"));
  expected.erase("config.yaml");
  found.erase("config.yaml");
  CHECK((found == expected));

  set.push_back("model.seed=2");
  CHECK_THROWS_WITH(run("out", set, options), Contains("config.yaml"));
}

TEST_CASE_METHOD(Fixture, "units that nobody trained keep the foundation's bits") {
  run("out", {"run.rounds=1", "units.always=[]"});
  const auto plan = read_plan(dir / "out" / "rounds" / "001" / "plan.json");
  const auto counts = usage(plan.assignment);
  const auto before = peft::load_model(dir / "foundation"),
             after = peft::load_model(dir / "out" / "model");
  for (const auto& unit : after.units()) {
    const auto place = std::find(plan.units.begin(), plan.units.end(), unit.name);
    const bool trained = place != plan.units.end() &&
                         counts[static_cast<std::size_t>(place - plan.units.begin())] > 0;
    bool same = true;
    for (const auto& name : unit.parameters)
      same = same && test::same_bits(before.weight(name), after.weight(name));
    INFO(unit.name);
    CHECK(same == !trained);
  }
}

TEST_CASE_METHOD(Fixture,
                 "questions.csv has every test question of the last round, and the majority's") {
  run("out", {"run.rounds=3", "run.evaluate_every=3"});
  const auto questions = read_questions(dir / "out" / "questions.csv");
  REQUIRE(questions.size() == 12);
  const auto rows = read_metrics(dir / "out" / "metrics.csv").rows;
  for (const std::string client : {"ct", "mri", "oct"}) {
    double correct = 0;
    std::int64_t place = 0;
    for (const auto& question : questions) {
      if (question.client != client) continue;
      CHECK(question.round == 3);
      CHECK(question.question == place++);
      correct += question.correct;
    }
    CHECK(place == 4);
    CHECK(correct / 4 == row_of(rows, 3, client).values[0]);
  }
  // "no" is every client's most frequent training answer (of ct's as frequent as "red" and "yes",
  // and the first of these labels). Test questions go "which colour", "is it red" for each of two
  // images: ct's are green and blue, mri's blue and red, oct's red and green.
  std::vector<int> majority;
  for (const auto& question : questions) majority.push_back(question.majority_correct);
  CHECK(majority == std::vector<int>{0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1});
}

TEST_CASE_METHOD(Fixture, "several strategies and seeds make one folder each") {
  const auto summaries =
      run("out", {"run.strategies=[f3ocus, random, full]", "run.seeds=[1, 2]", "run.rounds=2"});
  REQUIRE(summaries.size() == 6);
  for (const std::string strategy : {"f3ocus", "random", "full"}) {
    for (const std::string seed : {"1", "2"}) {
      const auto folder = dir / "out" / (strategy + "-seed" + seed);
      CHECK(fs::exists(folder / "config.yaml"));
      CHECK(fs::exists(folder / "rounds" / "001" / "scores.json") == (strategy == "f3ocus"));
      const auto first = read_plan(folder / "rounds" / "001" / "plan.json");
      const auto second = read_plan(folder / "rounds" / "002" / "plan.json");
      CHECK(first.assignment.cast<int>().sum() == (strategy == "full" ? 9 : 3));
      if (strategy == "random") CHECK(first.seed != second.seed);
      const auto rows = read_metrics(folder / "metrics.csv").rows;
      CHECK(std::isnan(row_of(rows, 1, "all").importance) == (strategy != "f3ocus"));
    }
  }
  // A pair run alone gives the same bytes as within the experiment.
  run("alone", {"run.strategies=[random]", "run.seeds=[2]", "run.rounds=2"});
  test::check_same(dir / "alone", dir / "out" / "random-seed2");
  // What a kill left of the experiment's own file goes when it is resumed.
  dir.write("out/experiment.yaml.tmp-1-0", "version: 1");
  RunOptions resuming;
  resuming.resume = true;
  run("out", {"run.strategies=[f3ocus, random, full]", "run.seeds=[1, 2]", "run.rounds=2"},
      resuming);
  CHECK_FALSE(fs::exists(dir / "out" / "experiment.yaml.tmp-1-0"));
}

TEST_CASE_METHOD(Fixture, "adapters are added, trained, sent, saved and resumed; nothing else is") {
  const std::vector<std::string> set = {
      "model.peft={adapters: {reduction: 4}, prompts: {length: 2}}", "units.scheme=adapter+prompt"};
  run("whole", set);
  const auto before = peft::load_model(dir / "foundation");
  const auto after = peft::load_model(dir / "whole" / "model");
  CHECK(test::shape_of(after).peft.adapter_reduction == 4);
  for (const auto& unit : before.units()) {
    if (unit.name == "head") continue;
    for (const auto& name : unit.parameters) {
      INFO(name);
      CHECK(test::same_bits(before.weight(name), after.weight(name)));
    }
  }
  // Fresh weights are those of the run's seed; what nobody trained still has them.
  auto fresh = peft::load_model(dir / "foundation");
  test::add_peft(fresh, test::shape_of(after).peft, 1);
  peft::set_units(fresh, "adapter+prompt", models::Buffers::kFrozen);
  std::set<std::string> trained;
  for (int round = 1; round <= 4; ++round) {
    const auto plan =
        read_plan(dir / "whole" / "rounds" / ("00" + std::to_string(round)) / "plan.json");
    CHECK(plan.units == std::vector<std::string>{"prompt", "adapter.0", "adapter.1", "adapter.2"});
    for (int client = 0; client < 3; ++client) {
      for (const auto& unit : plan.units_of(client)) trained.insert(unit);
    }
  }
  for (const auto& unit : fresh.units()) {
    if (unit.name == "embeddings" || unit.name == "head") continue;
    INFO(unit.name);
    bool same = true;
    for (const auto& name : unit.parameters)
      same = same && test::same_bits(fresh.weight(name), after.weight(name));
    CHECK(same == (trained.count(unit.name) == 0));
  }

  // An adapter by hand: 16 · 4 + 4 down, 4 · 16 + 16 up; two prompt vectors of 16; head as above.
  const auto plan = read_plan(dir / "whole" / "rounds" / "002" / "plan.json");
  const auto rows = read_metrics(dir / "whole" / "metrics.csv").rows;
  for (int client = 0; client < 3; ++client) {
    double weights = 1077;
    for (const auto& unit : plan.units_of(client)) weights += unit == "prompt" ? 32 : 148;
    CHECK(row_of(rows, 2, plan.clients[static_cast<std::size_t>(client)]).up_mbit ==
          Approx(32 * weights / 1e6).epsilon(1e-12));
  }
  std::int64_t stored = 0;
  const SafetensorsFile state(dir / "whole" / "state" / "round-004.safetensors");
  for (const auto& tensor : state.tensors()) stored += tensor.element_count();
  CHECK(stored == 3 * 148 + 32 + 1077);

  RunOptions stopping, resuming;
  stopping.after_round = [](const fs::path&, int round) {
    if (round == 2) throw Stop();
  };
  resuming.resume = true;
  CHECK_THROWS_AS(run("stopped", set, stopping), Stop);
  run("stopped", set, resuming);
  test::check_same(dir / "whole", dir / "stopped");
  auto other = set;
  other[0] = "model.peft={adapters: {reduction: 2}, prompts: {length: 2}}";
  CHECK_THROWS_WITH(run("stopped", other, resuming),
                    Contains("differs in model.peft.adapters.reduction"));

  // Several seeds in one experiment give what each gives alone: no run sees another's weights.
  auto seeds = set;
  seeds.push_back("run.seeds=[2, 1]");
  run("both", seeds);
  test::check_same(dir / "whole", dir / "both" / "f3ocus-seed1");
  CHECK(test::slurp(dir / "both" / "f3ocus-seed2" / "model" / "strata_adapters.safetensors") !=
        test::slurp(dir / "whole" / "model" / "strata_adapters.safetensors"));
}

TEST_CASE_METHOD(Fixture, "clients get the files that the plan's adapters need, every round") {
  std::vector<std::string> asked;
  tools.client_files = [&](const Plan& plan, const fs::path& folder, const fs::path& peft) {
    CHECK(fs::exists(peft));
    asked.push_back(folder.filename().string());
    return std::vector<std::pair<fs::path, std::string>>{
        {folder / "ct" / "adapter_config.json", plan.units.front()}};
  };
  run("out", {"model.peft={lora: {rank: 2}}", "units.scheme=lora", "run.rounds=2"});
  CHECK(asked == std::vector<std::string>{"001", "002"});
  CHECK(test::slurp(dir / "out" / "rounds" / "002" / "ct" / "adapter_config.json") == "lora.0");
  asked.clear();
  run("norms", {"units.scheme=layernorm", "run.rounds=1"});
  CHECK(asked.empty());
  // PEFT could not read a file for these.
  run("own", {"model.peft={adapters: {reduction: 4}}", "units.scheme=adapter", "run.rounds=1"});
  CHECK(asked.empty());
}

TEST_CASE_METHOD(Fixture, "the runner's own strategies: head, dropout, roundrobin, sba") {
  run("out", {"run.strategies=[head, dropout, roundrobin, sba]", "run.budget=2", "run.rounds=3",
              "run.plan={every: 3}", "units.always=[]"});
  const auto plan = [&](const std::string& strategy, int round) {
    return read_plan(dir / "out" / (strategy + "-seed1") / "rounds" /
                     ("00" + std::to_string(round)) / "plan.json");
  };
  CHECK(plan("head", 1).assignment.cast<int>().sum() == 0);
  const auto before = peft::load_model(dir / "foundation"),
             after = peft::load_model(dir / "out" / "head-seed1" / "model");
  for (const auto& unit : before.units()) {
    bool same = true;
    for (const auto& name : unit.parameters)
      same = same && test::same_bits(before.weight(name), after.weight(name));
    INFO(unit.name);
    CHECK(same == (unit.name != "head"));
  }
  // Dropout draws in every round, whatever plan.every says.
  std::set<std::string> drawn;
  for (int round = 1; round <= 3; ++round) {
    const auto found = plan("dropout", round);
    CHECK((found.assignment.cast<int>().rowwise().sum().array() == 2).all());
    std::string text;
    for (int client = 0; client < 3; ++client) {
      for (const auto& unit : found.units_of(client)) text += unit;
    }
    drawn.insert(text);
  }
  CHECK(drawn.size() > 1);
  // Of sba all clients have the same draw, which dropout's do not.
  std::set<std::string> shared;
  bool alike = true;
  for (int round = 1; round <= 3; ++round) {
    const auto found = plan("sba", round), other = plan("dropout", round);
    std::string text;
    for (const auto& unit : found.units_of(0)) text += unit;
    shared.insert(text);
    for (int client = 0; client < 3; ++client) {
      CHECK(found.units_of(client) == found.units_of(0));
      CHECK(found.units_of(client).size() == 2);
      alike = alike && other.units_of(client) == other.units_of(0);
    }
  }
  CHECK(shared.size() > 1);
  CHECK_FALSE(alike);
  CHECK((plan("roundrobin", 1).assignment == plan("roundrobin", 3).assignment));
  CHECK_FALSE(fs::exists(dir / "out" / "dropout-seed1" / "rounds" / "001" / "scores.json"));

  // Six units dealt to three clients are two rounds of three units: every round uses each twice,
  // and over three rounds every client has trained every unit twice.
  run("rr", {"run.strategies=[roundrobin]", "run.budget=2", "run.rounds=3"});
  Eigen::MatrixXi sum = Eigen::MatrixXi::Zero(3, 3);
  for (int round = 1; round <= 3; ++round) {
    const auto found =
        read_plan(dir / "rr" / "rounds" / ("00" + std::to_string(round)) / "plan.json");
    for (const int clients : usage(found.assignment)) CHECK(clients == 2);
    sum += found.assignment.cast<int>();
  }
  CHECK((sum.array() == 2).all());
  // Where a plan stays for two rounds, the next one deals on where it ended.
  run("two",
      {"run.strategies=[roundrobin]", "run.budget=2", "run.rounds=4", "run.plan={every: 2}"});
  const auto deal = [&](const std::string& out, int round) {
    return read_plan(dir / out / "rounds" / ("00" + std::to_string(round)) / "plan.json")
        .assignment;
  };
  CHECK((deal("two", 1) == deal("rr", 1)));
  CHECK((deal("two", 3) == deal("rr", 2)));
  CHECK((deal("two", 4) == deal("rr", 2)));
  CHECK((deal("rr", 2) != deal("rr", 3)));
}

TEST_CASE_METHOD(Fixture, "rounds that are not evaluated leave their accuracies empty") {
  run("out", {"run.evaluate_every=3"});
  const auto rows = read_metrics(dir / "out" / "metrics.csv").rows;
  for (int round = 0; round <= 4; ++round) {
    const bool evaluated = round == 0 || round == 3 || round == 4;
    CHECK(std::isnan(row_of(rows, round, "all").values[0]) == !evaluated);
    CHECK(std::isnan(row_of(rows, round, "ct").test_loss) == !evaluated);
    CHECK(std::isnan(row_of(rows, round, "ct").train_loss) == (round == 0));
  }
}

TEST_CASE_METHOD(Fixture, "the row of all clients counts every client's open and closed answers") {
  // A foundation that answers "red" always, and a rate that leaves it so.
  auto model = peft::load_model(dir / "foundation");
  model.weight("classifier.3.weight").zero_();
  model.weight("classifier.3.bias").zero_()[3] = 20;
  peft::save_model(model, dir / "foundation");
  run("out", {"run.strategies=[head]", "run.rounds=1", "run.local.learning_rate=1e-9"});
  const auto rows = read_metrics(dir / "out" / "metrics.csv").rows;
  // One of two open questions of mri and of oct is about a red image, none of ct's.
  for (const int round : {0, 1}) {
    CHECK(row_of(rows, round, "ct").values[1] == 0);
    CHECK(row_of(rows, round, "mri").values[1] == 0.5);
    CHECK(row_of(rows, round, "oct").values[1] == 0.5);
    CHECK(row_of(rows, round, "all").values[1] == Approx(2.0 / 6));
    CHECK(row_of(rows, round, "all").values[2] == 0);
    CHECK(row_of(rows, round, "all").values[0] == Approx(2.0 / 12));
  }
}

TEST_CASE_METHOD(Fixture, "the cosine schedule lowers the learning rate from round to round") {
  const auto weights = [&](const std::string& rounds, const std::string& schedule) {
    const std::string out = schedule + rounds;
    run(out, {"run.rounds=" + rounds, "run.local.schedule=" + schedule});
    return test::slurp(dir / out / "model" / "model.safetensors");
  };
  CHECK((weights("1", "cosine") == weights("1", "constant")));
  const std::string constant = weights("2", "constant");
  CHECK((weights("2", "cosine") != constant));
  // The warm-up is of rounds: the first of two, not the first of its steps.
  run("warm", {"run.rounds=2", "run.local.schedule=polynomial", "run.local.warmup=0.5"});
  CHECK((test::slurp(dir / "warm" / "model" / "model.safetensors") == constant));
  CHECK(test::error_of([&] { run("out", {"run.local.schedule=cosinus"}); }) ==
        (dir / "tiny.yaml").string() +
            ", --set run.local.schedule=cosinus: run.local.schedule: \"cosinus\" is not one of "
            "\"constant\", \"cosine\", \"polynomial\" (did you mean "
            "\"cosine\"?)");
}

TEST_CASE_METHOD(Fixture, "rates of rounds rise linearly, then fall with the polynomial's power") {
  // One step of a fresh AdamW moves a weight by the rate, whatever the length of its gradient; so
  // does the average of clients where all move it the same way, which some of 1,077 weights are.
  std::map<std::string, torch::Tensor> before = peft::load_model(dir / "foundation").weights();
  std::vector<double> moved;
  RunOptions options;
  options.after_round = [&](const fs::path& folder, int round) {
    if (round == 0) return;
    const auto after = peft::load_model(folder / "model").weights();
    double largest = 0;
    for (const auto& [name, weight] : after)
      largest = std::max(largest, (weight - before.at(name)).abs().max().item<double>());
    moved.push_back(largest);
    before = after;
  };
  run("out",
      {"run.strategies=[head]", "run.rounds=6", "run.save=every", "run.local.steps=1",
       "run.local.weight_decay=0", "run.local.learning_rate=0.02", "run.local.schedule=polynomial",
       "run.local.warmup=0.34", "run.local.decay_power=2"},
      options);
  // Two rounds of warm-up, then (1 - 0/4)^2 of the rate and so on.
  const std::vector<double> shares = {0.5, 1, 1, 9.0 / 16, 1.0 / 4, 1.0 / 16};
  REQUIRE(moved.size() == shares.size());
  for (std::size_t i = 0; i < shares.size(); ++i) {
    CAPTURE(i);
    CHECK(moved[i] == Approx(0.02 * shares[i]).epsilon(0.002));
  }
}

TEST_CASE_METHOD(Fixture, "a folder that holds a run is refused, and nothing is written") {
  run("out", {"run.rounds=2"});
  const auto before = test::contents(dir / "out");
  RunOptions resuming;
  resuming.resume = true;
  CHECK_THROWS_WITH(run("out", {"run.rounds=2"}), Contains("already holds this run; --resume"));
  CHECK_THROWS_WITH(run("out", {"run.rounds=3"}),
                    Contains("the folder holds another run, which differs in run.rounds"));
  CHECK_THROWS_WITH(run("out", {"run.rounds=2", "run.local.learning_rate=0.02"}, resuming),
                    Contains("differs in run.local.learning_rate"));
  CHECK_THROWS_WITH(run("out", {"run.rounds=2", "run.seeds=[1, 2]"}),
                    Contains("the folder holds a single run"));
  CHECK_THROWS_WITH(run("out", {"run.rounds=2", "run.seeds=[2, 3]"}, resuming),
                    Contains("holds a single run that is not one of the experiment's"));
  CHECK((test::contents(dir / "out") == before));

  // Resuming on a changed foundation would silently mix two runs.
  peft::save_model(test::make_model(test::tiny_config(), 99), dir / "foundation");
  CHECK_THROWS_WITH(run("out", {"run.rounds=2"}, resuming),
                    Contains("the run started from another foundation than"));
}

TEST_CASE_METHOD(Fixture, "wrong input is refused before anything is written") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"run.budget=4", "run.budget: client \"ct\": a budget of 4 units, but there are 3"},
      {"run.budget={ct: 1, mri: 1, oct: 9}",
       "client \"oct\": a budget of 9 units, but there are 3"},
      {"units.always=[block.1]", "units.always: \"block.1\" is selectable, too"},
      {"units.selectable=[block.7]", "the model has no unit \"block.7\""},
      {"units.scheme=adapter", "units.scheme: unit scheme \"adapter\": the model has no adapters"},
      {"model.peft={lora: {rank: 17}}", "model.peft: lora_rank: found 17"},
      {"model.folder=nowhere", "model.folder: nowhere holds no model (no config.json)"},
      {"run.server.lora=product",
       "run.server.lora: product is of LoRA pairs, which the model does"},
      {"run.score.random_outputs=2",
       "run.score.random_outputs is for models that segment; one of the type \"vilt\" does not"},
      {"model={folder: nowhere, answers: date}", "(did you mean \"data\"?)"},
      {"data.folder=nowhere", "nowhere"}};
  for (const auto& [set, message] : cases) {
    INFO(set);
    CHECK_THROWS_WITH(run("out", {set}), Contains(message));
    CHECK_THROWS_AS(run("out", {set}), InputError);
    CHECK_FALSE(fs::exists(dir / "out"));
  }
  CHECK_THROWS_WITH(
      run("out", {"model.folder=nowhere", "pretrain={data: x, epochs: 1, learning_rate: 1}"}),
      Contains("(no config.json); strata pretrain"));
  CHECK_THROWS_WITH(run("out", {"run.budget={ct: 0, mri: 0, oct: 0}", "units.always=[]"}),
                    Contains("no client would train anything"));
  auto manifest = test::slurp(dir / "data" / "manifest.jsonl");
  for (std::size_t at; (at = manifest.find("\"ct\"")) != std::string::npos;)
    manifest.replace(at, 4, "\"c/t\"");
  dir.write("data/manifest.jsonl", manifest);
  CHECK_THROWS_WITH(run("out", {"model.peft={lora: {}}", "units.scheme=lora"}),
                    Contains("the client \"c/t\" cannot name a folder"));
  RunOptions options;
  options.device = "tpu";
  CHECK_THROWS_AS(run("out", {}, options), InputError);
  CHECK_FALSE(fs::exists(dir / "out"));
}

TEST_CASE_METHOD(Fixture,
                 "answers outside the labels end the run, or are dropped as the file says") {
  auto manifest = load_data(dir / "data");
  const auto answer = [&](const std::string& client, const std::string& split, std::size_t count) {
    for (auto& example : manifest.examples) {
      if (example.client == client && example.split == split && count > 0) {
        example.answers = {"violet"};
        --count;
      }
    }
    write_manifest(manifest);
  };
  answer("mri", "train", 3);
  answer("oct", "test", 2);
  CHECK_THROWS_WITH(run("out"), Contains("client mri: ") && Contains("\"violet\"") &&
                                    Contains("data.unseen_answers: drop"));
  CHECK_FALSE(fs::exists(dir / "out"));

  run("out", {"data.unseen_answers=drop", "run.rounds=1"});
  const auto rows = read_metrics(dir / "out" / "metrics.csv").rows;
  CHECK(row_of(rows, 1, "ct").train_samples == 8);
  CHECK(row_of(rows, 1, "mri").train_samples == 7);
  CHECK(row_of(rows, 1, "oct").test_samples == 4);
  CHECK(row_of(rows, 1, "oct").values[0] <= 0.5);
  CHECK(std::isfinite(row_of(rows, 1, "oct").test_loss));
  CHECK_THAT(test::slurp(dir / "out" / "config.yaml"), Contains("unseen_answers: drop"));

  answer("mri", "train", 10);
  CHECK_THROWS_WITH(run("other", {"data.unseen_answers=drop"}),
                    Contains("client mri: no training example is left, as none of 10 has"));
  CHECK_FALSE(fs::exists(dir / "other"));
}

TEST_CASE_METHOD(Fixture,
                 "budgets of bytes: planners get the units' costs, and the runner's own keep") {
  const auto units = peft::load_model(dir / "foundation").units();
  const auto unit = [&](const std::string& name) {
    return *std::find_if(units.begin(), units.end(), [&](const Unit& u) { return u.name == name; });
  };
  const std::int64_t block = unit("block.0").bytes;
  REQUIRE(block > 0);
  // ct can pay for one block, mri for none, oct for two.
  const std::string budget = "run.budget={ct: " + std::to_string(block + 1) +
                             "B, mri: " + std::to_string(block - 1) +
                             ", oct: " + std::to_string(2 * block) + "}";
  std::vector<PlanningProblem> asked;
  tools.plan = [&](const PlanningProblem& problem, const PlanOptions& request) {
    asked.push_back(problem);
    Plan plan;
    plan.algorithm = request.algorithm;
    plan.clients = problem.clients;
    plan.units = problem.units;
    plan.assignment = Assignment::Zero(problem.client_count(), problem.unit_count());
    plan.assignment(0, 1) = 1;
    plan.front = {evaluate(problem, plan.assignment)};
    return plan;
  };
  tools.names.algorithms.push_back("prices");
  run("out", {budget,
              "run.strategies=[{name: priced, algorithm: prices, metric: lntk}, dropout, "
              "roundrobin, full, head]",
              "run.rounds=2", "run.score.every=1"});
  REQUIRE(asked.size() == 2);
  CHECK(asked[0].resource == "bytes");
  CHECK(asked[0].budgets.empty());
  CHECK(asked[0].capacities == std::vector<std::int64_t>{block + 1, block - 1, 2 * block});
  CHECK(asked[0].unit_costs == std::vector<std::int64_t>(3, block));
  const auto plan = [&](const std::string& strategy, int round) {
    return read_plan(dir / "out" / (strategy + "-seed1") / "rounds" /
                     ("00" + std::to_string(round)) / "plan.json");
  };
  CHECK(plan("priced", 1).counted == "bytes");
  CHECK(plan("priced", 1).used == std::vector<std::int64_t>{block, 0, 0});
  for (const char* own : {"dropout", "roundrobin"}) {
    for (const int round : {1, 2})
      CHECK(plan(own, round).used == std::vector<std::int64_t>{block, 0, 2 * block});
  }
  // Three blocks are dealt in a round, so each client's turn moves on by its place alone.
  CHECK((plan("roundrobin", 1).assignment.cast<int>().colwise().sum().array() == 1).all());
  CHECK((plan("full", 1).assignment.array() == 1).all());
  CHECK(plan("head", 1).assignment.isZero());
  const Json written = load_json(dir / "out" / "priced-seed1" / "run.json").root;
  CHECK(written["budget_of"] == "bytes");
  CHECK(written["budget"]["oct"] == 2 * block);

  CHECK_THROWS_WITH(run("exact", {budget, "run.plan.algorithm=exact"}),
                    Contains("the strategy f3ocus plans with exact, whose budgets count units"));
  CHECK_THROWS_WITH(
      run("nothing", {"run.budget=10B", "units.always=[]", "run.strategies=[dropout]"}),
      Contains("run.budget: no client would train anything"));
  CHECK_FALSE(fs::exists(dir / "nothing"));
}

TEST_CASE_METHOD(Fixture, "the server's optimizer and the local options act, and resume") {
  RunOptions stopping, resuming;
  stopping.after_round = [](const fs::path&, int round) {
    if (round == 2) throw Stop();
  };
  resuming.resume = true;
  std::set<std::string> models;
  strata::models::assume_fast_bfloat16(true);
  const std::vector<std::string> changes = {
      "run.server={}",
      "run.server={weights: plain}",
      "run.server={optimizer: momentum, learning_rate: 0.5}",
      "run.server={optimizer: adam, learning_rate: 0.01}",
      "run.local={steps: 3, batch_size: 3, learning_rate: 0.01, proximal: 5}",
      "run.local={steps: 3, batch_size: 3, learning_rate: 0.01, precision: bfloat16}"};
  for (std::size_t i = 0; i < changes.size(); ++i) {
    INFO(changes[i]);
    const std::string whole = "whole" + std::to_string(i), stopped = "stopped" + std::to_string(i);
    run(whole, {changes[i]});
    CHECK_THROWS_AS(run(stopped, {changes[i]}, stopping), Stop);
    run(stopped, {changes[i]}, resuming);
    test::check_same(dir / whole, dir / stopped);
    models.insert(test::slurp(dir / whole / "model" / "model.safetensors"));
  }
  strata::models::assume_fast_bfloat16({});
  CHECK(models.size() == changes.size());
  CHECK_THROWS_WITH(run("out", {"run.server={lora: product, optimizer: momentum}"}),
                    Contains("run.server.lora: product goes with optimizer average"));
  CHECK_THROWS_WITH(run("out", {"run.server={optimizer: adam}"}),
                    Contains("run.server.learning_rate"));
  CHECK_THROWS_WITH(run("out", {"run.failures={dropuot: 0.1}"}),
                    Contains("did you mean \"dropout\""));
  CHECK_FALSE(fs::exists(dir / "out"));
}

TEST_CASE_METHOD(Fixture, "LoRA runs with factors and with products end apart") {
  const std::vector<std::string> set = {"model.peft={lora: {rank: 2}}", "units.scheme=lora",
                                        "run.budget=3"};
  run("factors", set);
  auto product = set;
  product.push_back("run.server={lora: product}");
  run("product", product);
  CHECK(test::slurp(dir / "factors" / "model" / "adapter_model.safetensors") !=
        test::slurp(dir / "product" / "model" / "adapter_model.safetensors"));
  CHECK_THAT(test::slurp(dir / "product" / "config.yaml"), Contains("lora: product"));
}

TEST_CASE_METHOD(Fixture, "with plan.warm a plan begins with the front of the last one") {
  std::vector<std::vector<Assignment>> starts;
  auto planner = tools.plan;
  tools.plan = [&](const PlanningProblem& problem, const PlanOptions& request) {
    starts.push_back(request.search.warm_start);
    auto plan = planner(problem, request);
    // A front of two, the second the first turned around.
    plan.archive = {plan.assignment, plan.assignment.rowwise().reverse()};
    return plan;
  };
  const std::vector<std::string> set = {"run.plan={every: 2, warm: true}", "run.rounds=5"};
  run("whole", set);
  REQUIRE(starts.size() == 3);
  CHECK(starts[0].empty());
  for (const int round : {3, 5}) {
    const auto last =
        read_plan(dir / "whole" / "rounds" / ("00" + std::to_string(round - 2)) / "plan.json");
    const auto& start = starts[static_cast<std::size_t>(round / 2)];
    REQUIRE(start.size() == 2);
    CHECK((start[0] == last.assignment));
    CHECK((start[1] == last.assignment.rowwise().reverse()));
  }
  // Also after a resume between two plans.
  RunOptions stopping, resuming;
  stopping.after_round = [](const fs::path&, int round) {
    if (round == 4) throw Stop();
  };
  resuming.resume = true;
  const auto whole = starts;
  starts.clear();
  CHECK_THROWS_AS(run("stopped", set, stopping), Stop);
  run("stopped", set, resuming);
  CHECK((starts == whole));
  test::check_same(dir / "whole", dir / "stopped");
  starts.clear();
  run("cold", {"run.plan={every: 2}", "run.rounds=3"});
  CHECK(starts.back().empty());
}
