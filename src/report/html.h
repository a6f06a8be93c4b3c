#pragma once
/// \file
/// The HTML side of a report: escaping, tables, figures, the page around them.

#include <string>
#include <string_view>
#include <vector>

namespace strata::report {

/// & < > " ' as character references; control characters other than tab and line feed become
/// spaces.
std::string escape_html(std::string_view text);

/// A table of escaped text. The first `left_columns` columns are aligned left, the others right.
struct HtmlTable {
  std::string id;
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
  int left_columns = 1;
  std::size_t reference_rows = 0;  ///< the last ones, which are set apart
  bool wide = false;               ///< on a telephone, though its columns are few
};
std::string html(const HtmlTable& table);

/// The mark that stands before a legend entry, the same as in the plot.
enum class Mark {
  kLine,
  kBox,
  kDash,
  kCircle,
  kSquare,
  kTriangle,
  kDiamond,
  kStar,
  kTriangleDown,
  kPentagon,
  kTick,  ///< a short upright line
};

struct LegendEntry {
  std::string name;
  std::string colour;  ///< "#rrggbb"
  Mark mark = Mark::kLine;
  bool line = false;        ///< a line behind the mark, too, with these
  std::string dashes = {};  ///< lengths in pixels, such as "8,4"; "" for none
};

/// `<p>` with escaped text, of the class `kind` unless that is "".
std::string html_paragraph(std::string_view text, const char* kind = "");

/// A legend line; "" for no entries.
std::string html_legend(const std::vector<LegendEntry>& entries);

/// How a figure's panels stand.
enum class Panels {
  kPairs,    ///< two in a row, one on a narrow screen, as wide as there is room
  kSingle,   ///< one in a row
  kNatural,  ///< as many as fit; each of its own size, and scrolled where that is too wide
  kRow,      ///< side by side, of their own sizes, and scrolled together
};

/// `<figure id=…>` with an optional legend, rows of panels (finished `<svg>` elements) and a
/// caption, which is plain text. `id` begins with "fig-".
std::string html_figure(const std::string& id, const std::string& legend,
                        const std::vector<std::vector<std::string>>& panel_rows,
                        std::string_view caption, Panels panels = Panels::kPairs);

/// `<details>` with a plain-text summary around HTML; open on paper.
std::string html_details(std::string_view summary, const std::string& body);

/// `#rrggbb` as the page's style sheet has it: greys and black as variables, which differ in dark
/// mode, other colours as they are.
std::string themed(const std::string& colour);

/// The whole self-contained page. `title` is plain text, `body` is HTML.
std::string html_page(std::string_view title, const std::string& body);

}  // namespace strata::report
