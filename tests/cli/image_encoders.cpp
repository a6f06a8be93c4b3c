// Encoders as they were pretrained, without labels (MAE, CLIP): inspected, given a head by the
// data, trained and evaluated by the real programs.
#include <nlohmann/json.hpp>

#include "catch.h"
#include "command.h"
#include "strata/core/safetensors.h"
#include "wrong_input.h"

using namespace strata;
using Catch::Matchers::Contains;
using nlohmann::json;
using test::run_strata;
using test::slurp;
namespace fs = std::filesystem;

namespace {

const fs::path kReference = fs::path(STRATA_SOURCE_DIR) / "tests" / "reference" / "image_encoders";

/// The recorded model without its classifier and labels, as the encoder's own class saves it.
void write_encoder(const std::string& kind, const fs::path& folder) {
  fs::create_directories(folder);
  json config = json::parse(slurp(kReference / kind / "config.json"));
  for (const char* key : {"id2label", "label2id", "architectures"}) config.erase(key);
  std::ofstream(folder / "config.json") << config;
  const SafetensorsFile file(kReference / kind / "model.safetensors");
  std::vector<TensorView> views;
  for (const TensorEntry& entry : file.tensors())
    if (!entry.name.starts_with("classifier"))
      views.push_back({entry.name, entry.dtype, entry.shape, file.bytes(entry)});
  write_safetensors(folder / "model.safetensors", views);
}

const char* const kExperiment = R"(version: 1
name: encoder
task: image_classification
data: {folder: data, partition: iid, clients: 2}
model: {folder: encoder, answers: data}
units: {always: [head]}
run:
  strategies: [topk]
  rounds: 1
  budget: 1
  score: {samples: 2}
  local: {steps: 2, batch_size: 4, learning_rate: 0.01}
)";

}  // namespace

TEST_CASE("an encoder without labels is trained and measured with a head of the data's classes") {
  for (const std::string kind : {"vit_mae", "clip"}) {
    CAPTURE(kind);
    const test::TempDir dir;
    write_encoder(kind, dir / "encoder");
    dir.write("run.yaml", kExperiment);
    REQUIRE(run_strata({"data", "make", "fractals", "--classes", "3", "--images", "10", "--size",
                        "32", "--out", "data"},
                       dir.path())
                .code == 0);

    const auto inspected = run_strata({"inspect", "encoder"}, dir.path());
    CAPTURE(inspected.err);
    REQUIRE(inspected.code == 0);
    CHECK_THAT(inspected.out, Contains("; no head"));
    test::check_refused({"evaluate", "encoder", "--data", "data"}, dir.path(),
                        {"has no head", "model.answers: data"});
    test::check_refused({"run", "run.yaml", "--set", "model.answers=own", "--set",
                         "units.always=[]", "--out", "none"},
                        dir.path(), {"has no head", "model.answers: data"});

    const auto ran = run_strata({"run", "run.yaml", "--out", "run", "--threads", "1"}, dir.path());
    CAPTURE(ran.err);
    REQUIRE(ran.code == 0);
    const auto trained = run_strata({"inspect", "run/model"}, dir.path());
    CHECK_THAT(trained.out, Contains("; 3 answers"));
    const auto measured =
        run_strata({"evaluate", "run/model", "--data", "data", "--json"}, dir.path());
    CAPTURE(measured.err);
    REQUIRE(measured.code == 0);
    CHECK_THAT(measured.out, Contains("\"accuracy\""));
    // All that the encoder had is there still, and what was not trained to the bit. (MAE's decoder
    // is no part of the ViT that its encoder becomes.)
    const SafetensorsFile before(dir / "encoder/model.safetensors"),
        after(dir / "run/model/model.safetensors");
    std::size_t same = 0, all = 0;
    for (const TensorEntry& entry : before.tensors()) {
      if (entry.name.starts_with("decoder.")) continue;
      const TensorEntry* kept = after.find(entry.name);
      CAPTURE(entry.name);
      REQUIRE(kept);
      CHECK(kept->shape == entry.shape);
      const auto one = before.bytes(entry), other = after.bytes(*kept);
      same += std::equal(one.begin(), one.end(), other.begin(), other.end());
      ++all;
    }
    CHECK(same > 0);
    CHECK(same < all);
    CHECK(after.find("classifier.weight")->shape.front() == 3);
  }
}
