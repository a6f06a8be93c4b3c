#!/usr/bin/env python3
"""Records what Hugging Face's `tokenizers` makes of odd texts, for tests/data/text.

Usage: python3 tests/reference/tokenizer_layouts.py [layouts] [parts] [unicode]
       (needs tokenizers 0.23, sentencepiece and protobuf; writes tests/reference/tokenizers/; without a name, all)

texts.json.gz   the texts of the layouts
LAYOUT.json.gz  a tokenizer.json as a family of models has it, with a small vocabulary trained here, and of each text
                the ids with special tokens, and what they decode to where that is not the text itself
parts.json.gz   one part of a tokenizer after another, before or behind a model whose ids show every byte and where
                words begin, on a few texts
unicode.json.gz the same for every character of Unicode 14: SHA-256 of the ids, a thousand characters each
"""

import gzip
import hashlib
import io
import json
import pathlib
import random
import sys
import unicodedata

# This file has the library's name.
sys.path = [path for path in sys.path if pathlib.Path(path or ".").resolve() != pathlib.Path(__file__).parent.resolve()]

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

FOLDER = pathlib.Path(__file__).parent / "tokenizers"
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")

WORDS = """the a an of in on and or is are was what which where how many image picture shows scan patient left right lung
heart brain liver chest x-ray ct mri axial coronal lesion mass nodule fluid fracture normal abnormal yes no there not
don't isn't we've they're I'm he'll she'd one two three describe question answer evidence finding opacity pleural effusion
magnification tissue cell biopsy stained organ shown seen side upper lower lobe enlarged cardiomegaly pneumonia""".split()
SNIPPETS = [
    "Größe und Maß: Äpfel, Öl, Übung, straße",
    "El niño comió piñas y llegó mañana",
    "Où est le cœur ? Là, à gauche, déjà vu",
    "Привет, мир! Что показано на снимке?",
    "Γειά σου Κόσμε, ΟΔΥΣΣΕΥΣ",
    "שלום עולם, מה בתמונה?",
    "مرحبا بالعالم، ماذا في الصورة؟",
    "这张图片显示了什么?左肺有结节。",
    "この画像には何が写っていますか。カタカナ ﾊﾝｶｸ",
    "이 사진에는 무엇이 있습니까?",
    "नमस्ते दुनिया, क्षत्रिय",
    "สวัสดีชาวโลก",
    "Türkçe İstanbul ışık IĞDIR",
    "Tiếng Việt có dấu",
    "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟘𝟙𝟚",
    "ﬁne ﬂow oﬃce ½ ² № ™ ℃ Ⅷ ①",
]
ODD = [
    " ",
    "  ",
    "   ",
    "\t",
    "\n",
    "\r\n",
    "\n\n",
    " \n ",
    "\u00a0",
    "\u2003",
    "\u3000",
    "\u200b",
    "\u200d",
    "\u200c",
    "\ufeff",
    "\u2028",
    "\u0085",
    "\u000b",
    "\u000c",
    "\u0000",
    "\u0001",
    "\u001b",
    "\u007f",
    "\u0080",
    "\u00ad",
    "\ufffd",
    "\u2581",
    "\u2581\u2581",
    "e\u0301",
    "a\u0308\u0323",
    "\u0301",
    "\u0345\u0300",
    "n\u0303",
    "\u00e9",
    "\u1e9b\u0323",
    "\u212b",
    "\u0130",
    "\u0131",
    "\u1e9e",
    "\ud55c".encode().decode(),
    "\u1112\u1161\u11ab",
    "\u0915\u094d\u0937",
    "\u0e01\u0e33",
    "\u0cb3\u0cca",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\U0001f600",
    "\U0001f44d\U0001f3fd",
    "\U0001f1e9\U0001f1ea",
    "\u2764\ufe0f",
    "1\ufe0f\u20e3",
    "\U00020000",
    "\U0002b820",
    "\U0002b920",
    "\U0001d54f",
    "\uac00",
    "\u3042",
    "\uff21",
    "\uff11",
    "\u00a8",
    "\u037a",
    "'s",
    "'S",
    "'\u017f",
    "'t",
    "'LL",
    "'re",
    "n't",
    "don't",
    "I'M",
    "'\u212a",
    "''",
    '"',
    "``",
    "...",
    "\u2026",
    "!?",
    "$^`~+=|<>",
    "\u00bf",
    "\u3002",
    "\u066a",
    "\u0660\u0661\u0662",
    "0",
    "7",
    "42",
    "123",
    "1234567",
    "3.14",
    "1,000,000",
    "\u00bd",
    "\u2163",
    "\u0967",
    "v1.2.3",
    "2024-05-06",
    "http://a.b/c?d=e&f",
    "x@y.z",
    "snake_case",
    "camelCase",
    "a" * 40,
    "hello" * 12,
    "\u4e2d" * 9,
    "\u00df" * 7,
    "ab\tcd",
    "<0x41>",
    "<0xE4>",
    "<",
    ">",
    "##",
    "##ing",
    "[",
    "]",
    "\u0120",
    "\u010a",
    "\u0100",
]
ADDED = [
    "<image>",
    "<image><image>",
    "<left>",
    "<right>",
    "<both>",
    "lone",
    "Größe",
    "NORMAL form",
    " two",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[PAD]",
    "<s>",
    "</s>",
    "<unk>",
    "<pad>",
    "<bos>",
    "<eos>",
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|begin_of_text|>",
    "<|eot_id|>",
    "<extra_id_0>",
    "<extra_id_1>",
]
COMMON = [
    AddedToken("<image>", special=True, normalized=False),
    AddedToken("<image><image>", special=False, normalized=False),
    AddedToken("<left>", lstrip=True, special=True, normalized=False),
    AddedToken("<right>", rstrip=True, special=False, normalized=False),
    AddedToken("<both>", lstrip=True, rstrip=True, special=True, normalized=False),
    AddedToken("lone", single_word=True, normalized=False),
    AddedToken("Größe", normalized=True),
    AddedToken("NORMAL form", normalized=True, rstrip=True),
    AddedToken(" two", normalized=True),
]


