#include "models/architectures/resnet.h"

#include <cmath>
#include <cstring>
#include <set>

#include "catch.h"
#include "models/architectures/architectures.h"
#include "models/checkpoint.h"
#include "models/cost.h"
#include "models/model.h"
#include "peft/files.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/safetensors.h"
#include "support/short_files.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::models;
using Catch::Matchers::Contains;
using torch::Tensor;

namespace {

const std::filesystem::path kReference =
    std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference" / "resnet";

Tensor recorded(const std::string& name, const std::string& kind) {
  const SafetensorsFile file(kReference / kind / "recorded.safetensors");
  const TensorEntry* entry = file.find(name);
  REQUIRE(entry);
  Tensor tensor =
      torch::empty(entry->shape, entry->dtype == Dtype::kI64 ? torch::kInt64 : torch::kFloat);
  std::memcpy(tensor.data_ptr(), file.bytes(*entry).data(), file.bytes(*entry).size());
  return tensor;
}

Batch recorded_batch(const std::string& kind) {
  Batch batch;
  batch.pixels = recorded("pixels", kind);
  batch.labels = recorded("labels", kind);
  return batch;
}

double relative_error(const Tensor& found, const Tensor& expected) {
  return ((found - expected).norm() / expected.norm()).item<double>();
}

/// ResNet-50, as transformers and timm have it.
Blueprint published(const std::string& name = "resnet50", int labels = 3) {
  const test::TempDir dir;
  dir.write("config.json",
            Json{{"architecture", name}, {"num_classes", labels}, {"num_features", 2048}}.dump());
  return read_base_blueprint(dir.path());
}

std::shared_ptr<const Architecture> read(const Json& config) {
  const test::TempDir dir;
  return read_architecture(dir.write("config.json", config.dump()));
}

Json reference_config(const std::string& kind) {
  return load_json(kReference / kind / "config.json").root;
}

/// A file with the same tensors under other names.
void rename_tensors(const std::filesystem::path& from, const std::filesystem::path& to,
                    const std::function<std::string(const std::string&)>& name) {
  const SafetensorsFile file(from);
  std::vector<TensorView> views;
  for (const TensorEntry& entry : file.tensors()) {
    const std::string found = name(entry.name);
    if (!found.empty()) views.push_back({found, entry.dtype, entry.shape, file.bytes(entry)});
  }
  write_safetensors(to, views);
}

std::string name_of_timm(const Blueprint& blueprint, const std::string& name) {
  const Layer& layer = blueprint.layer_of(name);
  return layer.renamed + name.substr(layer.name.size());
}

}  // namespace

TEST_CASE("ResNet's logits and gradients are those of transformers") {
  for (const std::string kind : {"basic", "bottleneck"}) {
    CAPTURE(kind);
    Model model = peft::load_model(kReference / kind);
    std::vector<std::string> units;
    for (const Unit& unit : model.units()) units.push_back(unit.name);
    model.train_only(units);
    const Batch batch = recorded_batch(kind);
    const Tensor logits = model.forward(batch);
    CHECK(relative_error(logits, recorded("logits", kind)) < 1e-5);
    const Tensor loss = torch::cross_entropy_loss(logits, batch.labels);
    CHECK(relative_error(loss, recorded("loss", kind)) < 1e-5);
    loss.backward();
    const auto parameters = model.blueprint().parameters();
    CHECK(parameters.size() == (kind == std::string("basic") ? 35U : 38U));
    for (const Parameter& parameter : parameters) {
      INFO(parameter.name);
      CHECK(relative_error(model.weight(parameter.name).grad(),
                           recorded("gradient." + parameter.name, kind)) < 1e-5);
    }
  }
}

