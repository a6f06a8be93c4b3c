#!/usr/bin/env python3
"""Records the folders that transformers 5 saves a BertTokenizer in (tokenizer.json and no vocab.txt) and the ids that it
gives, for tests/models/tokenizer_files.cpp.

Usage: python3 tests/reference/tokenizer_json.py > tests/reference/tokenizer_json.json   (needs transformers 5)
       python3 tests/reference/tokenizer_json.py --load DIR     checks that AutoTokenizer, of transformers 4 or 5, gives
                                                                the recorded ids from a folder that Strata wrote, whose
                                                                number of a case is in DIR/case

The texts are those of wordpiece.py. The last case is what `tokenizers` alone, and with it transformers 4, makes of the
settings that BertTokenizer does not have.
"""

import argparse
import json
import os
import pathlib
import sys
import tempfile

import tokenizers
import transformers

from wordpiece import TEXTS, VOCABULARY

RECORDED = pathlib.Path(__file__).parent / "tokenizer_json.json"
CASES = [
    {},
    {"do_lower_case": False},
    {"strip_accents": False, "tokenize_chinese_chars": False},
    {"do_lower_case": False, "strip_accents": True, "unk_token": "[MASK]"},
]


def folder_of(tokenizer):
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        files = {name: (pathlib.Path(folder) / name).read_text() for name in sorted(os.listdir(folder))}
    return {name: json.loads(text) for name, text in files.items()}


def record():
    cases = []
    vocabulary = {token: i for i, token in enumerate(VOCABULARY)}
    for options in CASES:
        tokenizer = transformers.BertTokenizer(vocab=vocabulary, model_max_length=40, **options)
        case = {"options": options, "files": folder_of(tokenizer)}
        assert sorted(case["files"]) == ["tokenizer.json", "tokenizer_config.json"], sorted(case["files"])
        cases.append(case | {"ids": [tokenizer(text)["input_ids"] for text in TEXTS]})
    file = json.loads(json.dumps(cases[0]["files"]["tokenizer.json"]))
    file["normalizer"] |= {"clean_text": False, "lowercase": False, "strip_accents": True}
    file["model"]["max_input_chars_per_word"] = 4
    file["model"]["continuing_subword_prefix"] = ""
    backend = tokenizers.Tokenizer.from_str(json.dumps(file))
    cases.append({
        "options": "tokenizers",
        "files": {"tokenizer.json": file, "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast"}},
        "ids": [backend.encode(text).ids for text in TEXTS],
    })
    record = {
        "made_by": "tests/reference/tokenizer_json.py",
        "transformers": transformers.__version__,
        "tokenizers": tokenizers.__version__,
        "texts": TEXTS,
        "cases": cases,
    }
    print("{")
    print(",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in record.items()))
    print("}")


def load(folder):
    recorded = json.loads(RECORDED.read_text())
    case = recorded["cases"][int((pathlib.Path(folder) / "case").read_text())]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = [tokenizer(text)["input_ids"] for text in recorded["texts"]]
    wrong = [text for text, mine, theirs in zip(recorded["texts"], ids, case["ids"]) if mine != theirs]
    print(transformers.__version__, type(tokenizer).__name__, case["options"], f"{len(wrong)} of {len(ids)} texts differ")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--load", metavar="DIR")
    arguments = parser.parse_args()
    load(arguments.load) if arguments.load else record()
