#include "core/document.h"

#include "catch.h"
#include "strata/core/error.h"
#include "temp_dir.h"

using namespace strata;
using Catch::Contains;

TEST_CASE("YAML scalars have the types of the 1.2 core schema") {
  const test::TempDir dir;
  const Document document =
      load_yaml(dir.write("a.yaml", "i: 3\nf: 2.5e-1\nb: true\nt: text\nq: \"3\"\nn:\nno: no\n"));
  CHECK(document.root["i"].is_number_integer());
  CHECK(document.root["f"] == 0.25);
  CHECK(document.root["b"] == true);
  CHECK(document.root["q"] == "3");
  CHECK(document.root["n"].is_null());
  CHECK(document.root["no"] == "no");
}

TEST_CASE("every mistake is one line with file, line and key") {
  const test::TempDir dir;
  const auto file =
      dir.write("c.yaml", "version: 1\nrun:\n  roundz: 5\n  budget: many\n  share: 1.5\n");
  const Document document = load_yaml(file);
  ObjectReader root(document);
  root.version(1);
  ObjectReader run = root.object("run");
  CHECK_THROWS_WITH(run.integer("budget", 0, 10), Contains("c.yaml:4: run.budget") &&
                                                      Contains("from 0 to 10") &&
                                                      Contains("\"many\""));
  CHECK_THROWS_WITH(run.number("share", 0, 1), Contains("c.yaml:5: run.share") && Contains("1.5"));
  CHECK_THROWS_WITH(run.integer("missing", 1, 2), Contains("run.missing: the key is missing"));
  CHECK(run.integer("rounds", 1, 100, 7) == 7);
  CHECK_THROWS_WITH(run.finish(),
                    Contains("c.yaml:3: run.roundz: unknown key (did you mean \"rounds\"?)"));
  CHECK_THROWS_WITH(root.text("version"), Contains("a text was expected"));
}

TEST_CASE("choices, lists and mappings are checked") {
  const Document document = parse_json(R"({"a":"knie","l":["x",1],"o":[],"big":1e300})", "f.json");
  ObjectReader reader(document);
  CHECK_THROWS_WITH(reader.choice("a", {"knee", "ideal"}), Contains("did you mean \"knee\"?"));
  CHECK_THROWS_WITH(reader.texts("l"),
                    Contains("f.json: l: a list of texts was expected, found 1 in it"));
  CHECK_THROWS_WITH(reader.object("o"), Contains("a mapping was expected"));
  CHECK_THROWS_AS(reader.integer("big", 0, 5), InputError);
}

