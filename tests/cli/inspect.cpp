// What training costs, from a configuration alone, against published counts and sums by hand.
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "command.h"
#include "wrong_input.h"

using namespace strata;
using nlohmann::json;
using test::run_strata;

namespace {

/// ViLT-B/32 (dandelin/vilt-b32-finetuned-vqa): transformers' defaults, 3,129 answers, no weights.
std::string vilt_b32() {
  json config{{"model_type", "vilt"}};
  for (int i = 0; i < 3129; ++i) config["id2label"][std::to_string(i)] = "a" + std::to_string(i);
  return config.dump();
}

struct Fixture {
  test::TempDir dir;
  Fixture() { dir.write("vilt/config.json", vilt_b32()); }

  json costs(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"inspect", "vilt", "--config-only", "--json", "--cost"});
    const auto outcome = run_strata(arguments, dir.path());
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    return json::parse(outcome.out)["costs"];
  }
};

const json& row(const json& costs, const std::string& kind, const std::string& name) {
  for (const auto& cost : costs) {
    if (cost["kind"] == kind && cost["name"] == name) return cost;
  }
  throw std::runtime_error("no row of " + kind + " " + name);
}

/// A plan of four adapters for one client and none for another.
const char* const kPlan = R"({"version": 1, "algorithm": "topk", "choose": "knee", "seed": 1,
  "evaluations": 0, "units": ["adapter.0", "adapter.1", "adapter.2", "adapter.11"],
  "clients": {"ct": ["adapter.0", "adapter.1", "adapter.2", "adapter.11"], "mri": []},
  "objectives": {"importance": 0, "usage_variance": 0},
  "front": [{"importance": 0, "usage_variance": 0}], "scores_digest": "", "provenance": {}})";

}  // namespace

TEST_CASE_METHOD(Fixture, "adapters of ViLT-B/32 have the published counts") {
  dir.write("plan.json", kPlan);
  const auto found = costs({"plan.json", "--scheme", "adapter", "--peft", "adapters:reduction=16"});
  CHECK(row(found, "unit", "adapter.7")["parameters"] == 74544);
  CHECK(row(found, "scheme", "all of adapter")["parameters"] == 894528);
  CHECK(row(found, "scheme", "all of adapter")["mbit"].get<double>() == Approx(28.6).margin(0.05));
  CHECK(row(found, "client", "ct")["parameters"] == 298176);
  CHECK(row(found, "client", "ct")["mbit"].get<double>() == Approx(9.5).margin(0.05));
  const auto& idle = row(found, "client", "mri");
  CHECK(idle["parameters"] == 0);
  CHECK(idle["backward_flops"] == 0);
  CHECK(idle["forward_flops"] == row(found, "model", "everything")["forward_flops"]);
  const auto with_head = costs(
      {"plan.json", "--scheme", "adapter", "--peft", "adapters:reduction=16", "--always", "head"});
  CHECK(row(with_head, "client", "mri")["parameters"] == row(found, "unit", "head")["parameters"]);
  // A plan that says what every client trains besides needs no option.
  std::string says = kPlan;
  says.replace(says.find("\"version\": 1"), 12, "\"version\": 2, \"always\": [\"head\"]");
  dir.write("says.json", says);
  const auto by_plan =
      costs({"says.json", "--scheme", "adapter", "--peft", "adapters:reduction=16"});
  CHECK(row(by_plan, "client", "mri") == row(with_head, "client", "mri"));
}

