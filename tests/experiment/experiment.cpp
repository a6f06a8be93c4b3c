#include "experiment/experiment.h"

#include "catch.h"
#include "core/yaml_text.h"
#include "experiment/files.h"
#include "support/documented.h"
#include "support/tiny_model.h"

using namespace strata;
using namespace strata::experiment;
using namespace strata::models;
using namespace strata::test;
using Catch::Matchers::Contains;

TEST_CASE("an experiment file is read, with its defaults") {
  const auto config = read_experiment(kExperiment);
  CHECK(config.data.partition.scheme == data::PartitionScheme::kDirichlet);
  CHECK(config.data.partition.clients == 6);
  CHECK(config.data.partition.public_fraction == 0.25);
  CHECK(config.data.partition.seed == 4);
  CHECK(config.model.architecture->stages().size() == 3 + 2);
  CHECK(config.pretrain->training.schedule == Schedule::kCosine);
  CHECK(config.pretrain->training.batch_size == 32);
  CHECK(config.pretrain->vocabulary == std::vector<std::string>{"data/phantoms"});
  const auto& run = *config.run;
  REQUIRE(run.strategies.size() == 5);
  const std::vector<std::vector<std::string>> expected = {
      {"f3ocus", "auto", "nsga2", "importance"},
      {"topk", "auto", "topk", "importance"},
      {"random", "none", "random", "importance"},
      {"full", "none", "full", "importance"},
      {"mine", "gradient", "nsga2", "importance"}};
  for (std::size_t i = 0; i < 5; ++i) {
    const auto& strategy = run.strategies[i];
    CHECK(std::vector<std::string>{strategy.name, strategy.metric, strategy.algorithm,
                                   strategy.choose} == expected[i]);
  }
  CHECK(run.seeds == std::vector<std::uint64_t>{1, 2});
  CHECK(run.score.samples == 8);
  CHECK(run.score.every == 2);
  CHECK(run.local.steps == 20);
  CHECK(run.local.epochs == 0);
  CHECK(run.evaluate_every == 1);
  CHECK(read_experiment(kExperiment, {"run.rounds=9"}).run->rounds == 9);
}

