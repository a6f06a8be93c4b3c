#!/usr/bin/env python3
"""Records what Hugging Face's BertTokenizer makes of awkward texts, for tests/data/text/wordpiece.cpp.

Usage: python3 tests/reference/wordpiece.py > tests/reference/wordpiece.json   (needs `transformers`)

The texts keep clear of two points on which Hugging Face's tokenizer departs from the original
tokenization.py that Strata follows: special tokens written out in a text, and the Greek final sigma.
"""

import json
import os
import tempfile

import tokenizers
import transformers

WORDS = """the is there a an in of what how many nodule nod un aff able want runn walk lung lungs x ray
cafe resume naive uber strasse ct mri it s don t 3 14 100 00 1 2 co und el nino facade zurich left right
hemorrhage druse drusen i istanbul e o a1 e2 na so""".split()
PIECES = """##ule ##ules ##able ##ing ##ed ##s ##er ##est ##a ##b ##c ##d ##e ##f ##g ##n ##o ##x ##0 ##1
##2 ##3 ##ray ##rr ##word ##ß ##か""".split()
SYMBOLS = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + list("。、「」…–—¿¡«»€中国人肺部日本か가ßαβωя٣½²")
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + list(
    dict.fromkeys(list("abcdefghijklmnopqrstuvwxyz0123456789") + WORDS + PIECES + SYMBOLS + ["한", "ᄒ", "##ᅡ", "##ᆫ"])
)

TEXTS = [
    "",
    " \t\r\n ",
    "is there a nodule?",
    "IS THERE A NODULE?!",
    "how many nodules are there in the lungs",
    "unaffable unwanted running",
    "Café résumé naïve Über El Niño façade Zürich",
    "Cafe\u0301 re\u0301sume\u0301",
    "\u0301a stray\u0301 mark",
    "a\u0323\u0307b \u1e69 \u01d6",
    "STRASSE Straße ẞ",
    "İstanbul I ı",
    "中国人的肺部 X-ray",
    "肺nodule部",
    "日本か「日本」。",
    "한 가",
    "𠀀 豈 \U0002f800",
    "what's it? don't... (x-ray)!?",
    "---...!!!???",
    "$100.00 ^ ~ ` | < > = + _ a_b",
    "3.14 1/2 ½ ² ٣",
    "¿qué? ¡no! «a» – — … € “quoted”",
    "zero\u200bwidth soft\u00adhyphen a\ufeffb",
    "nul\x00bell\x07esc\x1bdel\x7f a\x85b",
    "a\u00a0b\u2003c\u3000d\u2028e\u2029f",
    "tab\tnew\nline\rreturn\x0bvertical\x0cfeed",
    "replacement \ufffd char",
    "private \ue000 use",
    "n" * 100,
    "n" * 101,
    "αβ ΑΒ ω Ω я Я",
    "xray x ray xx",
    "a1 e2 ct3 100x",
    "emoji 😀 lung🫁lung",
    "ﬁ ﬀ Å K ℃",
    "don’t l’œdème",
]


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "vocab.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(token + "\n" for token in VOCABULARY))
        cases = {}
        for name, lower in (("lower", True), ("cased", False)):
            tokenizer = transformers.BertTokenizer(path, do_lower_case=lower)
            cases[name] = [tokenizer(text, add_special_tokens=True)["input_ids"] for text in TEXTS]
            cases[name + "_cut"] = [
                tokenizer(text, truncation=True, max_length=6)["input_ids"] for text in TEXTS
            ]
    record = {
        "made_by": "tests/reference/wordpiece.py",
        "transformers": transformers.__version__,
        "tokenizers": tokenizers.__version__,
        "vocabulary": VOCABULARY,
        "texts": TEXTS,
        **cases,
    }
    # ASCII escapes keep the control characters visible in reviews.
    print("{")
    print(",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in record.items()))
    print("}")


if __name__ == "__main__":
    main()