def corpus():
    generator = random.Random(7)
    lines = [" ".join(generator.choices(WORDS, k=generator.randint(3, 14))) for _ in range(1500)]
    lines += [line.capitalize() + generator.choice("?.!") for line in lines[:700]]
    lines += SNIPPETS * 12 + [f"{generator.randint(0, 10**6)} {generator.random():.3f}" for _ in range(200)]
    return lines


def odd_texts(count=3000):
    generator = random.Random(11)
    texts = [
        "",
        " ",
        "  ",
        "\n",
        "a",
        " a",
        "a ",
        " a ",
        "\u00a8 x",
        "\u0001a",
        "\u0301a",
        "\u2581",
        "\u2581a",
        "\u00a0a",
        "\u3000a",
    ]
    texts += ODD + SNIPPETS + ADDED + [" " + token for token in ADDED] + [token + " x" for token in ADDED]
    texts += ["x" * 101, "x" * 100, "y" * 3000, " " * 300, "\n" * 50, "\u00e9" * 400, "ab " * 200]
    while len(texts) < count:
        pools, parts = (WORDS, ODD, ADDED, SNIPPETS), []
        for _ in range(generator.randint(1, 7)):
            parts.append(generator.choice(generator.choices(pools, weights=(5, 4, 2, 0.5))[0]))
            parts.append(generator.choice(("", " ", " ", "", "  ")))
        text = "".join(parts)
        if generator.random() < 0.1:
            text = "".join(generator.sample(text, len(text)))
        if generator.random() < 0.1:
            text = text.upper()
        texts.append(text)
    return texts


