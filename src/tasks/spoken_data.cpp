#include "tasks/spoken_data.h"

#include <algorithm>
#include <map>
#include <set>

#include "strata/core/error.h"

namespace strata::tasks {
namespace {

using models::Tokens;
using torch::Tensor;

void check_answers(const std::vector<std::string>& answers) {
  std::set<std::string> seen;
  for (const std::string& answer : answers) {
    if (answer.empty()) throw InputError("answers: found an empty one, but a text is needed");
    if (!seen.insert(answer).second) throw InputError("answers: \"" + answer + "\" stands twice");
  }
}

/// Texts side by side, padded behind them or, with `at_end`, before.
void set_text(models::Batch& batch, const std::vector<Tokens>& texts, bool at_end,
              torch::Device device) {
  std::size_t longest = 0;
  for (const Tokens& text : texts) longest = std::max(longest, text.size());
  const auto n = static_cast<std::int64_t>(texts.size()),
             width = static_cast<std::int64_t>(longest);
  Tensor ids = torch::zeros({n, width}, torch::kInt64), mask = torch::zeros({n, width});
  for (std::int64_t i = 0; i < n; ++i) {
    const Tokens& own = texts[static_cast<std::size_t>(i)];
    const auto length = static_cast<std::int64_t>(own.size());
    const std::int64_t begin = at_end ? width - length : 0;
    ids[i].narrow(0, begin, length).copy_(torch::tensor(own, torch::kInt64));
    mask[i].narrow(0, begin, length).fill_(1);
  }
  batch.input_ids = ids.to(device);
  batch.attention_mask = mask.to(device);
}

/// labels: the tokens of the samples' answers, kNoWord behind shorter ones.
Tensor labels_of(const std::vector<std::vector<Tokens>>& answers) {
  std::size_t longest = 0;
  for (const auto& own : answers)
    for (const Tokens& answer : own) longest = std::max(longest, answer.size());
  const auto n = static_cast<std::int64_t>(answers.size()),
             texts = static_cast<std::int64_t>(answers.front().size());
  const Tensor labels =
      torch::full({n, texts, static_cast<std::int64_t>(longest)}, kNoWord, torch::kInt64);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t k = 0; k < texts; ++k) {
      const Tokens& answer = answers[static_cast<std::size_t>(i)][static_cast<std::size_t>(k)];
      labels[i][k]
          .narrow(0, 0, static_cast<std::int64_t>(answer.size()))
          .copy_(torch::tensor(answer, torch::kInt64));
    }
  }
  return labels;
}

/// Asks a batch for answers that stand in its texts from `begins` on, behind prompts of so many
/// tokens. As many tokens of each are asked for, so that samples have as many outputs: behind the
/// end of a shorter one the first token's are, which nobody looks at.
void ask(models::Batch& batch, const std::vector<std::vector<Tokens>>& answers,
         const std::vector<std::vector<std::int64_t>>& begins,
         const std::vector<std::int64_t>& prompts) {
  const torch::Device device = batch.input_ids.device();
  const Tensor labels = labels_of(answers);
  const std::int64_t n = labels.size(0), texts = labels.size(1), length = labels.size(2);
  const Tensor outputs = torch::zeros({n, texts, length, 2}, torch::kInt64);
  auto at = outputs.accessor<std::int64_t, 4>();
  for (std::int64_t i = 0; i < n; ++i) {
    const auto sample = static_cast<std::size_t>(i);
    for (std::int64_t k = 0; k < texts; ++k) {
      const auto text = static_cast<std::size_t>(k);
      const auto own = static_cast<std::int64_t>(answers[sample][text].size());
      for (std::int64_t t = 0; t < length; ++t) {
        at[i][k][t][0] = i;
        if (t < own) at[i][k][t][1] = (t == 0 ? prompts[sample] : begins[sample][text] + t) - 1;
      }
    }
  }
  const Tensor place = torch::arange(batch.input_ids.size(1), batch.input_ids.options());
  const Tensor prompt = torch::tensor(prompts, torch::kInt64).to(device);
  batch.answers = (place.unsqueeze(0) >= prompt.unsqueeze(1)).logical_and(batch.attention_mask > 0);
  batch.labels = labels.to(device);
  batch.outputs = outputs.view({-1, 2}).to(device);
}

}  // namespace

std::vector<std::string> most_frequent_answers(const Dataset& data, std::int64_t most) {
  std::map<std::string, std::int64_t> counts;
  for (std::int64_t row = 0; row < data.size(); ++row) ++counts[data.example(row).answers.front()];
  std::vector<std::pair<std::string, std::int64_t>> all(counts.begin(), counts.end());
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::vector<std::string> answers;
  for (const auto& [answer, count] : all)
    if (static_cast<std::int64_t>(answers.size()) < most) answers.push_back(answer);
  return answers;
}

SpokenData::SpokenData(std::shared_ptr<const Task> task, const Source& source)
    : Dataset(std::move(task), source),
      speech_(*source.blueprint.architecture().speech()),
      writer_(speech_, source.language, source.prompt),
      most_(speech_.image_tokens + source.blueprint.architecture().text_tokens()) {}