TEST_CASE("ResNet-50 has the parameters that transformers and timm count") {
  const Blueprint blueprint = published();
  std::int64_t norms = 0, biases = 0, head = 0, convolutions = 0;
  for (const Layer& layer : blueprint.layers()) {
    if (layer.kind == LayerKind::kConvolution) ++convolutions;
    for (const Parameter& parameter : layer.parameters) {
      if (layer.kind == LayerKind::kBatchNorm) norms += parameter.numel();
      if (layer.kind == LayerKind::kBatchNorm && parameter.bias) biases += parameter.numel();
      if (layer.role == Role::kHead) head += parameter.numel();
    }
  }
  CHECK(blueprint.parameter_count() == 23514179);
  CHECK(convolutions == 53);
  CHECK(norms == 53120);
  CHECK(biases == 26560);
  CHECK(head == 6147);
  CHECK(blueprint.buffers().size() == 159);
  CHECK(blueprint.parameters().size() == 161);
  CHECK(blueprint.architecture().stages().size() == 18);
  CHECK(blueprint.architecture().stages()[16].name == "block.15");
}

TEST_CASE(
    "weights are found under timm's and torchvision's names, which are told apart by themselves") {
  // Names, shapes and counts as those programs have them.
  const Json record = load_json(kReference / "names.json").root;
  REQUIRE(record["networks"].size() == 6);
  for (const auto& [network, expected] : record["networks"].items()) {
    CAPTURE(network);
    const Blueprint blueprint = published(network);
    CHECK(blueprint.parameter_count() == expected["parameters"]);
    const auto all = readable(blueprint.architecture().layers());
    CHECK(all.size() == expected["tensors"]);
    if (!expected.contains("names")) continue;
    std::size_t place = 0;
    for (const auto& [name, other] : expected["names"].items()) {
      // transformers' own order, too.
      const StoredParameter& ours = all[place++];
      CHECK(ours.names == std::vector<std::string>{name, other[0]});
      CHECK(ours.parameter.shape == other[1].get<Shape>());
    }
  }
  for (const std::string kind : {"basic", "bottleneck"}) {
    const Model model = peft::load_model(kReference / kind);
    const test::TempDir dir;
    std::filesystem::copy_file(kReference / kind / "config.json", dir / "config.json");
    const auto load = [&](const std::function<std::string(const std::string&)>& name) {
      rename_tensors(kReference / kind / "model.safetensors", dir / "model.safetensors", name);
      return peft::load_model(dir.path());
    };
    const auto timm = [&](const std::string& name) {
      return name_of_timm(model.blueprint(), name);
    };
    const Model renamed = load(timm);
    CHECK(renamed.fingerprint() == model.fingerprint());
    // Files of long ago count no batches.
    const Model without = load([&](const std::string& name) {
      return name.ends_with("num_batches_tracked") ? "" : timm(name);
    });
    const std::string counter = "resnet.embedder.embedder.normalization.num_batches_tracked";
    CHECK(model.weight(counter).item<int>() == 17);
    CHECK(without.weight(counter).item<int>() == 0);
    CHECK(torch::equal(without.weight("classifier.1.weight"), model.weight("classifier.1.weight")));
    CHECK_THROWS_WITH(
        load([&](const std::string& name) {
          return name == "classifier.1.bias" ? "fc.bais" : timm(name);
        }),
        Contains("unknown weight \"fc.bais\"") && Contains("did you mean \"fc.bias\"?"));
    CHECK_THROWS_WITH(load([&](const std::string& name) {
                        return name == "classifier.1.bias" ? "" : timm(name);
                      }),
                      Contains("\"classifier.1.bias\" is missing"));
    CHECK_THROWS_WITH(load([&](const std::string& name) {
                        return name.ends_with("running_var") ? "" : timm(name);
                      }),
                      Contains("running_var\" is missing"));
  }
}

