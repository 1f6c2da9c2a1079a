"""Times PyTorch on one shape, one turn for each line of standard input.

usage: python3 pytorch.py products M,N,K,TT,COUNT ...
       python3 pytorch.py train  --units U --batch B --length L --symbols V [--cell | --gru] [--autocast]
       python3 pytorch.py word   --units U --layers N --batch B --length L --symbols V --dropout P
       python3 pytorch.py mnist  --units U --batch B --length L
       python3 pytorch.py reader --units U --embedding E --batch B --length L --question Q --symbols V --classes C
common: --threads T

Once it is ready it prints a JSON object that names PyTorch, its BLAS and the kernels of that. Then it takes a turn for
each line that it reads, and prints the seconds that the turn took, until its input ends.

`products` runs torch.mm, which is whatever BLAS this PyTorch links, COUNT times
for each [M,K]·[K,N]; TT says for each side whether it is stored transposed (n
or t). `train` is one optimiser step of a one-layer character LSTM: one-hot
input, nn.LSTM, softmax over the symbols, Adam; --gru takes nn.GRU; with --cell it is the
batch-normalised LSTM with stochastic ternary weights of Ardakani et al. (ICLR
2019), written as a loop over time steps with autograd; with --autocast the forward pass runs
under torch.autocast of bfloat16, which in PyTorch 1.13 covers the cell's products but not nn.LSTM. `word` adds embedding
and dropout and uses SGD with the gradient norm clipped; `mnist` classifies
after the last of L scalar inputs. `reader` is the Attentive Reader of Hermann et al.
(NIPS 2015) over documents of L and questions of Q tokens, all of full length.
"""

import argparse
import ctypes
import json
import math
import os
import sys
import time

# OpenBLAS reads its thread count once, when torch loads it, and does not hear
# torch.set_num_threads.
if "--threads" in sys.argv[:-1]:
    os.environ["OPENBLAS_NUM_THREADS"] = sys.argv[sys.argv.index("--threads") + 1]

import torch
import torch.nn as nn
import torch.nn.functional as F


def normalize(x, gamma):
    """Batch normalisation over the minibatch with the batch's own statistics."""
    mean = x.mean(0)
    var = x.var(0, unbiased=False)
    return gamma * (x - mean) / torch.sqrt(var + 1e-5)


class TernaryBNLSTM(nn.Module):
    def __init__(self, symbols, units):
        super().__init__()
        self.units = units
        self.alpha_x = 0.5 * math.sqrt(6 / (symbols + 4 * units))
        self.alpha_h = 0.5 * math.sqrt(6 / (units + 4 * units))
        self.wx = nn.Parameter(torch.empty(symbols, 4 * units).uniform_(-self.alpha_x, self.alpha_x))
        self.wh = nn.Parameter(torch.empty(units, 4 * units).uniform_(-self.alpha_h, self.alpha_h))
        self.gamma_x = nn.Parameter(torch.full((4 * units,), 0.1))
        self.gamma_h = nn.Parameter(torch.full((4 * units,), 0.1))
        self.gamma_c = nn.Parameter(torch.full((units,), 0.1))
        self.beta = nn.Parameter(torch.zeros(4 * units))
        self.beta_c = nn.Parameter(torch.zeros(units))
        self.h0 = nn.Parameter(torch.zeros(units))
        self.c0 = nn.Parameter(torch.zeros(units))

    @staticmethod
    def ternary(w, alpha):
        with torch.no_grad():
            probability = (w.abs() / alpha).clamp(0, 1)
            sampled = torch.bernoulli(probability) * w.sign() * alpha
        return w + (sampled - w).detach()

    def forward(self, tokens):
        wx, wh = self.ternary(self.wx, self.alpha_x), self.ternary(self.wh, self.alpha_h)
        length, batch = tokens.shape
        h = self.h0.expand(batch, -1)
        c = self.c0.expand(batch, -1)
        outputs = []
        for t in range(length):
            a = normalize(h @ wh, self.gamma_h) + self.beta + normalize(wx[tokens[t]], self.gamma_x)
            g, f, i, o = a.chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(normalize(c, self.gamma_c) + self.beta_c)
            outputs.append(h)
        return torch.stack(outputs)


