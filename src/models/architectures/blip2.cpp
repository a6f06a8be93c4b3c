#include "models/architectures/blip2.h"

#include "models/architectures/classifier_head.h"
#include "models/architectures/config_limits.h"
#include "models/architectures/connector.h"
#include "models/architectures/language_model.h"
#include "models/architectures/opt.h"
#include "models/architectures/q_former.h"
#include "models/architectures/t5.h"
#include "models/architectures/vision_language.h"
#include "models/architectures/vision_tower.h"
#include "models/batch.h"

namespace strata::models {
namespace {

using torch::Tensor;

const std::string kBlip2Type = "blip-2";

constexpr const char* kSeen = "image";
constexpr const char* kQueries = "queries";
constexpr std::int64_t kMostQueries = 4096;

struct Blip2Config {
  TowerConfig tower;
  QFormerConfig q_former;
  std::shared_ptr<const LanguageModel> language_model;
  ImagePlaces images;
  std::int64_t end_token = 2;
  std::vector<std::string> labels;  ///< of a classifier; none of one that answers in words
  Json json;                        ///< config.json
};

class Blip2 : public Architecture {
 public:
  explicit Blip2(Blip2Config config)
      : config_(std::move(config)),
        tower_(config_.tower, config_.tower.num_hidden_layers, /*uses_last_norm=*/true,
               {"vision_model."}),
        q_former_(config_.q_former),
        projection_({config_.q_former.hidden_size, config_.language_model->width(), /*bias=*/true,
                     std::nullopt, config_.q_former.initializer_range},
                    {{"language_projection"}}) {
    labels_ = config_.labels;
    declare();
  }

  const std::string& type() const override { return kBlip2Type; }
  State run(std::int64_t stage, const Batch& batch, const State& input, Pass& pass) const override;
  Batch example(std::int64_t text_tokens) const override;
  Json config() const override { return config_.json; }
  ImageModel image_model() const override {
    return {ImageSizes::kOne, static_cast<int>(config_.tower.image_size),
            static_cast<int>(config_.tower.patch_size), "Blip"};
  }
  std::int64_t text_tokens() const override {
    return config_.language_model->most_tokens() - config_.images.count;
  }
  std::int64_t vocabulary_size() const override {
    return config_.language_model->vocabulary_size();
  }
  std::optional<Speech> speech() const override;
  bool keeps_file_names() const override { return true; }
  std::shared_ptr<const Architecture> as_stored(
      const std::function<bool(const std::string&)>& has) const override {
    auto stored = config_.language_model->as_stored(has);
    if (!stored) return nullptr;
    Blip2Config changed = config_;
    changed.language_model = std::move(stored);
    return std::make_shared<Blip2>(std::move(changed));
  }
  std::shared_ptr<const Architecture> with(std::vector<std::string> labels,
                                           std::int64_t) const override {
    Blip2Config changed = config_;
    changed.json = with_classes(std::move(changed.json), labels);
    changed.language_model = changed.language_model->with(static_cast<std::int64_t>(labels.size()));
    changed.labels = std::move(labels);
    return std::make_shared<Blip2>(std::move(changed));
  }

 private:
  void declare();
  State run_tower(std::int64_t stage, const Batch& batch, const State& input, Pass& pass) const;
  State run_q_former(std::int64_t block, const State& input, Pass& pass) const;
  /// Of the stage that makes the queries.
  std::int64_t queries_stage() const { return tower_.used() + 1; }
  std::int64_t connector_stage() const {
    return queries_stage() + config_.q_former.num_hidden_layers + 1;
  }