TEST_CASE("beside transformers' config.json stand transformers' names, whatever the files' were") {
  const auto theirs = kReference / "basic";
  const test::TempDir dir;
  test::copy_rounded(theirs, dir / "half", Dtype::kF16, false);
  const Model model = peft::load_model(dir / "half");
  const auto timm = [&](const std::string& name) { return name_of_timm(model.blueprint(), name); };
  const SafetensorsFile half(dir / "half/model.safetensors");

  // One file, in which a weight has both names, as the numbers are the same.
  const std::string twice = "classifier.1.weight", last = "classifier.1.bias";
  std::vector<TensorView> views = {
      {twice, Dtype::kF16, half.find(twice)->shape, half.bytes(*half.find(twice))}};
  // And two shards of the same, one name in each.
  std::vector<TensorView> shards[2];
  Json index = {{"metadata", {{"total_size", 1000}}}, {"weight_map", Json::object()}};
  for (const TensorEntry& entry : half.tensors()) {
    views.push_back({timm(entry.name), entry.dtype, entry.shape, half.bytes(entry)});
    const std::size_t shard = entry.name < "resnet.e" ? 0 : 1;
    shards[shard].push_back(views.back());
    index["weight_map"][views.back().name] = std::to_string(shard) + ".safetensors";
  }
  shards[1].push_back(views.front());
  index["weight_map"][twice] = "1.safetensors";
  for (const char* folder : {"one", "two"}) {
    std::filesystem::create_directories(dir / folder);
    std::filesystem::copy_file(theirs / "config.json", dir / folder / "config.json");
  }
  write_safetensors(dir / "one/model.safetensors", views);
  for (const std::string shard : {"0", "1"})
    write_safetensors(dir / ("two/" + shard + ".safetensors"), shards[shard == "1"]);
  write_file(dir / "two/model.safetensors.index.json", index.dump());

  for (const std::string folder : {"one", "two"}) {
    CAPTURE(folder);
    Model renamed = peft::load_model(dir / folder);
    CHECK(renamed.fingerprint() == model.fingerprint());
    const torch::NoGradGuard no_grad;
    renamed.weight(last) = renamed.weight(last).to(torch::kFloat) + 1;
    peft::save_model(renamed, dir / "saved");
    const Checkpoint saved = Checkpoint::of_folder(dir / "saved");
    CHECK(saved.files().size() == (folder == "two" ? 2U : 1U));
    std::size_t count = 0;
    for (const auto& file : saved.files()) count += file->tensors().size();
    CHECK(count == half.tensors().size());
    for (const TensorEntry& entry : half.tensors()) {
      INFO(entry.name);
      const Checkpoint::Found found = saved.find(entry.name);
      REQUIRE(found);
      if (entry.name != last) CHECK(found.bytes() == half.bytes(entry));
      CHECK((found.entry->dtype == entry.dtype) == (entry.name != last));
    }
    CHECK(peft::load_model(dir / "saved").fingerprint() == renamed.fingerprint());
    if (folder == "one") continue;
    // Three numbers of four bytes in place of two, and one weight less.
    const Json written = load_json(dir / "saved/model.safetensors.index.json").root;
    CHECK(written["metadata"]["total_size"] == 1000 + 3 * 2 - half.bytes(*half.find(twice)).size());
    CHECK(written["weight_map"].size() == half.tensors().size());
    CHECK(written["weight_map"][last] == "0.safetensors");
  }
}

