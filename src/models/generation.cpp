#include "models/generation.h"

#include <algorithm>
#include <cmath>

#include "core/infinity.h"
#include "models/pass.h"
#include "strata/core/error.h"

namespace strata::models {
namespace {

using torch::Tensor;

/// Logits that are formed at once.
constexpr double kMostLogitBytes = 256.0 * 1024 * 1024;

/// Texts side by side, padded at their end.
struct Padded {
  Tensor ids, mask;  // int64 and bool (texts, longest)
};
Padded padded(const std::vector<Tokens>& texts, torch::Device device) {
  std::size_t longest = 0;
  for (const Tokens& text : texts) longest = std::max(longest, text.size());
  const auto n = static_cast<std::int64_t>(texts.size()),
             width = static_cast<std::int64_t>(longest);
  const Tensor ids = torch::zeros({n, width}, torch::kLong);
  const Tensor mask = torch::zeros({n, width}, torch::kBool);
  for (std::int64_t i = 0; i < n; ++i) {
    const Tokens& text = texts[static_cast<std::size_t>(i)];
    const auto length = static_cast<std::int64_t>(text.size());
    if (length == 0) continue;
    ids[i].narrow(0, 0, length).copy_(torch::tensor(text, torch::kLong));
    mask[i].narrow(0, 0, length).fill_(true);
  }
  return {ids.to(device), mask.to(device)};
}

bool is_end(const GenerationOptions& options, std::int64_t token) {
  return std::find(options.ends.begin(), options.ends.end(), token) != options.ends.end();
}

/// Of a model whose older programs have the image before a text and its padding, without tokens:
/// the same with these, so that they are counted.
Batch with_image_tokens(const Batch& prompts, const Speech& speech) {
  if (!speech.image_first || prompts.input_ids.eq(speech.image_token).any().item<bool>())
    return prompts;
  Batch marked = prompts;
  const std::int64_t n = prompts.size(), tokens = speech.image_tokens;
  const auto before = [&](const Tensor& rows, std::int64_t value) {
    return torch::cat({torch::full({n, tokens}, value, rows.options()), rows}, 1);
  };
  marked.input_ids = before(prompts.input_ids, speech.image_token);
  marked.attention_mask = before(prompts.attention_mask, 1);
  return marked;
}

template <typename Writer>
std::vector<Generated> likeliest(Writer writer, const GenerationOptions& options) {
  const std::int64_t n = writer.samples();
  std::vector<Generated> found(static_cast<std::size_t>(n));
  const Tensor all = torch::arange(n, torch::TensorOptions(torch::kLong).device(writer.device()));
  const std::vector<std::int64_t> most = writer.most_tokens(options);
  for (std::int64_t length = 1;; ++length) {
    const auto [values, tokens] = writer.log_likelihoods().max(1);
    const Tensor likelihoods = values.to(torch::kCPU), taken = tokens.to(torch::kCPU);
    std::vector<std::int64_t> running(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < n; ++i) {
      Generated& own = found[static_cast<std::size_t>(i)];
      if (own.ended || length > most[static_cast<std::size_t>(i)]) continue;
      const std::int64_t token = taken[i].item<std::int64_t>();
      own.log_likelihood += likelihoods[i].item<double>();
      own.ended = is_end(options, token);
      if (!own.ended) own.tokens.push_back(token);
      running[static_cast<std::size_t>(i)] =
          !own.ended && length < most[static_cast<std::size_t>(i)];
    }
    if (std::count(running.begin(), running.end(), 1) == 0) return found;
    writer.go_on(all, tokens, torch::tensor(running));
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
  BeamStep(const GenerationOptions& options, std::int64_t length, std::int64_t most, Beams& beams)
      : options_(options),
        length_(length),
        is_last_(length == most),
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
      if (next.ended || is_last_) {
        // Those behind the first ones are too unlikely to count as answers.
        if (rank < options_.beams) add(next);
      }
      if (!next.ended && going.size() < count_) {
        going.push_back(std::move(next));
        taken.emplace_back(beam, token);
      }
    }
    beams_.running = std::move(going);
    beams_.done = beams_.done || is_last_ || none_is_better();
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
  bool is_last_;
  std::size_t count_;
  Beams& beams_;
};

std::vector<Generated> best_of(const std::vector<Beams>& all) {
  std::vector<Generated> best;
  for (const Beams& beams : all)
    best.push_back(beams.ended.empty() ? beams.running.front() : beams.ended.front().generated);
  return best;
}

template <typename Writer>
std::vector<Generated> by_beams(Writer writer, const GenerationOptions& options) {
  std::vector<Beams> all(static_cast<std::size_t>(writer.samples()));
  for (Beams& beams : all) beams.running.resize(1);
  const std::vector<std::int64_t> most = writer.most_tokens(options);
  for (std::int64_t length = 1;; ++length) {
    const Tensor likelihoods = writer.log_likelihoods().to(torch::kCPU);
    std::vector<std::int64_t> order, tokens, running;
    std::int64_t first = 0;  // row of the sample
    for (std::size_t sample = 0; sample < all.size(); ++sample) {
      Beams& beams = all[sample];
      const auto rows = static_cast<std::int64_t>(beams.running.size());
      BeamStep step(options, length, most[sample], beams);
      for (const auto& [beam, token] : step.take(likelihoods.narrow(0, first, rows))) {
        order.push_back(first + beam);
        tokens.push_back(token);
      }
      first += rows;
      running.resize(order.size(), beams.done ? 0 : 1);
    }
    if (std::count(running.begin(), running.end(), 1) == 0) return best_of(all);
    writer.go_on(torch::tensor(order).to(writer.device()),
                 torch::tensor(tokens).to(writer.device()), torch::tensor(running));
  }
}

}  // namespace

/// Log-likelihoods of the next token behind rows that go on.
class Prompted::Writer {
 public:
  Writer(const Model& model, const Batch& given)
      : model_(model), speech_(*model.architecture().speech()) {
    const Batch prompts = with_image_tokens(given, speech_);
    const std::int64_t n = prompts.size();
    Batch asked = prompts;
    std::int64_t last = 0;  // token, of those that the first answer's comes behind
    if (speech_.decoder_start) {
      asked.decoder_ids = torch::full({n, 1}, *speech_.decoder_start, torch::kLong).to(device());
    } else {
      last = prompts.input_ids.size(1) - 1;
      attended_ = prompts.attention_mask;
    }
    asked.outputs = torch::stack({torch::arange(n), torch::full({n}, last)}, 1);
    room_ = room(n);
    run(asked, 0, n, last + 1);
    const std::int64_t prefix = model.blueprint().prefix_tokens();
    if (prefix > 0 && attended_.defined())
      attended_ = torch::cat({torch::ones({n, prefix}, attended_.options()), attended_}, 1);
  }