def train(tokenizer, trainer):
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def byte_level_bpe(size, special, pre_tokenizer):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    train(
        tokenizer,
        trainers.BpeTrainer(vocab_size=size, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def pieces_bpe(size, special, most=3):
    """BPE over characters with a token for each byte, as converters make it of SentencePiece's."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = special + [f"<0x{byte:02X}>" for byte in range(256)]
    train(
        tokenizer, trainers.BpeTrainer(vocab_size=size, special_tokens=special, limit_alphabet=120, show_progress=False)
    )
    saved = json.loads(tokenizer.to_str())
    saved["added_tokens"] = [token for token in saved["added_tokens"] if not token["content"].startswith("<0x")]
    return saved


def unigram():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()),
        model_writer=model,
        vocab_size=800,
        model_type="unigram",
        normalization_rule_name="nmt_nfkc",
        character_coverage=0.98,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    proto = sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
    tokenizer = Tokenizer(models.Unigram([(piece.piece, piece.score) for piece in proto.pieces], unk_id=2))
    tokenizer.normalizer = normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>", "<extra_id_0>", "<extra_id_1>"])
    return tokenizer


def template(token, tokenizer):
    return processors.TemplateProcessing(
        single=f"{token} $A", pair=f"{token} $A {token} $B", special_tokens=[(token, tokenizer.token_to_id(token))]
    )


def changed(saved, change):
    saved = json.loads(saved.to_str()) if isinstance(saved, Tokenizer) else saved
    change(saved)
    return saved


def bert():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    train(
        tokenizer,
        trainers.WordPieceTrainer(vocab_size=900, special_tokens=special, limit_alphabet=150, show_progress=False),
    )
    ids = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
    )
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def opt():
    tokenizer = byte_level_bpe(900, ["<s>", "<pad>", "</s>", "<unk>"], pre_tokenizers.ByteLevel(add_prefix_space=False))
    tokenizer.post_processor = template("</s>", tokenizer)

    def as_in_2022(saved):
        saved["model"].pop("type")
        saved["model"]["merges"] = [" ".join(merge) for merge in saved["model"]["merges"]]
        saved["model"].update(unk_token="", continuing_subword_prefix="", end_of_word_suffix="")

    return changed(tokenizer, as_in_2022)


LLAMA_DECODER = decoders.Sequence(
    [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
)


def llama(legacy):
    tokenizer = Tokenizer.from_str(json.dumps(pieces_bpe(1200, ["<unk>", "<s>", "</s>"])))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    if legacy:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
        tokenizer.pre_tokenizer = None
    tokenizer.post_processor = template("<s>", tokenizer)
    tokenizer.decoder = LLAMA_DECODER
    return tokenizer


def gemma():
    tokenizer = Tokenizer.from_str(json.dumps(pieces_bpe(1100, ["<pad>", "<eos>", "<bos>", "<unk>"])))
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.post_processor = template("<bos>", tokenizer)
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])

    def with_runs_of_spaces(saved):
        vocabulary, merges = saved["model"]["vocab"], saved["model"]["merges"]
        for length in (2, 3, 4, 8):
            vocabulary["\u2581" * length] = len(vocabulary)
        merges[:0] = [
            ["\u2581", "\u2581"],
            ["\u2581\u2581", "\u2581\u2581"],
            ["\u2581\u2581", "\u2581"],
            ["\u2581" * 4, "\u2581" * 4],
        ]

    return changed(tokenizer, with_runs_of_spaces)


def t5(old):
    tokenizer = unigram()
    if old:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
        )
    else:
        tokenizer.normalizer = normalizers.Sequence(
            [
                tokenizer.normalizer,
                normalizers.Strip(left=False, right=True),
                normalizers.Replace(Regex(" {2,}"), "\u2581"),
            ]
        )
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        return tokenizer

    def as_in_2021(saved):
        form = {"type": "Metaspace", "replacement": "\u2581", "str_rep": "\u2581", "add_prefix_space": True}
        saved["pre_tokenizer"]["pretokenizers"][1] = form
        saved["decoder"] = form

    return changed(tokenizer, as_in_2021)


def split_layout(pattern, normalizer, ignore_merges, special):
    isolated = pre_tokenizers.Split(Regex(pattern), "isolated")
    tokenizer = byte_level_bpe(
        1100,
        special,
        pre_tokenizers.Sequence([isolated, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
    )
    tokenizer.normalizer = normalizer
    if not ignore_merges:
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
        return tokenizer
    tokenizer.post_processor = processors.Sequence(
        [processors.ByteLevel(trim_offsets=False), template(special[0], tokenizer)]
    )

    def without_some_merges(saved):
        saved["model"]["ignore_merges"] = True
        merges = saved["model"]["merges"]
        used = {part for merge in merges for part in merge}
        saved["model"]["merges"] = [merge for i, merge in enumerate(merges) if i % 3 or "".join(merge) in used]

    return changed(tokenizer, without_some_merges)


def smol():
    return byte_level_bpe(
        900,
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        ),
    )


def layouts():
    yield "bert", bert()
    yield "opt", opt()
    yield "llama_legacy", llama(True)
    yield "llama", llama(False)
    yield "t5", t5(True)
    yield "t5_strip", t5(False)
    yield "gemma", gemma()
    yield "qwen2", split_layout(QWEN2, normalizers.NFC(), False, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    yield "llama3", split_layout(LLAMA3, None, True, ["<|begin_of_text|>", "<|eot_id|>"])
    yield "smollm2", smol()


def with_added(saved):
    """The same with tokens of every kind added, in the form of the file where that is an older one."""
    saved = json.loads(saved.to_str()) if isinstance(saved, Tokenizer) else saved
    tokenizer = Tokenizer.from_str(json.dumps(saved))
    tokenizer.add_tokens(COMMON)
    saved["added_tokens"] = json.loads(tokenizer.to_str())["added_tokens"]
    return saved


def record(saved, texts):
    tokenizer = Tokenizer.from_str(json.dumps(saved))
    ids = [tokenizer.encode(text).ids for text in texts]
    recorded = {"ids": ids}
    for key, skip in (("decoded", False), ("without_special", True)):
        decoded = [tokenizer.decode(each, skip_special_tokens=skip) for each in ids]
        recorded[key] = {str(i): text for i, text in enumerate(decoded) if text != texts[i]}
    return recorded


def probe(**parts):
    """A tokenizer whose ids are the bytes of its words, 256 more where a byte continues a word."""
    alphabet = byte_characters()
    vocabulary = {character: byte for byte, character in enumerate(alphabet)}
    vocabulary.update({"##" + character: 256 + byte for byte, character in enumerate(alphabet)})
    vocabulary["[UNK]"] = 512
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=1 << 20))
    saved = json.loads(tokenizer.to_str())
    saved.update(parts)
    to_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    before = [parts["pre_tokenizer"]] if parts.get("pre_tokenizer") else []
    saved["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": before + [to_bytes]}
    return saved


def byte_characters():
    kept = [*range(33, 127), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    characters, spare = {}, 256
    for byte in range(256):
        characters[byte] = chr(byte) if byte in kept else chr(spare)
        spare += byte not in kept
    return [characters[byte] for byte in range(256)]


def part_cases():
    regex, string = {"Regex": r"\s+|\d"}, {"String": "ab"}
    for behavior in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        for invert in (False, True):
            yield {"pre_tokenizer": {"type": "Split", "pattern": regex, "behavior": behavior, "invert": invert}}
        yield {"pre_tokenizer": {"type": "Split", "pattern": string, "behavior": behavior, "invert": False}}
        yield {"pre_tokenizer": {"type": "Punctuation", "behavior": behavior}}
    yield {
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "^.|.$|x*"}, "behavior": "Isolated", "invert": False}
    }
    for name in ("BertPreTokenizer", "Whitespace", "WhitespaceSplit", "Punctuation"):
        yield {"pre_tokenizer": {"type": name}}
    for individual in (False, True):
        yield {"pre_tokenizer": {"type": "Digits", "individual_digits": individual}}
    for prefix in (False, True):
        for words in (False, True):
            yield {
                "pre_tokenizer": {
                    "type": "ByteLevel",
                    "add_prefix_space": prefix,
                    "trim_offsets": True,
                    "use_regex": words,
                }
            }
    for scheme in ("first", "never", "always"):
        for split in (False, True):
            metaspace = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": split}
            yield {"pre_tokenizer": metaspace}
            for before in ("BertPreTokenizer", "WhitespaceSplit", "Whitespace"):
                yield {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": before}, metaspace]}}
    first = {"type": "Metaspace", "replacement": "_", "prepend_scheme": "first", "split": True}
    yield {
        "pre_tokenizer": {
            "type": "Metaspace",
            "replacement": "\u2581",
            "str_rep": "\u2581",
            "add_prefix_space": False,
            "prepend_scheme": "never",
        }
    }
    everywhere = [
        {
            "type": "BertNormalizer",
            "clean_text": clean,
            "handle_chinese_chars": not clean,
            "strip_accents": accents,
            "lowercase": lower,
        }
        for clean, accents, lower in (
            (True, None, True),
            (False, True, False),
            (True, False, False),
            (False, None, False),
        )
    ]
    everywhere += [{"type": name} for name in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents")]
    everywhere += [
        {"type": "Strip", "strip_left": left, "strip_right": right}
        for left, right in ((True, False), (False, True), (True, True))
    ]
    everywhere += [
        {"type": "Prepend", "prepend": "\u2581x"},
        {"type": "Replace", "pattern": {"Regex": r"\s{2,}|^a"}, "content": "\u2581\u2581"},
    ]
    everywhere += [{"type": "Replace", "pattern": {"String": " "}, "content": ""}]
    for normalizer in everywhere:
        yield {"normalizer": normalizer}
        # Whether a word begins where the text does is asked of the original text.
        yield {
            "normalizer": normalizer,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, first]},
        }
    yield {
        "normalizer": {
            "type": "Sequence",
            "normalizers": [{"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}],
        }
    }
    bert = {"type": "BertProcessing", "sep": ["[UNK]", 512], "cls": ["!", 33]}
    yield {"post_processor": bert}
    yield {"post_processor": {**bert, "type": "RobertaProcessing", "trim_offsets": True, "add_prefix_space": True}}
    yield {
        "post_processor": {
            "type": "Sequence",
            "processors": [
                {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
                bert,
            ],
        }
    }
    replace = {"type": "Replace", "pattern": {"String": "a"}, "content": "\u2581 "}
    for decoder in (
        {"type": "WordPiece", "prefix": "##", "cleanup": True},
        {"type": "WordPiece", "prefix": "##", "cleanup": False},
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        {"type": "Fuse"},
        replace,
        {"type": "Metaspace", "replacement": "#", "prepend_scheme": "always", "split": True},
        {"type": "Metaspace", "replacement": "#", "prepend_scheme": "never", "split": True},
        {"type": "Strip", "content": "#", "start": 1, "stop": 0},
        {"type": "Strip", "content": "a", "start": 0, "stop": 1},
        {"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "Strip", "content": "#", "start": 2, "stop": 0}]},
        {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"Regex": "#+(.)"}, "content": "<0xC3>"},
                {"type": "ByteFallback"},
            ],
        },
        {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"Regex": ".*s"}, "content": "<0xa9>"},
                {"type": "Replace", "pattern": {"Regex": ".*i"}, "content": "<0xC3>"},
                {"type": "ByteFallback"},
            ],
        },
    ):
        yield {"decoder": decoder, "pre_tokenizer": {"type": "WhitespaceSplit"}}


def model_cases():
    """Models with what the layouts do not have; no probe."""
    pieces = [
        ["<unk>", 0.0],
        ["\u2581", -2.0],
        ["a", -3.0],
        ["ab", -3.5],
        ["b", -3.1],
        ["bc", -4.0],
        ["xy", -9.0],
        ["<0xC3>", -20.0],
        ["<0xA9>", -20.0],
        ["abc", -8.0],
        # Of "aZbc" this piece costs more than an unknown Z would at the lowest score, and less than at 10 below.
        ["aZb", -13.0],
        ["c", -15.0],
    ]
    base = json.loads(Tokenizer(models.Unigram([tuple(piece) for piece in pieces], unk_id=0)).to_str())
    base["pre_tokenizer"] = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
    for fallback in (False, True):
        yield {**base, "model": {"type": "Unigram", "vocab": pieces, "unk_id": 0, "byte_fallback": fallback}}
    vocabulary = {
        "<unk>": 0,
        "a": 1,
        "b": 2,
        "ab": 3,
        "abab": 4,
        "<0xC3>": 5,
        "<0xA9>": 6,
        "ba": 7,
        "bab": 8,
        " ": 9,
        "hole": 12,
    }
    merges = [["a", "b"], ["ab", "ab"], ["b", "a"], ["b", "ab"]]
    for unknown, fuse, fallback in (
        ("<unk>", False, False),
        ("<unk>", True, False),
        (None, False, False),
        ("<unk>", True, True),
        ("<unk>", False, True),
    ):
        yield {
            **base,
            "pre_tokenizer": None,
            "model": {
                "type": "BPE",
                "vocab": vocabulary,
                "merges": merges,
                "unk_token": unknown,
                "fuse_unk": fuse,
                "byte_fallback": fallback,
            },
        }


PART_TEXTS = [
    "",
    " ",
    "a",
    " a b ",
    "ab",
    "abab  ab",
    "a1 22b\t\n3c",
    "x.y, (z)!",
    "\u00a8 x",
    "\u0301a e\u0301",
    " \u00e9\u4e2d\u6587 ",
    "don't do not is n't . I 'm",
    "\n\na\n",
    "#a ##b #",
    "\u00c3\u00a9 <0xC3>",
    "\u0130I\u1e9e\u2163\u00bd",
    "a\u0000b\u200bc\u00adz",
    "\ufb01 x\ufb01",
    "\u1112\u1161\u11ab",
    "xyxyx",
    "abcabc\u00e9xyabc",
    "aabbab abba",
    "$5 ^ \u00a75",
    "\u0001 a",
    "\u2581a \u2581",
    "x  a  ",
    "Ax\u0323\u0301 ",
    "aZbc aZb",
]
UNICODE_CASES = [
    {
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
    },
    {"normalizer": {"type": "StripAccents"}, "pre_tokenizer": {"type": "Whitespace"}},
    {"normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "Punctuation"}},
    {"normalizer": {"type": "NFD"}, "pre_tokenizer": {"type": "Digits", "individual_digits": True}},
    {"normalizer": {"type": "NFKC"}, "pre_tokenizer": {"type": "WhitespaceSplit"}},
    {"normalizer": {"type": "NFKD"}},
    {"normalizer": {"type": "Lowercase"}},
    {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}},
    {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": QWEN2}, "behavior": "Isolated", "invert": False}},
]


def unicode_ranges():
    ranges = []
    for point in range(1, 0x110000):
        if unicodedata.category(chr(point)) in ("Cn", "Cs", "Co"):
            continue
        if ranges and ranges[-1][1] == point:
            ranges[-1][1] = point + 1
        else:
            ranges.append([point, point + 1])
    return ranges


def unicode_record():
    ranges = unicode_ranges()
    points = [point for begin, end in ranges for point in range(begin, end)]
    cases = []
    for parts in UNICODE_CASES:
        saved, digests = probe(**parts), []
        tokenizer = Tokenizer.from_str(json.dumps(saved))
        for chunk in range(0, len(points), 1000):
            ids = []
            for begin in range(chunk, min(chunk + 1000, len(points)), 10):
                ids += tokenizer.encode("".join("a" + chr(point) for point in points[begin : begin + 10])).ids
            digests.append(hashlib.sha256(" ".join(map(str, ids)).encode()).hexdigest()[:16])
        cases.append({"parts": parts, "tokenizer": saved, "digests": digests})
    return {"ranges": ranges, "cases": cases}


def write(name, value):
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    if name.endswith(".gz"):
        text = gzip.compress(text, 9, mtime=0)
    (FOLDER / name).write_bytes(text)
    print(name, len(text))


def main():
    FOLDER.mkdir(exist_ok=True)
    wanted = sys.argv[1:] or ["layouts", "parts", "unicode"]
    if "layouts" in wanted:
        texts = odd_texts()
        write("texts.json.gz", texts)
        for name, saved in layouts():
            saved = with_added(saved)
            write(name + ".json.gz", {"tokenizer": saved, **record(saved, texts)})
    if "parts" in wanted:
        cases = [probe(**parts) for parts in part_cases()] + list(model_cases())
        write(
            "parts.json.gz",
            {"texts": PART_TEXTS, "cases": [{"tokenizer": saved, **record(saved, PART_TEXTS)} for saved in cases]},
        )
    if "unicode" in wanted:
        write("unicode.json.gz", unicode_record())


if __name__ == "__main__":
    main()