TEST_CASE("a folder of timm stays one of timm: its names, types and config.json") {
  const test::TempDir dir;
  Model fresh(published("resnet18", 2), 3);
  peft::save_model(fresh, dir / "fresh");
  std::filesystem::create_directories(dir / "timm");
  const auto timm = [&](const std::string& name) { return name_of_timm(fresh.blueprint(), name); };
  rename_tensors(dir / "fresh/model.safetensors", dir / "timm/model.safetensors", timm);
  const Json config = {{"architecture", "resnet18"},
                       {"num_classes", 2},
                       {"num_features", 512},
                       {"label_names", {"no", "yes"}},
                       {"label_descriptions", {{"no", "healthy"}}},
                       {"model_args", {{"num_classes", 2}, {"in_chans", 3}}},
                       {"pretrained_cfg", {{"tag", "a1_in1k"}, {"mean", {0.5, 0.5, 0.5}}}}};
  write_file(dir / "timm/config.json", config.dump());

  Model model = peft::load_model(dir / "timm");
  const torch::NoGradGuard no_grad;
  model.weight("classifier.1.bias").add_(1);
  peft::save_model(model, dir / "saved");
  CHECK(load_json(dir / "saved/config.json").root == config);
  const SafetensorsFile theirs(dir / "timm/model.safetensors"),
      ours(dir / "saved/model.safetensors");
  REQUIRE(ours.tensors().size() == theirs.tensors().size());
  for (std::size_t i = 0; i < ours.tensors().size(); ++i) {
    const TensorEntry &one = ours.tensors()[i], &other = theirs.tensors()[i];
    INFO(other.name);
    CHECK(one.name == other.name);
    CHECK((ours.bytes(one) == theirs.bytes(other)) == (one.name != "fc.bias"));
  }
  CHECK(peft::load_model(dir / "saved").fingerprint() == model.fingerprint());

  model.relabel({"a", "b", "c"}, 1);
  peft::save_model(model, dir / "saved");
  const Json changed = load_json(dir / "saved/config.json").root;
  CHECK(changed["num_classes"] == 3);
  CHECK(changed["model_args"] == Json({{"num_classes", 3}, {"in_chans", 3}}));
  CHECK(changed["label_names"] == Json({"a", "b", "c"}));
  CHECK_FALSE(changed.contains("label_descriptions"));
  CHECK(changed["pretrained_cfg"] == config["pretrained_cfg"]);
  const Model again = peft::load_model(dir / "saved");
  CHECK(again.fingerprint() == model.fingerprint());
  CHECK(again.architecture().labels() == std::vector<std::string>{"a", "b", "c"});
}

TEST_CASE("what Strata writes of a ResNet is transformers' folder") {
  for (const std::string kind : {"basic", "bottleneck"}) {
    const test::TempDir dir;
    const Model model = peft::load_model(kReference / kind);
    peft::save_model(model, dir / "a");
    const SafetensorsFile theirs(kReference / kind / "model.safetensors"),
        ours(dir / "a" / "model.safetensors");
    REQUIRE(ours.tensors().size() == theirs.tensors().size());
    for (const TensorEntry& entry : theirs.tensors()) {
      INFO(entry.name);
      const TensorEntry* found = ours.find(entry.name);
      REQUIRE(found);
      CHECK(found->dtype == entry.dtype);
      CHECK(found->shape == entry.shape);
      CHECK(ours.bytes(*found) == theirs.bytes(entry));
    }
    const Json written = load_json(dir / "a" / "config.json").root;
    const Json expected = reference_config(kind);
    for (const char* key : {"depths", "downsample_in_bottleneck", "downsample_in_first_stage",
                            "embedding_size", "hidden_act", "hidden_sizes", "id2label", "label2id",
                            "layer_type", "model_type", "num_channels", "architectures"}) {
      INFO(key);
      // transformers sorts the labels of one of the two mappings.
      CHECK(nlohmann::json(written.at(key)) == nlohmann::json(expected.at(key)));
    }
    std::vector<std::string> keys;
    for (const auto& entry : written.items()) keys.push_back(entry.key());
    CHECK(std::is_sorted(keys.begin(), keys.end()));
    peft::save_model(peft::load_model(dir / "a"), dir / "b");
    for (const char* file : {"config.json", "model.safetensors", "preprocessor_config.json"})
      CHECK(test::slurp(dir / "a" / file) == test::slurp(dir / "b" / file));
  }
}

