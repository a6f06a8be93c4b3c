#include "models/architectures/resnet.h"

#include <cmath>
#include <numeric>
#include <optional>

#include "models/architectures/config_limits.h"
#include "models/architectures/layer_list.h"
#include "models/batch.h"
#include "models/pass.h"

namespace strata::models {
namespace {

using torch::Tensor;

constexpr const char* kMaps = "maps";
constexpr double kNormEps = 1e-5;  // torch.nn.BatchNorm2d's default, which all three have
constexpr Window kStemPool{3, 2, 1};

/// A convolution and its BatchNorm: what transformers' and timm's names of both begin with.
struct Convolution {
  std::string name, convolution, norm;
  std::int64_t in, out, size, stride;
};

struct ResidualLayer {
  std::vector<Convolution> path;
  std::optional<Convolution> shortcut;  ///< else the input itself
};

class Resnet : public Architecture {
 public:
  explicit Resnet(ResnetConfig config)
      : config_(std::move(config)), stem_{"resnet.embedder.embedder.", "conv1", "bn1", kChannels,
                                          config_.embedding_size,      7,       2} {
    labels_ = config_.labels;
    declared_.begin_stage({"embeddings", Role::kEmbeddings});
    declare(stem_);
    std::int64_t in = config_.embedding_size;
    for (std::size_t s = 0; s < config_.depths.size(); ++s) {
      for (std::int64_t n = 0; n < config_.depths[s]; ++n) {
        const bool steps = n == 0 && (s > 0 || config_.downsample_in_first_stage);
        add_residual(s, n, in, steps ? 2 : 1);
        in = config_.hidden_sizes[s];
      }
    }
    declared_.begin_stage({"head", Role::kHead});
    declare_classifier(in);
  }

  const std::string& type() const override {
    static const std::string name = "resnet";
    return name;
  }
  State run(std::int64_t stage, const Batch& batch, const State& input, Pass& pass) const override;
  Batch example(std::int64_t) const override {
    const std::int64_t side = config_.image_size;
    return {Tensor(), Tensor(), torch::zeros({1, kChannels, side, side}),
            torch::zeros({1}, torch::kInt64)};
  }
  Json config() const override;
  ImageModel image_model() const override {
    return {ImageSizes::kAny, static_cast<int>(config_.image_size), 1};
  }
  std::shared_ptr<const Architecture> with(std::vector<std::string> labels,
                                           std::int64_t) const override {
    ResnetConfig changed = config_;
    changed.labels = std::move(labels);
    return make_resnet(std::move(changed));
  }

 private:
  static constexpr std::int64_t kChannels = 3;

  void add_residual(std::size_t size, std::int64_t number, std::int64_t in, std::int64_t stride);
  void declare(const Convolution& convolution, Part part = Part::kOther);
  void declare_classifier(std::int64_t in);

  static Tensor apply(const Convolution& convolution, const Tensor& maps, Pass& pass) {
    const Tensor sums = pass.convolution(convolution.name + "convolution", maps);
    return pass.batch_norm(convolution.name + "normalization", sums, kNormEps);
  }

