#include "models/generation.h"

#include <algorithm>
#include <cmath>

#include "core/infinity.h"
#include "models/pass.h"
#include "strata/core/error.h"

namespace strata::models {
namespace {

using torch::Tensor;

/// The pass that keeps keys and values of the tokens that it has seen.
class RememberingPass : public Pass {
 public:
  using Pass::Pass;

  Kept remembered(const std::string& name, const Kept& now) override {
    auto& before = kept_[name];
    const auto joined = [&](const Tensor& old, const Tensor& rows) {
      const Tensor own = rows.view({samples_, -1, rows.size(1)});
      return old.defined() ? torch::cat({old, own}, 1) : own;
    };
    before = {joined(before.keys, now.keys), joined(before.values, now.values)};
    return {before.keys.reshape({-1, before.keys.size(2)}),
            before.values.reshape({-1, before.values.size(2)})};
  }
  bool begins() const override { return begins_; }

  void expect(std::int64_t samples, bool begins) {
    samples_ = samples;
    begins_ = begins;
  }
  /// Row i goes on as row order[i] has begun.
  void reorder(const Tensor& order) {
    for (auto& [name, before] : kept_) {
      before.keys = before.keys.index_select(0, order);
      before.values = before.values.index_select(0, order);
    }
  }

 private:
  std::map<std::string, Kept> kept_;  // (samples, tokens, width)
  std::int64_t samples_ = 0;
  bool begins_ = true;
};

/// Log-likelihoods of the next token behind rows that go on.
class Writer {
 public:
  Writer(const Model& model, const Batch& prompts)
      : model_(model),
        pass_(model.blueprint(), model.weights()),
        speech_(*model.architecture().speech()) {
    const std::int64_t n = prompts.size(), tokens = prompts.input_ids.size(1);
    Batch asked = prompts;
    asked.outputs = torch::stack({torch::arange(n), torch::full({n}, tokens - 1)}, 1);
    attended_ = prompts.attention_mask;
    pass_.expect(n, true);
    for (std::int64_t stage = 0; stage < model.stage_count(); ++stage) {
      state_ = model.architecture().run(stage, asked, state_, pass_);
    }
    const std::int64_t prefix = model.blueprint().prefix_tokens();
    if (prefix > 0)
      attended_ = torch::cat({torch::ones({n, prefix}, attended_.options()), attended_}, 1);
  }

  /// (rows, vocabulary), float32.
  Tensor log_likelihoods() const {
    return torch::log_softmax(state_.values.at(kTokenLogits).to(torch::kFloat), -1);
  }
  /// The rows order[i], each followed by a token.
  void go_on(const Tensor& order, const Tensor& tokens) {
    const std::int64_t n = tokens.size(0);
    pass_.reorder(order);
    attended_ =
        torch::cat({attended_.index_select(0, order), torch::ones({n, 1}, attended_.options())}, 1);
    Batch next;
    next.input_ids = tokens.view({n, 1});
    next.attention_mask = attended_;
    pass_.expect(n, false);
    state_ = {};
    for (std::int64_t stage = speech_.words_stage; stage < model_.stage_count(); ++stage)
      state_ = model_.architecture().run(stage, next, state_, pass_);
  }

 private:
  const Model& model_;
  RememberingPass pass_;
  Speech speech_;
  Tensor attended_;
  State state_;
};

bool is_end(const GenerationOptions& options, std::int64_t token) {
  return std::find(options.ends.begin(), options.ends.end(), token) != options.ends.end();
}

std::vector<Generated> likeliest(const Model& model, const Batch& batch,
                                 const GenerationOptions& options) {
  const std::int64_t n = batch.size();
  Writer writer(model, batch);
  std::vector<Generated> found(static_cast<std::size_t>(n));
  const Tensor all = torch::arange(n, torch::TensorOptions(torch::kLong).device(model.device()));
  for (std::int64_t length = 1;; ++length) {
    const auto [values, tokens] = writer.log_likelihoods().max(1);
    const Tensor likelihoods = values.to(torch::kCPU), taken = tokens.to(torch::kCPU);
    bool running = false;
    for (std::int64_t i = 0; i < n; ++i) {
      Generated& own = found[static_cast<std::size_t>(i)];
      if (own.ended) continue;
      const std::int64_t token = taken[i].item<std::int64_t>();
      own.log_likelihood += likelihoods[i].item<double>();
      own.ended = is_end(options, token);
      if (!own.ended) own.tokens.push_back(token);
      running = running || !own.ended;
    }
    if (!running || length == options.most_tokens) return found;
    writer.go_on(all, tokens);
  }
}

/// The beams of one sample.
struct Beams {
  struct Hypothesis {
    Generated generated;
    double score = -kInfinity;  ///< by its length
  };
  std::vector<Generated> running;
  std::vector<Hypothesis> ended;  ///< the best, best first
  bool done = false;
};

/// One step of a sample's beams.
class BeamStep {
 public:
  BeamStep(const GenerationOptions& options, std::int64_t length, Beams& beams)
      : options_(options),
        length_(length),
        count_(static_cast<std::size_t>(options.beams)),
        beams_(beams) {}

