#include "data/datasets/datasets.h"
#include "data/manifest.h"
#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

/// A report in the published form, with made-up words.
std::string report(const std::string& findings, const std::string& terms,
                   const std::vector<std::string>& images) {
  std::string xml =
      R"(<?xml version="1.0" encoding="utf-8"?>
<eCitation>
   <meta type="rr"/>
   <uId id="CXR1"/>
   <MedlineCitation Owner="Indiana University" Status="supplied by publisher">
      <Article PubModel="Electronic">
         <ArticleTitle>Indiana University Chest X-ray Collection</ArticleTitle>
         <Abstract>
            <AbstractText Label="COMPARISON">None.</AbstractText>
            <AbstractText Label="INDICATION">Cough</AbstractText>
            <AbstractText Label="FINDINGS">)" +
      findings + R"(</AbstractText>
            <AbstractText Label="IMPRESSION">As  above &amp; &lt;stable&gt;.</AbstractText>
         </Abstract>
      </Article>
   </MedlineCitation>
   <MeSH>)" +
      terms + "</MeSH>\n";
  for (const std::string& id : images)
    xml += "   <parentImage id=\"" + id + "\"><figureId>F1</figureId><panel><url>/x/" + id +
           ".jpg</url></panel></parentImage>\n";
  return xml + "</eCitation>\n";
}

std::string major(const std::string& term) {
  return "<major>" + term + "</major>";
}

Manifest read(const TempDir& folder, Reading reading = Reading::kLabelledTexts) {
  LoadOptions options;
  options.reading = reading;
  return load_data(folder.path(), options);
}

}  // namespace

TEST_CASE("a folder in Open-I's layout") {
  for (const std::string images : {"NLMCXR_png/", "images/", ""}) {
    CAPTURE(images);
    const TempDir folder;
    folder.write("ecgen-radiology/10.xml", report("Clear.", major("normal"), {"CXR10_IM-1"}));
    folder.write("ecgen-radiology/2.xml",
                 report("The heart is\n enlarged.",
                        major("Cardiomegaly/borderline") + major("Opacity/lung/base/left") +
                            major("Cardiomegaly/mild ") + major("Subcutaneous  Emphysema") +
                            "<automatic>heart</automatic>",
                        {"CXR2_IM-1", "CXR2_IM-2"}));
    for (const char* id : {"CXR10_IM-1", "CXR2_IM-1", "CXR2_IM-2"})
      folder.write(images + id + ".png", "");
    const Manifest manifest = read(folder);
    CHECK(manifest.name == "open-i");
    CHECK(manifest.multi_label);
    CHECK_FALSE(manifest.synthetic);
    CHECK(manifest.classes ==
          std::vector<std::string>{"cardiomegaly", "normal", "opacity", "subcutaneous emphysema"});
    REQUIRE(manifest.examples.size() == 3);
    const Example& first = manifest.examples[0];
    CHECK(first.image == images + "CXR2_IM-1.png");
    CHECK(first.text == "The heart is enlarged. As above & <stable>.");
    CHECK(first.labels ==
          std::vector<std::string>{"cardiomegaly", "opacity", "subcutaneous emphysema"});
    CHECK(first.client == "open-i");
    CHECK(first.question.empty());
    CHECK(manifest.examples[1].image == images + "CXR2_IM-2.png");
    CHECK(manifest.examples[1].text == first.text);
    CHECK(manifest.examples[2].labels == std::vector<std::string>{"normal"});
  }
}

TEST_CASE("a report's images are all for training or all for the test, of which there is a fifth") {
  const TempDir folder;
  for (int i = 0; i < 200; ++i) {
    const std::string number = std::to_string(i);
    folder.write("ecgen-radiology/" + number + ".xml",
                 report("Clear.", major("normal"), {number + "-a", number + "-b"}));
    for (const char* view : {"-a", "-b"}) folder.write("images/" + number + view + ".png", "");
  }
  const Manifest manifest = read(folder);
  int tests = 0;
  for (std::size_t i = 0; i < manifest.examples.size(); i += 2) {
    CHECK(manifest.examples[i].split == manifest.examples[i + 1].split);
    tests += manifest.examples[i].tests();
  }
  CHECK(tests > 20);
  CHECK(tests < 60);
}

