#include "models/short_weights.h"

#include <malloc.h>

#include <fstream>
#include <sstream>

#include "catch.h"
#include "models/device.h"
#include "models/staged_gradients.h"
#include "support/mapped.h"
#include "support/short_files.h"
#include "support/tiny_model.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::models;
using torch::Tensor;

namespace {

const std::filesystem::path kReferences =
    std::filesystem::path(STRATA_SOURCE_DIR) / "tests" / "reference";

/// The reference's numbers as a short type holds them: in that type, and in float32.
struct Pair {
  test::TempDir dir;
  Model small, wide;
  Pair(const std::string& architecture, Dtype dtype)
      : small((test::copy_rounded(kReferences / architecture, dir / "short", dtype, false),
               peft::load_model(dir / "short"))),
        wide((test::copy_rounded(kReferences / architecture, dir / "wide", dtype, true),
              peft::load_model(dir / "wide"))) {}
};

template <typename Work>
void for_each_pair(const Work& work) {
  for (const std::string architecture : {"vilt", "vit"}) {
    for (const Dtype dtype : {Dtype::kF16, Dtype::kBF16}) {
      CAPTURE(architecture, dtype_name(dtype));
      Pair pair(architecture, dtype);
      work(pair, dtype);
    }
  }
}

Batch batch_for(const Model& model) {
  torch::manual_seed(3);
  Batch batch = model.architecture().example(model.architecture().text_tokens());
  for (Tensor* tensor : {&batch.input_ids, &batch.attention_mask, &batch.pixels, &batch.labels})
    if (tensor->defined()) *tensor = torch::cat({*tensor, *tensor, *tensor});
  batch.pixels = torch::randn(batch.pixels.sizes());
  batch.labels = torch::arange(3);
  if (batch.input_ids.defined()) {
    batch.input_ids = torch::randint(1, 20, batch.input_ids.sizes(), torch::kInt64);
    batch.attention_mask.select(0, 1).narrow(0, 3, 2).zero_();
  }
  return batch;
}

Tensor loss_of(const Model& model, const Batch& batch) {
  return torch::cross_entropy_loss(model.forward(batch), batch.labels);
}

/// Bytes of a mapped file that are in this process's memory.
std::int64_t resident_bytes(const std::filesystem::path& file) {
  std::ifstream maps("/proc/self/smaps");
  std::int64_t kibibytes = 0;
  bool here = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.find('-') < 17) here = line.find(file.string()) != std::string::npos;
    if (here && line.rfind("Rss:", 0) == 0) kibibytes += std::stoll(line.substr(4));
  }
  return kibibytes * 1024;
}

double heap() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}

}  // namespace

TEST_CASE(
    "a product with a short weight is that with the converted one, to the bit, differentiated "
    "twice, too") {
  torch::manual_seed(1);
  for (const auto type : {torch::kHalf, torch::kBFloat16}) {
    for (const bool with_bias : {true, false}) {
      for (const int form : {0, 1, 2}) {
        CAPTURE(type, with_bias, form);
        const Tensor weight = torch::randn({33, 20}).to(type);
        const Tensor bias = with_bias ? torch::randn({33}).requires_grad_(true) : Tensor();
        const Tensor leaf = torch::randn({6, 5, 20}).requires_grad_(true);
        // Rows, rows of a batch, and rows that do not lie together.
        const auto input = [&] {
          return form == 0 ? leaf.view({30, 20}) : form == 1 ? leaf : leaf.select(1, 2);
        };
        std::vector<Tensor> leaves = {leaf};
        if (with_bias) leaves.push_back(bias);
        const auto all = [&](bool is_converted) {
          const Tensor output = is_converted
                                    ? torch::linear(input(), weight.to(torch::kFloat), bias)
                                    : short_linear(input(), weight, bias);
          std::vector<Tensor> found = {output};
          const auto slopes =
              torch::autograd::grad({output.square().sum()}, leaves, {}, true, true);
          found.insert(found.end(), slopes.begin(), slopes.end());
          const auto second = torch::autograd::grad({slopes[0].pow(3).sum()}, leaves, {}, true);
          found.insert(found.end(), second.begin(), second.end());
          return found;
        };
        const auto found = all(false), expected = all(true);
        for (std::size_t i = 0; i < found.size(); ++i) {
          CAPTURE(i);
          CHECK(torch::equal(found[i], expected[i]));
          CHECK(expected[i].abs().sum().item<double>() > 0);
        }
      }
    }
  }
}