  ResnetConfig config_;
  LayerList declared_{stages_, layers_};
  Convolution stem_;
  std::vector<ResidualLayer> residuals_;
};

void Resnet::add_residual(std::size_t size, std::int64_t number, std::int64_t in,
                          std::int64_t stride) {
  declared_.begin_stage({"block." + std::to_string(residuals_.size()), Role::kBody});
  const std::int64_t out = config_.hidden_sizes[size], inner = out / 4;
  const std::string at = std::to_string(size) + ".layers." + std::to_string(number) + ".";
  const std::string name = "resnet.encoder.stages." + at;
  const std::string other = "layer" + std::to_string(size + 1) + "." + std::to_string(number) + ".";
  ResidualLayer residual;
  const auto add_step = [&](std::int64_t from, std::int64_t to, std::int64_t window,
                            std::int64_t step) {
    const std::string place = std::to_string(residual.path.size());
    const std::string counted = std::to_string(residual.path.size() + 1);
    residual.path.push_back({name + "layer." + place + ".", other + "conv" + counted,
                             other + "bn" + counted, from, to, window, step});
  };
  if (config_.bottleneck) {
    const bool early = config_.downsample_in_bottleneck;
    add_step(in, inner, 1, early ? stride : 1);
    add_step(inner, inner, 3, early ? 1 : stride);
    add_step(inner, out, 1, 1);
  } else {
    add_step(in, out, 3, stride);
    add_step(out, out, 3, 1);
  }
  if (in != out || stride != 1) {
    residual.shortcut = {
        name + "shortcut.", other + "downsample.0", other + "downsample.1", in, out, 1, stride};
    declare(*residual.shortcut);  // transformers has it first
  }
  for (const Convolution& convolution : residual.path) declare(convolution, Part::kResidual);
  residuals_.push_back(std::move(residual));
}

/// As transformers initialises them: He et al.'s normal by the outputs of a window.
void Resnet::declare(const Convolution& c, Part part) {
  const std::string name = c.name + "convolution", norm = c.name + "normalization";
  const double scale = std::sqrt(2.0 / static_cast<double>(c.out * c.size * c.size));
  declared_.add({.name = name,
                 .kind = LayerKind::kConvolution,
                 .width = c.out,
                 .parameters = {{name + ".weight",
                                 {c.out, c.in, c.size, c.size},
                                 {Init::Kind::kNormal, scale}}},
                 .renamed = c.convolution,
                 .part = part,
                 .stride = c.stride,
                 .padding = c.size / 2,
                 .before_batch_norm = true});
  declared_.add({.name = norm,
                 .kind = LayerKind::kBatchNorm,
                 .width = c.out,
                 .parameters = {{norm + ".weight", {c.out}, {Init::Kind::kOnes}},
                                {norm + ".bias", {c.out}, {}, true}},
                 .buffers = {{norm + ".running_mean", {c.out}},
                             {norm + ".running_var", {c.out}, {Init::Kind::kOnes}},
                             {.name = norm + ".num_batches_tracked", .shape = {}, .counter = true}},
                 .renamed = c.norm});
}

/// torch.nn.Linear's own initialisation.
void Resnet::declare_classifier(std::int64_t in) {
  const auto out = static_cast<std::int64_t>(labels_.size());
  const Init uniform{Init::Kind::kUniform, 1 / std::sqrt(static_cast<double>(in))};
  declared_.add({.name = "classifier.1",
                 .kind = LayerKind::kLinear,
                 .width = out,
                 .parameters = {{"classifier.1.weight", {out, in}, uniform},
                                {"classifier.1.bias", {out}, uniform, true}},
                 .renamed = "fc"});
}

State Resnet::run(std::int64_t stage, const Batch& batch, const State& input, Pass& pass) const {
  if (stage == 0) {
    const auto type = pass.weight(stem_.name + "convolution.weight").scalar_type();
    const Tensor stem = apply(stem_, batch.pixels.to(type), pass);
    return {{{kMaps, pass.max_pool(pass.activation(Activation::kRelu, stem), kStemPool)}}, {}};
  }
  const Tensor& maps = input.values.at(kMaps);
  const auto index = static_cast<std::size_t>(stage - 1);
  if (index == residuals_.size())
    return {{{kLogits, pass.linear("classifier.1", pass.average_pool(maps))}}, {}};
  const ResidualLayer& residual = residuals_[index];
  Tensor branch = maps;
  for (std::size_t i = 0; i < residual.path.size(); ++i) {
    branch = apply(residual.path[i], branch, pass);
    if (i + 1 < residual.path.size()) branch = pass.activation(Activation::kRelu, branch);
  }
  const Tensor straight = residual.shortcut ? apply(*residual.shortcut, maps, pass) : maps;
  return {{{kMaps, pass.activation(Activation::kRelu, branch + straight)}}, {}};
}

Json Resnet::config() const {
  Json json;
  json["architectures"] = {"ResNetForImageClassification"};
  json["depths"] = config_.depths;
  json["downsample_in_bottleneck"] = config_.downsample_in_bottleneck;
  json["downsample_in_first_stage"] = config_.downsample_in_first_stage;
  json["embedding_size"] = config_.embedding_size;
  json["hidden_act"] = "relu";
  json["hidden_sizes"] = config_.hidden_sizes;
  json["id2label"] = id2label(labels_);
  json["label2id"] = label2id(labels_);
  json["layer_type"] = config_.bottleneck ? "bottleneck" : "basic";
  json["model_type"] = type();
  json["num_channels"] = kChannels;
  json["torch_dtype"] = "float32";
  return json;
}

/// The keys of a network's shape that config.json and experiment files share.
void read_shape(ObjectReader& reader, ResnetConfig& config) {
  config.embedding_size = reader.integer("embedding_size", 1, kLargestWidth, config.embedding_size);
  config.bottleneck =
      reader.choice("layer_type", {"basic", "bottleneck"}, "bottleneck") == "bottleneck";
  config.hidden_sizes = read_sizes(reader, "hidden_sizes", config.bottleneck ? 4 : 1, kLargestWidth,
                                   config.hidden_sizes);
  config.depths = read_sizes(reader, "depths", 1, kMostLayers, config.depths);
  config.downsample_in_first_stage = reader.boolean("downsample_in_first_stage", false);
  config.downsample_in_bottleneck = reader.boolean("downsample_in_bottleneck", false);
  if (config.depths.size() != config.hidden_sizes.size()) {
    reader.fail("depths", "there are " + std::to_string(config.depths.size()) + ", but " +
                              std::to_string(config.hidden_sizes.size()) + " hidden_sizes");
  }
  const auto layers = std::accumulate(config.depths.begin(), config.depths.end(), std::int64_t{0});
  if (layers > kMostLayers) {
    reader.fail("depths", std::to_string(layers) + " residual layers are more than " +
                              std::to_string(kMostLayers));
  }
}

struct Published {
  const char* name;
  bool bottleneck;
  std::int64_t depths[4];
};
constexpr Published kPublished[] = {
    {"resnet18", false, {2, 2, 2, 2}},  {"resnet26", true, {2, 2, 2, 2}},
    {"resnet34", false, {3, 4, 6, 3}},  {"resnet50", true, {3, 4, 6, 3}},
    {"resnet101", true, {3, 4, 23, 3}}, {"resnet152", true, {3, 8, 36, 3}},
};

/// timm 1.0.31 writes what all its networks have; anything else would make another network.
void check_timm_arguments(ObjectReader& reader, std::int64_t labels) {
  if (reader.raw("model_args").is_null()) return;
  ObjectReader arguments = reader.object("model_args");
  arguments.integer("num_classes", labels, labels, labels);
  arguments.integer("in_chans", 3, 3, 3);
  arguments.choice("global_pool", {"avg"}, "avg");
  arguments.finish();
}

ResnetConfig read_timm(ObjectReader& reader) {
  const std::string name = reader.choice("architecture", resnet_timm_names());
  ResnetConfig config;
  for (const Published& network : kPublished) {
    if (network.name != name) continue;
    config.bottleneck = network.bottleneck;
    config.depths.assign(std::begin(network.depths), std::end(network.depths));
    if (!network.bottleneck) config.hidden_sizes = {64, 128, 256, 512};
  }
  reader.choice("global_pool", {"avg"}, "avg");
  config.labels = read_timm_labels(reader);
  check_timm_arguments(reader, static_cast<std::int64_t>(config.labels.size()));
  return config;
}

}  // namespace

std::shared_ptr<const Architecture> make_resnet(ResnetConfig config) {
  return std::make_shared<Resnet>(std::move(config));
}

std::shared_ptr<const Architecture> read_resnet(ObjectReader& reader) {
  if (!reader.has("model_type")) return make_resnet(read_timm(reader));
  ResnetConfig config;
  reader.choice("hidden_act", {"relu"}, "relu");
  reader.integer("num_channels", 3, 3, 3);
  read_shape(reader, config);
  config.labels = read_labels(reader);
  return make_resnet(std::move(config));
}

std::vector<std::string> resnet_timm_names() {
  std::vector<std::string> names;
  for (const Published& network : kPublished) names.emplace_back(network.name);
  return names;
}

std::shared_ptr<const Architecture> resnet_from_yaml(ObjectReader& section) {
  ResnetConfig config;
  for (const char* key : {"hidden_sizes", "depths"})
    if (!section.has(key)) section.missing(key, "a list of whole numbers");
  read_shape(section, config);
  config.image_size = section.integer("image_size", 1, kLargestImage);
  return make_resnet(std::move(config));
}

}  // namespace strata::models