TEST_CASE_METHOD(Fixture, "a plan of ranks costs each client its pairs at their ranks") {
  const std::string plan = R"({"version": 1, "algorithm": "exact", "choose": "knee", "seed": 1,
      "ranks": 4, "units": ["lora.0", "lora.1", "lora.11"],
      "clients": {"ct": {"lora.0": 2, "lora.11": 4}, "mri": {"lora.1": 1}, "oct": {}},
      "objectives": {"importance": 0, "usage_variance": 0},
      "front": [{"importance": 0, "usage_variance": 0}], "scores_digest": "", "provenance": {}})";
  dir.write("plan.json", plan);
  const std::vector<std::string> arguments = {"plan.json", "--scheme", "lora", "--peft",
                                              "lora:rank=4"};
  const auto found = costs(arguments);
  CHECK(row(found, "client", "ct")["parameters"] == (2 + 4) * 4 * 768);
  CHECK(row(found, "client", "mri")["parameters"] == 4 * 768);
  CHECK(row(found, "client", "oct")["parameters"] == 0);
  CHECK(row(found, "client", "ct")["mbit"].get<double>() == Approx(32e-6 * 6 * 4 * 768));
  // Whoever trains the same unit at another rank computes more for it, and nothing else.
  const auto flops = [&](const json& costs, const std::string& client) {
    return row(costs, "client", client)["forward_flops"].get<double>();
  };
  CHECK(flops(found, "mri") < flops(found, "oct"));
  std::string more = plan;
  more.replace(more.find("\"lora.1\": 1"), 11, "\"lora.1\": 3");
  dir.write("more.json", more);
  auto others = arguments;
  others[0] = "more.json";
  const auto grown = costs(others);
  CHECK(flops(grown, "oct") - flops(grown, "mri") ==
        Approx((flops(found, "oct") - flops(found, "mri")) / 3));
  CHECK(row(grown, "client", "mri")["parameters"] == 3 * 4 * 768);
  const auto refused = [&](const std::string& peft, const std::string& scheme,
                           const std::vector<std::string>& says) {
    test::check_refused({"inspect", "vilt", "--config-only", "--cost", "plan.json", "--scheme",
                         scheme, "--peft", peft},
                        dir.path(), says);
  };
  refused("lora:rank=8", "lora", {"plan.json: ranks", "pairs of rank 4", "pairs of rank 8"});
  refused("lora:rank=4", "block", {"plan.json"});
}

TEST_CASE_METHOD(Fixture, "the other schemes' counts, by hand") {
  CHECK(row(costs({}), "model", "everything")["parameters"] == 117588537);
  CHECK(row(costs({"--scheme", "bias"}), "scheme", "all of bias")["parameters"] == 12 * 8448);
  CHECK(row(costs({"--scheme", "layernorm"}), "scheme", "all of layernorm")["parameters"] ==
        12 * 3072);
  CHECK(row(costs({"--scheme", "lora", "--peft", "lora:rank=16"}), "scheme",
            "all of lora")["parameters"] == 12 * 4 * 16 * 768);
  CHECK(row(costs({"--scheme", "lora", "--peft", "lora:rank=2,targets=query+key"}), "unit",
            "lora.0")["parameters"] == 4 * 2 * 768);
  CHECK(row(costs({"--scheme", "prompt", "--peft", "prompts:length=781"}), "scheme",
            "all of prompt")["parameters"] == 781 * 768);
}

TEST_CASE_METHOD(Fixture, "back-propagation stops at the lowest trained weight") {
  const auto blocks = costs({});
  // 40 text tokens, the cls token and 144 patches; H = 768, I = 3072. In the last block the
  // classifier's token alone has a query and a feed-forward branch.
  const double S = 185, H = 768, I = 3072;
  const double linear = 2 * (4 * S * H * H + 2 * S * H * I), attention = 2 * (2 * S * S * H);
  const double last = 2 * (2 * S * H * H + 2 * H * H + 2 * H * I), above = 2 * (2 * S * H);
  const double embeddings = 2 * 144 * 3072 * H, head = 2 * (3 * H * H + 2 * H * 3129);
  const auto& everything = row(blocks, "model", "everything");
  CHECK(everything["forward_flops"].get<double>() ==
        Approx(embeddings + 11 * (linear + attention) + last + above + head).epsilon(1e-12));
  CHECK(everything["backward_flops"].get<double>() ==
        Approx(embeddings + 2 * (11 * (linear + attention) + last + above + head)).epsilon(1e-12));
  CHECK(row(blocks, "unit", "head")["backward_flops"].get<double>() == Approx(2 * head));
  // The head passes the gradient on; so does every block above the trained one.
  for (int block = 0; block < 11; ++block) {
    const auto backward = [&](int b) {
      return row(blocks, "unit", "block." + std::to_string(b))["backward_flops"].get<double>();
    };
    const double step = block == 10 ? 0 : linear + 2 * attention;
    if (block < 10) CHECK(backward(block) - backward(block + 1) == Approx(step));
    CHECK(backward(block) > backward(block + 1));
    const auto peak = [&](int b) {
      return row(blocks, "unit", "block." + std::to_string(b))["peak_bytes"].get<double>();
    };
    CHECK(peak(block) > peak(block + 1));
  }
  // The lowest adapter trains at the end of its block: its own two products, once for up's input
  // and once for each weight, and all eleven blocks above with their adapters.
  const auto adapters = costs({"--scheme", "adapter", "--peft", "adapters:reduction=16"});
  const double product = 2 * S * H * 48, of_last = 2 * H * 48;
  CHECK(row(adapters, "unit", "adapter.0")["backward_flops"].get<double>() ==
        Approx(3 * product + 10 * (linear + 2 * attention + 2 * product) + last + 2 * above +
               2 * of_last + head));
  // 4 bytes of every weight, 12 of every trained one; a batch of two instead of one adds one
  // sample's activations.
  const auto peak = [&](const char* size) {
    return row(costs({"--batch-size", size}), "model", "everything")["peak_bytes"].get<double>();
  };
  const double sample = peak("2") - peak("1");
  CHECK(peak("1") - sample == Approx(16.0 * 117588537));
  CHECK(peak("8") == Approx(16.0 * 117588537 + 8 * sample));
  CHECK(sample > everything["activation_bytes"].get<double>());
}

