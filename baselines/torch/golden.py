"""Writes what PyTorch says of every layer and normalization: golden.json.

usage: python3 golden.py > ../../models/recurrent/testdata/torch.json

models/recurrent's tests hold the layers against that file; they do not need
PyTorch. Values are drawn in float32 and computed in float64. Plain layers are
nn.LSTM and nn.GRU themselves, and normalizations those of torch.nn
(functional.layer_norm, functional.batch_norm, weight_norm), put together in the
loops of Hou et al.'s model_lm.py; gradients are autograd's, of the sum of the
hidden states times fixed random numbers.
"""

import json
import sys

import torch
import torch.nn.functional as F

STEPS, BATCH, INPUTS, UNITS = 4, 5, 3, 5
LENGTHS = [4, 2, 3, 1, 4]


def draw(shape, generator, offset=0.0):
    return (offset + 0.5 * torch.randn(shape, generator=generator)).to(torch.float32).to(torch.float64)


def parameters(kind, normalization, cell, before, generator):
    """The layer's parameters by the names of models/recurrent."""
    wide = (4 if kind == "LSTM" else 3) * UNITS
    own = normalization in ("batch", "batch-shared", "layer") and not cell
    p = {"Wx": draw((wide, INPUTS), generator), "Wh": draw((wide, UNITS), generator),
         "beta": draw(wide, generator), "h0": draw(UNITS, generator)}
    if kind == "LSTM":
        p["c0"] = draw(UNITS, generator)
    if normalization != "none":
        p["gamma_h"], p["gamma_x"] = draw(wide, generator, 0.5), draw(wide, generator, 0.5)
    if cell:
        p["gamma_c"], p["beta_c"] = draw(UNITS, generator, 0.5), draw(UNITS, generator)
    if own or kind == "GRU" and not before:
        p["beta_h"] = draw(wide, generator)
    if own:
        p["beta_x"] = draw(wide, generator)
    for value in p.values():
        value.requires_grad_()
    return p


def normalized(x, normalization, gamma, bias):
    """One gate's product, [batch × units]."""
    if normalization in ("batch", "batch-shared"):
        return F.batch_norm(x, None, None, gamma, bias, training=True, eps=1e-5)
    if normalization == "layer":
        # Every feature of a gate has a gain of its own, as nn.LayerNorm's.
        return F.layer_norm(x, (x.shape[1],), gamma, bias, eps=1e-5)
    return x if bias is None else x + bias


