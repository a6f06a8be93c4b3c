#pragma once
// What the examples of headers stand in that take a model and data.

#include <filesystem>

#include "fedrunner/tiny.h"
#include "house/examples.h"
#include "strata/optimizers/make_plan.h"

/// A folder with `data`, three clients' images and questions, and `foundation`, a model of three
/// blocks; and both as the library has them.
class ModelFolder : public ExampleFolder {
 protected:
  const strata::data::Manifest manifest = strata::test::write_tiny_data("data");
  const strata::models::Model model = [] {
    strata::test::write_tiny_foundation("foundation");
    return strata::peft::load_model("foundation");
  }();
  const strata::test::Answers dataset =
      strata::test::answers(manifest, strata::test::examples_of(manifest, "ct", "train"),
                            model.blueprint(), strata::test::tiny_tokenizer());
};

#define ExampleFolder ModelFolder
