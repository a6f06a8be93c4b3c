#include "core/fields.h"

#include "catch.h"
#include "strata/core/error.h"

using namespace strata;
using Catch::Contains;

namespace {

enum class Optimizer { average, adam };

struct Rate {
  double rate = 1;
  std::int64_t batch = 32;
};

struct Lora {
  std::int64_t rank = 8;
  std::vector<std::string> targets = {"query", "value"};
};

struct Training {
  std::string name;
  Optimizer optimizer = Optimizer::average;
  Rate rate;
  std::int64_t steps = 0;
  double tau = 1e-3;
  std::uint64_t seed = 1;
  int clients = 1;
  bool warm = false;
  std::string cache;
  std::string algorithm = "exact";
  std::vector<std::string> data = {"phantoms"};
  Lora own;
  std::optional<Lora> lora;
};

const Choices<Optimizer> kOptimizers({{Optimizer::average, "average"}, {Optimizer::adam, "adam"}});

const Fields<Rate> kRate({
    field("batch", &Rate::batch, whole(1, 64), "rows of a step"),
    field("rate", &Rate::rate, number(0, 10), "of learning"),
});

const Fields<Lora> kLora({
    field("rank", &Lora::rank, whole(1), "rows of A"),
    field("targets", &Lora::targets, some_of({"query", "key", "value"}), "layers with a pair"),
});

bool is_adam(const Training& training) {
  return training.optimizer == Optimizer::adam;
}

const Fields<Training> kTraining(
    {
        field("name", &Training::name, text(), "of the training").required(),
        field("algorithm", &Training::algorithm, one_of({"exact", "prices"}, "of the planner"), "")
            .default_of(
                [](Training& training) {
                  if (training.clients > 2) training.algorithm = "prices";
                },
                "`exact`; `prices` for many clients")
            .read_last(),
        field("optimizer", &Training::optimizer, choice(kOptimizers), "of the server"),
        kRate.at("rate").within(&Training::rate).required_if(is_adam, "1; required for `adam`"),
        kRate.at("batch").within(&Training::rate).meaning("here: of a round"),
        field("steps", &Training::steps, whole(0, 99), "of a round").written_if_changed(),
        field("tau", &Training::tau, number(1e-12, 1e6), "adaptivity").written_if(is_adam),
        field("seed", &Training::seed, seed_number(), "of all streams"),
        field("clients", &Training::clients, whole<int>(1), "hospitals | clinics"),
        field("warm", &Training::warm, boolean(), "whether plans go on"),
        field("cache", &Training::cache, text(), "of images").not_written(),
        field("data", &Training::data, texts(), "data sets"),
        section("own", &Training::own, kLora),
        section("lora", &Training::lora, kLora, "pairs beside layers").default_text("no pairs"),
    },
    [](ObjectReader& reader, Training& training) {
      if (training.steps > 10 && training.warm) reader.fail("warm", "not with so many steps");
    });

template <typename Section>
Section read(const Fields<Section>& fields, const std::string& yaml, Section defaults = {}) {
  const Document document = parse_yaml(yaml, "x.yaml");
  return fields.read(ObjectReader(document), defaults);
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

std::string error_in(const std::string& yaml) {
  return error_of([&] { read(kTraining, yaml); });
}

std::string row_of(const std::string& key) {
  for (const auto& row : kTraining.rows())
    if (row.key == key) return row.fallback + " | " + row.allowed + " | " + row.help;
  return "";
}

}  // namespace

TEST_CASE("a section is read through its list, and what is missing has the struct's value") {
  const auto given = read(kTraining, R"(
name: a
optimizer: adam
rate: 0.5
batch: 4
steps: 3
tau: 0.25
seed: 7
clients: 2
warm: true
cache: /tmp
algorithm: prices
data: [vqa, slake]
own: {rank: 2}
lora: {rank: 3, targets: [key]}
)");
  CHECK(given.name == "a");
  CHECK(given.optimizer == Optimizer::adam);
  CHECK(given.rate.rate == 0.5);
  CHECK(given.rate.batch == 4);
  CHECK(given.steps == 3);
  CHECK(given.tau == 0.25);
  CHECK(given.seed == 7);
  CHECK(given.clients == 2);
  CHECK(given.warm);
  CHECK(given.cache == "/tmp");
  CHECK(given.algorithm == "prices");
  CHECK(given.data == std::vector<std::string>{"vqa", "slake"});
  CHECK(given.own.rank == 2);
  CHECK(given.own.targets == std::vector<std::string>{"query", "value"});
  CHECK(given.lora->rank == 3);
  CHECK(given.lora->targets == std::vector<std::string>{"key"});

  const auto plain = read(kTraining, "name: a");
  CHECK(plain.optimizer == Optimizer::average);
  CHECK(plain.rate.batch == 32);
  CHECK(plain.data == std::vector<std::string>{"phantoms"});
  CHECK_FALSE(plain.lora);
  Training other;
  other.steps = 9;
  CHECK(read(kTraining, "name: a", other).steps == 9);
}

TEST_CASE("an optional mapping is there where it is written, even if empty") {
  CHECK(read(kTraining, "{name: a, lora: {}}").lora->rank == 8);
  CHECK_FALSE(read(kTraining, "{name: a}").lora);
}

TEST_CASE("defaults follow from other keys, wherever these stand") {
  CHECK(read(kTraining, "{name: a, clients: 2}").algorithm == "exact");
  CHECK(read(kTraining, "{name: a, clients: 3}").algorithm == "prices");
  CHECK(read(kTraining, "{name: a, clients: 3, algorithm: exact}").algorithm == "exact");
}

TEST_CASE("a wrong value is one line with file, line, key and what is allowed") {
  CHECK(error_in("optimizer: adam") == "x.yaml: name: the key is missing (a text was expected)");
  CHECK(error_in("{name: a, optimizer: adam}") ==
        "x.yaml: rate: the key is missing (a number from 0 to 10 was expected)");
  CHECK(error_in("{name: a}").empty());
  CHECK(error_in("name: a\noptimizer: adm") ==
        "x.yaml:2: optimizer: \"adm\" is not one of \"average\", \"adam\" (did you mean "
        "\"adam\"?)");
  CHECK_THAT(error_in("{name: a, bacth: 2}"), Contains("unknown key (did you mean \"batch\"?)"));
  CHECK_THAT(error_in("{name: a, lora: {rnk: 2}}"),
             Contains("lora.rnk: unknown key (did you mean \"rank\"?)"));
  CHECK_THAT(error_in("{name: a, batch: 65}"),
             Contains("batch: a whole number from 1 to 64 was expected, found 65"));
  CHECK_THAT(error_in("{name: a, rate: 11}"), Contains("rate: a number from 0 to 10"));
  CHECK_THAT(error_in("{name: a, seed: -1}"), Contains("seed: a whole number of at least 0"));
  CHECK_THAT(error_in("{name: a, warm: yes}"), Contains("warm: true or false was expected"));
  CHECK_THAT(error_in("{name: a, data: slake}"), Contains("data: a list of texts was expected"));
  CHECK_THAT(error_in("{name: a, lora: {targets: [keys]}}"),
             Contains("lora.targets: \"keys\" is not one of \"query\", \"key\", \"value\" (did you "
                      "mean \"key\"?)"));
  CHECK_THAT(error_in("{name: a, lora: {targets: [key, key]}}"),
             Contains("lora.targets: \"key\" stands twice"));
  CHECK_THAT(error_in("{name: a, algorithm: exat}"), Contains("did you mean \"exact\"?"));
  CHECK_THAT(error_in("{name: a, steps: 11, warm: true}"), Contains("warm: not with so many"));
}

TEST_CASE("a required boolean is missed like any other key") {
  struct Flag {
    bool on = false;
  };
  const Fields<Flag> fields({field("on", &Flag::on, boolean(), "").required()});
  CHECK(error_of([&] { read(fields, "{}"); }) ==
        "x.yaml: on: the key is missing (true or false was expected)");
}

TEST_CASE("a section is written in its list's order, and reads back as the same") {
  Training training;
  training.name = "a";
  CHECK(kTraining.write(training).dump() ==
        R"({"name":"a","algorithm":"exact","optimizer":"average","rate":1.0,"batch":32,"seed":1,)"
        R"("clients":1,"warm":false,"data":["phantoms"],)"
        R"("own":{"rank":8,"targets":["query","value"]}})");
  training.optimizer = Optimizer::adam;
  training.steps = 2;
  training.cache = "/tmp";
  training.lora = Lora{2, {"key"}};
  const std::string full = kTraining.write(training).dump();
  CHECK(full ==
        R"({"name":"a","algorithm":"exact","optimizer":"adam","rate":1.0,"batch":32,"steps":2,)"
        R"("tau":0.001,"seed":1,"clients":1,"warm":false,"data":["phantoms"],)"
        R"("own":{"rank":8,"targets":["query","value"]},"lora":{"rank":2,"targets":["key"]}})");
  CHECK(kTraining.write(read(kTraining, full)).dump() == full);
}

TEST_CASE("a list documents its keys: defaults, what is allowed, and what they mean") {
  CHECK(row_of("name") == "required | a text | of the training");
  CHECK(row_of("algorithm") == "`exact`; `prices` for many clients | of the planner | ");
  CHECK(row_of("optimizer") == "`average` | `average`, `adam` | of the server");
  CHECK(row_of("rate") == "1; required for `adam` | 0 … 10 | of learning");
  CHECK(row_of("batch") == "`32` | 1 … 64 | here: of a round");
  CHECK(row_of("tau") == "`0.001` | 1e-12 … 1e6 | adaptivity");
  CHECK(row_of("seed") == "`1` | ≥ 0 | of all streams");
  CHECK(row_of("warm") == "`false` | `true`, `false` | whether plans go on");
  CHECK(row_of("cache") == "none | a text | of images");
  CHECK(row_of("data") == "`[phantoms]` | a list of texts | data sets");
  CHECK(row_of("own").empty());  // a mapping without a meaning of its own
  CHECK(row_of("own.rank") == "`8` | ≥ 1 | rows of A");
  CHECK(row_of("lora") == "no pairs | a mapping | pairs beside layers");
  CHECK(row_of("lora.targets") ==
        "`[query, value]` | a list of `query`, `key`, `value` | layers with a pair");
  CHECK(markdown_table({{"clients", "`1`", "≥ 1", "hospitals | clinics"}}) ==
        "| key | default | allowed | meaning |\n|---|---|---|---|\n"
        "| `clients` | `1` | ≥ 1 | hospitals \\| clinics |\n");
}

TEST_CASE("the same list reads an option's text, and writes one") {
  const auto lora = kLora.parse("rank=4,targets=key+query", "--peft");
  CHECK(lora.rank == 4);
  CHECK(lora.targets == std::vector<std::string>{"key", "query"});
  CHECK(kLora.parse("", "--peft").rank == 8);
  CHECK(kLora.parse("rank=4", "--peft", Lora{2, {"key"}}).targets.front() == "key");
  CHECK(option_text(kLora.write(lora)) == "rank=4,targets=key+query");
  const auto training = kTraining.parse("name=8,warm=true,rate=0.5,optimizer=adam", "--x");
  CHECK(training.name == "8");  // a text, as the list says
  CHECK(training.warm);
  CHECK(training.rate.rate == 0.5);
  CHECK(training.optimizer == Optimizer::adam);
  CHECK(option_text(kRate.write({0.5, 2})) == "batch=2,rate=0.5");
  CHECK(option_text({{"warm", true}, {"name", "a"}}) == "warm=true,name=a");
}

TEST_CASE("a wrong option is one line that begins with the option") {
  const auto error = [](const std::string& text) {
    return error_of([&] { kLora.parse(text, "--peft lora:" + text); });
  };
  CHECK(error("rank=x") ==
        "--peft lora:rank=x: rank: a whole number from 1 to 2147483647 was expected, found \"x\"");
  CHECK(error("rnk=2") ==
        "--peft lora:rnk=2: rnk: unknown key (did you mean \"rank\"?); known are \"rank\", "
        "\"targets\"");
  CHECK(error("rank") ==
        "--peft lora:rank: \"rank\": key=value was expected, of the keys \"rank\", \"targets\"");
  CHECK_THAT(error("rank=2,"), Contains("\"\": key=value was expected"));
  CHECK_THAT(error("rank=2,rank=3"), Contains("rank: the key stands twice"));
  CHECK_THAT(error("targets=key+"), Contains("targets: \"\" is not one of"));
  CHECK_THAT(error_of([] { kTraining.parse("name=a,warm=2", "--x"); }),
             Contains("--x: warm: true or false was expected, found \"2\""));
}

TEST_CASE("a field that a list does not have is an error of the program") {
  CHECK(kLora.at("rank").key == "rank");
  CHECK_THROWS_AS(kLora.at("ranks"), std::logic_error);
}
