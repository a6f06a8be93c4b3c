#include "core/document.h"

#include <cmath>

#include "catch.h"
#include "core/csv.h"
#include "strata/core/error.h"
#include "temp_dir.h"

using namespace strata;
using Catch::Contains;
using Catch::Equals;

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

TEST_CASE("a key that is missing is told of one that is nearly it") {
  const Document document{"c.json", Json::parse(R"({"answer_typ":"open","answers":[]})"), {}};
  ObjectReader reader(document);
  CHECK(reader.texts("answers").empty());
  CHECK_THROWS_WITH(reader.text("answer_type"),
                    Equals("c.json: answer_type: the key is missing (a text was expected); "
                           "\"answer_typ\" is there"));
  // What was asked for already is not what was meant.
  CHECK_THROWS_WITH(reader.text("answer"),
                    Equals("c.json: answer: the key is missing (a text was expected)"));
}

TEST_CASE("texts that must not be empty, numbers as texts, and seeds of 64 bits are checked") {
  const Document document{
      "c.json",
      Json::parse(R"({"name":"","none":[],"some":["a",""],"number":5.50,"seed":18446744073709551615,
                      "negative":-1,"half":0.5})"),
      {}};
  ObjectReader reader(document);
  CHECK_THROWS_WITH(reader.filled_text("name"), Equals("c.json: name: the text is empty"));
  CHECK_THROWS_WITH(reader.filled_texts("none"),
                    Equals("c.json: none: at least 1 text must be in the list, found 0"));
  CHECK(reader.filled_texts("none", 0).empty());
  CHECK_THROWS_WITH(reader.filled_texts("some"),
                    Equals("c.json: some: a text in the list is empty"));
  CHECK(reader.text_or_number("number") == "5.5");
  CHECK(reader.text_or_number("name").empty());
  CHECK_THROWS_WITH(reader.text_or_number("some"),
                    Equals("c.json: some: a text was expected, found a list"));
  CHECK(reader.seed("seed") == 18446744073709551615u);
  CHECK(reader.seed("absent", 3) == 3);
  CHECK_THROWS_WITH(reader.seed("absent"), Contains("the key is missing (a whole number"));
  for (const char* key : {"negative", "half", "name"})
    CHECK_THROWS_WITH(reader.seed(key),
                      Contains("a whole number of at least 0 was expected, found"));
}