TEST_CASE("a fresh ResNet is drawn as transformers draws it") {
  ResnetConfig config;
  config.labels = {"a", "b"};
  config.embedding_size = 64;
  config.hidden_sizes = {64, 128};
  config.depths = {1, 1};
  config.bottleneck = false;
  const Model model(Blueprint(make_resnet(config)), 3), other(Blueprint(make_resnet(config)), 4);
  CHECK(model.fingerprint() != other.fingerprint());
  const auto deviation = [&](const std::string& name) {
    CHECK(std::abs(model.weight(name).mean().item<double>()) < 0.01);
    return model.weight(name).std().item<double>();
  };
  // √(2 / (outputs · window)).
  CHECK(deviation("resnet.embedder.embedder.convolution.weight") ==
        Approx(std::sqrt(2.0 / (64 * 49))).epsilon(0.05));
  const std::string second = "resnet.encoder.stages.1.layers.0.";
  CHECK(deviation(second + "layer.0.convolution.weight") ==
        Approx(std::sqrt(2.0 / (128 * 9))).epsilon(0.05));
  CHECK(deviation(second + "shortcut.convolution.weight") ==
        Approx(std::sqrt(2.0 / 128)).epsilon(0.05));
  const Tensor& classifier = model.weight("classifier.1.weight");
  const double bound = 1 / std::sqrt(128.0);
  CHECK(classifier.abs().max().item<double>() <= bound);
  CHECK(classifier.abs().max().item<double>() > 0.9 * bound);
  CHECK(classifier.std().item<double>() == Approx(bound / std::sqrt(3.0)).epsilon(0.1));
  CHECK(model.weight("classifier.1.bias").abs().max().item<double>() > 0);
  const std::string norm = "resnet.embedder.embedder.normalization.";
  CHECK(model.weight(norm + "weight").min().item<double>() == 1);
  CHECK(model.weight(norm + "bias").abs().max().item<double>() == 0);
  CHECK(model.weight(norm + "running_mean").abs().max().item<double>() == 0);
  CHECK(model.weight(norm + "running_var").min().item<double>() == 1);
  CHECK(model.weight(norm + "num_batches_tracked").item<int>() == 0);
}

TEST_CASE("a ResNet's config.json is read as transformers reads it, and refused by key") {
  const auto plain = read({{"model_type", "resnet"}, {"id2label", {{"0", "a"}, {"1", "b"}}}});
  CHECK(plain->config().at("depths") == Json::array({3, 4, 6, 3}));
  CHECK(plain->config().at("layer_type") == "bottleneck");
  CHECK(plain->text_tokens() == 0);
  CHECK(plain->with({"x", "y", "z"}, 0)->labels().size() == 3);
  const auto refused = [](const std::string& key, const Json& value, const std::string& message) {
    Json config = reference_config("basic");
    config[key] = value;
    CHECK_THROWS_WITH(read(config), Contains("config.json: " + key) && Contains(message));
    CHECK_THROWS_AS(read(config), InputError);
  };
  refused("hidden_act", "gelu", "\"gelu\"");
  refused("num_channels", 1, "3");
  refused("layer_type", "bottelneck", "did you mean \"bottleneck\"?");
  refused("depths", Json::array({1, 2}), "there are 2, but 3 hidden_sizes");
  refused("depths", Json::array({1, 0, 1}), "a list of whole numbers from 1 to 1000 was expected");
  refused("depths", Json::array({1000, 1, 1}), "1002 residual layers are more than 1000");
  refused("hidden_sizes", Json::array({8, 8, 1 << 20}), "from 1 to 65536");
  refused("hidden_sizes", Json::array(), "a list of whole numbers");
  refused("hidden_sizes", Json::array({8, 8, 1.5}), "a list of whole numbers");
  refused("embedding_size", 0, "from 1");
}

