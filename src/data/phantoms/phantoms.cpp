#include "data/phantoms/phantoms.h"

#include <array>
#include <cmath>
#include <cstdio>

#include "core/document.h"
#include "core/parallel.h"
#include "data/image.h"
#include "data/made_set.h"
#include "data/phantoms/optics.h"
#include "data/phantoms/radiology.h"
#include "data/phantoms/shapes.h"
#include "data/phantoms/tools.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/random.h"

namespace strata::data {
namespace {

struct Noun {
  std::string singular, plural;
  /// "a nodule", "an ulcer".
  std::string indefinite() const {
    const bool vowel = std::string("aeiou").find(singular[0]) != std::string::npos;
    return (vowel ? "an " : "a ") + singular;
  }
};

struct Modality {
  std::string name;    ///< the client, and the folder of its images
  std::string answer;  ///< to "what modality is this?"
  std::array<std::string, 2> structures;
  std::array<Noun, 2> findings;
  Renderer draw;
};

const std::vector<Modality>& modalities() {
  static const std::vector<Modality> list = {
      {"xray",
       "x-ray",
       {"lungs", "knee"},
       {{{"opacity", "opacities"}, {"cavity", "cavities"}}},
       draw_xray},
      {"ct", "ct", {"lungs", "liver"}, {{{"nodule", "nodules"}, {"cyst", "cysts"}}}, draw_ct},
      {"mri", "mri", {"brain", "knee"}, {{{"lesion", "lesions"}, {"bleed", "bleeds"}}}, draw_mri},
      {"ultrasound",
       "ultrasound",
       {"liver", "kidney"},
       {{{"cyst", "cysts"}, {"stone", "stones"}}},
       draw_ultrasound},
      {"oct",
       "oct",
       {"macula", "optic disc"},
       {{{"cyst", "cysts"}, {"druse", "drusen"}}},
       draw_oct},
      {"fundus",
       "fundus photography",
       {"macula", "optic disc"},
       {{{"hemorrhage", "hemorrhages"}, {"exudate", "exudates"}}},
       draw_fundus},
      {"dermoscopy",
       "dermoscopy",
       {"skin", "palm"},
       {{{"mole", "moles"}, {"angioma", "angiomas"}}},
       draw_dermoscopy},
      {"histology",
       "histology",
       {"colon", "lymph node"},
       {{{"nest", "nests"}, {"vacuole", "vacuoles"}}},
       draw_histology},
      {"endoscopy",
       "endoscopy",
       {"colon", "stomach"},
       {{{"polyp", "polyps"}, {"ulcer", "ulcers"}}},
       draw_endoscopy},
  };
  return list;
}

const std::array<Noun, 3>& shapes() {
  static const std::array<Noun, 3> list = {
      {{"circle", "circles"}, {"square", "squares"}, {"triangle", "triangles"}}};
  return list;
}

struct Question {
  std::string text, answer;
  bool closed;
};

const std::string& pick(const std::vector<std::string>& wordings, Random& random) {
  return wordings[random.below(wordings.size())];
}

Question ask_presence(const Noun& noun, bool present, Random& random) {
  const std::string a = noun.indefinite();
  return {pick({"is there " + a + "?", "is " + a + " present?", "does the image show " + a + "?",
                "can you see " + a + "?"},
               random),
          present ? "yes" : "no", true};
}

Question ask_count(const Noun& noun, int count, Random& random) {
  static const std::array<std::string, 4> kNumbers = {"zero", "one", "two", "three"};
  const std::string& many = noun.plural;
  return {pick({"how many " + many + " are there?", "what is the number of " + many + "?",
                "how many " + many + " can you see?"},
               random),
          kNumbers[count], false};
}

/// The questions about a finding that is there, besides those about its presence.
std::vector<Question> ask_details(const Noun& noun, const FindingFacts& facts, Random& random) {
  const bool one = facts.count == 1;
  const std::string is_the = one ? "is the " + noun.singular : "are the " + noun.plural;
  std::vector<Question> questions = {ask_count(noun, facts.count, random)};
  if (facts.side != Side::kBoth)
    questions.push_back({pick({"on which side " + is_the + "?", is_the + " on the left or right?",
                               "which side " + is_the + " on?"},
                              random),
                         facts.side == Side::kLeft ? "left" : "right", true});
  questions.push_back({pick({is_the + " small or large?", "what size " + is_the + "?"}, random),
                       facts.large ? "large" : "small", true});
  return questions;
}

/// Everything that is asked about two findings; details are dropped at random beyond `most` of
/// them.
void ask_findings(const std::array<Noun, 2>& nouns, const PhantomFacts& facts, std::size_t most,
                  Random& random, std::vector<Question>& questions) {
  std::vector<Question> details;
  bool any = false;
  for (int k = 0; k < 2; ++k) {
    questions.push_back(ask_presence(nouns[k], facts.findings[k].count > 0, random));
    any = any || facts.findings[k].count > 0;
    if (facts.findings[k].count > 0)
      for (Question& question : ask_details(nouns[k], facts.findings[k], random))
        details.push_back(std::move(question));
  }
  if (!any) {
    details.push_back(ask_count(nouns[random.below(2)], 0, random));
  } else if (random.below(2) == 0) {
    for (int k = 0; k < 2; ++k)
      if (facts.findings[k].count == 0) details.push_back(ask_count(nouns[k], 0, random));
  }
  random.shuffle(details);
  if (details.size() > most) details.resize(most);
  questions.insert(questions.end(), details.begin(), details.end());
}

/// The part of the facts that is balanced by design, from an image's position in its split.
struct Design {
  bool test = false;
  int position = 0;
};

/// 20 % of the images, chosen by the seed, are the test split.
std::vector<Design> design(int images, std::uint64_t seed) {
  std::vector<int> order(images);
  for (int i = 0; i < images; ++i) order[i] = i;
  Random random(seed);
  random.shuffle(order);
  const int tests = static_cast<int>(std::lround(0.2 * images));
  std::vector<Design> designs(images);
  for (int i = 0; i < images; ++i) designs[order[i]] = {i < tests, i < tests ? i : i - tests};
  return designs;
}

/// Numbers and sides at random for the findings that are there.
void draw_numbers(PhantomFacts& facts, Random& random) {
  const bool both_kinds = facts.findings[0].count > 0 && facts.findings[1].count > 0;
  for (FindingFacts& finding : facts.findings) {
    if (finding.count == 0) continue;
    finding.count = static_cast<int>(random.between(1, both_kinds ? 2 : 3));
    finding.side = random.below(2) == 0 ? Side::kLeft : Side::kRight;
    // Three large ones do not fit into one half of every anatomy.
    if (finding.count > 1 && (random.below(3) == 0 || (finding.count == 3 && finding.large)))
      finding.side = Side::kBoth;
  }
}

/// Draws until the findings fit the anatomy; what `facts` says is then what the image shows.
template <typename Draw>
Image draw_until_it_fits(PhantomFacts& facts, int size, std::uint64_t seed, Draw draw) {
  constexpr std::uint64_t kAttempts = 1000;
  for (std::uint64_t attempt = 0; attempt < kAttempts; ++attempt) {
    Random random(derive_seed(seed, {attempt}));
    draw_numbers(facts, random);
    if (auto image = draw(PhantomDrawing{facts, size, random})) return *std::move(image);
  }
  throw WorkError("phantoms: the findings fit no anatomy after " + std::to_string(kAttempts) +
                  " draws");
}

struct Made {
  std::vector<Question> questions;
  bool test = false;
};

std::string numbered(const std::string& folder, int index) {
  char name[16];
  std::snprintf(name, sizeof name, "%04d.png", index + 1);
  return folder + "/" + name;
}

void append_examples(const std::vector<Made>& made, const std::string& folder,
                     const std::string& client, Manifest& manifest) {
  for (std::size_t i = 0; i < made.size(); ++i)
    for (const Question& question : made[i].questions) {
      Example example;
      example.image = numbered(folder, static_cast<int>(i));
      example.question = question.text;
      example.answers = {question.answer};
      example.split = made[i].test ? kTestSplit : kTrainSplit;
      example.client = client;
      example.answer_type = question.closed ? kClosedQuestion : kOpenQuestion;
      manifest.examples.push_back(std::move(example));
    }
}

Made make_phantom(const Modality& modality, const Design& where, std::uint64_t seed, int size,
                  const std::filesystem::path& file) {
  PhantomFacts facts;
  // Which findings are there, the structure and the sizes run through all combinations.
  facts.findings[0].count = where.position & 1;
  facts.findings[1].count = where.position >> 1 & 1;
  facts.structure = where.position >> 2 & 1;
  facts.findings[0].large = where.position >> 3 & 1;
  facts.findings[1].large = where.position >> 4 & 1;
  write_png(draw_until_it_fits(facts, size, seed, modality.draw), file);

  Made made;
  made.test = where.test;
  Random random(derive_seed(seed, "questions"));
  made.questions.push_back({pick({"what modality is this?", "which imaging modality is shown?",
                                  "how was this image made?"},
                                 random),
                            modality.answer, false});
  made.questions.push_back(
      {pick({"which structure is shown?", "what structure is this?", "what does the image show?"},
            random),
       modality.structures[facts.structure], false});
  ask_findings(modality.findings, facts, 4, random, made.questions);
  return made;
}

Made make_shapes_image(const Design& where, std::uint64_t seed, int size,
                       const std::filesystem::path& file) {
  Random random(derive_seed(seed, "questions"));
  PhantomFacts facts;
  ShapesStyle style;
  // One kind of shape or two, of three: each kind is there in half of the images.
  const std::vector<int> kinds = random.sample(3, 3),
                         colours = random.sample(static_cast<int>(shape_colours().size()), 2);
  const bool second = where.position & 1;
  style.kinds = {kinds[0], kinds[1]};
  style.colours = {colours[0], colours[1]};
  style.coloured = (where.position >> 1) % 3 != 0;
  facts.findings[0].count = 1;
  facts.findings[1].count = second;
  facts.findings[0].large = random.below(2) == 0;
  facts.findings[1].large = random.below(2) == 0;
  write_png(draw_until_it_fits(
                facts, size, seed,
                [&](const PhantomDrawing& drawing) { return draw_shapes(drawing, style); }),
            file);

  Made made;
  made.test = where.test;
  const std::array<Noun, 2> nouns = {shapes()[kinds[0]], shapes()[kinds[1]]};
  ask_findings(nouns, facts, 4, random, made.questions);
  made.questions.push_back(ask_presence(shapes()[kinds[2]], false, random));
  if (!second)
    made.questions.push_back(
        {pick({"what shape is shown?", "which shape is this?"}, random), nouns[0].singular, false});
  if (style.coloured) {
    const int k = second ? static_cast<int>(random.below(2)) : 0;
    const Noun& noun = nouns[k];
    const bool one = facts.findings[k].count == 1;
    made.questions.push_back(
        {"what color " + (one ? "is the " + noun.singular : "are the " + noun.plural) + "?",
         shape_colours()[style.colours[k]], false});
  }
  return made;
}

std::string description(const std::string& name, const PhantomOptions& options,
                        bool with_modalities) {
  Json json;
  json["version"] = 1;
  json["name"] = name;
  json["synthetic"] = true;
  json["seed"] = options.seed;
  json["size"] = options.size;
  if (with_modalities) json["images_per_modality"] = options.images_per_modality;
  json["shapes_images"] = options.shapes_images;
  return json.dump(2) + "\n";
}

}  // namespace

const std::vector<std::string>& phantom_modalities() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const Modality& modality : modalities()) out.push_back(modality.name);
    return out;
  }();
  return names;
}