TEST_CASE("each mistake in an experiment file is one line that names the key") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"run.round=5", "run.round: unknown key (did you mean \"rounds\"?)"},
      {"run.local.lerning_rate=5",
       "run.local.lerning_rate: unknown key (did you mean \"learning_rate\"?)"},
      {"run.rounds=-1", "run.rounds: a whole number from 1 to 99999 was expected, found -1"},
      {"run.strategies=[f3ocsu]",
       "run.strategies[0].name: \"f3ocsu\" is not one of \"f3ocus\", \"topk\", \"random\", "
       "\"full\", \"head\", \"dropout\", \"roundrobin\", \"sba\", \"lntk\", \"gradient\", "
       "\"exact\", \"nsga2\" "
       "(did you mean \"f3ocus\"?)"},
      {"run.strategies=[{name: a, algorithm: rotat}]", "(did you mean \"rotate\"?)"},
      {"run.plan={every: 0}", "run.plan.every: a whole number from 1"},
      {"model.peft={}", "model.peft: no method; there are \"adapters\", \"adaptformer\", \"ia3\""},
      {"model.peft={adaptors: {reduction: 2}}", "(did you mean \"adapters\"?)"},
      {"model.peft={lora: {rank: 0}}", "model.peft.lora.rank: a whole number from 1"},
      {"model.peft={prompts: {}}", "model.peft.prompts.length: the key is missing"},
      {"run.strategies=[topk, topk]", "run.strategies[1].name: the strategy \"topk\" stands twice"},
      {"run.strategies=[]", "run.strategies: at least one strategy is needed"},
      {"run.strategies=[{name: a, algorithm: nsga3}]", "(did you mean \"nsga2\"?)"},
      {"run.strategies=[{name: a, algorithm: topk, metric: none}]",
       "run.strategies[0].metric: the algorithm topk needs scores"},
      {"run.strategies=[{name: ../a, algorithm: topk}]", "\"../a\" cannot name a folder"},
      {"run.seeds=[3, 3]", "run.seeds: the seed 3 stands twice"},
      {"run.seeds=7", "run.seeds: a list of whole numbers was expected"},
      {"run.seeds=[-7]", "run.seeds: a whole number of at least 0 was expected, found -7"},
      {"run.score.metric=ltnk", "(did you mean \"lntk\"?)"},
      {"run.score.top_answers=0", "run.score.top_answers: a whole number from 1"},
      {"run.score.random_outputs=-1", "run.score.random_outputs: a whole number from 0"},
      {"run.score.answers=[no, no]", "run.score.answers: \"no\" stands twice"},
      {"answering.method=say", "answering.method: \"say\" is not one of \"generate\", \"rank\""},
      {"answering.beam=3", "answering.beam: unknown key (did you mean \"beams\"?)"},
      {"run.budget=many", "run.budget: a whole number, an amount such as 400kB"},
      {"run.local={steps: 2, epochs: 2, learning_rate: 1}",
       "run.local.epochs: give either local.steps or local.epochs, not both"},
      {"run.local={steps: 2}", "run.local.learning_rate: the key is missing"},
      {"data.partition=dirichlett", "(did you mean \"dirichlet\"?)"},
      {"data.language=fr", "data.language: \"fr\" is not one of \"en\", \"zh\""},
      {"data.unseen_answers=ignore", "data.unseen_answers: \"ignore\" is not one of \"error\""},
      {"data.public_fraction=1", "data.public_fraction: 1 leaves no training image"},
      {"data.public_fraction=0", "pretrain.data: there is no public share"},
      {"units.selectable=heads", "units.selectable: \"heads\" is not one of \"blocks\""},
      {"units.always=[head, head]", "units.always: \"head\" stands twice"},
      {"pretrain.flips=diagonal", "pretrain.flips: \"diagonal\" is not one of \"none\""},
      {"version=2", "version: this Strata reads version 1, found 2"}};
  for (const auto& [set, message] : cases) {
    INFO(set);
    const auto error = error_of([&] { read_experiment(kExperiment, {set}); });
    CHECK_THAT(error, Contains(message));
    CHECK_THAT(error, Contains("demo.yaml"));
    CHECK(error.find('\n') == std::string::npos);
  }
}

TEST_CASE("scores without a metric go by the model's default") {
  auto config = read_experiment(kExperiment);
  settle_metrics(*config.run, small_shape());
  CHECK(config.run->score.metric == "lntk");
  const auto metrics = [&] {
    std::vector<std::string> found;
    for (const Strategy& strategy : config.run->strategies) found.push_back(strategy.metric);
    return found;
  };
  CHECK(metrics() == std::vector<std::string>{"lntk", "lntk", "none", "none", "gradient"});
  config = read_experiment(kExperiment, {"run.strategies=[f3ocus, {name: a, algorithm: topk, "
                                         "metric: lntk}]"});
  const std::filesystem::path speaks =
      std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference" / "vlms" / "llava";
  settle_metrics(*config.run, read_base_blueprint(speaks));
  CHECK(config.run->score.metric == "gradient");
  CHECK(metrics() == std::vector<std::string>{"gradient", "lntk"});
}

TEST_CASE("how a model that speaks answers is read, and written where it is not as ever") {
  const auto config =
      read_experiment(kExperiment, {"answering={method: rank, answer_list: list.txt, "
                                    "candidates: 12, beams: 3, most_tokens: 7}"});
  CHECK(config.answering == tasks::AnsweringOptions{tasks::Answering::kRank, 3, 7, "list.txt", 12});
  CHECK(written(answering_fields(), "{beams: 3}") == R"({"beams":3})");
  CHECK(written(answering_fields(), "{}") == "{}");
}