TEST_CASE("timm's config.json names a network, and one that is not there names those that are") {
  Json config = {{"architecture", "resnet18"}, {"num_classes", 2}, {"label_names", {"no", "yes"}}};
  const auto model = read(config);
  CHECK(model->labels() == std::vector<std::string>{"no", "yes"});
  CHECK(model->config().at("hidden_sizes") == Json::array({64, 128, 256, 512}));
  config.erase("label_names");
  CHECK(read(config)->labels() == std::vector<std::string>{"LABEL_0", "LABEL_1"});
  const auto refused = [&](const std::string& key, const Json& value, const std::string& message) {
    Json changed = config;
    changed[key] = value;
    CHECK_THROWS_WITH(read(changed), Contains("config.json: " + key) && Contains(message));
  };
  refused("architecture", "resnet_50", "did you mean \"resnet50\"");
  refused("architecture", "convnext_tiny", "(54 in all)");
  refused("global_pool", "max", "\"avg\"");
  refused("model_args", {{"stem_type", "deep"}}, "unknown key");
  refused("model_args", {{"num_classes", 3}}, "num_classes");
  refused("model_args", {{"in_chans", 1}}, "in_chans");
  refused("model_args", {{"global_pool", "max"}}, "\"avg\"");
  config["model_args"] = nullptr;
  CHECK(read(config)->labels().size() == 2);
  // As timm 1.0.31 writes it.
  config["model_args"] = {{"num_classes", 2}, {"in_chans", 3}, {"global_pool", "avg"}};
  CHECK(read(config)->labels().size() == 2);
  refused("label_names", {"no", "yes", "maybe"}, "there are 3, but num_classes is 2");
  refused("num_classes", 0, "from 1");
  CHECK_THROWS_WITH(read({{"model_type", "resnext"}}),
                    Contains("\"resnet\"") && Contains("\"vilt\"") && Contains("\"vit\""));
}

TEST_CASE("a ResNet from scratch, from an experiment file") {
  const test::TempDir dir;
  const auto from_yaml = [&](const std::string& text) {
    const Document document = load_yaml(dir.write("a.yaml", "type: resnet\n" + text));
    return architecture_from_yaml(ObjectReader(document));
  };
  const std::string required = "hidden_sizes: [8, 16]\ndepths: [1, 2]\nimage_size: 28\n";
  const auto model = from_yaml(required + "layer_type: basic\nembedding_size: 4\n");
  CHECK(model->type() == "resnet");
  CHECK(model->image_model().image_size == 28);
  CHECK(model->config().at("embedding_size") == 4);
  CHECK(model->config().at("layer_type") == "basic");
  CHECK(model->stages().size() == 5);
  CHECK(Blueprint(model).image_processor().constant_size() == data::ImageSize{28, 28});
  CHECK_THROWS_WITH(from_yaml("depths: [1]\nimage_size: 28\n"), Contains("hidden_sizes"));
  CHECK_THROWS_WITH(from_yaml("hidden_sizes: [8]\ndepths: [1]\n"), Contains("image_size"));
  CHECK_THROWS_WITH(from_yaml(required + "layer_tpye: basic\n"), Contains("layer_type"));
}

TEST_CASE("a ResNet's costs are those of the images that its processor makes") {
  const Blueprint blueprint = published();
  const auto everything = [](const Blueprint& of) {
    std::set<std::string> names;
    for (const Parameter& parameter : of.parameters()) names.insert(parameter.name);
    return training_cost(of, 0, names);
  };
  const TrainingCost cost = everything(blueprint);
  CHECK(cost.parameters == 23514179);
  // 4.09 billion multiply-adds, as published for 224 pixels: 4.1 (He et al. count 3.8 with the
  // step at the first convolution).
  CHECK(cost.forward_flops / 2 == Approx(4.087e9).epsilon(0.001));
  const std::vector<Unit> units =
      peft::scheme_units(blueprint, "block", 0, models::Buffers::kFrozen);
  CHECK(units.size() == 18);
  std::int64_t count = 0;
  double flops = 0;
  for (const Unit& unit : units) {
    count += unit.parameter_count;
    flops += unit.forward_flops;
    CHECK(unit.activation_bytes > 0);
  }
  CHECK(count == 23514179);
  CHECK(flops == Approx(cost.forward_flops));
  Blueprint larger = blueprint;
  larger.set_images(data::ImageProcessor::square(448));
  CHECK(everything(larger).forward_flops == Approx(4 * cost.forward_flops).epsilon(0.001));
  CHECK(larger.example(0).pixels.size(3) == 448);
}