  std::int64_t samples() const { return memory_.samples; }
  /// Of each sample: no more than there are places for.
  std::vector<std::int64_t> most_tokens(const GenerationOptions& options) const {
    std::vector<std::int64_t> most;
    for (const std::int64_t room : room_)
      most.push_back(std::max<std::int64_t>(1, std::min(options.most_tokens, room)));
    return most;
  }
  torch::Device device() const { return model_.device(); }

  /// (rows, vocabulary), float32.
  Tensor log_likelihoods() const {
    return torch::log_softmax(state_.values.at(kTokenLogits).to(torch::kFloat), -1);
  }
  /// The rows order[i], each followed by a token; those that are not `running`, 1 or 0 each, only
  /// stand beside the others, and it takes no place of theirs.
  void go_on(const Tensor& order, const Tensor& tokens, const Tensor& running) {
    const std::int64_t n = tokens.size(0);
    memory_.reorder(order);
    Batch next;
    if (attended_.defined()) {
      attended_ = torch::cat(
          {attended_.index_select(0, order), running.to(attended_.options()).view({n, 1})}, 1);
      next.input_ids = tokens.view({n, 1});
      next.attention_mask = attended_;
    } else {
      next.decoder_ids = tokens.view({n, 1});
    }
    run(next, speech_.words_stage, n, 1);
  }

  /// For each of the texts that go on from samples, texts[i] being those of sample i, the sum of
  /// the log-likelihoods of its tokens behind the first.
  std::vector<std::vector<double>> behind_the_first(const std::vector<std::vector<Tokens>>& texts) {
    std::vector<std::vector<double>> sums;
    for (const auto& of_sample : texts) sums.emplace_back(of_sample.size());
    const Asked asked = attended_.defined() ? beside_each_other(texts) : one_a_row(texts);
    if (asked.next.numel() == 0) return sums;
    const Tensor likely = torch::log_softmax(asked.logits.to(torch::kFloat), -1);
    const Tensor found = likely.gather(1, asked.next.unsqueeze(1)).squeeze(1).to(torch::kCPU);
    const Tensor wide = found.to(torch::kDouble).contiguous();
    for (std::size_t i = 0; i < asked.of.size(); ++i)
      sums[asked.of[i].first][asked.of[i].second] += wide.data_ptr<double>()[i];
    return sums;
  }