TEST_CASE("a long product begins with its bias, as LibTorch's does") {
  torch::manual_seed(7);
  // A matrix product's library sums so many in parts; in one part either order rounds alike.
  const Tensor weight = torch::randn({256, 1000}).to(torch::kHalf);
  const Tensor input = torch::randn({64, 1000}), bias = 100 * torch::randn({256});
  CHECK(torch::equal(short_linear(input, weight, bias),
                     torch::linear(input, weight.to(torch::kFloat), bias)));
}

TEST_CASE("autograd keeps the short weight alone") {
  const Tensor weight = torch::randn({1024, 1024}).to(torch::kBFloat16);
  const Tensor input = torch::randn({2, 1024}).requires_grad_(true), bias = torch::randn({1024});
  short_linear(input, weight, bias);  // what libraries set up once
  const double before = heap();
  const Tensor output = short_linear(input, weight, bias);
  CHECK(output.requires_grad());
  CHECK(heap() - before < 1 << 20);
}

TEST_CASE("a model with short weights computes what the converted model does, to the bit") {
  for_each_pair([](Pair& pair, Dtype) {
    const Batch batch = batch_for(pair.wide);
    CHECK(torch::equal(pair.small.forward(batch), pair.wide.forward(batch)));
    CHECK(pair.small.fingerprint() == pair.wide.fingerprint());
    test::PeftShape peft;
    peft.adapter_reduction = 4;
    peft.lora_rank = 2;
    peft.prompt_length = 2;
    for (Model* model : {&pair.small, &pair.wide}) test::add_peft(*model, peft, 5);
    for (const std::string scheme : {"block", "lora", "adapter+layernorm+prompt", "bias"}) {
      for (Model* model : {&pair.small, &pair.wide})
        peft::set_units(*model, scheme, models::Buffers::kFrozen);
      for (const Unit& unit : pair.wide.units()) {
        CAPTURE(scheme, unit.name);
        // Anew, as what was trained stays float32.
        Model small = pair.small;
        small.own({});
        for (Model* model : {&small, &pair.wide}) {
          model->train_only({unit.name});
          loss_of(*model, batch).backward();
        }
        for (const std::string& name : unit.parameters)
          CHECK(torch::equal(small.weight(name).grad(), pair.wide.weight(name).grad()));
        pair.wide.train_only({});
      }
    }
  });
}

TEST_CASE("bfloat16 is computed with in bfloat16 as the converted weights are") {
  for_each_pair([](Pair& pair, Dtype) {
    const Batch batch = batch_for(pair.wide);
    Model small = pair.small, wide = pair.wide;
    std::vector<Tensor> slopes;
    for (Model* model : {&small, &wide}) {
      model->train_only({"block.0"});
      Tensor loss;
      {
        const Autocast autocast(torch::kCPU, Precision::kBfloat16);
        loss = loss_of(*model, batch);
      }
      slopes.push_back(torch::autograd::grad({loss}, model->weights_of(model->unit("block.0")))[0]);
    }
    CHECK(torch::equal(slopes[0], slopes[1]));
  });
}

TEST_CASE("a base in a short type is the file's own pages") {
  for_each_pair([](Pair& pair, Dtype dtype) {
    const auto file = pair.dir / "short/model.safetensors";
    for (const auto& [name, tensor] : pair.small.weights()) {
      CAPTURE(name);
      CHECK(tensor.scalar_type() == models::scalar_type(dtype));
      CHECK(test::is_mapped(tensor.data_ptr(), file));
    }
    const Batch batch = batch_for(pair.small);
    pair.small.forward(batch);
    pair.small.fingerprint();
    CHECK(test::is_mapped(pair.small.weights().begin()->second.data_ptr(), file));
    CHECK(pair.small.number_bytes() == 4);
    // A weight keeps its pages, also after its model.
    const Tensor kept = peft::load_model(pair.dir / "short").weights().begin()->second;
    CHECK(test::is_mapped(kept.data_ptr(), file));
  });
}

