#!/usr/bin/env python3
"""Records what the BpeTrainer of Hugging Face's `tokenizers` learns from odd texts, for
tests/data/text/learnt_tokenizer.cpp.

Usage: python3 tests/reference/learnt_tokenizer.py > tests/reference/tokenizers/learnt.json   (needs tokenizers 0.23)
"""

import json

import tokenizers
from tokenizers import models, pre_tokenizers, trainers

SPECIAL = ["<pad>", "<s>", "</s>", "<image>"]
WORDS = ("circle square triangle circles squares red green blue is there a an the how many are what which side left "
         "right aaa aaaa aaaaaaa abab ababab bababa naïve Ärzte x-ray 3.5 2026 it's don't 心臓 🫀 …").split()


def make_texts():
    texts = []
    for i in range(240):
        picked = [WORDS[(i * i * 7 + i * 13 * k + k * k) % len(WORDS)] for k in range(2 + i % 7)]
        texts.append(("USER: \n" if i % 3 else "") + (" ", "  ", "\n")[i % 5 % 3].join(picked) + ("?", ".", "")[i % 3])
    return texts


def learn(texts, size):
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    assert [model["vocab"][token] for token in tokens] == list(range(len(tokens)))
    return {"size": size, "tokens": tokens,
            "merges": [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]}


def main():
    texts = make_texts()
    record = {"tokenizers": tokenizers.__version__, "texts": texts,
              "learnt": [learn(texts, size) for size in (260, 261, 300, 340, 10000)]}
    print(json.dumps(record, ensure_ascii=True, indent=0))


main()