  /// From the log-likelihoods (beams, vocabulary) of the next token on. Which beam each goes on
  /// from, and by which token.
  std::vector<std::pair<std::int64_t, std::int64_t>> take(const Tensor& likelihoods) {
    const std::int64_t words = likelihoods.size(1);
    Tensor sums = likelihoods.to(torch::kDouble);
    std::vector<double> before;
    for (const Generated& beam : beams_.running) before.push_back(beam.log_likelihood);
    sums = (sums + torch::tensor(before, torch::kDouble).unsqueeze(1)).reshape(-1);
    const std::int64_t most = std::min<std::int64_t>(2 * options_.beams, sums.size(0));
    const auto [values, places] = sums.topk(most);
    std::vector<Generated> going;
    std::vector<std::pair<std::int64_t, std::int64_t>> taken;
    for (std::int64_t rank = 0; rank < most; ++rank) {
      const std::int64_t place = places[rank].item<std::int64_t>();
      const std::int64_t beam = place / words, token = place % words;
      Generated next = beams_.running[static_cast<std::size_t>(beam)];
      next.log_likelihood = values[rank].item<double>();
      next.ended = is_end(options_, token);
      if (!next.ended) next.tokens.push_back(token);
      if (next.ended || length_ == options_.most_tokens) {
        // Those behind the first ones are too unlikely to count as answers.
        if (rank < options_.beams) add(next);
      }
      if (!next.ended && going.size() < count_) {
        going.push_back(std::move(next));
        taken.emplace_back(beam, token);
      }
    }
    beams_.running = std::move(going);
    beams_.done = beams_.done || length_ == options_.most_tokens || none_is_better();
    return taken;
  }

 private:
  double score(const Generated& generated) const {
    return generated.log_likelihood /
           std::pow(static_cast<double>(length_), options_.length_penalty);
  }
  void add(const Generated& generated) {
    if (beams_.done) return;
    const double own = score(generated);
    const auto at = std::find_if(beams_.ended.begin(), beams_.ended.end(),
                                 [&](const auto& other) { return other.score < own; });
    beams_.ended.insert(at, {generated, own});
    if (beams_.ended.size() > count_) beams_.ended.pop_back();
  }
  bool none_is_better() const {
    return beams_.ended.size() == count_ &&
           (beams_.running.empty() || score(beams_.running.front()) <= beams_.ended.back().score);
  }

  const GenerationOptions& options_;
  std::int64_t length_;
  std::size_t count_;
  Beams& beams_;
};

std::vector<Generated> best_of(const std::vector<Beams>& all) {
  std::vector<Generated> best;
  for (const Beams& beams : all)
    best.push_back(beams.ended.empty() ? beams.running.front() : beams.ended.front().generated);
  return best;
}

std::vector<Generated> by_beams(const Model& model, const Batch& batch,
                                const GenerationOptions& options) {
  const std::int64_t n = batch.size();
  Writer writer(model, batch);
  std::vector<Beams> all(static_cast<std::size_t>(n));
  for (Beams& beams : all) beams.running.resize(1);
  for (std::int64_t length = 1;; ++length) {
    const Tensor likelihoods = writer.log_likelihoods().to(torch::kCPU);
    std::vector<std::int64_t> order, tokens;
    std::int64_t first = 0;  // row of the sample
    bool running = false;
    for (Beams& beams : all) {
      const auto rows = static_cast<std::int64_t>(beams.running.size());
      BeamStep step(options, length, beams);
      for (const auto& [beam, token] : step.take(likelihoods.narrow(0, first, rows))) {
        order.push_back(first + beam);
        tokens.push_back(token);
      }
      first += rows;
      running = running || !beams.done;
    }
    if (!running) return best_of(all);
    writer.go_on(torch::tensor(order).to(model.device()), torch::tensor(tokens).to(model.device()));
  }
}

}  // namespace

std::vector<Generated> generate(const Model& model, const Batch& batch,
                                const GenerationOptions& options) {
  if (!model.architecture().speech() || !model.architecture().labels().empty()) {
    throw InputError("a model of the type \"" + model.architecture().type() +
                     "\" does not answer in words");
  }
  const torch::NoGradGuard no_grad;
  return options.beams == 1 ? likeliest(model, batch, options) : by_beams(model, batch, options);
}

}  // namespace strata::models
