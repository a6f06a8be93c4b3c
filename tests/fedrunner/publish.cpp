#include "fedrunner/publish.h"

#include "catch.h"
#include "core/console.h"
#include "fedrunner/tiny.h"

using namespace strata;
using namespace strata::fedrunner;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

struct Fixture {
  test::TempDir dir;
  data::Manifest manifest = test::write_tiny_data(dir / "data");
  models::Model model = test::make_model(test::tiny_config(), 3);
  FederatedTask task{.name = "tiny",
                     .synthetic = true,
                     .task = tasks::answer_classification(),
                     .clients = {},
                     .units = {},
                     .budgets = {},
                     .run = {},
                     .foundation_fingerprint = "base",
                     .tokenizer = test::tiny_tokenizer()};
  PlannedRun run{{.name = "best", .metric = "lntk", .algorithm = "topk"}, 11, dir / "run"};
  RunUnits units{{"block.0"}, {"head"}, {model.unit("block.0"), model.unit("head")}, {}};

  Fixture() {
    set_quiet(true);
    fs::create_directories(run.folder);
    task.clients.push_back("ct");
  }
  Json written() const { return load_json(run.folder / "run.json").root; }
  bool has_model() const { return fs::exists(run.folder / "model" / "model.safetensors"); }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "run.json says what the run is, how far it is and what made it") {
  Publisher publisher(task, run, units, {2});
  publisher.begin();
  Json json = written();
  CHECK(json["status"] == "running");
  CHECK(json["rounds_done"] == 0);
  CHECK(json["name"] == "tiny");
  CHECK(json["strategy"] == "best");
  CHECK(json["seed"] == 11);
  CHECK(json["metric"] == "lntk");
  CHECK(json["algorithm"] == "topk");
  CHECK(json["clients"] == Json({"ct"}));
  CHECK(json["budget"] == Json{{"ct", 2}});
  CHECK_FALSE(json.contains("budget_of"));
  CHECK(json["units"] == Json{{"selectable", {"block.0"}}, {"always", {"head"}}});
  CHECK(json["unit_costs"][1]["name"] == "head");
  CHECK(json["unit_costs"][1]["bytes"] == model.unit("head").bytes);
  CHECK(json["foundation"] == "base");
  CHECK(json["synthetic"] == true);
  CHECK(json["provenance"]["threads"] == at::get_num_threads());
  publisher.publish(model, 2, true);
  CHECK(written()["status"] == "done");
  CHECK(written()["rounds_done"] == 2);
}

TEST_CASE_METHOD(Fixture, "the whole model comes with the last round, or with each if asked for") {
  Publisher publisher(task, run, units, {2});
  publisher.publish(model, 1, false);
  CHECK_FALSE(has_model());
  publisher.publish(model, 2, true);
  CHECK(has_model());
  CHECK(fs::exists(run.folder / "model" / "vocab.txt"));
  fs::remove_all(run.folder / "model");
  task.run.save = SaveModel::kEvery;
  Publisher every(task, run, units, {2});
  every.publish(model, 1, false);
  CHECK(has_model());
}

TEST_CASE_METHOD(Fixture,
                 "what made the first rounds stays written, and the log says what differs") {
  Publisher first(task, run, units, {2});
  first.keep_provenance();  // of a run that has none yet
  first.begin();
  Json before = written();
  before["provenance"]["machine"] = "another";
  before["provenance"]["threads"] = 77;
  dir.write("run/run.json", before.dump());
  set_log_file((dir / "log").string());
  Publisher second(task, run, units, {2});
  second.keep_provenance();
  second.publish(model, 1, false);
  set_log_file("");
  CHECK(written()["provenance"] == before["provenance"]);
  CHECK_THAT(test::slurp(dir / "log"),
             Contains("the run began with another machine (another; now ") &&
                 Contains("the run began with another number of threads (77; now "));
}

TEST_CASE_METHOD(Fixture, "clients' files are asked for beside the plan of their round") {
  const Publisher publisher(task, run, units, {2});
  Plan plan;
  plan.units = {"block.0"};
  publisher.write_client_files(plan, 3, {});
  CHECK_FALSE(fs::exists(run.folder / "rounds"));
  publisher.write_client_files(
      plan, 3, [&](const Plan& asked, const fs::path& folder, const fs::path& config) {
        CHECK(asked.units == plan.units);
        CHECK(config == run.folder / "model" / "adapter_config.json");
        return std::vector<std::pair<fs::path, std::string>>{{folder / "ct" / "file", "content"}};
      });
  CHECK(test::slurp(run.folder / "rounds" / "003" / "ct" / "file") == "content");
}