TEST_CASE("units are selected by name and checked against the model") {
  auto config = read_experiment(kExperiment);
  const auto selected = select_units(config, small_shape());
  REQUIRE(selected.selectable.size() == 3);
  CHECK(selected.selectable[2].name == "block.2");
  REQUIRE(selected.always.size() == 1);
  CHECK(selected.always[0].name == "head");

  config =
      read_experiment(kExperiment, {"units.selectable=[block.2, embeddings]", "units.always=[]"});
  const auto listed = select_units(config, small_shape());
  CHECK(listed.selectable[0].name == "embeddings");
  CHECK(listed.selectable[1].name == "block.2");
  CHECK(listed.always.empty());

  config =
      read_experiment(kExperiment, {"units.selectable=['block.[12]', head]", "units.always=[]"});
  const auto patterns = select_units(config, small_shape());
  REQUIRE(patterns.selectable.size() == 3);
  CHECK(patterns.selectable[0].name == "block.1");
  CHECK(patterns.selectable[2].name == "head");
  CHECK(patterns.always.empty());

  config = read_experiment(kExperiment, {"units.selectable=[blok.2]"});
  CHECK_THROWS_WITH(select_units(config, small_shape()),
                    Contains("units.selectable: the model has no unit \"blok.2\" (did you mean "
                             "\"block.2\"?)"));
  config = read_experiment(kExperiment, {"units.always=[head, block.1]"});
  CHECK_THROWS_WITH(select_units(config, small_shape()),
                    Contains("units.always: \"block.1\" is selectable, too"));
}

TEST_CASE("personal units keep all that they hold, are always trained and written by their names") {
  const TempDir dir;
  const auto config = read_experiment(
      kExperiment, {"units.selectable=[block.2]", "units.personal=['block.[01]', head]"});
  const auto selected = select_units(config, small_shape());
  CHECK(selected.personal == std::vector<std::string>{"block.0", "block.1", "head"});
  CHECK(names_of(selected.always) == selected.personal);
  for (const Unit& unit : selected.always) {
    CHECK(unit.bytes == 0);
    CHECK(unit.local == state_of(unit));
    CHECK(unit.parameter_count > 0);
  }
  CHECK(selected.selectable[0].local.empty());
  const auto text = to_yaml(resolved_config(config, selected));
  CHECK_THAT(text, Contains("\n  personal: [block.0, block.1, head]\n"));
  const auto again = read_experiment_file(dir.write("config.yaml", text), {}, kNames);
  CHECK(to_yaml(resolved_config(again, select_units(again, small_shape()))) == text);
  CHECK_THROWS_WITH(
      select_units(read_experiment(kExperiment, {"units.personal=[block.1]"}), small_shape()),
      Contains("units.personal: \"block.1\" is selectable, too"));
}

