#include "report/html.h"

namespace strata {
namespace {

/// Light on purpose, also where the reader's system is dark: the figures' colours are chosen for
/// white.
constexpr const char* kStyle = R"(
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: #1f2328; font: 15px/1.5 system-ui, -apple-system,
  "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1100px; margin: 0 auto; padding: 28px 20px 64px; }
h1 { font-size: 27px; line-height: 1.25; margin: 0 0 6px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 40px 0 10px; padding-top: 14px; border-top: 1px solid #d8dee4; }
p { margin: 8px 0; max-width: 80ch; }
p.lead { color: #57606a; }
p.notice { max-width: none; margin: 14px 0; padding: 9px 14px; background: #fff6e0;
  border-left: 4px solid #e69f00; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 12px 0; font-variant-numeric: tabular-nums;
  font-size: 14px; }
td { white-space: nowrap; }
th, td { padding: 5px 14px 5px 0; text-align: right; vertical-align: top;
  border-bottom: 1px solid #e4e8ec; }
th { font-weight: 600; color: #57606a; vertical-align: bottom; border-bottom: 1.5px solid #8c959f; }
td + td, th + th { padding-left: 10px; }
th.left, td.left { text-align: left; }
td.left { overflow-wrap: break-word; max-width: 860px; white-space: normal; }
#table-run td + td { overflow-wrap: anywhere; }
tbody tr:hover { background: #f6f8fa; }
figure { margin: 16px 0 26px; break-inside: avoid; }
figcaption { color: #57606a; max-width: 92ch; margin-top: 4px; }
.panels { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: flex-start; }
.panels svg { display: block; max-width: 100%; height: auto; flex: 0 1 auto; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 20px; margin: 2px 0 6px; font-size: 14px; }
.legend span { display: inline-flex; align-items: center; gap: 7px; }
details { margin: 12px 0; }
summary { cursor: pointer; }
pre { background: #f6f8fa; padding: 12px 16px; overflow-x: auto; font: 13px/1.45 ui-monospace,
  SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code { font: 0.92em ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
@media print { main { max-width: none; padding: 0; } h2 { break-after: avoid; }
  tbody tr { break-inside: avoid; } body { print-color-adjust: exact;
  -webkit-print-color-adjust: exact; } }
)";

std::string mark_shape(const LegendEntry& entry) {
  const std::string fill = "fill=\"" + escape_html(entry.colour) + "\"";
  const std::string stroke = "stroke=\"" + escape_html(entry.colour) + "\"";
  switch (entry.mark) {
    case Mark::kLine:
      return "<path d=\"M1 7H21\" stroke-width=\"3\" " + stroke + "/>";
    case Mark::kDash:
      return "<path d=\"M1 7H21\" stroke-width=\"2\" stroke-dasharray=\"5 3\" " + stroke + "/>";
    case Mark::kBox:
      return "<rect x=\"4\" y=\"1\" width=\"13\" height=\"12\" " + fill + "/>";
    case Mark::kCircle:
      return "<circle cx=\"11\" cy=\"7\" r=\"5\" " + fill + "/>";
    case Mark::kSquare:
      return "<rect x=\"6\" y=\"2\" width=\"10\" height=\"10\" " + fill + "/>";
    case Mark::kTriangle:
      return "<path d=\"M11 1L17 12H5Z\" " + fill + "/>";
    case Mark::kDiamond:
      return "<path d=\"M11 0L17 7L11 14L5 7Z\" " + fill + "/>";
    case Mark::kStar:
      return "<path d=\"M11 1V13M5 7H17M7 3L15 11M15 3L7 11\" stroke-width=\"1.6\" " + stroke +
             "/>";
  }
  return "";
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
  std::string text = "<div class=\"scroll\"><table id=\"" + escape_html(table.id) + "\">\n";
  if (!table.header.empty()) {
    text += "<thead><tr>";
    for (std::size_t i = 0; i < table.header.size(); ++i) {
      text += cell("th", table.header[i], static_cast<int>(i) < table.left_columns);
    }
    text += "</tr></thead>\n";
  }
  text += "<tbody>\n";
  for (const auto& row : table.rows) {
    text += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += cell("td", row[i], static_cast<int>(i) < table.left_columns);
    }
    text += "</tr>\n";
  }
  return text + "</tbody></table></div>\n";
}

std::string html_legend(const std::vector<LegendEntry>& entries) {
  if (entries.empty()) return "";
  std::string text = "<div class=\"legend\">";
  for (const LegendEntry& entry : entries) {
    text += "<span><svg width=\"22\" height=\"14\" aria-hidden=\"true\">" + mark_shape(entry) +
            "</svg>" + escape_html(entry.name) + "</span>";
  }
  return text + "</div>\n";
}

std::string html_figure(const std::string& id, const std::string& legend,
                        const std::vector<std::vector<std::string>>& panel_rows,
                        std::string_view caption) {
  std::string text = "<figure id=\"" + escape_html(id) + "\">\n" + legend;
  for (const auto& row : panel_rows) {
    text += "<div class=\"panels\">\n";
    for (const std::string& panel : row) text += panel + "\n";
    text += "</div>\n";
  }
  return text + "<figcaption>" + escape_html(caption) + "</figcaption>\n</figure>\n";
}

std::string html_page(std::string_view title, const std::string& body) {
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
         "name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
         escape_html(title) + "</title>\n<style>" + kStyle + "</style>\n</head>\n<body>\n<main>\n" +
         body + "</main>\n</body>\n</html>\n";
}

}  // namespace strata