 private:
  /// What is kept of texts: keys and values of their tokens, and what attention sees beside them.
  struct Memory {
    std::map<std::string, Pass::Kept> tokens;   // (samples, tokens, width)
    std::map<std::string, Pass::Seen> besides;  // likewise; the mask's first dimension is samples
    std::int64_t samples = 0;                   // of now
    std::int64_t before = 0;                    // tokens of each text
    bool begins = true;

    /// Row i goes on as row order[i] has begun.
    void reorder(const Tensor& order) {
      for (auto& [name, kept] : tokens)
        for (Tensor* each : {&kept.keys, &kept.values}) *each = each->index_select(0, order);
      for (auto& [name, seen] : besides)
        for (Tensor* all : {&seen.keys, &seen.values, &seen.mask})
          *all = all->index_select(0, order);
    }
  };

  /// The pass that keeps keys and values of the tokens that it has seen.
  class RememberingPass : public Pass {
   public:
    RememberingPass(const Blueprint& blueprint, const Weights& weights, Memory& memory)
        : Pass(blueprint, weights), memory_(memory) {}

    Kept remembered(const std::string& name, const Kept& now) override {
      Kept& before = memory_.tokens[name];
      const auto joined = [&](const Tensor& old, const Tensor& rows) {
        const Tensor own = by_sample(rows);
        return old.defined() ? torch::cat({old, own}, 1) : own;
      };
      before = {joined(before.keys, now.keys), joined(before.values, now.values)};
      return {rows_of_all(before.keys), rows_of_all(before.values)};
    }
    Seen once(const std::string& name, const std::function<Seen()>& make) override {
      auto found = memory_.besides.find(name);
      if (found == memory_.besides.end()) {
        const Seen made = make();
        found = memory_.besides
                    .emplace(name, Seen{by_sample(made.keys), by_sample(made.values), made.mask})
                    .first;
      }
      const Seen& seen = found->second;
      return {rows_of_all(seen.keys), rows_of_all(seen.values), seen.mask};
    }
    std::int64_t tokens_before() const override { return memory_.before; }
    bool begins() const override { return memory_.begins; }

   private:
    Tensor by_sample(const Tensor& rows) const {
      return rows.view({memory_.samples, -1, rows.size(1)});
    }
    static Tensor rows_of_all(const Tensor& parts) { return parts.reshape({-1, parts.size(2)}); }

    Memory& memory_;
  };

  /// Tokens that are asked for: their logits, and which text of which sample each is of.
  struct Asked {
    Tensor logits, next;  // (m, vocabulary), (m)
    std::vector<std::pair<std::size_t, std::size_t>> of;
  };

  void run(const Batch& batch, std::int64_t first_stage, std::int64_t samples,
           std::int64_t tokens) {
    RememberingPass pass(model_.blueprint(), model_.weights(), memory_);
    memory_.samples = samples;
    memory_.begins = first_stage == 0;
    state_ = {};
    for (std::int64_t stage = first_stage; stage < model_.stage_count(); ++stage)
      state_ = model_.run_stage(stage, batch, state_, pass);
    memory_.before += tokens;
  }

  /// The last token that is said takes no place of its own. A decoder's first place is its start.
  std::vector<std::int64_t> room(std::int64_t samples) const {
    const std::int64_t places = model_.architecture().text_tokens();
    std::vector<std::int64_t> found(static_cast<std::size_t>(samples), places - 1);
    if (!attended_.defined()) return found;
    const Tensor read = attended_.sum(1).to(torch::kCPU, torch::kLong).contiguous();
    for (std::int64_t i = 0; i < samples; ++i)
      found[static_cast<std::size_t>(i)] =
          places + speech_.image_tokens - read.data_ptr<std::int64_t>()[i] + 1;
    return found;
  }

  Asked asked_of(const std::vector<std::vector<Tokens>>& texts) const {
    Asked asked;
    Tokens next;
    for (std::size_t sample = 0; sample < texts.size(); ++sample) {
      for (std::size_t text = 0; text < texts[sample].size(); ++text) {
        const Tokens& tokens = texts[sample][text];
        for (std::size_t t = 1; t < tokens.size(); ++t) {
          next.push_back(tokens[t]);
          asked.of.emplace_back(sample, text);
        }
      }
    }
    asked.next = torch::tensor(next, torch::kLong).to(device());
    return asked;
  }

