#include "strata/ntk/score.h"

#include <Eigen/Eigenvalues>
#include <cmath>
#include <map>
#include <numeric>

#include "catch.h"
#include "data/image.h"
#include "ntk/lntk.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "support/answers.h"
#include "support/tiny_model.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::models;
using namespace strata::ntk;
using Catch::Matchers::Contains;
using torch::Tensor;

namespace {

Model small_model() {
  test::ModelShape shape = test::narrow_shape();
  shape.num_hidden_layers = 2;
  shape.intermediate_size = 24;
  shape.vocab_size = 20;
  shape.max_position_embeddings = 12;
  shape.initializer_range = 0.2;
  shape.labels = {"answer 0", "answer 1", "answer 2"};
  return test::make_model(shape, 5);
}

/// Twelve questions of different lengths about images of noise.
struct Questions {
  test::TempDir dir;
  data::Manifest manifest;
  Model model = small_model();
  const data::WordPiece tokenizer{
      {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "what", "is", "here", "there"}};
  std::vector<Unit> units = {model.unit("head"), model.unit("embeddings"), model.unit("block.1"),
                             model.unit("block.0")};
  ScoreOptions options;

  Questions() {
    options.samples = 6;
    manifest.folder = dir.path();
    Random random(2);
    const std::vector<std::string> words = {"what", "is", "here", "there"};
    for (int i = 0; i < 12; ++i) {
      data::Image image{8, 8, {}};
      for (int p = 0; p < 8 * 8 * 3; ++p)
        image.pixels.push_back(static_cast<std::uint8_t>(random.below(256)));
      const std::string name = std::to_string(i) + ".png";
      write_png(image, dir / name);
      std::string question = words[random.below(4)];
      for (std::uint64_t w = random.below(4); w > 0; --w) question += " " + words[random.below(4)];
      manifest.examples.push_back(
          {name, question, {"answer " + std::to_string(i % 3)}, "train", "c", "open", ""});
    }
  }

  test::Answers data(int examples = 12) const {
    std::vector<int> indices(static_cast<std::size_t>(examples));
    std::iota(indices.begin(), indices.end(), 0);
    return test::answers(manifest, indices, model.blueprint(), tokenizer);
  }
  std::vector<double> values(const std::string& metric, std::uint64_t seed = 1) {
    options.metric = metric;
    options.seed = seed;
    std::vector<double> found;
    for (const UnitScore& score : score_units(model, *data(), units, options))
      found.push_back(score.value);
    return found;
  }
  void spoil(const std::string& weight) {
    const torch::NoGradGuard no_grad;
    model.weight(weight).fill_(INFINITY);
  }
};

}  // namespace

TEST_CASE("first and last score units by their places in the model, not in the list") {
  Questions questions;
  CHECK(questions.values("first") == std::vector<double>{1, 4, 2, 3});
  CHECK(questions.values("last") == std::vector<double>{4, 1, 3, 2});
}

TEST_CASE("a seed draws random scores and samples alike each time, and another seed others") {
  Questions questions;
  for (const std::string metric : {"random", "lntk"}) {
    CAPTURE(metric);
    CHECK(questions.values(metric) == questions.values(metric));
    CHECK(questions.values(metric) != questions.values(metric, 2));
  }
}

TEST_CASE("every metric of random weights is above 0, and magnitude is the mean of |w|") {
  Questions questions;
  for (const std::string& metric : metric_names()) {
    CAPTURE(metric);
    for (const double value : questions.values(metric)) CHECK(value > 0);
  }
  double sum = 0;
  for (const std::string& name : questions.units[0].parameters)
    sum += questions.model.weight(name).detach().abs().sum(torch::kDouble).item<double>();
  CHECK(questions.values("magnitude")[0] ==
        Approx(sum / static_cast<double>(questions.units[0].parameter_count)).epsilon(1e-6));
}

TEST_CASE("with more samples than there are, lntk and trace are those of all rows' kernel") {
  Questions questions;
  questions.options.samples = 100;
  std::vector<std::int64_t> rows(12);
  std::iota(rows.begin(), rows.end(), 0);
  std::map<std::string, Tensor> grams;
  visit_unit_grams(questions.model, test::answering(), questions.data()->batch(rows, torch::kCPU),
                   questions.model.units(), {}, [&](const std::string& unit, const Tensor& gram) {
                     grams[unit] = gram.clone();
                   });
  const Tensor theta = grams.at("block.1").contiguous();
  REQUIRE(theta.sizes() == torch::IntArrayRef({36, 36}));
  const Eigen::Map<const Eigen::MatrixXd> matrix(theta.data_ptr<double>(), 36, 36);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(matrix);
  CHECK(questions.values("lntk")[2] == Approx(solver.eigenvalues().maxCoeff()).epsilon(1e-5));
  CHECK(questions.values("trace")[2] == Approx(matrix.trace()).epsilon(1e-5));
}

TEST_CASE("metrics that are scored together have the values that each has alone") {
  Questions questions;
  const auto together = score_metrics(questions.model, *questions.data(), questions.units,
                                      metric_names(), questions.options);
  REQUIRE(together.size() == metric_names().size());
  for (std::size_t m = 0; m < metric_names().size(); ++m) {
    const std::vector<double> alone = questions.values(metric_names()[m]);
    for (std::size_t u = 0; u < questions.units.size(); ++u) {
      INFO(metric_names()[m]);
      CHECK(together[m][u].value == Approx(alone[u]).epsilon(1e-6));
      CHECK(together[m][u].status == "ok");
    }
  }
}

TEST_CASE("an unknown metric, no examples and weights that are not finite are refused") {
  Questions questions;
  CHECK_THROWS_WITH(questions.values("lntkk"), Contains("did you mean \"lntk\"?"));
  questions.options.metric = "lntk";
  CHECK_THROWS_AS(
      score_units(questions.model, *questions.data(0), questions.units, questions.options),
      InputError);
  questions.spoil("classifier.3.weight");
  CHECK_THROWS_AS(questions.values("lntk"), WorkError);
}
