#include "experiment/answering_section.h"

namespace strata::experiment {

const Fields<tasks::AnsweringOptions>& answering_fields() {
  using tasks::AnsweringOptions;
  static const Fields<AnsweringOptions> fields({
      field("method", &AnsweringOptions::method, choice(tasks::answering_methods()),
            "`generate`: what the model says; `rank`: the likeliest answer of a list "
            "([tasks.md](tasks.md))")
          .written_if_changed(),
      field("beams", &AnsweringOptions::beams, whole(1, 1024),
            "of `generate`; 1 takes the likeliest token each time")
          .written_if_changed(),
      field("most_tokens", &AnsweringOptions::most_tokens, whole(1), "of an answer, of `generate`")
          .written_if_changed(),
      field("answer_list", &AnsweringOptions::answer_list, text(),
            "of `rank`: a file with an answer on each line, or FILE.json with a list of texts; "
            "without, the first answers of all training examples")
          .written_if_changed(),
      field("candidates", &AnsweringOptions::candidates, whole(1),
            "of `rank`: so many answers of the list, those with the likeliest first tokens, are "
            "compared as wholes")
          .written_if_changed(),
  });
  return fields;
}

}  // namespace strata::experiment
