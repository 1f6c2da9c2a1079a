"""Writes what PyTorch says of the Attentive Reader: reader.json.

usage: python3 reader.py > ../../models/attentivereader/testdata/torch.json

models/attentivereader's tests hold the model against that file; they do not need
PyTorch. Values are drawn in float32 and computed in float64. The layers are nn.LSTM
and nn.GRU, bidirectional, over packed sequences; the attention follows Hermann et
al. (NIPS 2015), section 3.3; gradients are autograd's, of the mean loss over the
sequences that have a target.
"""

import json
import sys

import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

DOCUMENT, QUESTION, BATCH, VOCABULARY, CLASSES, UNITS, EMBEDDING = 7, 5, 5, 11, 6, 5, 3
LENGTHS = {"document": [7, 2, 4, 1, 5], "question": [3, 5, 1, 4, 2]}
TARGETS = [2, -1, 5, 0, 3]
GATES = {"LSTM": [2, 1, 0, 3], "GRU": [0, 1, 2]}  # PyTorch's i, f, g, o from g, f, i, o, and back


def draw(shape, generator):
    return (0.7 * torch.randn(shape, generator=generator)).to(torch.float32).to(torch.float64)


def parameters(kind, generator):
    """The parameters by the names of the model's plan."""
    wide = len(GATES[kind]) * UNITS
    p = {"embedding.W": draw((EMBEDDING, VOCABULARY), generator)}
    for stream in ("document", "question"):
        for direction in ("forward", "backward"):
            layer = {"Wx": (wide, EMBEDDING), "Wh": (wide, UNITS), "beta": wide, "h0": UNITS}
            layer["c0" if kind == "LSTM" else "beta_h"] = UNITS if kind == "LSTM" else wide
            for name, shape in layer.items():
                p[f"{stream}.{direction}.{name}"] = draw(shape, generator)
    for name in ("Wym", "Wum", "Wrg", "Wug"):
        p["attention." + name] = draw((UNITS, 2 * UNITS), generator)
    p["attention.wms"] = draw((1, UNITS), generator)
    p["softmax.W"], p["softmax.b"] = draw((CLASSES, UNITS), generator), draw(CLASSES, generator)
    return {name: value.requires_grad_() for name, value in p.items()}


def read(kind, p, stream, tokens):
    """The hidden states of both directions, [steps × batch × 2·units], 0 beyond the lengths; and the last ones."""
    rows = lambda v: torch.cat([v.split(UNITS)[k] for k in GATES[kind]])
    layer = getattr(torch.nn, kind)(EMBEDDING, UNITS, bidirectional=True).double()
    weights = {}
    for direction, suffix in (("forward", ""), ("backward", "_reverse")):
        of = lambda name: p[f"{stream}.{direction}.{name}"]
        weights["weight_ih_l0" + suffix], weights["weight_hh_l0" + suffix] = rows(of("Wx")), rows(of("Wh"))
        weights["bias_ih_l0" + suffix] = rows(of("beta"))
        weights["bias_hh_l0" + suffix] = rows(of("beta_h")) if kind == "GRU" else torch.zeros(4 * UNITS, dtype=torch.float64)
    for name, value in weights.items():  # the layer's own parameters would cut the way of the gradients
        delattr(layer, name)
        setattr(layer, name, value)
    layer._flat_weights = [weights[name] for name in layer._flat_weights_names]
    start = [torch.stack([p[f"{stream}.{d}.{s}"].expand(BATCH, -1) for d in ("forward", "backward")])
             for s in (("h0", "c0") if kind == "LSTM" else ("h0",))]
    packed = pack_padded_sequence(F.embedding(tokens, p["embedding.W"].t()), LENGTHS[stream], enforce_sorted=False)
    y, last = layer(packed, tuple(start) if kind == "LSTM" else start[0])
    last = last[0] if kind == "LSTM" else last
    return pad_packed_sequence(y, total_length=len(tokens))[0], torch.cat([last[0], last[1]], 1)


def case(seed, kind, candidates):
    generator = torch.Generator().manual_seed(seed)
    p = parameters(kind, generator)
    document = torch.randint(VOCABULARY, (DOCUMENT, BATCH), generator=generator)
    question = torch.randint(VOCABULARY, (QUESTION, BATCH), generator=generator)
    marks = torch.ones((BATCH, CLASSES), dtype=torch.int64)
    if candidates:
        marks = torch.randint(2, (BATCH, CLASSES), generator=generator)
        for row, target in enumerate(TARGETS):
            marks[row, target] = 1
    y, _ = read(kind, p, "document", document)
    _, u = read(kind, p, "question", question)
    m = (y @ p["attention.Wym"].t() + u @ p["attention.Wum"].t()).tanh()
    score = (m @ p["attention.wms"].t()).squeeze(2)  # [steps × batch]
    valid = torch.arange(DOCUMENT).unsqueeze(1) < torch.tensor(LENGTHS["document"])
    s = score.masked_fill(~valid, float("-inf")).softmax(0)
    r = (s.unsqueeze(2) * y).sum(0)
    g = (r @ p["attention.Wrg"].t() + u @ p["attention.Wug"].t()).tanh()
    logits = (g @ p["softmax.W"].t() + p["softmax.b"]).masked_fill(marks == 0, float("-inf"))
    losses = F.cross_entropy(logits, torch.tensor(TARGETS), ignore_index=-1, reduction="none")
    loss = losses.sum() / sum(t >= 0 for t in TARGETS)
    loss.backward()
    flat = lambda v, digits=9: [float(f"{f:.{digits}g}") for f in v.detach().flatten().tolist()]
    return {"kind": kind, "candidates": marks.flatten().tolist() if candidates else None,
            "document": document.flatten().tolist(), "question": question.flatten().tolist(),
            "loss": loss.item(), "losses": flat(losses),
            "parameters": {name: flat(v) for name, v in p.items()},
            "gradients": {name: flat(v.grad, 7) for name, v in p.items()}}


def main():
    cases = [case(1, "LSTM", True), case(2, "LSTM", False), case(3, "GRU", True)]
    head = {"pytorch": torch.__version__, "document": DOCUMENT, "question": QUESTION, "batch": BATCH, "vocabulary": VOCABULARY,
            "classes": CLASSES, "units": UNITS, "embedding": EMBEDDING,
            "document lengths": LENGTHS["document"], "question lengths": LENGTHS["question"], "targets": TARGETS}
    lines = ",\n".join(json.dumps(c) for c in cases)
    sys.stdout.write(json.dumps(head)[:-1] + ', "cases": [\n' + lines + "\n]}\n")


if __name__ == "__main__":
    main()