TEST_CASE_METHOD(Fixture, "the table, and what is refused") {
  dir.write("plan.json", kPlan);
  const auto table = run_strata({"inspect", "vilt", "--config-only", "--cost", "plan.json",
                                 "--scheme", "adapter", "--peft", "adapters:reduction=16"},
                                dir.path());
  CHECK(table.code == 0);
  for (const char* part : {"backward GFLOP", "client ct", "298176", "9.542", "28.625"})
    CHECK_THAT(table.out, Catch::Contains(part));
  const auto quiet = run_strata({"inspect", "vilt", "--config-only", "--cost", "-q"}, dir.path());
  CHECK(quiet.code == 0);
  CHECK(quiet.out.empty());
  const auto& folder = dir.path();
  test::check_refused({"inspect", "vilt", "--cost"}, folder, {"vilt/model.safetensors"});
  test::check_refused({"inspect", "vilt", "--config-only", "--cost", "plan.json"}, folder,
                      {"plan.json", "no unit \"adapter.0\"", "--scheme"});
  test::check_refused({"inspect", "vilt", "--config-only", "--scheme", "adapter"}, folder,
                      {"unit scheme \"adapter\": the model has no adapters"});
  test::check_refused({"inspect", "vilt", "--config-only", "--always", "head"}, folder,
                      {"--always is for --cost with a plan"});
  test::check_refused({"inspect", "vilt", "--config-only", "--cost", "plan.json", "--scheme",
                       "adapter", "--peft", "adapters:reduction=16", "--always", "haed"},
                      folder, {"--always", "did you mean \"head\"?"});
  test::check_refused({"inspect", "vilt", "--config-only", "--peft", "lora:rank=2,targets=querry"},
                      folder, {"unknown LoRA target \"querry\"", "query"});
  test::check_refused({"inspect", "vilt", "--config-only", "--peft", "lora:rank=769"}, folder,
                      {"lora_rank: found 769, but a whole number from 1 to 768 is allowed"});
  test::check_refused({"inspect", "vilt", "--config-only", "--peft", "adapters:reduction=769"},
                      folder, {"adapter_reduction: found 769"});
  test::check_refused({"inspect", "vilt", "--config-only", "--cost", "nowhere.json"}, folder,
                      {"nowhere.json"});
}

