"""Whether the order of FLAP-SAM's modes (arXiv 2407.21739, figure 1) holds for Dice values by seed: what
scripts/reproduce-flap-sam writes of it.

    >>> dice = {"lora": [3, 4, 3, 4, 3], "partial_decoder": [30, 31, 30, 30, 31], "decoder": [40, 41, 40, 40, 42],
    ...         "full": [41, 40, 44, 43, 42], "lora_decoder": [50, 51, 49, 50, 52], "flap": [50, 52, 49, 49, 52]}
    >>> print("\\n".join(order_text(dice)))
    The paper's order is lora < partial_decoder < decoder < full < lora_decoder < flap; ours is lora < partial_decoder < decoder < full < lora_decoder = flap.
    <BLANKLINE>
    **The paper's order holds here.** Compared are the differences between runs of the same seed: points of Dice, with the 95 % interval of the mean (Student's t). A sign counts where the interval is on one side of 0, ≈ where 0 is in it.
    <BLANKLINE>
    | of the paper's order | the difference here | holds |
    | --- | --- | --- |
    | partial_decoder < decoder | +10.2 ± 0.6 | yes |
    | decoder < lora_decoder | +9.8 ± 0.6 | yes |
    | lora_decoder ≈ flap | +0.0 ± 0.9 | yes |
    | lora < partial_decoder, the next of all | +27.0 ± 0.9 | yes |

Where one of them is the other way round, or the seeds leave it open, that is said:

    >>> dice["flap"] = [40, 42, 39, 39, 42]
    >>> dice["lora_decoder"] = [40, 41, 43, 37, 42]
    >>> dice["partial_decoder"] = [50, 51, 50, 50, 51]
    >>> print(order_text(dice)[2].partition(" Compared")[0])
    **The paper's order holds in part: lora_decoder ≈ flap and lora < flap do; partial_decoder < decoder does not; decoder < lora_decoder is left open by the seeds.**
"""

import math
import statistics

from reproduction import as_table

# Dice in percent, as figure 1 has it.
PAPER = {"lora": 36.9, "partial_decoder": 45.4, "decoder": 50.7, "full": 54.5, "lora_decoder": 59.8, "flap": 60.5}
# Of Student's t at 95 %, both sides, by the number of seeds.
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}


def mean_and_half(values):
    """The mean, and half of its 95 % interval.

    >>> mean_and_half([1, 2, 3, 4, 5])[0]
    3.0
    >>> round(mean_and_half([1, 2, 3, 4, 5])[1], 2)
    1.96
    """
    return statistics.fmean(values), STUDENT[len(values)] * statistics.stdev(values) / math.sqrt(len(values))


def ordered(means):
    """The methods by their means; = between those whose means are the same to a tenth."""
    text, before = "", None
    for method, mean in sorted(means.items(), key=lambda item: round(item[1], 1)):
        if before is not None:
            text += " = " if round(mean, 1) == before else " < "
        text, before = text + method, round(mean, 1)
    return text


def compared(dice, below, above, same=False):
    """How much `above` is above `below`, and whether that is what the paper has: "yes", "no" or "open"."""
    mean, half = mean_and_half([b - a for a, b in zip(dice[below], dice[above], strict=True)])
    if same:
        return f"{mean:+.1f} ± {half:.1f}", "yes" if abs(mean) <= half else "no"
    return f"{mean:+.1f} ± {half:.1f}", "yes" if mean > half else "no" if mean < -half else "open"


def listed(names):
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def verdict(found):
    names = {answer: [name for name, _, said in found if said == answer] for answer in ("yes", "no", "open")}
    if not names["no"] and not names["open"]:
        return "**The paper's order holds here.**"
    parts = []
    for answer, one, several in (("yes", "does", "do"), ("no", "does not", "do not"),
                                 ("open", "is left open by the seeds", "are left open by the seeds")):
        if names[answer]:
            parts.append(listed(names[answer]) + " " + (one if len(names[answer]) == 1 else several))
    return f"**The paper's order holds {'in part' if names['yes'] else 'nowhere'}: {'; '.join(parts)}.**"


def order_text(dice):
    """Lines of Markdown; `dice` has the values in percent of each mode of PAPER, one a seed, in the same order of seeds."""
    means = {method: statistics.fmean(dice[method]) for method in PAPER}
    behind = min((method for method in PAPER if method != "lora"), key=means.get)
    found = [(f"{below} {'≈' if same else '<'} {above}", *compared(dice, below, above, same))
             for below, above, same in (("partial_decoder", "decoder", False), ("decoder", "lora_decoder", False),
                                        ("lora_decoder", "flap", True), ("lora", behind, False))]
    rows = [[f"{name}, the next of all" if name.startswith("lora <") else name, difference, said]
            for name, difference, said in found]
    return [f"The paper's order is {ordered(PAPER)}; ours is {ordered(means)}.",
            "",
            f"{verdict(found)} Compared are the differences between runs of the same seed: points of Dice, with the 95 % interval of "
            "the mean (Student's t). A sign counts where the interval is on one side of 0, ≈ where 0 is in it.",
            "",
            *as_table(["of the paper's order", "the difference here", "holds"], rows)]
