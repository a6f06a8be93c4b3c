#include "tasks/prompts.h"

#include <algorithm>

#include "strata/core/error.h"

namespace strata::tasks {
namespace {

const std::string kImage = "<image>", kQuestion = "{question}";

std::int64_t times(const std::string& text, const std::string& part) {
  std::int64_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++count;
  return count;
}

bool is_space(char c) {
  return std::isspace(static_cast<unsigned char>(c)) != 0;
}

/// Where the text's words end.
std::vector<std::size_t> word_ends(const std::string& text) {
  std::vector<std::size_t> ends;
  for (std::size_t at = 1; at <= text.size(); ++at) {
    if (!is_space(text[at - 1]) && (at == text.size() || is_space(text[at]))) ends.push_back(at);
  }
  return ends;
}

/// What stands before, between and behind the images of a text.
std::vector<std::string> around_images(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t at = text.find(kImage); at != std::string::npos; at = text.find(kImage, begin)) {
    parts.push_back(text.substr(begin, at - begin));
    begin = at + kImage.size();
  }
  parts.push_back(text.substr(begin));
  return parts;
}

std::string without_space_around(const std::string& text) {
  const char* space = " \t\r\n";
  const std::size_t first = text.find_first_not_of(space);
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(space) - first + 1);
}

}  // namespace

std::string plain_question(const std::string& question) {
  constexpr int kMostWords = 50;
  const std::string dropped = ",.'!?\"()*#:;~", spaced = "-/";
  std::string plain;
  for (const char c : question) {
    if (dropped.find(c) != std::string::npos) continue;
    plain += spaced.find(c) != std::string::npos
                 ? ' '
                 : static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  plain.resize(plain.find_last_not_of(' ') + 1);
  int words = 1;
  for (std::size_t i = 0; i < plain.size(); ++i)
    if (plain[i] == ' ' && ++words > kMostWords) plain.resize(i);
  return plain;
}

PromptWriter::PromptWriter(const models::Speech& speech,
                           std::shared_ptr<const data::Tokenizer> tokenizer,
                           const std::string& prompt)
    : speech_(speech), tokenizer_(std::move(tokenizer)) {
  const std::string& form = prompt.empty() ? speech_.prompt : prompt;
  const auto check = [&](const std::string& part, std::int64_t wanted) {
    const std::int64_t found = times(form, part);
    if (found == wanted) return;
    throw InputError("prompt: " + part +
                     (wanted == 1 ? " must be in it once"
                                  : " must not be in it, as the model has "
                                    "the image beside the text") +
                     ", found " + std::to_string(found) + " times");
  };
  check(kQuestion, 1);
  check(kImage, speech_.image_tokens > 0 ? 1 : 0);
  const std::size_t at = form.find(kQuestion);
  before_ = form.substr(0, at);
  behind_ = form.substr(at + kQuestion.size());
  has_token_ = tokenizer_->id_of(kImage) == speech_.image_token;
}

std::string PromptWriter::filled(const std::string& question, const Tiles& tiles) const {
  if (question.find(kImage) != std::string::npos)
    throw InputError("the question \"" + question +
                     "\" has the text <image>, which stands for one");
  std::string text =
      before_ + (speech_.plain_questions ? plain_question(question) : question) + behind_;
  if (!tiles) return text;
  const std::string marked = speech_.image_text({});
  const bool spelt = text.find(marked) != std::string::npos;
  const std::string& image = spelt ? marked : kImage;
  return text.replace(text.find(image), image.size(), speech_.image_text(*tiles));
}

std::vector<std::int64_t> PromptWriter::encoded(const std::string& text) const {
  const std::vector<std::string> parts = around_images(text);
  if (parts.size() == 1) return tokenizer_->encode(text, speech_.special_tokens);
  if (speech_.image_first) {
    std::vector<std::int64_t> ids(static_cast<std::size_t>(speech_.image_tokens),
                                  speech_.image_token);
    const std::vector<std::int64_t> words =
        tokenizer_->encode(parts.front() + parts.back(), speech_.special_tokens);
    ids.insert(ids.end(), words.begin(), words.end());
    return ids;
  }
  if (has_token_) {
    std::string repeated = parts.front();
    for (std::size_t part = 1; part < parts.size(); ++part) {
      for (std::int64_t i = 0; i < speech_.image_tokens; ++i) repeated += kImage;
      repeated += parts[part];
    }
    return tokenizer_->encode(repeated, speech_.special_tokens);
  }
  // As the programs do whose tokenizers do not know it: each side is a text of its own.
  std::vector<std::int64_t> ids = tokenizer_->encode(parts.front(), speech_.special_tokens);
  for (std::size_t part = 1; part < parts.size(); ++part) {
    ids.insert(ids.end(), static_cast<std::size_t>(speech_.image_tokens), speech_.image_token);
    const std::vector<std::int64_t> rest = tokenizer_->encode(parts[part], false);
    ids.insert(ids.end(), rest.begin(), rest.end());
  }
  return ids;
}

std::vector<std::int64_t> PromptWriter::prompt(const std::string& question,
                                               const Tiles& tiles) const {
  return encoded(filled(question, tiles));
}

std::vector<std::int64_t> PromptWriter::prompt(const std::string& question, std::size_t most,
                                               const Tiles& tiles) const {
  std::vector<std::int64_t> ids = prompt(question, tiles);
  if (ids.size() <= most) return ids;
  const std::vector<std::size_t> ends = word_ends(question);
  const auto fits = [&](std::size_t end) {
    return prompt(question.substr(0, end), tiles).size() <= most;
  };
  const auto first_long = std::partition_point(ends.begin(), ends.end(), fits);
  ids = prompt(question.substr(0, first_long == ends.begin() ? 0 : *std::prev(first_long)), tiles);
  if (ids.size() > most) {
    throw InputError("prompt: it has " + std::to_string(ids.size()) +
                     " tokens without a text, but the model reads at most " + std::to_string(most));
  }
  return ids;
}

Written PromptWriter::with_answer(const std::string& question, const std::string& answer,
                                  const Tiles& tiles) const {
  const std::string form = filled(question, tiles);
  if (speech_.decoder_start) {
    Written apart{encoded(form), tokenizer_->encode(answer, /*add_special_tokens=*/false), 0};
    apart.ids.push_back(speech_.end_token);
    return apart;
  }
  const bool spaced = form.empty() || is_space(form.back());
  Written written{encoded(form), encoded(form + (spaced ? "" : " ") + answer), 0};
  const auto last = written.prompt.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                 written.prompt.size(), written.ids.size()));
  written.answer = static_cast<std::size_t>(
      std::mismatch(written.prompt.begin(), last, written.ids.begin()).first -
      written.prompt.begin());
  written.ids.push_back(speech_.end_token);
  return written;
}

std::vector<std::int64_t> PromptWriter::answer(const std::string& answer) const {
  const Written written = with_answer("", answer);
  return {written.ids.begin() + static_cast<std::ptrdiff_t>(written.answer), written.ids.end()};
}

std::string PromptWriter::text(const std::vector<std::int64_t>& ids) const {
  return without_space_around(tokenizer_->decode(ids));
}

}  // namespace strata::tasks
