#include "experiment/site_file.h"

#include "core/document.h"

namespace strata::experiment {
namespace {

constexpr int kSiteVersion = 1;

Kind<std::optional<Budget>> largest_budget() {
  const auto read = [](ObjectReader& reader, const std::string& key,
                       const std::optional<std::optional<Budget>>&) -> std::optional<Budget> {
    if (!reader.has(key)) return std::nullopt;
    return read_budget(reader, key, "", [&] { return reader.text(key); });
  };
  return {read,
          [](const std::optional<Budget>& budget) { return budget ? to_json(*budget) : Json(); },
          Form::kText, "as `run.budget`"};
}

Field<SiteFile> site_version() {
  Field<SiteFile> field{"version", "of the format", std::to_string(kSiteVersion)};
  field.read = [](ObjectReader& reader, SiteFile&, bool) { reader.version(kSiteVersion); };
  field.write = [](const SiteFile&) { return Json(kSiteVersion); };
  return field.required();
}

const Fields<SitePrivacy>& privacy_fields() {
  static const Fields<SitePrivacy> fields({
      field(
          "epsilon", &SitePrivacy::epsilon, number(1e-6, 1e6),
          "ε of all scores that leave the site, a client ([private_scores.md](private_scores.md))")
          .required(),
      field("delta", &SitePrivacy::delta, number(1e-15, 0.5), "δ likewise"),
      field("releases", &SitePrivacy::releases, whole(1),
            "how often a client's scores may leave the site; each costs a part of ε")
          .required(),
      field("ledger", &SitePrivacy::ledger, text(),
            "a file that counts them, beside the site file; without its line no score leaves")
          .required(),
  });
  return fields;
}

const Fields<SiteTraining>& training_fields() {
  static const Fields<SiteTraining> fields({
      field("epsilon", &SiteTraining::epsilon, number(1e-6, 1e6),
            "ε of all private steps of a client, and of all releases of its scores that "
            "`private_scores` allows ([private_training.md](private_training.md))")
          .required(),
      field("delta", &SiteTraining::delta, number(1e-15, 0.5), "δ likewise"),
      field("ledger", &SiteTraining::ledger, text(),
            "a file that counts the steps, beside the site file; without its line nothing is "
            "trained")
          .required(),
  });
  return fields;
}

Fields<SiteFile> site_fields(const std::vector<std::string>& phases,
                             const std::vector<std::string>& metrics) {
  auto measures = some_of(metrics);
  measures.allowed = "a list of metrics ([importance.md](importance.md))";
  return Fields<SiteFile>({
      site_version(),
      field("data", &SiteFile::data, text(), "the data folder ([data.md](data.md))").required(),
      field("model", &SiteFile::model, text(),
            "the foundation's folder, the same as the server's to the byte")
          .required(),
      field("clients", &SiteFile::clients, distinct_texts(),
            "clients that the site answers for; empty: all that its data has"),
      field("phases", &SiteFile::phases, some_of(phases), "what it answers; empty: everything"),
      field("metrics", &SiteFile::metrics, measures,
            "importance measures that it computes; empty: all"),
      field("budget", &SiteFile::budget, largest_budget(),
            "the most that a plan may have a client train")
          .default_text("none: anything"),
      field("least_samples", &SiteFile::least_samples, whole(1),
            "a client with fewer training examples neither scores nor trains"),
      field("least_cohort", &SiteFile::least_cohort, whole(1),
            "no unit is trained that an order says fewer clients of the round train, this one "
            "among them ([below](#least-cohorts))"),
      section("private_scores", &SiteFile::private_scores, privacy_fields(),
              "scores leave the site with noise alone"),
      section("private_training", &SiteFile::private_training, training_fields(),
              "weights leave the site after private steps alone"),
  });
}

std::string from(const std::filesystem::path& folder, const std::string& path) {
  return path.empty() ? path : (folder / path).lexically_normal().string();
}

}  // namespace

SiteFile read_site_file(const std::filesystem::path& file, const std::vector<std::string>& phases,
                        const std::vector<std::string>& metrics) {
  const Document document = load_yaml(file);
  SiteFile site = site_fields(phases, metrics).read(ObjectReader(document));
  site.file = file.string();
  const auto folder = file.parent_path();
  site.data = from(folder, site.data);
  site.model = from(folder, site.model);
  if (site.private_scores) site.private_scores->ledger = from(folder, site.private_scores->ledger);
  if (site.private_training)
    site.private_training->ledger = from(folder, site.private_training->ledger);
  return site;
}

std::string documented_site_keys() {
  return markdown_table(site_fields({"hello", "score", "train", "evaluate"}, {}).rows());
}

}  // namespace strata::experiment