  /// All texts of a sample in one row behind its prompt, each seeing the prompt and itself.
  Asked beside_each_other(const std::vector<std::vector<Tokens>>& texts) {
    std::vector<Tokens> rows, numbers;
    for (const auto& of_sample : texts) {
      Tokens& row = rows.emplace_back();
      Tokens& number = numbers.emplace_back();
      for (std::size_t text = 0; text < of_sample.size(); ++text) {
        row.insert(row.end(), of_sample[text].begin(), of_sample[text].end() - 1);
        number.resize(row.size(), static_cast<std::int64_t>(text) + 1);
      }
    }
    Asked asked = asked_of(texts);
    if (asked.next.numel() == 0) return asked;
    const Padded own = padded(rows, device());
    const Tensor of_prompt = torch::zeros(attended_.sizes(), own.ids.options());
    Batch next;
    next.input_ids = own.ids;
    next.attention_mask = torch::cat({attended_, own.mask.to(attended_.scalar_type())}, 1);
    next.continuations = torch::cat({of_prompt, padded(numbers, device()).ids}, 1);
    next.answers = torch::cat({of_prompt.to(torch::kBool), torch::ones_like(own.mask)}, 1);
    next.outputs = own.mask.nonzero();
    run(next, speech_.words_stage, samples(), own.ids.size(1));
    asked.logits = state_.values.at(kTokenLogits);
    return asked;
  }

  /// A row of the decoder for each text.
  Asked one_a_row(const std::vector<std::vector<Tokens>>& texts) {
    std::vector<Tokens> rows;
    Tokens order;
    for (std::size_t sample = 0; sample < texts.size(); ++sample) {
      for (const Tokens& text : texts[sample]) {
        rows.emplace_back(text.begin(), text.end() - 1);
        order.push_back(static_cast<std::int64_t>(sample));
      }
    }
    Asked asked = asked_of(texts);
    if (asked.next.numel() == 0) return asked;
    const Padded own = padded(rows, device());
    memory_.reorder(torch::tensor(order, torch::kLong).to(device()));
    Batch next;
    next.decoder_ids = own.ids;
    next.outputs = own.mask.nonzero();
    run(next, speech_.words_stage, own.ids.size(0), own.ids.size(1));
    asked.logits = state_.values.at(kTokenLogits);
    return asked;
  }

  const Model& model_;
  Speech speech_;
  Memory memory_;
  Tensor attended_;  // undefined where an encoder has read the prompts
  std::vector<std::int64_t> room_;
  State state_;
};

Prompted::Prompted(const Model& model, const Batch& prompts) {
  if (!model.architecture().answers_in_words()) {
    throw InputError("a model of the type \"" + model.architecture().type() +
                     "\" does not answer in words");
  }
  const torch::NoGradGuard no_grad;
  begun_ = std::make_unique<const Writer>(model, prompts);
}

Prompted::~Prompted() = default;

Tensor Prompted::first_log_likelihoods() const {
  return begun_->log_likelihoods();
}

std::vector<std::vector<double>> Prompted::log_likelihoods(
    const std::vector<std::vector<Tokens>>& answers) const {
  const torch::NoGradGuard no_grad;
  const Tensor first = first_log_likelihoods().to(torch::kCPU);
  std::size_t most = 0, tokens = 1;  // answers of a sample; behind the first of an answer
  for (const auto& of_sample : answers) {
    most = std::max(most, of_sample.size());
    for (const Tokens& answer : of_sample) tokens = std::max(tokens, answer.size());
  }
  const double bytes_of_one =
      4.0 * static_cast<double>(answers.size() * tokens) * static_cast<double>(first.size(1));
  const auto at_once =
      std::max<std::size_t>(1, static_cast<std::size_t>(kMostLogitBytes / bytes_of_one));
  std::vector<std::vector<double>> found(answers.size());
  for (std::size_t begin = 0; begin < most; begin += at_once) {
    std::vector<std::vector<Tokens>> part;
    for (const auto& all : answers) {
      const auto from = all.begin() + static_cast<std::ptrdiff_t>(std::min(begin, all.size()));
      const auto to =
          all.begin() + static_cast<std::ptrdiff_t>(std::min(begin + at_once, all.size()));
      part.emplace_back(from, to);
    }
    const auto rest = Writer(*begun_).behind_the_first(part);
    for (std::size_t i = 0; i < part.size(); ++i) {
      const float* own = first.data_ptr<float>() + static_cast<std::int64_t>(i) * first.size(1);
      for (std::size_t k = 0; k < part[i].size(); ++k)
        found[i].push_back(double{own[part[i][k].front()]} + rest[i][k]);
    }
  }
  return found;
}

std::vector<Generated> Prompted::generate(const GenerationOptions& options) const {
  const torch::NoGradGuard no_grad;
  return options.beams == 1 ? likeliest(*begun_, options) : by_beams(*begun_, options);
}

std::vector<Generated> generate(const Model& model, const Batch& batch,
                                const GenerationOptions& options) {
  return Prompted(model, batch).generate(options);
}

}  // namespace strata::models