def gates(x, normalization, gamma, bias):
    part = lambda v: [None] * (x.shape[1] // UNITS) if v is None else v.split(UNITS)
    return [normalized(*g) for g in zip(x.split(UNITS, 1), [normalization] * 4, part(gamma), part(bias))]


def loop(kind, normalization, cell, before, p, x, h, c):
    """The layer as a loop over time steps; returns all hidden states."""
    wx, wh = p["Wx"], p["Wh"]
    if normalization == "weight":
        wx, wh = torch._weight_norm(wx, p["gamma_x"].unsqueeze(1), 0), torch._weight_norm(wh, p["gamma_h"].unsqueeze(1), 0)
    gain = (lambda name: None) if normalization == "weight" else p.get
    beta = p["beta"].split(UNITS)
    out = []
    for t in range(STEPS):
        ax = gates(x[t] @ wx.t(), normalization, gain("gamma_x"), p.get("beta_x"))
        ah = gates(h @ wh.t(), normalization, gain("gamma_h"), p.get("beta_h"))
        if kind == "LSTM":
            g, f, i, o = (a + b + d for a, b, d in zip(ax, ah, beta))
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * (F.batch_norm(c, None, None, p["gamma_c"], p["beta_c"], training=True, eps=1e-5) if cell else c).tanh()
        else:
            r, z = ((ax[k] + ah[k] + beta[k]).sigmoid() for k in range(2))
            if before:
                product = (r * h) @ wh[2 * UNITS:].t()
                last = lambda v: None if v is None else v[2 * UNITS:]
                product, = gates(product, normalization, last(gain("gamma_h")), last(p.get("beta_h")))
                n = (ax[2] + beta[2] + product).tanh()
            else:
                n = (ax[2] + beta[2] + r * ah[2]).tanh()
            h = (1 - z) * n + z * h
        out.append(h)
    return torch.stack(out)


def stock(kind, p, x, reverse, lengths):
    """torch.nn's own layer, over sequences of some lengths, from the last step in reverse.

    Returns the hidden states, and a function that takes the layer's gradients to p."""
    layer = getattr(torch.nn, kind)(INPUTS, UNITS, bidirectional=reverse).double()
    order = [0, 1, 2] if kind == "GRU" else [2, 1, 0, 3]  # PyTorch's i, f, g, o from g, f, i, o, and back
    rows = lambda v: torch.cat([v.split(UNITS)[k] for k in order])
    names = {"Wx": "weight_ih_l0", "Wh": "weight_hh_l0", "beta": "bias_ih_l0", "beta_h": "bias_hh_l0"}
    suffix = "_reverse" if reverse else ""
    with torch.no_grad():
        getattr(layer, "bias_hh_l0" + suffix).zero_()
        for ours in names.keys() & p.keys():
            getattr(layer, names[ours] + suffix).copy_(rows(p[ours]))

    def gradients():
        for ours in names.keys() & p.keys():
            p[ours].grad = rows(getattr(layer, names[ours] + suffix).grad)

    start = [p[s].expand(BATCH, -1).unsqueeze(0) for s in (("h0", "c0") if kind == "LSTM" else ("h0",))]
    if reverse:
        start = [s.repeat(2, 1, 1) for s in start]
    start = tuple(start) if kind == "LSTM" else start[0]
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    h, _ = torch.nn.utils.rnn.pad_packed_sequence(layer(packed, start)[0], total_length=STEPS)
    return h[:, :, UNITS:] if reverse else h, gradients


def case(seed, kind, normalization="none", cell=False, before=False, reverse=False, lengths=None):
    generator = torch.Generator().manual_seed(seed)
    p = parameters(kind, normalization, cell, before, generator)
    x = draw((STEPS, BATCH, INPUTS), generator).requires_grad_()
    above = draw((STEPS, BATCH, UNITS), generator)
    if normalization == "none" and not before:
        h, finish = stock(kind, p, x, reverse, lengths or [STEPS] * BATCH)
    else:
        finish = lambda: None
        h = loop(kind, normalization, cell, before, p, x, p["h0"].expand(BATCH, -1), p["c0"].expand(BATCH, -1) if kind == "LSTM" else None)
    for row, length in enumerate(lengths or []):
        above[length:, row] = 0  # PyTorch has zeros there, and no gradient
    (h * above).sum().backward()
    finish()
    flat = lambda v, digits=9: [float(f"{f:.{digits}g}") for f in v.detach().flatten().tolist()]
    return {"kind": kind, "normalization": normalization, "cell": cell, "before": before, "reverse": reverse, "lengths": lengths,
            "parameters": {name: flat(v) for name, v in p.items()}, "x": flat(x), "above": flat(above), "hidden": flat(h, 7),
            "gradients": {**{name: flat(v.grad, 7) for name, v in p.items()}, "x": flat(x.grad, 7)}}


def main():
    cases = []
    for normalization in ("none", "batch", "batch-shared", "layer", "weight"):
        for kind, before in (("LSTM", False), ("GRU", False), ("GRU", True)):
            cases.append(case(len(cases), kind, normalization, before=before))
    cases.append(case(len(cases), "LSTM", "batch", cell=True))
    for kind in ("LSTM", "GRU"):
        cases.append(case(len(cases), kind, lengths=LENGTHS))
        cases.append(case(len(cases), kind, reverse=True, lengths=LENGTHS))
    head = {"pytorch": torch.__version__, "steps": STEPS, "batch": BATCH, "inputs": INPUTS, "units": UNITS}
    lines = ",\n".join(json.dumps(c) for c in cases)
    sys.stdout.write(json.dumps(head)[:-1] + ', "cases": [\n' + lines + "\n]}\n")


if __name__ == "__main__":
    main()
