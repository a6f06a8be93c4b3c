#pragma once
/// \file
/// gnuplot as a child process: a script goes in, an SVG comes out that may stand inline in an HTML
/// page beside others.

#include <chrono>
#include <string>
#include <string_view>

namespace strata::report {

/// `text` as a single-quoted gnuplot string, in which nothing but the quote is special; control
/// characters become spaces. Tic labels are formats to gnuplot: for them `percent` doubles every
/// '%'.
std::string gnuplot_quote(std::string_view text, bool percent = false);

/// Runs gnuplot (without a shell, and without the user's settings) on `script`, which must plot but
/// not set a terminal or an output. Enhanced text is off. `width` and `height` are in CSS pixels.
/// The same script gives the same bytes.
/// @returns gnuplot's SVG document.
/// @throws WorkError when gnuplot is not installed (naming the package gnuplot-nox), fails (with
/// what it wrote to stderr), or is not done within `limit`, at which it is ended.
std::string gnuplot_svg(const std::string& script, int width, int height,
                        std::chrono::milliseconds limit = std::chrono::minutes(2));

/// Makes a gnuplot SVG fit for inlining: no XML prolog, every id and every reference to one
/// prefixed with `prefix`, no fonts of its own (the page's apply), no tooltips that show gnuplot's
/// internal names, colours `themed` (html.h), and `label` as the accessible name. O(length).
std::string inline_svg(std::string_view svg, const std::string& prefix, std::string_view label);

}  // namespace strata::report