TEST_CASE("a text refers to other keys' values") {
  const test::TempDir dir;
  Document document =
      load_yaml(dir.write("a.yaml",
                          "data: {folder: /d}\nmodel: {folder: \"${data.folder}/m\", rank: 8}\n"
                          "name: ${model.folder}-r${model.rank}\nlist: [x, \"${name}\"]\n"));
  set_value(document, "data.folder=/e");
  resolve_references(document);
  CHECK(document.root["model"]["folder"] == "/e/m");
  CHECK(document.root["name"] == "/e/m-r8");
  CHECK(document.root["list"] == Json({"x", "/e/m-r8"}));

  const auto fails = [&](const std::string& text) {
    Document wrong = load_yaml(dir.write("w.yaml", text));
    try {
      resolve_references(wrong);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("nothing was thrown");
  };
  CHECK_THAT(fails("data:\n  folder: d\nname: ${data.foldr}\n"),
             Contains("w.yaml:3: name: \"${data.foldr}\" refers to no key") &&
                 Contains("did you mean \"data.folder\"?"));
  CHECK_THAT(fails("data: {folder: d}\nname: ${data}\n"), Contains("refers to no key"));
  CHECK_THAT(fails("a: ${b}\nb: x${a}\n"), Contains("leads back to itself"));
  CHECK_THAT(fails("name: x\na: ${name\n"), Contains("w.yaml:2: a:") && Contains("without }"));
}

TEST_CASE("broken files and duplicate keys do not pass") {
  const test::TempDir dir;
  CHECK_THROWS_WITH(load_json(dir.write("a.json", "{\n\"a\": }\n")),
                    Contains("a.json:2: is not valid JSON"));
  CHECK_THROWS_WITH(parse_json(R"({"a":1,"b":{"c":1,"c":2}})", "d.json"),
                    Contains("c: the key stands twice"));
  CHECK_THROWS_WITH(load_yaml(dir.write("b.yaml", "a: 1\na: 2\n")),
                    Contains("b.yaml:2") && Contains("twice"));
  CHECK_THROWS_WITH(load_yaml(dir.write("c.yaml", "a: [1\n")), Contains("is not valid YAML"));
  CHECK_THROWS_AS(load_yaml(dir / "absent.yaml"), InputError);
}

TEST_CASE("aliases without an end, deep nesting and foreign encodings are refused") {
  const test::TempDir dir;
  CHECK_THROWS_WITH(load_yaml(dir.write("a.yaml", "version: 1\nclients: &a {x: *a}\n")),
                    Contains("a.yaml:2: lists and mappings are nested more than 200 deep"));
  CHECK_THROWS_AS(load_yaml(dir.write(
                      "deep.yaml", "a: " + std::string(300, '[') + std::string(300, ']') + "\n")),
                  InputError);
  CHECK_NOTHROW(load_yaml(dir.write("b.yaml", "a: &x [1, 2]\nb: *x\n")));
  CHECK_THROWS_WITH(load_yaml(dir.write("latin.yaml", "version: 1\nname: D\xe9mo\n")),
                    Contains("latin.yaml:2: the line is not valid UTF-8"));
}

TEST_CASE("numbers beyond every double are refused, not fatal") {
  const test::TempDir dir;
  CHECK_THROWS_WITH(load_json(dir.write("a.json", "{\"a\": 4444440E44444}")),
                    Contains("a.json") && Contains("out of range"));
}

TEST_CASE("--set replaces, adds and refuses") {
  const test::TempDir dir;
  Document document = load_yaml(dir.write("a.yaml", "run:\n  rounds: 5\nname: x\n"));
  set_value(document, "run.rounds=10");
  set_value(document, "run.plan.algorithm=nsga2");
  set_value(document, "run.seeds=[1, 2]");
  CHECK(document.root["run"]["rounds"] == 10);
  CHECK(document.root["run"]["plan"]["algorithm"] == "nsga2");
  CHECK(document.root["run"]["seeds"].size() == 2);
  CHECK_THROWS_WITH(set_value(document, "rounds"), Contains("key=value was expected"));
  CHECK_THROWS_WITH(set_value(document, "name.first=y"),
                    Contains("\"name\" is a text, not a mapping"));
}

TEST_CASE("what stands in no line of its own has that of the mapping or list around it") {
  const test::TempDir dir;
  const Document document = load_yaml(
      dir.write("a.yaml", "version: 1\nrun:\n  local:\n    steps: 3\n  list: [{x: 1}, 2]\n"));
  ObjectReader root(document);
  ObjectReader run = root.object("run");
  ObjectReader local = run.object("local");
  CHECK_THROWS_WITH(local.number("rate", 0, 1), Contains("a.yaml:3: run.local.rate: the key is"));
  CHECK_THROWS_WITH(run.objects("list"), Contains("a.yaml:5: run.list[1]: a mapping was expected"));
  CHECK_THROWS_WITH(root.text("name"), Contains("a.yaml: name: the key is missing"));
}

TEST_CASE("an error in a value that --set gave names the assignment, not the file's line") {
  const test::TempDir dir;
  Document document =
      load_yaml(dir.write("a.yaml", "run:\n  rounds: 5\n  local: {steps: 3}\n  roundss: 7\n"));
  set_value(document, "run.rounds=many");
  set_value(document, "run.local.steps=none");
  set_value(document, "run.local={steps: few}");
  ObjectReader root(document);
  ObjectReader run = root.object("run");
  CHECK_THROWS_WITH(
      run.integer("rounds", 1, 9),
      Contains("a.yaml, --set run.rounds=many: run.rounds: a whole number from 1 to 9"));
  ObjectReader local = run.object("local");
  CHECK_THROWS_WITH(local.integer("steps", 1, 9),
                    Contains("--set run.local={steps: few}: run.local.steps: "));
  CHECK_THROWS_WITH(run.integer("roundss", 8, 9), Contains("a.yaml:4: run.roundss"));
}
