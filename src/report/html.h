#pragma once
/// \file
/// The HTML side of a report: escaping, tables, figures, the page around them.

#include <string>
#include <string_view>
#include <vector>

namespace strata {

/// & < > " ' as character references; control characters other than tab and line feed become
/// spaces.
std::string escape_html(std::string_view text);

/// A table of escaped text. The first `left_columns` columns are aligned left, the others right.
struct HtmlTable {
  std::string id;
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
  int left_columns = 1;
};
std::string html(const HtmlTable& table);

/// The mark that stands before a legend entry, the same as in the plot.
enum class Mark { kLine, kBox, kDash, kCircle, kSquare, kTriangle, kDiamond, kStar };

struct LegendEntry {
  std::string name;
  std::string colour;  ///< "#rrggbb"
  Mark mark = Mark::kLine;
};

/// A legend line; "" for no entries.
std::string html_legend(const std::vector<LegendEntry>& entries);

/// `<figure id=…>` with an optional legend, rows of panels (finished `<svg>` elements) and a
/// caption, which is plain text. `id` begins with "fig-".
std::string html_figure(const std::string& id, const std::string& legend,
                        const std::vector<std::vector<std::string>>& panel_rows,
                        std::string_view caption);

/// The whole self-contained page. `title` is plain text, `body` is HTML.
std::string html_page(std::string_view title, const std::string& body);

}  // namespace strata
