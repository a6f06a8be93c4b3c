#!/usr/bin/env bash
# Opens reports in headless Chromium and checks what a reader would see on a laptop, a telephone, in the dark and on
# paper: the result on the first screen, every figure there, visible, not empty and legible, nothing wider than the
# window that does not say so, folded parts open in print. Screenshots go to the folder given.
# Usage: chromium.sh MAKE_REPORT_PAGE SCREENSHOTS
set -euo pipefail

make_page=$1
screenshots=$2

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -z "$browser" ]; then
  echo "SKIPPED: no Chromium is installed, so no report was looked at (Debian package chromium)" >&2
  exit 4
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export HOME=$scratch/home
mkdir -p "$HOME" "$screenshots"

chromium() {
  timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
    --user-data-dir="$scratch/profile" --hide-scrollbars --allow-file-access-from-files "$@" 2> "$scratch/stderr"
}

"$make_page" "$scratch/runs" > "$scratch/pages"

# What the window shows, measured before anything is unfolded; then every figure and table.
cat > "$scratch/probe.html" <<'PROBE'
<script>
addEventListener("load", () => {
  const lines = [];
  const luminance = (colour) => {
    const [r, g, b] = colour.match(/[\d.]+/g).map(Number).map((c) => c / 255)
      .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = luminance(getComputedStyle(document.body).backgroundColor);
  const contrast = (colour) => {
    const other = luminance(colour);
    return (Math.max(paper, other) + 0.05) / (Math.min(paper, other) + 0.05);
  };
  lines.push(`paper ${Math.round(100 * paper)}`);
  for (const id of ["table-result", "fig-accuracy", "table-run"]) {
    const box = document.getElementById(id)?.getBoundingClientRect();
    if (box) lines.push(`place ${id} ${Math.round(box.top)} ${Math.round(box.bottom)}`);
  }
  const header = document.querySelector("#table-result th")?.getBoundingClientRect();
  if (header) lines.push(`header ${Math.round(header.height)}`);
  for (const details of document.querySelectorAll("details")) details.open = true;
  lines.push(`document ${document.documentElement.scrollWidth} ${innerWidth}`);
  for (const figure of document.querySelectorAll("figure")) {
    for (const panel of figure.querySelectorAll(".panels svg")) {
      const box = panel.getBoundingClientRect(), scroll = panel.closest(".scroll");
      const style = getComputedStyle(panel);
      const visible = style.display !== "none" && style.visibility === "visible" &&
        box.left >= 0 && (box.right <= innerWidth || scroll);
      const shapes = panel.querySelectorAll("path, polygon, use, text").length -
        panel.querySelectorAll("defs *").length;
      lines.push(`${figure.id} ${visible ? "visible" : "hidden"} ${Math.round(box.width)} ` +
        `${Math.round(box.height)} ${shapes}`);
      let smallest = 99, faintest = 99;
      for (const text of panel.querySelectorAll("text")) {
        const size = parseFloat(getComputedStyle(text).fontSize) * box.width / panel.viewBox.baseVal.width;
        smallest = Math.min(smallest, size);
        const fill = getComputedStyle(text).fill;
        if (!scroll) faintest = Math.min(faintest, contrast(fill));
      }
      lines.push(`text ${figure.id} ${smallest.toFixed(1)} ${Math.floor(10 * faintest)}`);
    }
  }
  for (const scroll of document.querySelectorAll(".scroll")) {
    if (scroll.scrollWidth <= scroll.clientWidth) continue;
    const name = scroll.querySelector("table")?.id ?? scroll.closest("figure").id;
    let sign = scroll.previousElementSibling;
    if (!sign?.classList.contains("more")) sign = scroll.closest("figure")?.querySelector(".more");
    const said = sign && getComputedStyle(sign).display !== "none" &&
      getComputedStyle(scroll).backgroundImage.includes("gradient");
    lines.push(`overflow ${name} ${scroll.scrollWidth} ${said ? "signed" : "unsigned"}`);
  }
  const out = document.createElement("pre");
  out.id = "probe";
  out.textContent = lines.map((line) => "probe: " + line).join("\n") + "\n";
  document.body.append(out);
  if (parent !== window) parent.postMessage(out.textContent, "*");
});
</script>
PROBE

failures=0
fail() {
  echo "FAILED: $name: $*" >&2
  failures=$((failures + 1))
}

# look PAGE WIDTH HEIGHT [OPTION...]: what the probe says, in $scratch/seen. Windows of the headless browser are at
# least 500 pixels wide, so the page stands in a frame.
look() {
  local page=$1 wide=$2 high=$3
  shift 3
  cat "$page" "$scratch/probe.html" > "$scratch/probed.html"
  cat > "$scratch/frame.html" <<FRAME
<body style="margin: 0"><pre id="seen"></pre>
<script>addEventListener("message", (event) => { document.getElementById("seen").textContent = event.data; });</script>
<iframe src="probed.html" style="border: 0; width: ${wide}px; height: ${high}px"></iframe></body>
FRAME
  chromium --window-size=1600,1200 --virtual-time-budget=10000 "$@" --dump-dom "file://$scratch/frame.html" \
    > "$scratch/dom" || { cat "$scratch/stderr" >&2; exit 1; }
  sed -n 's/.*probe: \([a-z].*\)/\1/p' "$scratch/dom" | sed 's/<.*//' | grep -v '\$' > "$scratch/seen" || true
  local content window
  read -r _ content window < <(grep '^document ' "$scratch/seen" || echo "document none none")
  [ "$window" = "$wide" ] || fail "the window is $window px wide, not $wide"
  [ "$content" != none ] && [ "$content" -le "$wide" ] || fail "the page is $content px wide in a window of $wide"
}

# Each figure of a page with the least number of shapes and texts that any of its panels may hold.
figures_of() {
  if [ "$1" = comparison ]; then
    printf '%s\n' 'fig-convergence-random 20' 'fig-convergence-greedy 20'
  else
    printf '%s\n' 'fig-accuracy 25' 'fig-client-accuracy 30' 'fig-scores 200' 'fig-assignments 150' \
      'fig-assignments-rounds 110' 'fig-usage 35' 'fig-front 25' 'fig-coverage 80'
  fi
}

check_figures() {
  while read -r figure least; do
    grep "^$figure " "$scratch/seen" > "$scratch/panels" || { fail "no $figure"; continue; }
    while read -r _ visible wide high shapes; do
      [ "$visible" = visible ] || fail "$figure is not visible"
      if [ "$wide" -le 150 ] || [ "$high" -le 100 ]; then
        fail "a panel of $figure measures only $wide x $high px"
      fi
      [ "$shapes" -ge "$least" ] || fail "a panel of $figure holds only $shapes shapes, not $least"
    done < "$scratch/panels"
    widest=$(sort -k3,3n "$scratch/panels" | tail -n 1 | cut -d' ' -f3)
    [ "$widest" -gt 200 ] || fail "$figure is only $widest px wide"
    echo "$name: $figure: $(wc -l < "$scratch/panels") panels, widest $widest px"
  done < <(figures_of "$name")
}

# within ID EDGE LIMIT: the element's top or bottom is on the screen.
within() {
  local top bottom at
  read -r _ _ top bottom < <(grep "^place $1 " "$scratch/seen" || echo "place $1 none none")
  at=$([ "$2" = top ] && echo "$top" || echo "$bottom")
  [ "$at" != none ] && [ "$at" -lt "$3" ] || fail "the $2 of $1 is at $at px, below the first screen of $3"
}

# Smallest text in pixels and least contrast to the page of the texts that stand on it, in tenths.
check_text() {
  while read -r _ figure size contrast; do
    [ "${size%.*}" -ge "$1" ] || fail "text of $figure is only $size px high"
    [ "$contrast" -ge 45 ] || fail "text of $figure has only a contrast of $contrast tenths"
  done < <(grep '^text ' "$scratch/seen")
}

pages_on_paper() {
  chromium --no-pdf-header-footer --print-to-pdf="$scratch/paper.pdf" "file://$1" > /dev/null ||
    { cat "$scratch/stderr" >&2; exit 1; }
  grep -ac '/Type /Page$' "$scratch/paper.pdf"
}

while read -r page; do
  name=$(basename "$(dirname "$page")")

  look "$page" 1280 800
  check_figures
  check_text 7
  if grep -q '^overflow ' "$scratch/seen"; then
    fail "too wide: $(grep '^overflow ' "$scratch/seen" | tr '\n' ' ')"
  fi
  if [ "$name" != comparison ]; then
    within table-result bottom 560
    within fig-accuracy top 600
  fi
  grep -q '^paper 100$' "$scratch/seen" || fail "the page is not white"

  look "$page" 390 844
  check_figures
  check_text 7
  if [ "$name" != comparison ]; then
    within table-result top 600
    header=$(sed -n 's/^header //p' "$scratch/seen")
    [ "$header" -le 80 ] || fail "the result table's header is $header px high"
  fi
  grep '^overflow ' "$scratch/seen" > "$scratch/overflows" || true
  while read -r _ what wide sign; do
    [ "$sign" = signed ] || fail "$what is $wide px wide and does not say that it can be scrolled"
  done < "$scratch/overflows"

  look "$page" 1280 800 --blink-settings=preferredColorScheme=0
  paper=$(sed -n 's/^paper //p' "$scratch/seen")
  [ "$paper" -le 2 ] || fail "the page is not dark: luminance $paper %"
  check_text 7

  folded=$(pages_on_paper "$page")
  case $name in
    one-seed | even) most=9 ;;
    three-seeds) most=15 ;;
    *) most=4 ;;
  esac
  [ "$folded" -le "$most" ] || fail "$folded pages on paper, not $most: figures leave pages half empty"
  echo "$name: $folded pages on paper"
  if [ "$name" = one-seed ]; then
    # The folded parts are on paper, whether they were open or not.
    sed 's/<details>/<details open>/' "$page" > "$scratch/open.html"
    opened=$(pages_on_paper "$scratch/open.html")
    sed 's/details::details-content/nothing/' "$page" > "$scratch/closed.html"
    closed=$(pages_on_paper "$scratch/closed.html")
    [ "$folded" = "$opened" ] || fail "$folded pages on paper, but $opened with everything unfolded"
    [ "$closed" -lt "$folded" ] || fail "nothing is folded: $closed pages of $folded"
  fi

  chromium --window-size=1280,800 --screenshot="$screenshots/$name.png" "file://$page" > /dev/null ||
    { cat "$scratch/stderr" >&2; exit 1; }
  [ -s "$screenshots/$name.png" ] || fail "no screenshot was made"
  echo "$name: screenshot $screenshots/$name.png"
done < "$scratch/pages"

[ "$(wc -l < "$scratch/pages")" = 4 ] || { echo "FAILED: four pages were expected" >&2; exit 1; }
[ "$failures" = 0 ]