Manifest make_phantoms(const std::filesystem::path& out, const PhantomOptions& options) {
  check_made("phantoms: the image size", options.size, 32, 256);
  check_made("phantoms: the number of images per modality", options.images_per_modality, 5, 9999);
  check_made("phantoms: the number of shapes images", options.shapes_images, 5, 9999);
  const std::string about = description("phantoms", options, true);
  check_made_folder(out, "phantoms", about);
  // The description comes first and the manifests last: an interrupted run can be repeated, and
  // cannot be mistaken for a whole set.
  write_file(out / "dataset.json", about);
  write_file(out / "shapes" / "dataset.json", description("shapes", options, false));

  const int kinds = static_cast<int>(modalities().size()), each = options.images_per_modality;
  std::vector<std::vector<Made>> made(kinds, std::vector<Made>(each));
  std::vector<Made> made_shapes(options.shapes_images);
  std::vector<std::vector<Design>> designs;
  for (const Modality& modality : modalities())
    designs.push_back(design(each, derive_seed(options.seed, modality.name + ".split")));
  const std::vector<Design> shapes_design =
      design(options.shapes_images, derive_seed(options.seed, "shapes.split"));
  parallel_for(kinds * each + options.shapes_images, options.threads, [&](int task) {
    const int kind = task / each, index = kind < kinds ? task % each : task - kinds * each;
    if (kind < kinds) {
      const Modality& modality = modalities()[kind];
      const std::uint64_t seed = derive_seed(derive_seed(options.seed, modality.name),
                                             {static_cast<std::uint64_t>(index)});
      made[kind][index] = make_phantom(modality, designs[kind][index], seed, options.size,
                                       out / numbered("images/" + modality.name, index));
    } else {
      const std::uint64_t seed =
          derive_seed(derive_seed(options.seed, "shapes"), {static_cast<std::uint64_t>(index)});
      made_shapes[index] = make_shapes_image(shapes_design[index], seed, options.size,
                                             out / "shapes" / numbered("images", index));
    }
  });

  Manifest shapes_manifest{out / "shapes", "shapes", true, {}};
  append_examples(made_shapes, "images", "shapes", shapes_manifest);
  write_manifest_lines(shapes_manifest);
  Manifest manifest{out, "phantoms", true, {}};
  for (int kind = 0; kind < kinds; ++kind)
    append_examples(made[kind], "images/" + modalities()[kind].name, modalities()[kind].name,
                    manifest);
  write_manifest_lines(manifest);
  return manifest;
}

}  // namespace strata::data
