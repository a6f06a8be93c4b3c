"""Greedy and beam search as transformers has them, without a cache: what vlms.py checks transformers' own with, and
what albef.py, whose model transformers does not have, records.

`scores(tokens)` gives the log probabilities, (vocabulary,), of what follows these new tokens; nothing comes behind `eos`,
and there are at most `most` tokens, `eos` counted.
"""


def greedy(scores, eos, most):
    """The likeliest token each time."""
    tokens = []
    while len(tokens) < most and eos not in tokens:
        tokens.append(scores(tokens).argmax().item())
    return tokens


def beams(scores, eos, most, num_beams, penalty):
    """What beam search is in transformers (early_stopping false): tokens and score.

    Of all continuations of the running beams the 2 num_beams likeliest are looked at. Those that end (with eos, or
    because no more tokens are allowed) are finished, but only if they are among the first num_beams of these; the first
    num_beams that do not end run on. The score of a finished one is its log likelihood / length ** penalty, eos
    counted; the best num_beams are kept. It is over when num_beams have finished and the best running beam, at its
    present length, is not better than the worst of them.
    """
    running, finished = [(0.0, [])], []
    for length in range(1, most + 1):
        found = []
        for score, tokens in running:
            following = scores(tokens)
            found += [(score + following[token].item(), [*tokens, token]) for token in range(len(following))]
        found = sorted(found, reverse=True)[: 2 * num_beams]
        over = [tokens[-1] == eos or length == most for _, tokens in found]
        finished += [(score / length**penalty, tokens) for (score, tokens), end in zip(found[:num_beams], over) if end]
        finished = sorted(finished, reverse=True)[:num_beams]
        running = [beam for beam, end in zip(found, over) if not end][:num_beams]
        if len(finished) == num_beams and (not running or running[0][0] / length**penalty <= finished[-1][0]):
            break
    return finished[0][1], finished[0][0]