TEST_CASE("records of a list and lines of a file begin their errors with their number") {
  const Document list{"r.json", Json::parse(R"([{"a":1},{"b":{"c":[{}]}}])"), {}};
  auto records = read_records(list);
  REQUIRE(records.size() == 2);
  CHECK(records[0].place() == "r.json: record 1");
  CHECK_THROWS_WITH(records[0].text("a"),
                    Equals("r.json: record 1: a: a text was expected, found 1"));
  // What is nested in a record is in it, too.
  ObjectReader nested = records[1].object("b").objects("c")[0];
  CHECK_THROWS_WITH(nested.text("d"),
                    Equals("r.json: record 2: b.c[0].d: the key is missing (a text "
                           "was expected)"));
  const auto error = [](const char* text) {
    const Document document{"r.json", Json::parse(text), {}};
    read_records(document);
  };
  CHECK_THROWS_WITH(error("{}"), Equals("r.json: a list of records was expected, found a mapping"));
  CHECK_THROWS_WITH(error("[]"), Equals("r.json: no record in it"));
  CHECK_THROWS_WITH(error("[{},3]"), Equals("r.json: record 2: a mapping was expected, found 3"));

  const test::TempDir dir;
  const auto file = dir.write("l.jsonl", "{\"a\":1}\r\n \n{\"a\":2}");
  std::vector<std::string> places;
  for_each_json_line(file, [&](const Document& line) {
    places.push_back(line.file.substr(file.string().size()) + " " + line.root["a"].dump());
  });
  CHECK(places == std::vector<std::string>{":1 1", ":3 2"});
  CHECK_THROWS_WITH(
      for_each_json_line(dir.write("l.jsonl", "{}\n{\"a\":\n"), [](const Document&) {}),
      Equals(file.string() + ":2: is not valid JSON (at byte 6)"));
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

TEST_CASE("JSON nested without end is refused with its line, whatever is asked of it") {
  const auto nested = [](int levels) {
    return std::string(static_cast<std::size_t>(levels), '[') +
           std::string(static_cast<std::size_t>(levels), ']');
  };
  // Brackets in texts count for nothing.
  const std::string text = "\"[[[{{{\\\"[\"";
  CHECK_NOTHROW(parse_json("{\"t\":" + text + ",\"a\":" + nested(199) + "}", "f.json"));
  for (const int levels : {200, 100'000, 1'000'000}) {
    CAPTURE(levels);
    CHECK_THROWS_WITH(parse_json("{\"t\":" + text + ",\n\"a\":\n" + nested(levels) +
                                     ",\"b\":1,\"c\":1,\"d\":1,\"e\":2}",
                                 "f.json"),
                      Equals("f.json:3: lists and mappings are nested more than 200 deep"));
  }
  CHECK_THROWS_WITH(parse_json(nested(201), "f.jsonl", 7),
                    Equals("f.jsonl:7: lists and mappings are nested more than 200 deep"));
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  CHECK_THROWS_WITH(parse_json(objects, "f.json"), Contains("nested more than 200 deep"));
}

TEST_CASE("an object of a hundred thousand keys is read in their order and in linear time") {
  std::string text = "{";
  for (int i = 0; i < 100'000; ++i)
    text += (i ? ",\"key " : "\"key ") + std::to_string(i * 7 % 100'000) +
            "\":{\"n\":" + std::to_string(i) + "}";
  const Document document = parse_json(text + "}", "f.json");
  ObjectReader reader(document);
  const auto keys = reader.keys();
  REQUIRE(keys.size() == 100'000);
  CHECK(keys[1] == "key 7");
  CHECK(reader.object("key 7").integer("n", 0, 9) == 1);
  CHECK_FALSE(reader.has("key"));
  CHECK(std::all_of(keys.begin(), keys.end(), [&](const auto& key) { return reader.has(key); }));
  CHECK_NOTHROW(reader.finish());
  CHECK_THROWS_WITH(parse_json(text + ",\"key 7\":0}", "f.json"),
                    Equals("f.json: key 7: the key stands twice"));
}

TEST_CASE("no other source parses JSON or YAML, or could miss its limits") {
  int sources = 0;
  for (const char* folder : {"src", "optimizers", "ntk", "fedrunner"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(
             std::filesystem::path(STRATA_SOURCE_DIR) / folder)) {
      const auto extension = entry.path().extension(), name = entry.path().filename();
      if (extension != ".cpp" && extension != ".h") continue;
      if (name == "document.cpp" || name == "yaml_document.cpp") continue;
      ++sources;
      const std::string text = test::slurp(entry.path());
      CAPTURE(entry.path());
      for (const char* call : {"son::parse(", "son::sax_parse(", "son::accept(", "YAML::Load"})
        CHECK(text.find(call) == std::string::npos);
    }
  }
  CHECK(sources > 100);
}

TEST_CASE(
    "values are quoted in messages as they are written, but never whole where they are long") {
  CHECK(excerpt(Json::parse(R"({"a":[1,2.5,null],"b":"x\ny"})")) ==
        R"({"a":[1,2.5,null],"b":"x\ny"})");
  CHECK(excerpt(std::string(1'000'000, 'x')) == "\"" + std::string(59, 'x') + "…");
  // Cut between characters, of which each is two bytes.
  std::string umlauts;
  for (int i = 0; i < 100; ++i) umlauts += "ä";
  CHECK(is_utf8(excerpt(umlauts)));
  CHECK(excerpt(umlauts).size() < 70);
  CHECK(excerpt(Json(std::vector<int>(1'000'000, 7))).size() < 70);
  const auto infinite = std::numeric_limits<double>::infinity();
  CHECK(excerpt(Json({infinite, -infinite, std::nan("")})) == "[.inf,-.inf,.nan]");
  const test::TempDir dir;
  const Document document = load_yaml(dir.write("a.yaml", "seeds: .inf\nlist: [1]\n"));
  ObjectReader reader(document);
  CHECK_THROWS_WITH(
      reader.integer("seeds", 1, 9),
      Equals(document.file + ":1: seeds: a whole number from 1 to 9 was expected, found .inf"));
}

TEST_CASE("a few lines of YAML aliases cannot take all memory") {
  const test::TempDir dir;
  // 470 bytes that stand for 10^9 texts.
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string alias = "*a" + std::to_string(i - 1);
    std::string line = "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + alias;
    for (int j = 1; j < 10; ++j) line += "," + alias;
    bomb += line + "]\n";
  }
  CHECK_THROWS_WITH(load_yaml(dir.write("bomb.yaml", bomb)),
                    Contains("bomb.yaml:1: more than 1000000 values, of which an alias counts"));
  // A hundred megabytes in a hundred kilobytes: a long text, and a long key above many values.
  const std::string text(1 << 16, 'x');
  std::string texts = "a: &a " + text + "\nb: [*a";
  for (int i = 0; i < 1600; ++i) texts += ",*a";
  CHECK_THROWS_WITH(load_yaml(dir.write("texts.yaml", texts + "]\n")),
                    Contains("texts.yaml:1: keys and texts of more than 64 MiB"));
  std::string keys = "? " + text + "\n: [1";
  for (int i = 0; i < 1600; ++i) keys += ",1";
  CHECK_THROWS_WITH(load_yaml(dir.write("keys.yaml", keys + "]\n")),
                    Contains("keys.yaml:2: keys and texts of more than 64 MiB"));
  std::string many = "a: [1";
  for (int i = 0; i < 100'000; ++i) many += ",1";
  CHECK(load_yaml(dir.write("many.yaml", many + "]\n")).root["a"].size() == 100'001);
}

TEST_CASE("references cannot make texts that take all memory, nor lead on without end") {
  const test::TempDir dir;
  // 4^14 times the first text.
  std::string bomb = "x0: \"----------\"\n";
  for (int i = 1; i < 15; ++i) {
    const std::string reference = "${x" + std::to_string(i - 1) + "}";
    bomb +=
        "x" + std::to_string(i) + ": \"" + reference + reference + reference + reference + "\"\n";
  }
  Document document = load_yaml(dir.write("bomb.yaml", bomb));
  CHECK_THROWS_WITH(resolve_references(document),
                    Contains("bomb.yaml:") &&
                        Contains(": the references insert more than 1 MiB of text into this file"));
  std::string wide = "base: \"" + std::string(1000, 'x') + "\"\n";
  for (int i = 0; i < 2000; ++i) wide += "k" + std::to_string(i) + ": ${base}\n";
  Document many = load_yaml(dir.write("wide.yaml", wide));
  CHECK_THROWS_WITH(resolve_references(many), Contains("insert more than 1 MiB"));
  std::string chain = "a0: end\n";
  for (int i = 1; i < 100'000; ++i)
    chain += "a" + std::to_string(i) + ": ${a" + std::to_string(i - 1) + "}\n";
  // The reader goes by the keys' order, in which a100 comes before a11: it never stands at the end.
  Document long_chain = load_yaml(dir.write("chain.yaml", chain));
  CHECK_THROWS_WITH(resolve_references(long_chain),
                    Contains("the references lead on more than 200 times"));
}

TEST_CASE("a second YAML document is refused, an empty one says nothing") {
  const test::TempDir dir;
  CHECK_THROWS_WITH(load_yaml(dir.write("two.yaml", "budget: 1\n---\nbudget: 2\n")),
                    Contains("two.yaml:3: a second YAML document begins here"));
  CHECK(load_yaml(dir.write("one.yaml", "%YAML 1.2\n---\nbudget: 1\n...\n")).root["budget"] == 1);
  CHECK(load_yaml(dir.write("end.yaml", "budget: 1\n---\n")).root["budget"] == 1);
  CHECK(load_yaml(dir.write("empty.yaml", "# nothing\n")).root.is_null());
}

TEST_CASE("YAML that closes what it did not open is refused, not read for ever") {
  const test::TempDir dir;
  for (const char* text : {"]", "}", "a: 1\n]\n", "a: [1]]\n", "[1]\n}\n", ",", "a: 1\n---\n]"}) {
    CAPTURE(text);
    CHECK_THROWS_WITH(load_yaml(dir.write("a.yaml", text)), Contains("a.yaml:"));
  }
  CHECK_THROWS_WITH(load_yaml(dir.write("a.yaml", "[1]\n]\n")),
                    Contains("a.yaml:2: is not valid YAML: "));
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
  std::string deep = "a";
  for (int i = 0; i < 60'000; ++i) deep += ".a";
  CHECK_THROWS_WITH(set_value(document, deep + "=1"), Contains("the key has more than 200 parts"));
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