def blas():
    """Names the BLAS in this process; the reference one is no peer of anybody's."""
    for name in ("openblas", "mkl_core", "libblis"):
        if libraries(name):
            return name
    return "reference BLAS"


def libraries(name):
    """Returns the paths of the libraries in this process that have a name in theirs."""
    with open("/proc/self/maps") as maps:
        return sorted({line.split()[-1] for line in maps if name in line})


def kernels():
    """Names the processor for which OpenBLAS has chosen its kernels, if it says so."""
    for path in libraries("openblas"):
        corename = getattr(ctypes.CDLL(path), "openblas_get_corename", None)
        if corename:
            corename.restype = ctypes.c_char_p
            return corename().decode()
    return ""


def start_with_new_kernels():
    """Starts this program again if OpenBLAS does not know the processor, for which it then takes
    kernels of 2004, with the newest kernels that it has for the processor's instructions."""
    if kernels() != "Prescott" or "OPENBLAS_CORETYPE" in os.environ:
        return
    with open("/proc/cpuinfo") as processors:
        flags = next((line.split() for line in processors if line.startswith("flags")), [])
    for flag, core in (("avx512vl", "SkylakeX"), ("avx2", "Haswell")):
        if flag in flags:
            os.environ["OPENBLAS_CORETYPE"] = core
            os.execv(sys.executable, [sys.executable] + sys.argv)


def timed(step, warm):
    """Returns the seconds of a step. With warm, steps of 20 ms together, or a longer one, come first
    and are not timed, because another program has left caches and cores cold. bench times its own
    products in the same way."""
    begun = time.perf_counter()
    while warm:
        step()
        warm = time.perf_counter() - begun < 0.02
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def products(args):
    work = []
    for product in args.product:
        m, n, k, transposed, count = product.split(",")
        m, n, k = int(m), int(n), int(k)
        a = torch.randn(k, m).t() if transposed[0] == "t" else torch.randn(m, k)
        b = torch.randn(n, k).t() if transposed[1] == "t" else torch.randn(k, n)
        work.append((a, b, torch.empty(m, n), int(count)))

    def step():
        for a, b, out, count in work:
            for _ in range(count):
                torch.mm(a, b, out=out)

    return step


def train(args):
    tokens = torch.randint(args.symbols, (args.length, args.batch))
    targets = torch.randint(args.symbols, (args.length * args.batch,))
    softmax = nn.Linear(args.units, args.symbols)
    if args.cell:
        recurrent = TernaryBNLSTM(args.symbols, args.units)
        inputs = tokens
    else:
        recurrent = (nn.GRU if args.gru else nn.LSTM)(args.symbols, args.units)
        inputs = F.one_hot(tokens, args.symbols).float()
    optimiser = torch.optim.Adam([*recurrent.parameters(), *softmax.parameters()], lr=0.002)

    def step():
        optimiser.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.autocast):
            h = recurrent(inputs)
            if not args.cell:
                h = h[0]
            logits = softmax(h).view(-1, args.symbols)
        F.cross_entropy(logits.float(), targets).backward()
        optimiser.step()

    return step


def word(args):
    tokens = torch.randint(args.symbols, (args.length, args.batch))
    targets = torch.randint(args.symbols, (args.length * args.batch,))
    embedding = nn.Embedding(args.symbols, args.units)
    drop = nn.Dropout(args.dropout)
    recurrent = nn.LSTM(args.units, args.units, args.layers, dropout=args.dropout if args.layers > 1 else 0)
    softmax = nn.Linear(args.units, args.symbols)
    parameters = [*embedding.parameters(), *recurrent.parameters(), *softmax.parameters()]
    optimiser = torch.optim.SGD(parameters, lr=20)
    state = [torch.zeros(args.layers, args.batch, args.units) for _ in range(2)]

    def step():
        optimiser.zero_grad()
        h, carried = recurrent(drop(embedding(tokens)), tuple(state))
        state[:] = [s.detach() for s in carried]
        loss = F.cross_entropy(softmax(drop(h)).view(-1, args.symbols), targets)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 0.25)
        optimiser.step()

    return step


