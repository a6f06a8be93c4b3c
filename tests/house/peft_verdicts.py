"""What scripts/reproduce-peft says in words, on cells made by hand: tests/house/peft_verdicts.py SCRIPTS"""

import importlib.machinery
import importlib.util
import math
import pathlib
import sys
import tempfile

scripts = pathlib.Path(sys.argv[1])
sys.dont_write_bytecode = True
sys.path.insert(0, str(scripts))
loader = importlib.machinery.SourceFileLoader("reproduce_peft", str(scripts / "reproduce-peft"))
peft = importlib.util.module_from_spec(importlib.util.spec_from_loader("reproduce_peft", loader))
loader.exec_module(peft)


def rows(values, mbit=1.0):
    return [{"macro_f1": str(value / 100), "up_mbit": str(mbit)} for value in values]


def check(found, expected):
    if found != expected:
        sys.exit(f"peft_verdicts.py: found {found!r}, expected {expected!r}")


def near(found, expected):
    if not math.isclose(found, expected, abs_tol=1e-9):
        sys.exit(f"peft_verdicts.py: found {found!r}, expected {expected!r}")


# Above with all of the data already; overtaking; above in two of three seeds alone; never above.
cells = {}
for method, all_data, little in (("full", (80, 80, 80), (50, 50, 50)), ("early", (81, 82, 83), (51, 52, 53)),
                                 ("late", (79, 80, 79), (55, 56, 57)), ("luck", (70, 71, 72), (60, 61, 49)),
                                 ("never", (60, 60, 60), (40, 40, 40))):
    cells["vit", method, 1.0], cells["vit", method, 0.01] = rows(all_data), rows(little)
check(peft.overtaking(cells, "vit"), ([1.0, 0.01], [1, 2], [[], ["late"]]))
check(peft.overtaking_in_words([1, 2], [[], ["late"]]), "yes")
check(peft.overtaking_in_words([2, 1], [[], ["late"]])[:7], "in part")
check(peft.overtaking_in_words([2, 3], [[], []]), "no")

check(peft.places([3.0, 1.0, 3.0, 2.0]), [1.5, 4.0, 1.5, 3.0])
check(peft.ranks(cells, "vit", ["full", "early", "never"]), {"full": 2.0, "early": 1.0, "never": 3.0})
check(peft.ranks(cells, "vit", ["full", "late"], [1.0]), {"full": 1.0, "late": 2.0})

# Of four things one order of 24 is as good as the same, and all are as good as the reverse.
check(peft.spearman([1, 2, 3, 4], [10, 20, 30, 40]), (1.0, 1 / 24))
check(peft.spearman([1, 2, 3, 4], [4, 3, 2, 1]), (-1.0, 1.0))
near(peft.spearman([1, 2, 2, 4, 5], [1, 3, 2, 4, 4])[0], 9 / 9.5)
check(peft.agreement_in_words(0.9, 0.01), "they agree")
check(peft.agreement_in_words(0.5, 0.2), "no more than chance")
check(peft.agreement_in_words(-0.5, 0.9), "they do not agree")

# Three points a decade exactly, then with a point beside the line.
line = {("vit", str(decade), 1.0): rows([70 + 3 * decade] * 3, 10.0**decade) for decade in range(4)}
line["resnet", "full", 1.0] = rows([0, 0, 0], 5.0)
slope, error = peft.points_a_decade(line, 1.0)
near(slope, 3)
near(error, 0)
line["vit", "0", 1.0] = rows([71] * 3, 1.0)
slope, error = peft.points_a_decade(line, 1.0)
near(slope, 2.7)
near(error, math.sqrt(0.3 / 2 / 5))
check(peft.cost_in_words(1, 0.6), "no cost that stands out")
check(peft.cost_in_words(2, 0.5), "a cost below 4 points")
check(peft.cost_in_words(3.5, 0.5), "a cost that may be 4 points")
check(peft.cost_in_words(9, 1), "a cost above 4 points")

# One shape and its colour, of open answers alone; the colour of the second image and all of the third stay unsaid.
questions = [["what is the blue shape?", "circle", 0], ["does the image not contain a red shape?", "yes", 0],
             ["what shape is present?", "circle", 1], ["is there a red shape?", "yes", 1], ["is there a circle?", "no", 2],
             ["what color is the triangle?", "teal", 3], ["what shape is in the image?", "triangle", 3]]
check(peft.easy_vqa_classes(questions), {0: "blue circle", 3: "teal triangle"})
with tempfile.TemporaryDirectory() as folder:
    work = pathlib.Path(folder)
    check("formula-driven images alone" in peft.pretraining_in_words(work), True)
    check(peft.with_easy_vqa(work), "")
    (work / "vit-easy-vqa").mkdir()
    check("on easy-VQA's images" in peft.pretraining_in_words(work), True)
    check(peft.with_easy_vqa(work), " --easy-vqa FOLDER")