TEST_CASE("a base that streams is in memory a stage at a time, and computes the same") {
  const test::TempDir dir;
  test::ModelShape shape = test::small_shape();
  shape.hidden_size = 128;
  shape.intermediate_size = 512;
  shape.num_hidden_layers = 6;
  shape.vocab_size = 20;
  peft::save_model(test::make_model(shape, 3), dir / "wide");
  test::copy_rounded(dir / "wide", dir / "short", Dtype::kBF16, false);
  for (const std::string folder : {"wide", "short"}) {
    CAPTURE(folder);
    const auto file = dir / (folder + "/model.safetensors");
    const auto size = static_cast<std::int64_t>(std::filesystem::file_size(file));
    Model model = peft::load_model(dir / folder);
    CHECK_FALSE(model.streams());  // it is no quarter of any machine
    const Batch batch = batch_for(model);
    const torch::NoGradGuard no_grad;
    const Tensor kept = model.forward(batch);
    const std::string fingerprint = model.fingerprint();
    CHECK(resident_bytes(file) < size / 4);  // reading it for a digest leaves nothing
    model.forward(batch);
    CHECK(resident_bytes(file) > size * 9 / 10);

    model.set_streams(true);
    CHECK(torch::equal(model.forward(batch), kept));
    CHECK(resident_bytes(file) < size / 4);
    {
      const torch::AutoGradMode grad(true);
      Model trained = model.clone({"classifier.1.weight"});
      trained.train_only({"embeddings"});
      const auto loss = [](const State& output) {
        return output.values.at(kLogits).square().sum();
      };
      staged_gradients(trained, batch, trained.weights_of(trained.unit("embeddings")), loss);
    }
    CHECK(resident_bytes(file) < size / 4);
    model.set_streams(false);
    model.forward(batch);
    peft::save_model(model, dir / "again");
    CHECK(resident_bytes(file) < size / 4);
    CHECK(peft::load_model(dir / "again").fingerprint() == fingerprint);

    // What has been changed in place is kept.
    model.set_streams(true);
    Tensor& weight = model.weight("vilt.encoder.layer.3.intermediate.dense.weight");
    weight.add_(1);
    const Tensor changed = weight.clone();
    model.forward(batch);
    CHECK(torch::equal(weight, changed));
    CHECK_FALSE(torch::equal(model.forward(batch), kept));
  }
}

TEST_CASE("what is owned, trained or loaded is float32, and the rest stays as it is") {
  Pair pair("vit", Dtype::kBF16);
  const std::string own = "classifier.weight", trained = "vit.layernorm.weight",
                    loaded = "vit.layernorm.bias", frozen = "vit.embeddings.cls_token";
  Model model = pair.small;
  model.own({own});
  CHECK(model.weight(own).scalar_type() == torch::kFloat);
  CHECK(torch::equal(model.weight(own), pair.wide.weight(own)));
  model.set_units({{.name = "norm", .parameters = {trained}}});
  model.train_only({"norm"});
  CHECK(model.weight(trained).scalar_type() == torch::kFloat);
  CHECK(model.weight(trained).requires_grad());
  // A third of an ulp of bfloat16 away from 1.
  const Tensor exact = torch::full({model.weight(loaded).size(0)}, 1.0F + 1.0F / 1024);
  model.load_state({{loaded, exact}});
  CHECK(torch::equal(model.weight(loaded), exact));
  CHECK(model.weight(frozen).scalar_type() == torch::kBFloat16);
  for (const std::string& name : {own, trained, loaded})
    CHECK(pair.small.weight(name).scalar_type() == torch::kBFloat16);
  // Copies and what goes back are what they were.
  const Model copy = pair.small.clone();
  CHECK(copy.weight(own).scalar_type() == torch::kBFloat16);
  CHECK(copy.weight(own).data_ptr() != pair.small.weight(own).data_ptr());
  model.load_state(copy.state());
  CHECK(model.fingerprint() == pair.wide.fingerprint());
}

TEST_CASE("a file of float64 is converted") {
  test::TempDir dir;
  const SafetensorsFile file(kReferences / "vit" / "model.safetensors");
  std::vector<Tensor> tensors;
  std::vector<TensorView> views;
  for (const TensorEntry& entry : file.tensors()) {
    Tensor tensor = torch::empty(entry.shape);
    std::memcpy(tensor.data_ptr(), file.bytes(entry).data(), file.bytes(entry).size());
    tensors.push_back(tensor.to(torch::kDouble));
    views.push_back(
        {entry.name,
         Dtype::kF64,
         entry.shape,
         {static_cast<const char*>(tensors.back().data_ptr()), tensors.back().nbytes()}});
  }
  write_safetensors(dir / "model.safetensors", views);
  std::filesystem::copy_file(kReferences / "vit" / "config.json", dir / "config.json");
  const Model model = peft::load_model(dir.path());
  CHECK(model.weights().begin()->second.scalar_type() == torch::kFloat);
  CHECK(model.fingerprint() == peft::load_model(kReferences / "vit").fingerprint());
}
