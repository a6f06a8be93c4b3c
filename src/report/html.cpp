#include "report/html.h"

#include <cstdlib>

namespace strata::report {
namespace {

/// Colours that depend on the mode; all others serve both. Okabe and Ito's black has their yellow
/// as its counterpart, which is too light for lines on white.
struct Themed {
  const char *light, *variable, *dark;
};
constexpr Themed kThemed[] = {
    {"#ffffff", "--paper", "#14181d"}, {"#1f2328", "--ink", "#e6e9ed"},
    {"#57606a", "--muted", "#a3adb8"}, {"#8c959f", "--grey", "#7d8792"},
    {"#e4e8ec", "--rule", "#2f363e"},  {"#e9ecef", "--empty", "#2a3038"},
    {"#000000", "--black", "#f0e442"}, {"#f6f8fa", "--tint", "#1c2229"},
    {"#fff6e0", "--warm", "#3a2f14"},  {"#c9d1d9", "--shadow", "#000000"},
};

/// Said on narrow screens only, where a table or figure may be wider than the screen.
constexpr const char* kMore = "<p class=\"more\">scroll sideways for more →</p>\n";

std::string palette(const char* Themed::*mode) {
  std::string text;
  for (const Themed& colour : kThemed)
    text += std::string(colour.variable) + ":" + colour.*mode + ";";
  return text;
}

/// Scroll containers show by shadows at their edges that there is more (the first two layers, which
/// move with the content, cover them at its ends).
constexpr const char* kStyle = R"(
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui,
  -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1100px; margin: 0 auto; padding: 22px 20px 64px; }
h1 { font-size: 27px; line-height: 1.25; margin: 0 0 2px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 36px 0 8px; padding-top: 14px; border-top: 1px solid var(--rule); }
p { margin: 8px 0; max-width: 92ch; }
p.lead { max-width: none; color: var(--muted); margin: 0 0 8px; }
p.notice { max-width: none; margin: 10px 0; padding: 7px 14px; background: var(--warm);
  border-left: 4px solid #e69f00; }
p.verdict { max-width: none; font-size: 16px; margin: 12px 0 4px; }
p.note { color: var(--muted); font-size: 14px; margin: 4px 0 8px; }
.scroll { overflow-x: auto; scrollbar-width: thin; scrollbar-color: var(--grey) transparent;
  background: linear-gradient(to right, var(--paper) 40%, transparent) left / 36px 100% no-repeat
  local, linear-gradient(to left, var(--paper) 40%, transparent) right / 36px 100% no-repeat local,
  linear-gradient(to right, var(--shadow), transparent) left / 12px 100% no-repeat scroll,
  linear-gradient(to left, var(--shadow), transparent) right / 12px 100% no-repeat scroll; }
.more { display: none; color: var(--muted); font-size: 13px; text-align: right; margin: 6px 0 0; }
table { border-collapse: collapse; margin: 8px 0; font-variant-numeric: tabular-nums;
  font-size: 14px; }
td { white-space: nowrap; }
th, td { padding: 5px 14px 5px 0; text-align: right; vertical-align: top;
  border-bottom: 1px solid var(--rule); }
th { font-weight: 600; color: var(--muted); vertical-align: bottom;
  border-bottom: 1.5px solid var(--grey); line-height: 1.3; }
td + td, th + th { padding-left: 10px; }
th.left, td.left { text-align: left; }
td.left { overflow-wrap: break-word; max-width: 860px; white-space: normal; }
tr.reference td { color: var(--muted); font-style: italic; }
#table-result td { white-space: nowrap; }
#table-run td + td { overflow-wrap: anywhere; }
tbody tr:hover { background: var(--tint); }
figure { margin: 14px 0 26px; }
figcaption { color: var(--muted); max-width: 92ch; margin-top: 4px; font-size: 14px; }
.panels { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px 16px;
  align-items: start; }
.panels.single { grid-template-columns: minmax(0, 1fr); }
.panels.natural { display: flex; flex-wrap: wrap; }
.panels.together { display: flex; flex-wrap: nowrap; gap: 16px; width: max-content; }
.panels.natural > .scroll { max-width: 100%; }
.panels svg { display: block; width: 100%; height: auto; }
.panels.natural svg, .panels.together svg { width: auto; max-width: none; flex: none; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 20px; margin: 2px 0 6px; font-size: 14px; }
.legend span { display: inline-flex; align-items: center; gap: 7px; }
details { margin: 12px 0; }
summary { cursor: pointer; }
pre { background: var(--tint); padding: 12px 16px; overflow-x: auto; font: 13px/1.45 ui-monospace,
  SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code { font: 0.92em ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
@media screen and (max-width: 760px) {
  .panels { grid-template-columns: minmax(0, 1fr); }
  .panels.natural > .scroll svg { margin-bottom: 8px; }
  th { min-width: 7.5em; }
  #table-result th { min-width: 5em; }
  th.left { min-width: 0; }
}
@media screen and (max-width: 480px) {
  .more { display: block; }
  main { padding-top: 14px; }
  h1 { font-size: 23px; }
  p.verdict { font-size: 15px; }
  .scroll th:first-child, .scroll td:first-child { position: sticky; left: 0;
    background: var(--paper); max-width: 42vw; }
  #table-result td.left { white-space: normal; }
  td + td, th + th { padding-left: 4px; }
}
@media print {
  main { max-width: none; padding: 0; }
  body { font-size: 12px; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  table, figcaption, .legend, p.note, p.verdict { font-size: 11px; }
  h2 { break-after: avoid; margin: 18px 0 6px; padding-top: 8px; }
  figure { margin: 8px 0 14px; }
  tbody tr, .panels svg, .legend, p, pre { break-inside: avoid; }
  figcaption { break-before: avoid; }
  thead { display: table-header-group; }
  .scroll { overflow: visible; background: none; }
  .panels.natural svg { max-width: 100%; }
  .panels.natural > .half { flex: 0 1 calc(50% - 8px); }
  .panels.together { width: auto; gap: 8px; }
  .panels.together svg { flex: 0 1 auto; min-width: 0; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 10px; }
  details::details-content { content-visibility: visible; display: block; height: auto; }
  summary { list-style: none; font-weight: 600; }
}
)";

std::string style() {
  return "\n:root { color-scheme: light dark; " + palette(&Themed::light) +
         " }\n@media screen and (prefers-color-scheme: dark) { :root { " + palette(&Themed::dark) +
         " } }" + kStyle;
}

std::string mark_shape(const LegendEntry& entry) {
  const std::string colour = themed(entry.colour);
  const std::string fill = "fill=\"" + colour + "\"", stroke = "stroke=\"" + colour + "\"";
  switch (entry.mark) {
    case Mark::kLine:
    case Mark::kDash:
      return "";
    case Mark::kBox:
      return "<rect x=\"7\" y=\"1\" width=\"13\" height=\"12\" " + fill + "/>";
    case Mark::kCircle:
      return "<circle cx=\"14\" cy=\"7\" r=\"4.5\" " + fill + "/>";
    case Mark::kSquare:
      return "<rect x=\"10\" y=\"3\" width=\"8\" height=\"8\" " + fill + "/>";
    case Mark::kTriangle:
      return "<path d=\"M14 2L19 11H9Z\" " + fill + "/>";
    case Mark::kTriangleDown:
      return "<path d=\"M14 12L19 3H9Z\" " + fill + "/>";
    case Mark::kDiamond:
      return "<path d=\"M14 1L20 7L14 13L8 7Z\" " + fill + "/>";
    case Mark::kPentagon:
      return "<path d=\"M14 2L19 5.6L17 11.4H11L9 5.6Z\" " + fill + "/>";
    case Mark::kStar:
      return "<path d=\"M14 2V12M9 7H19M10.5 3.5L17.5 10.5M17.5 3.5L10.5 10.5\" "
             "stroke-width=\"1.6\" " +
             stroke + "/>";
    case Mark::kTick:
      return "<path d=\"M14 1V13\" stroke-width=\"2.2\" " + stroke + "/>";
  }
  return "";
}

std::string legend_mark(const LegendEntry& entry) {
  const bool dash = entry.mark == Mark::kDash;
  std::string line;
  if (entry.line || dash || entry.mark == Mark::kLine) {
    const std::string dashes = dash && entry.dashes.empty() ? "5,3" : entry.dashes;
    line = "<path d=\"M1 7H27\" stroke-width=\"2\" stroke=\"" + themed(entry.colour) + "\"" +
           (dashes.empty() ? "" : " stroke-dasharray=\"" + dashes + "\"") + "/>";
  }
  return line + mark_shape(entry);
}

/// Whether two such panels stand side by side on the page, and so may on paper, where both are
/// smaller.
bool is_half(const std::string& panel) {
  constexpr int kHalfPage = 524;
  const std::size_t at = panel.find(" width=\"");
  return at != std::string::npos && std::atoi(panel.c_str() + at + 8) <= kHalfPage;
}

std::string cell(const char* tag, const std::string& text, bool left) {
  return std::string("<") + tag + (left ? " class=\"left\">" : ">") + escape_html(text) + "</" +
         tag + ">";
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default: {
        const auto code = static_cast<unsigned char>(c);
        escaped += (code < 0x20 && c != '\n' && c != '\t') || code == 0x7f ? ' ' : c;
      }
    }
  }
  return escaped;
}

std::string html(const HtmlTable& table) {
  // So many columns do not fit beside each other on a telephone.
  constexpr std::size_t kNarrow = 4;
  const std::size_t columns =
      table.header.empty() && !table.rows.empty() ? table.rows[0].size() : table.header.size();
  std::string text = columns > kNarrow || table.wide
                         ? std::string(kMore) + "<div class=\"scroll\" tabindex=\"0\">"
                         : "<div class=\"scroll\">";
  text += "<table id=\"" + escape_html(table.id) + "\">\n";
  if (!table.header.empty()) {
    text += "<thead><tr>";
    for (std::size_t i = 0; i < table.header.size(); ++i) {
      text += cell("th", table.header[i], static_cast<int>(i) < table.left_columns);
    }
    text += "</tr></thead>\n";
  }
  text += "<tbody>\n";
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    const auto& row = table.rows[r];
    text += r < table.rows.size() - table.reference_rows ? "<tr>" : "<tr class=\"reference\">";
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += cell("td", row[i], static_cast<int>(i) < table.left_columns);
    }
    text += "</tr>\n";
  }
  return text + "</tbody></table></div>\n";
}

