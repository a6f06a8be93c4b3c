#pragma once
/// \file
/// Answering in words: a model that speaks is given an image and a question, and says the answer.

#include "tasks/answering.h"
#include "tasks/task.h"

namespace strata::tasks {

/// The target is the first accepted answer. A sample's loss is minus the log-likelihood of its
/// tokens and of the end, in nats; the training loss is the mean over samples. Outputs are the
/// log-likelihoods of the batch's answers: (n, 1) of its own, (n, K) of Dataset::outputs_batch. An
/// evaluation lets the model speak, or ranks a list of answers, and is right where the words are
/// those of an accepted answer (answer_words.h).
///
/// Ranking is ALBEF's: of the list those answers whose first tokens are likeliest, and of these the
/// likeliest as a whole, its end included. (The authors' program counts the first token twice;
/// LAVIS does not, and neither is it done here.) @throws InputError: the file of the list
TaskPtr answer_generation(const AnsweringOptions& options = {});

}  // namespace strata::tasks