  Blip2Config config_;
  VisionTower tower_;
  QFormer q_former_;
  Connector projection_;
};

void Blip2::declare() {
  LayerList list(stages_, layers_);
  tower_.declare_stages(list);
  list.begin_stage({"qformer.embeddings", Role::kConnector});
  tower_.declare_rest(list);
  q_former_.declare_queries(list);
  for (std::int64_t block = 0; block < config_.q_former.num_hidden_layers; ++block) {
    list.begin_stage({"qformer.block." + std::to_string(block), Role::kConnector, "qformer."});
    q_former_.declare_block(block, list);
  }
  list.begin_stage({"connector", Role::kConnector});
  projection_.declare(list);
  config_.language_model->declare(list);
}

std::optional<Speech> Blip2::speech() const {
  return Speech{.image_token = config_.images.token,
                .image_tokens = config_.images.count,
                .end_token = config_.end_token,
                .prompt = "<image>Question: {question} Short answer:",
                .image_first = true,
                .words_stage = connector_stage() + 1,
                .decoder_start = config_.language_model->decoder_start()};
}

Batch Blip2::example(std::int64_t text_tokens) const {
  const std::int64_t side = config_.tower.image_size;
  const auto& [token, count] = config_.images;
  const std::int64_t tokens = count + text_tokens;
  Tensor ids = torch::full({1, tokens}, std::int64_t{token == 0 ? 1 : 0}, torch::kInt64);
  ids.narrow(1, 0, count).fill_(token);
  Batch batch{ids, torch::ones({1, tokens}), torch::zeros({1, 3, side, side}), Tensor()};
  config_.language_model->complete(batch);
  return batch;
}

State Blip2::run(std::int64_t stage, const Batch& batch, const State& input, Pass& pass) const {
  if (stage < queries_stage()) return run_tower(stage, batch, input, pass);
  if (stage == queries_stage()) {
    return {{{kSeen, tower_.last_norm(input.values.at(kSeen), pass)},
             {kQueries, q_former_.queries(batch.size(), pass)}},
            {}};
  }
  if (stage < connector_stage()) return run_q_former(stage - queries_stage() - 1, input, pass);
  if (stage == connector_stage())
    return {{{kImageRows, projection_.run(input.values.at(kQueries), pass)}}, {}};
  return config_.language_model->run(stage - connector_stage() - 1, batch, input, config_.images,
                                     pass);
}

State Blip2::run_tower(std::int64_t stage, const Batch& batch, const State& input,
                       Pass& pass) const {
  const Tensor below = stage == 0 ? Tensor() : input.values.at(kSeen);
  return {{{kSeen, tower_.run_stage(stage, batch.pixels, below, pass)}}, {}};
}

State Blip2::run_q_former(std::int64_t block, const State& input, Pass& pass) const {
  const auto seen = input.values.find(kSeen);
  const Tensor image = seen == input.values.end() ? Tensor() : seen->second;
  State output{{{kQueries, q_former_.run_block(block, input.values.at(kQueries), image, pass)}},
               {}};
  if (q_former_.crosses_above(block)) output.values[kSeen] = image;
  return output;
}

std::shared_ptr<const LanguageModel> read_language_model(ObjectReader& reader) {
  return reader.choice("model_type", {"opt", "t5"}, "opt") == "t5" ? read_t5(reader)
                                                                   : read_opt(reader);
}

/// Older files say none.
std::int64_t read_image_word(ObjectReader& reader, std::int64_t words) {
  for (const char* key : {"image_token_index", "image_token_id"})
    if (!reader.raw(key).is_null()) return reader.integer(key, 0, words - 1);
  return kNoWord;
}

}  // namespace

std::shared_ptr<const Architecture> read_blip2(ObjectReader& reader) {
  Blip2Config config;
  ObjectReader vision = reader.object("vision_config"), text = reader.object("text_config"),
               q_former = reader.object("qformer_config");
  config.tower = read_tower(vision, tower_defaults("blip_2_vision_model"), {"blip_2_vision_model"});
  config.images.count = reader.integer("num_query_tokens", 1, kMostQueries, 32);
  config.q_former = read_q_former(q_former, config.tower.hidden_size, config.images.count);
  config.language_model = read_language_model(text);
  config.images.token = read_image_word(reader, config.language_model->vocabulary_size());
  if (config.images.count >= config.language_model->most_tokens()) {
    reader.fail("num_query_tokens",
                "found " + std::to_string(config.images.count) + ", but the language model reads " +
                    std::to_string(config.language_model->most_tokens()) + " tokens at most");
  }
  config.end_token = read_end_token(reader, config.language_model->decoder_start() ? 1 : 2);
  config.labels = read_classes(reader);
  if (!config.labels.empty())
    config.language_model =
        config.language_model->with(static_cast<std::int64_t>(config.labels.size()));
  config.json = reader.whole();
  return std::make_shared<Blip2>(std::move(config));
}

}  // namespace strata::models
