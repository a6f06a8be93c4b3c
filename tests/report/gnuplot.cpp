#include "report/gnuplot.h"

#include <cstdlib>
#include "catch.h"
#include "pages.h"

using namespace strata;
using namespace strata::report;
using namespace strata::test;

TEST_CASE("gnuplot's absence and its complaints are reported") {
  const auto failure = [](const std::string& script) -> std::string {
    try {
      gnuplot_svg(script, 300, 200);
    } catch (const WorkError& error) {
      return error.what();
    }
    return "no WorkError";
  };
  const std::string complaint = failure("plot nonsense(\n");
  CHECK(complaint.find("gnuplot failed to draw a figure: ") == 0);
  CHECK(contains(complaint, "line "));
  CHECK_FALSE(contains(complaint, "\n"));
  const TempDir empty;
  const std::string path = std::getenv("PATH");
  setenv("PATH", empty.path().c_str(), 1);
  const std::string absence = failure("plot x\n");
  setenv("PATH", path.c_str(), 1);
  // Any other terminal in the environment would end gnuplot before it reads the script.
  setenv("GNUTERM", "no such terminal", 1);
  CHECK(contains(gnuplot_svg("plot x\n", 300, 200), "</svg>"));
  unsetenv("GNUTERM");
  const auto fake = empty.write("gnuplot", "#!/bin/sh\nexec sleep 1000\n");
  std::filesystem::permissions(fake, std::filesystem::perms::owner_all);
  setenv("PATH", (empty.path().string() + ":" + path).c_str(), 1);
  const std::string hanging = [] {
    try {
      gnuplot_svg("plot x\n", 300, 200, std::chrono::seconds(1));
    } catch (const WorkError& error) {
      return std::string(error.what());
    }
    return std::string("no WorkError");
  }();
  setenv("PATH", path.c_str(), 1);
  CHECK(hanging == "gnuplot has not drawn a figure within 1 s, and was ended");
  CHECK(contains(absence, "gnuplot was not found"));
  CHECK(contains(absence, "gnuplot-nox"));
}

TEST_CASE("inlining prefixes ids and references and leaves text alone") {
  CHECK(gnuplot_quote("it's 5%\n") == "'it''s 5% '");
  CHECK(gnuplot_quote("5%", true) == "'5%%'");
  const std::string svg =
      "<?xml version=\"1.0\"?>\n<svg width=\"1\" "
      "xmlns:xlink=\"http://www.w3.org/1999/xlink\"><title>g"
      "</title><g id='a' font-family=\"DejaVu Sans\"><use xlink:href='#a'/></g><g "
      "clip-path=\"url(#b)\"/>"
      "<text> id='a' url(#b)</text></svg>";
  CHECK(inline_svg(svg, "f-", "a \"b\"") ==
        "<svg role=\"img\" aria-label=\"a &quot;b&quot;\" width=\"1\" ><g id='f-a'><use "
        "href='#f-a'/></g>"
        "<g clip-path=\"url(#f-b)\"/><text> id='a' url(#b)</text></svg>");
}