void SpokenData::add(const Source& source, const data::Example& example) {
  Written written =
      writer_.with_answer(example.question, example.answers.front(), tiles_of(example));
  const std::size_t length =
      apart() ? std::max(written.prompt.size(), written.ids.size()) : written.ids.size();
  check_length((source.manifest.folder / example.image).string(), example.question, length);
  const auto begin = written.ids.begin() + static_cast<std::ptrdiff_t>(written.answer);
  answers_.emplace_back(begin, written.ids.end());
  begins_.push_back(static_cast<std::int64_t>(written.answer));
  prompts_.push_back(written.prompt);
  Dataset::add(example, apart() ? std::move(written.prompt) : std::move(written.ids));
}

void SpokenData::finish(const Source& source, std::int64_t asked) {
  asked_ = asked;
  Dataset::finish(source);
}

void SpokenData::check_length(const std::string& image, const std::string& question,
                              std::size_t tokens) const {
  if (static_cast<std::int64_t>(tokens) <= most_) return;
  throw InputError(image + ", question \"" + question + "\": prompt and answer have " +
                   std::to_string(tokens) + " tokens, the model reads at most " +
                   std::to_string(most_));
}

models::Batch SpokenData::prompts(const std::vector<std::int64_t>& rows,
                                  const models::Batch& batch) const {
  models::Batch asked;
  asked.pixels = batch.pixels;
  asked.grids = batch.grids;
  if (apart()) {
    asked.input_ids = batch.input_ids;
    asked.attention_mask = batch.attention_mask;
    return asked;
  }
  std::vector<Tokens> texts;
  for (const std::int64_t row : rows) texts.push_back(prompts_[static_cast<std::size_t>(row)]);
  set_text(asked, texts, /*at_end=*/true, batch.pixels.device());
  return asked;
}

models::Batch SpokenData::outputs_batch(const std::vector<std::int64_t>& rows, torch::Device device,
                                        const AnswerChoice& choice) const {
  check_answers(choice.answers);
  const std::vector<Tokens> answers =
      listed(choice.answers.empty() ? most_frequent_answers(*this, choice.most) : choice.answers)
          .tokens;
  models::Batch found = batch(rows, device);
  if (apart())
    ask_decoder(found, std::vector<std::vector<Tokens>>(rows.size(), answers));
  else
    ask_beside(found, rows, answers);
  return found;
}

void SpokenData::complete(models::Batch& batch, const std::vector<std::int64_t>& rows) const {
  std::vector<std::vector<Tokens>> answers;
  std::vector<std::vector<std::int64_t>> begins;
  std::vector<std::int64_t> prompts;
  for (const std::int64_t row : rows) {
    prompts.push_back(begins_[static_cast<std::size_t>(row)]);
    begins.push_back({prompts.back()});
    answers.push_back({answers_[static_cast<std::size_t>(row)]});
  }
  if (apart())
    ask_decoder(batch, answers);
  else
    ask(batch, answers, begins, prompts);
}

AnswerList SpokenData::listed(std::vector<std::string> texts) const {
  AnswerList list{std::move(texts), {}};
  for (const std::string& text : list.texts) list.tokens.push_back(writer_.answer(text));
  return list;
}

/// Asks for the same answers of all samples, which stand one behind the other, each as if it were
/// the only one: what is before them is computed once.
void SpokenData::ask_beside(models::Batch& batch, const std::vector<std::int64_t>& rows,
                            const std::vector<Tokens>& answers) const {
  const torch::Device device = batch.input_ids.device();
  std::vector<Tokens> texts;
  std::vector<std::vector<std::int64_t>> begins;
  std::vector<std::int64_t> lengths;
  for (const std::int64_t row : rows) {
    Tokens text = prompts_[static_cast<std::size_t>(row)];
    const std::size_t prompt = text.size();
    auto& begin = begins.emplace_back();
    for (const Tokens& answer : answers) {
      check_length(example(row).image, example(row).question, prompt + answer.size());
      begin.push_back(static_cast<std::int64_t>(text.size()));
      text.insert(text.end(), answer.begin(), answer.end());
    }
    lengths.push_back(static_cast<std::int64_t>(prompt));
    texts.push_back(std::move(text));
  }
  set_text(batch, texts, /*at_end=*/false, device);
  const Tensor numbers = torch::zeros(batch.input_ids.sizes(), torch::kInt64);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t k = 0; k < answers.size(); ++k) {
      numbers[static_cast<std::int64_t>(i)]
          .narrow(0, begins[i][k], static_cast<std::int64_t>(answers[k].size()))
          .fill_(static_cast<std::int64_t>(k) + 1);
    }
  }
  batch.continuations = numbers.to(device);
  ask(batch, std::vector<std::vector<Tokens>>(rows.size(), answers), begins, lengths);
}

/// Asks a decoder, with a row for each answer of a sample.
void SpokenData::ask_decoder(models::Batch& batch,
                             const std::vector<std::vector<Tokens>>& answers) const {
  const torch::Device device = batch.input_ids.device();
  const Tensor labels = labels_of(answers);
  const std::int64_t n = labels.size(0), texts = labels.size(1), length = labels.size(2);
  const Tensor start = torch::full({n, texts, 1}, *speech_.decoder_start, torch::kInt64);
  const Tensor read = torch::cat({start, labels.narrow(2, 0, length - 1).clamp_min(0)}, 2);
  batch.labels = labels.to(device);
  batch.decoder_ids = read.view({-1, length}).to(device);
  batch.decoder_rows = Tensor();
  if (texts > 1) batch.decoder_rows = torch::arange(n).repeat_interleave(texts).to(device);
}

}  // namespace strata::tasks