TEST_CASE("unit schemes select their units, over the foundation with the experiment's methods") {
  const auto select = [&](const std::vector<std::string>& set) {
    const auto config = read_experiment(kExperiment, set);
    return select_units(config, with_peft(config, small_shape()));
  };
  const auto names = [](const std::vector<Unit>& units) {
    std::vector<std::string> found;
    for (const auto& unit : units) found.push_back(unit.name);
    return found;
  };
  const std::string adapters = "model.peft={adapters: {reduction: 4}, prompts: {length: 2}}";
  const auto selected = select({adapters, "units.scheme=adapter+prompt"});
  CHECK(names(selected.selectable) ==
        std::vector<std::string>{"prompt", "adapter.0", "adapter.1", "adapter.2"});
  CHECK(names(selected.always) == std::vector<std::string>{"head"});
  CHECK(selected.selectable[1].parameter_count == 16 * 4 + 4 + 4 * 16 + 16);
  const auto shared = select({adapters, "units.scheme=adapter+prompt", "units.always=[prompt]"});
  CHECK(names(shared.selectable).size() == 3);
  CHECK(names(shared.always) == std::vector<std::string>{"prompt"});
  CHECK(names(select({"units.scheme=layernorm+bias"}).selectable).front() == "layernorm+bias.0");

  CHECK_THROWS_WITH(select({"units.scheme=adapter"}),
                    Contains("units.scheme: unit scheme \"adapter\": the model has no adapters"));
  CHECK_THROWS_WITH(select({"units.scheme=adaptor"}), Contains("(did you mean \"adapter\"?)"));
  CHECK_THROWS_WITH(select({adapters, "units.scheme=adapter", "units.selectable=[block.1]"}),
                    Contains("units.selectable: the model has no unit \"block.1\""));
  const auto config = read_experiment(kExperiment, {adapters});
  CHECK_THROWS_WITH(with_peft(config, with_peft(config, small_shape())),
                    Contains("model.peft: the model has adapters already"));
  CHECK_THROWS_WITH(
      select({"model.peft={lora: {targets: [querry]}}"}),
      Contains("model.peft: unknown LoRA target \"querry\" (did you mean \"query\"?)"));
  CHECK_THROWS_WITH(select({"model.peft={lora: {rank: 17}}"}), Contains("model.peft: lora_rank"));
}

TEST_CASE("a resolved configuration is an experiment file that resolves to itself") {
  const TempDir dir;
  const std::string budget = GENERATE(as<std::string>(), "{ct: 1, \"odd: name\": 2}", "400kB",
                                      "{each: 2, clients: {ct: 1}}", "{clients: {each: 1}}");
  const auto config = read_experiment(kExperiment, {"run.budget=" + budget});
  CHECK_THAT(to_yaml(resolved_config(config, select_units(config, small_shape()))),
             Contains("\nunits:\n  selectable: [block.0, block.1, block.2]\n  always: [head]\n"));
  for (const auto& strategy : config.run->strategies) {
    const auto text =
        to_yaml(resolved_config(config, select_units(config, small_shape()), strategy, 2));
    INFO(text);
    const auto again = read_experiment_file(dir.write("config.yaml", text), {}, kNames);
    CHECK(to_yaml(resolved_config(again, select_units(again, small_shape()))) == text);
  }
}

TEST_CASE("keys for data, PEFT, schemes and sparse planning survive, and are absent where unused") {
  const TempDir dir;
  const auto resolved = [&](const std::vector<std::string>& set) {
    const auto config = read_experiment(kExperiment, set);
    return to_yaml(resolved_config(config, select_units(config, with_peft(config, small_shape()))));
  };
  const auto plain = resolved({});
  for (const char* key : {"peft", "scheme", "plan:\n    every", "language", "unseen_answers"})
    CHECK_THAT(plain, !Contains(key));
  const auto text = resolved(
      {"model.peft={lora: {rank: 2, alpha: 4, targets: [key]}, adapters: {}, "
       "prompts: {length: 3}}",
       "units.scheme=lora", "run.plan.every=3", "data.language=zh", "data.unseen_answers=drop"});
  INFO(text);
  const auto again = read_experiment_file(dir.write("config.yaml", text), {}, kNames);
  CHECK(again.data.load.language == "zh");
  CHECK(again.data.drop_unseen);
  CHECK(peft::methods_json(again.model.peft).dump() ==
        R"({"adapters":{"reduction":16},"lora":{"rank":2,"alpha":4.0,"targets":["key"]},)"
        R"("prompts":{"length":3}})");
  CHECK(again.units.scheme == "lora");
  CHECK(again.run->plan.every == 3);
  CHECK(to_yaml(resolved_config(again, select_units(again, with_peft(again, small_shape())))) ==
        text);
}

TEST_CASE("docs/runs.md has the keys as the lists document them") {
  test::check_documented("docs/runs.md", "The keys", "experiment/experiment", documented_keys());
}