TEST_CASE("reports without findings, text or images are left out, and said") {
  const TempDir folder;
  const auto write = [&](int number, const std::string& text) {
    folder.write("ecgen-radiology/" + std::to_string(number) + ".xml", text);
  };
  folder.write("a.png", "");
  write(1, report("Clear.", major("normal"), {"a"}));
  write(2, report("Clear.", major("No Indexing"), {"a"}));
  write(3, report("Clear.", major("Technical Quality of Image Unsatisfactory "), {"a"}));
  write(4, report("Clear.", "", {"a"}));
  write(5, report("Clear.", major("normal"), {}));
  write(6, "<eCitation><MeSH><major>normal</major></MeSH><parentImage id=\"a\"/></eCitation>");
  const Manifest manifest = read(folder);
  CHECK(manifest.examples.size() == 1);
  CHECK(manifest.classes == std::vector<std::string>{"normal"});
  REQUIRE(manifest.notes.size() == 4);
  const std::string reports = (folder / "ecgen-radiology").string();
  CHECK(manifest.notes[0] ==
        "1 record left out: \"no indexing\" in place of findings (first: " + reports + "/2.xml)");
  CHECK(contains(manifest.notes[1], "neither findings nor an impression in its text"));
  CHECK(manifest.notes[2] ==
        "2 records left out: no finding among its MeSH terms (first: " + reports + "/3.xml)");
  CHECK(contains(manifest.notes[3], "no image"));
}

TEST_CASE("what is no report of Open-I is an error with file and place") {
  const TempDir folder;
  const std::string file = (folder / "ecgen-radiology/1.xml").string();
  const auto error = [&](const std::string& text) {
    folder.write("ecgen-radiology/1.xml", text);
    const std::string message = input_error([&] { read(folder); });
    CHECK(message.rfind(file, 0) == 0);
    return message;
  };
  folder.write("a.png", "");
  CHECK(contains(error("<eCitation><MeSH></eCitation>"), "byte 19: no XML: "));
  CHECK(contains(error(""), "no XML"));
  CHECK(contains(error("<report/>"), "there is no element eCitation"));
  CHECK(contains(error(report("Clear.", major("normal"), {"b"})),
                 "parentImage: the image " + (folder / "b.png").string() + " does not exist"));
  CHECK(contains(error(report("Clear.", major("normal"), {"../b"})), "outside of the data set"));
  CHECK(
      contains(error(report("Clear.", major("normal"), {""})), "the attribute \"id\" is missing"));
  CHECK(contains(error(report("\xff", major("normal"), {"a"})), "the text is not valid UTF-8"));
  CHECK(contains(error(report("Clear.", major("\xff"), {"a"})), "a term is not valid UTF-8"));
  std::filesystem::remove(file);
  CHECK(contains(input_error([&] { read(folder); }), "no .xml file in it"));
  // No entity is made of a file.
  const std::string entity = "<!DOCTYPE x [<!ENTITY e SYSTEM \"/etc/passwd\">]>";
  const std::string given = report("&e;", major("normal"), {"a"});
  folder.write("ecgen-radiology/1.xml", given.substr(0, given.find("<eCitation>")) + entity +
                                            given.substr(given.find("<eCitation>")));
  CHECK(contains(read(folder).examples[0].text, "&e;"));
}

TEST_CASE("Open-I has labels, with its texts or without, and no questions") {
  const TempDir folder;
  folder.write("ecgen-radiology/1.xml", report("Clear.", major("normal"), {"a"}));
  folder.write("a.png", "");
  CHECK(read(folder, Reading::kLabels).examples.size() == 1);
  CHECK(read(folder, Reading::kEither).has_labels());
  CHECK(input_error([&] { read(folder, Reading::kQuestions); }) ==
        folder.path().string() + ": Open-I: it has labels, no questions");
}
