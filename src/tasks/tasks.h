#pragma once
/// \file
/// The list of tasks. A further one is a file and a line.

#include <string>
#include <vector>

#include "data/manifest.h"
#include "tasks/answering.h"
#include "tasks/task.h"

namespace strata::tasks {

/// What `task` in an experiment file and `--task` may be: "auto", and every task's name.
std::vector<std::string> task_names();
/// What is to be read of a data set for it. @throws InputError beginning with `where` for an
/// unknown name
data::Reading reading_of(const std::string& name, const std::string& where);
/// Whether models answer in words for the task of that name, not by labels.
bool is_in_words(const std::string& name);
/// The task of that name; for "auto" the one that the data are for: questions are answered, images
/// with labels are classified, volumes with masks are segmented. The name is one of task_names().
/// `answering` is for a model that speaks. @throws InputError where it says something and the task
/// is another one, or names a file that cannot be read
TaskPtr choose_task(const std::string& name, const data::Manifest& manifest,
                    const AnsweringOptions& answering = {});

}  // namespace strata::tasks