TEST_CASE("models that answer in words have the published counts, from config.json alone") {
  const test::TempDir dir;
  const auto costs = [&](const std::string& model, std::vector<std::string> more) {
    more.insert(more.begin(), {"inspect", model, "--config-only", "--json", "--cost"});
    const auto outcome = run_strata(more, dir.path());
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    return json::parse(outcome.out)["costs"];
  };
  struct Published {
    std::string name, block;  ///< a unit, and how many numbers it has
    double total, of_block;
  };
  const std::vector<Published> all = {
      {"llava-hf/llava-1.5-7b-hf", "block.31", 7063427072, 202383360},
      {"Salesforce/blip2-opt-2.7b", "block.31", 3744761856, 78676480},
      {"Salesforce/blip2-opt-6.7b", "block.0", 7752869376, 201379840},
      {"Salesforce/blip2-flan-t5-xl", "decoder.block.1", 3942446592, 65017856},
      {"google/paligemma-3b-pt-224", "block.17", 2923466480, 110104576},
      {"HuggingFaceTB/SmolVLM-256M-Instruct", "block.29", 256484928, 3540096}};
  const auto configs = json::parse(
      test::slurp(std::string(STRATA_SOURCE_DIR) + "/tests/reference/vlms/counts.json"))["models"];
  for (const auto& [name, block, total, of_block] : all) {
    CAPTURE(name);
    dir.write(name + "/config.json", configs[name]["config"].dump());
    const json found = costs(name, {"--text-tokens", "40"});
    CHECK(row(found, "model", "everything")["parameters"] == total);
    CHECK(row(found, "model", "everything")["mbit"].get<double>() == Approx(32e-6 * total));
    CHECK(row(found, "unit", block)["parameters"] == of_block);
    CHECK(row(found, "unit", block)["forward_flops"].get<double>() > 0);
  }
  // ALBEF, and FedDAT's adapters of its 30 blocks.
  dir.write("albef/config.json", R"({"model_type": "albef"})");
  CHECK(row(costs("albef", {}), "model", "everything")["parameters"] == 290336058);
  const json adapters = costs("albef", {"--scheme", "adapter", "--peft", "adapters:reduction=16"});
  CHECK(row(adapters, "scheme", "all of adapter")["parameters"] == 2236320);
  CHECK(row(adapters, "unit", "decoder.adapter.5")["parameters"] == 74544);
}

TEST_CASE("what is sent of a ResNet depends on its BatchNorms' statistics, and what is kept, too") {
  const test::TempDir dir;
  dir.write("resnet/config.json",
            R"({"model_type": "resnet", "id2label": {"0": "a", "1": "b", "2": "c"}})");
  const auto inspect = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"inspect", "resnet", "--config-only", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto outcome = run_strata(arguments, dir.path());
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    return json::parse(outcome.out);
  };
  // γ and β of ResNet-50, and as many running means and variances.
  const double all = 23514179, norms = 53120;
  for (const auto& [policy, sent] : std::map<std::string, double>{
           {"average", all + norms}, {"frozen", all}, {"local", all - norms}}) {
    CAPTURE(policy);
    CHECK(inspect({"--buffers", policy})["total"]["bytes"] == 4 * sent);
    const json costs = inspect({"--buffers", policy, "--cost"})["costs"];
    CHECK(row(costs, "model", "everything")["mbit"].get<double>() == Approx(32e-6 * sent));
    CHECK(row(costs, "model", "everything")["parameters"] == all);
  }
  const auto kept = [&](const std::string& policy, const std::string& scheme) {
    const json costs = inspect({"--buffers", policy, "--scheme", scheme, "--cost"})["costs"];
    return row(costs, "unit", scheme + ".3")["activation_bytes"].get<double>();
  };
  CHECK(kept("frozen", "bias") < kept("frozen", "norm"));
  CHECK(kept("average", "bias") == kept("frozen", "norm"));
  CHECK(inspect({"--cost"}) == inspect({"--cost", "--buffers", "average"}));
  test::check_refused({"inspect", "resnet", "--config-only", "--buffers", "frosen"}, dir.path(),
                      {"--buffers: unknown name \"frosen\" (did you mean \"frozen\"?)",
                       "\"average\", \"frozen\", \"local\""});
}

TEST_CASE("costs name the sample that they are counted for: a ViT's has no text") {
  const test::TempDir dir;
  const std::string references = std::string(STRATA_SOURCE_DIR) + "/tests/reference/";
  const auto said = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "inspect");
    const auto outcome = run_strata(arguments, dir.path());
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    return outcome.out;
  };
  using Catch::Matchers::Contains;
  for (const bool cost : {false, true}) {
    const std::vector<std::string> more =
        cost ? std::vector<std::string>{"--cost"} : std::vector<std::string>();
    const auto of = [&](const char* model) {
      std::vector<std::string> arguments = {references + model};
      arguments.insert(arguments.end(), more.begin(), more.end());
      return said(arguments);
    };
    CHECK_THAT(of("vit"), Contains("one sample of an image of 16 x 16 pixels,"));
    CHECK_THAT(of("vit"), !Contains("text tokens"));
    CHECK_THAT(of("vilt"), Contains("of 40 text tokens and an image of 32 x 32 pixels,"));
  }
  CHECK(json::parse(said({references + "vit", "--json"}))["text_tokens"] == 0);
  test::check_refused({"inspect", references + "vit", "--text-tokens", "5"}, dir.path(),
                      {"--text-tokens: found 5, but a model of the type \"vit\" reads no text"});
}