def mnist(args):
    pixels = torch.rand(args.length, args.batch, 1)
    targets = torch.randint(10, (args.batch,))
    recurrent = nn.LSTM(1, args.units)
    softmax = nn.Linear(args.units, 10)
    optimiser = torch.optim.Adam([*recurrent.parameters(), *softmax.parameters()], lr=0.001)

    def step():
        optimiser.zero_grad()
        h, _ = recurrent(pixels)
        F.cross_entropy(softmax(h[-1]), targets).backward()
        optimiser.step()

    return step


class Reader(nn.Module):
    def __init__(self, symbols, embedding, units, classes):
        super().__init__()
        self.embedding = nn.Embedding(symbols, embedding)
        self.document = nn.LSTM(embedding, units, bidirectional=True)
        self.question = nn.LSTM(embedding, units, bidirectional=True)
        self.ym, self.um, self.rg, self.ug = (nn.Linear(2 * units, units, bias=False) for _ in range(4))
        self.ms = nn.Linear(units, 1, bias=False)
        self.answer = nn.Linear(units, classes)

    def forward(self, document, question, valid, candidates):
        y, _ = self.document(self.embedding(document))
        _, (last, _) = self.question(self.embedding(question))
        u = torch.cat([last[0], last[1]], 1)
        m = torch.tanh(self.ym(y) + self.um(u))
        s = self.ms(m).squeeze(2).masked_fill(~valid, float("-inf")).softmax(0)
        r = (s.unsqueeze(2) * y).sum(0)
        g = torch.tanh(self.rg(r) + self.ug(u))
        return self.answer(g).masked_fill(~candidates, float("-inf"))


def reader(args):
    document = torch.randint(args.symbols, (args.length, args.batch))
    question = torch.randint(args.symbols, (args.question, args.batch))
    valid = torch.ones((args.length, args.batch), dtype=torch.bool)
    candidates = torch.ones((args.batch, args.classes), dtype=torch.bool)
    targets = torch.randint(args.classes, (args.batch,))
    network = Reader(args.symbols, args.embedding, args.units, args.classes)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.003)

    def step():
        optimiser.zero_grad()
        F.cross_entropy(network(document, question, valid, candidates), targets).backward()
        optimiser.step()

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--threads", type=int, default=2)
    kinds = parser.add_subparsers(dest="kind", required=True)
    p = kinds.add_parser("products", parents=[common])
    p.add_argument("product", nargs="+")
    shape = argparse.ArgumentParser(add_help=False, parents=[common])
    for name in ("units", "batch", "length"):
        shape.add_argument("--" + name, type=int, required=True)
    p = kinds.add_parser("train", parents=[shape])
    p.add_argument("--symbols", type=int, required=True)
    variant = p.add_mutually_exclusive_group()
    variant.add_argument("--cell", action="store_true")
    variant.add_argument("--gru", action="store_true")
    p.add_argument("--autocast", action="store_true")
    p = kinds.add_parser("word", parents=[shape])
    p.add_argument("--symbols", type=int, required=True)
    p.add_argument("--layers", type=int, default=1)
    p.add_argument("--dropout", type=float, default=0.5)
    kinds.add_parser("mnist", parents=[shape])
    p = kinds.add_parser("reader", parents=[shape])
    for name in ("embedding", "question", "symbols", "classes"):
        p.add_argument("--" + name, type=int, required=True)
    args = parser.parse_args()

    start_with_new_kernels()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    step = {"products": products, "train": train, "word": word, "mnist": mnist, "reader": reader}[args.kind](args)
    print(json.dumps({"peer": f"PyTorch {torch.__version__}", "blas": blas(), "kernels": kernels()}), flush=True)
    while sys.stdin.readline():
        # A training step takes seconds: what is cold at its start does not show.
        print(timed(step, args.kind == "products"), flush=True)


if __name__ == "__main__":
    main()
