#pragma once
/// \file
/// Answering in words: a model that speaks is given an image and a question, and says the answer.

#include "tasks/task.h"

namespace strata::tasks {

/// The target is the first accepted answer. A sample's loss is minus the log-likelihood of its
/// tokens and of the end, in nats; the training loss is the mean over samples. An evaluation lets
/// the model speak (the likeliest token each time, kMostAnswerTokens at most) and is right where
/// the words are those of an accepted answer (answer_words.h).
TaskPtr answer_generation();

inline constexpr std::int64_t kMostAnswerTokens = 32;

}  // namespace strata::tasks
