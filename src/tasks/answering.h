#pragma once
/// \file
/// How a model that speaks is made to answer, where it is evaluated.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/choices.h"

namespace strata::tasks {

enum class Answering : std::uint8_t {
  kGenerate,  ///< it says what it likes
  kRank,      ///< the likeliest answer of a list
};
/// generate, rank.
const Choices<Answering>& answering_methods();

struct AnsweringOptions {
  Answering method = Answering::kGenerate;
  std::int64_t beams = 1;         ///< 1: the likeliest token each time
  std::int64_t most_tokens = 32;  ///< of an answer that is said
  std::string answer_list = {};   ///< a file; empty: the training examples' first answers
  /// Of the list those whose first tokens are likeliest, which are compared as wholes: k_test in
  /// ALBEF, num_ans_candidates in LAVIS.
  std::int64_t candidates = 128;
  bool operator==(const AnsweringOptions&) const = default;
};

/// The answers of a file: a JSON list of texts where it is called FILE.json, or else one on each
/// line. One that stands twice counts once. @throws InputError: no such file, no answers, an empty
/// one
std::vector<std::string> read_answer_list(const std::filesystem::path& file);

}  // namespace strata::tasks