std::string html_paragraph(std::string_view text, const char* kind) {
  return std::string("<p") + (*kind ? std::string(" class=\"") + kind + "\"" : "") + ">" +
         escape_html(text) + "</p>\n";
}

std::string html_legend(const std::vector<LegendEntry>& entries) {
  if (entries.empty()) return "";
  std::string text = "<div class=\"legend\">";
  for (const LegendEntry& entry : entries) {
    text += "<span><svg width=\"28\" height=\"14\" aria-hidden=\"true\">" + legend_mark(entry) +
            "</svg>" + escape_html(entry.name) + "</span>";
  }
  return text + "</div>\n";
}

std::string html_figure(const std::string& id, const std::string& legend,
                        const std::vector<std::vector<std::string>>& panel_rows,
                        std::string_view caption, Panels panels) {
  const bool natural = panels == Panels::kNatural, together = panels == Panels::kRow;
  const char* kind = natural                     ? " natural"
                     : together                  ? " together"
                     : panels == Panels::kSingle ? " single"
                                                 : "";
  std::string text = "<figure id=\"" + escape_html(id) + "\">\n" + legend;
  if (natural || together) text += kMore;
  for (const auto& row : panel_rows) {
    if (together) text += "<div class=\"scroll\" tabindex=\"0\">";
    text += std::string("<div class=\"panels") + kind + "\">\n";
    for (const std::string& panel : row) {
      text += natural ? std::string("<div class=\"scroll") + (is_half(panel) ? " half" : "") +
                            "\" tabindex=\"0\">" + panel + "</div>\n"
                      : panel + "\n";
    }
    text += together ? "</div></div>\n" : "</div>\n";
  }
  return text + "<figcaption>" + escape_html(caption) + "</figcaption>\n</figure>\n";
}

std::string html_details(std::string_view summary, const std::string& body) {
  return "<details><summary>" + escape_html(summary) + "</summary>\n" + body + "</details>\n";
}

std::string themed(const std::string& colour) {
  for (const Themed& known : kThemed) {
    if (colour == known.light) return std::string("var(") + known.variable + ")";
  }
  return escape_html(colour);
}

std::string html_page(std::string_view title, const std::string& body) {
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
         "name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
         escape_html(title) + "</title>\n<style>" + style() +
         "</style>\n</head>\n<body>\n<main>\n" + body + "</main>\n</body>\n</html>\n";
}

}  // namespace strata::report
