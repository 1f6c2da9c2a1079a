package sample

import (
	graphs "bittern/internal/sample"
	"bittern/plugins/network"
	"bittern/plugins/stepgraph"
)

// stream is the one of programs that have one.
const stream = "sequence"

func scanned(name string, c lstm, carried bool) Program {
	g, weights := c.build()
	return finish(name, network.Scanned(name, g), weights, map[string]int{stream: c.rows + 3}, carried)
}

func tokens(name string, vocabulary int) stepgraph.Graph {
	return stepgraph.Graph{Inputs: []stepgraph.Input{{Name: name, Token: true, Size: vocabulary}}}
}

func gruBinaryRows() Program {
	b, g := newBuilder(7), tokens("x", 6)
	b.gru(&g, "layer0", "x", 6, gru{units: 9, rows: 1, format: graphs.PerRow(graphs.Binary)})
	b.logits(&g, 9, 6)
	return finish("gru-binary-rows", network.Scanned("", g), b.weights, map[string]int{stream: 7}, false)
}

func gruTernaryCarried() Program {
	b, g := newBuilder(8), tokens("x", 9)
	b.gru(&g, "layer0", "x", 9, gru{units: 5, rows: 9, format: graphs.Ternary})
	b.logits(&g, 5, 9)
	return finish("gru-ternary-carried", network.Scanned("", g), b.weights, map[string]int{stream: 5}, true)
}

func gruLayerNorm() Program {
	b, g := newBuilder(9), tokens("x", 5)
	b.gru(&g, "layer0", "x", 5, gru{units: 7, rows: 1, layer: true, format: graphs.Ternary})
	b.logits(&g, 7, 5)
	return finish("gru-layer-norm", network.Scanned("", g), b.weights, map[string]int{stream: 6}, false)
}

func twoLayers() Program {
	b := newBuilder(10)
	g := stacked(
		b.lstm("lower", lstm{units: 7, inputs: 9, rows: 4, format: graphs.Ternary, seed: 10}),
		b.lstm("upper", lstm{units: 5, inputs: 7, dense: true, outputs: 9, rows: 3, format: graphs.Ternary, seed: 11}))
	return finish("two-layers", network.Scanned("", g), b.weights, map[string]int{stream: 6}, true)
}

func denseLast() Program {
	b := newBuilder(12)
	return finish("dense-last", network.Network{
		Inputs: []network.Input{{Name: "pixels", Role: network.Features, Stream: stream, Size: 3}},
		Stages: []network.Stage{
			{Name: "state", Op: network.Scan, Inputs: []string{"pixels"}, Last: true,
				Graph: b.lstm("layer0", lstm{units: 11, inputs: 3, dense: true, rows: 4, format: graphs.Binary, seed: 12})},
			{Name: "logits", Op: network.Scan, Inputs: []string{"state"}, Graph: b.classifier(5, 11)},
		},
		Output: "logits",
	}, b.weights, map[string]int{stream: 7}, false)
}

// classifier gives out logits of the vectors that it reads, one after another.
func (b *builder) classifier(classes int, sizes ...int) stepgraph.Graph {
	g, size := joined(sizes...)
	b.logits(&g, size, classes)
	return g
}

// joined puts vectors one after another.
func joined(sizes ...int) (g stepgraph.Graph, size int) {
	names := []string{"x", "y"}
	for i, n := range sizes {
		g.Inputs = append(g.Inputs, stepgraph.Input{Name: names[i], Size: n})
		size += n
	}
	g.Output = "x"
	if len(sizes) == 2 {
		g.Nodes = []stepgraph.Node{{Name: "both", Op: stepgraph.Concat, Inputs: names, Size: size}}
		g.Output = "both"
	}
	return g, size
}

func tagger() Program {
	b := newBuilder(13)
	reader := func(name string, seed uint64) stepgraph.Graph {
		return b.lstm(name, lstm{units: 5, inputs: 6, rows: 3, format: graphs.Binary, seed: seed})
	}
	return finish("tagger", network.Network{
		Inputs: []network.Input{
			{Name: "words", Role: network.Tokens, Stream: stream, Size: 6},
			{Name: "lengths", Role: network.Lengths, Stream: stream, Size: 1},
		},
		Stages: []network.Stage{
			{Name: "forward", Op: network.Scan, Inputs: []string{"words"}, Graph: reader("forward", 13)},
			{Name: "backward", Op: network.Scan, Inputs: []string{"words"}, Reverse: true, Graph: reader("backward", 14)},
			{Name: "logits", Op: network.Scan, Inputs: []string{"forward", "backward"}, Graph: b.classifier(4, 5, 5)},
		},
		Output: "logits",
	}, b.weights, map[string]int{stream: 7}, false)
}

// reader scans embedded tokens.
func (b *builder) reader(name string, vocabulary, embedding int, c gru) stepgraph.Graph {
	g := tokens("x", vocabulary)
	b.gru(&g, name, b.embedding(&g, "x", embedding), embedding, c)
	return g
}

func bidirectional() Program {
	b := newBuilder(15)
	c := gru{units: 5, rows: 3, format: graphs.Ternary}
	return finish("bidirectional", network.Network{
		Inputs: []network.Input{
			{Name: "words", Role: network.Tokens, Stream: stream, Size: 11},
			{Name: "lengths", Role: network.Lengths, Stream: stream, Size: 1},
		},
		Stages: []network.Stage{
			{Name: "forward", Op: network.Scan, Inputs: []string{"words"}, Last: true, Graph: b.reader("forward", 11, 3, c)},
			{Name: "backward", Op: network.Scan, Inputs: []string{"words"}, Last: true, Reverse: true, Graph: b.reader("backward", 11, 3, c)},
			{Name: "logits", Op: network.Scan, Inputs: []string{"forward", "backward"}, Graph: b.classifier(4, 5, 5)},
		},
		Output: "logits",
	}, b.weights, map[string]int{stream: 7}, false)
}

// attention is a reader as in Hermann et al., arXiv 1506.03340, section 2.3: of a
// text's steps y_t and a question u,
//
//	m_t = tanh(Wy·y_t + Wu·u);  s = softmax(w·m);  r = Σ s_t·y_t;  logits from r and u
func attention() Program {
	const vocabulary, embedding, units, both, classes = 13, 4, 3, 6, 5
	b := newBuilder(16)
	c := gru{units: units, rows: 2, format: graphs.Binary}
	join, _ := joined(units, units)
	b.full("Wy", units, both, 1)
	b.full("Wu", units, both, 1)
	b.full("w", 1, units, 2)
	score := stepgraph.Graph{
		Inputs: []stepgraph.Input{{Name: "y", Size: both}, {Name: "u", Size: both}},
		Nodes: []stepgraph.Node{
			{Name: "Wy·y", Op: stepgraph.MatVec, Inputs: []string{"y"}, Size: units, Weight: "Wy"},
			{Name: "Wu·u", Op: stepgraph.MatVec, Inputs: []string{"u"}, Size: units, Weight: "Wu"},
			{Name: "sum", Op: stepgraph.Add, Inputs: []string{"Wy·y", "Wu·u"}, Size: units},
			{Name: "m", Op: stepgraph.Tanh, Inputs: []string{"sum"}, Size: units},
			{Name: "w·m", Op: stepgraph.MatVec, Inputs: []string{"m"}, Size: 1, Weight: "w"},
		},
		Output: "w·m",
	}
	scan := func(name string, g stepgraph.Graph, inputs ...string) network.Stage {
		return network.Stage{Name: name, Op: network.Scan, Inputs: inputs, Graph: g}
	}
	read := func(name, words string, reverse, last bool) network.Stage {
		s := scan(name, b.reader(name, vocabulary, embedding, c), words)
		s.Reverse, s.Last = reverse, last
		return s
	}
	return finish("attention", network.Network{
		Inputs: []network.Input{
			{Name: "text", Role: network.Tokens, Stream: "text", Size: vocabulary},
			{Name: "text lengths", Role: network.Lengths, Stream: "text", Size: 1},
			{Name: "question", Role: network.Tokens, Stream: "question", Size: vocabulary},
			{Name: "question lengths", Role: network.Lengths, Stream: "question", Size: 1},
			{Name: "candidates", Role: network.Candidates, Size: classes},
		},
		Stages: []network.Stage{
			read("text forward", "text", false, false),
			read("text backward", "text", true, false),
			scan("y", join, "text forward", "text backward"),
			read("question forward", "question", false, true),
			read("question backward", "question", true, true),
			scan("u", join, "question forward", "question backward"),
			scan("scores", score, "y", "u"),
			{Name: "weights", Op: network.Softmax, Inputs: []string{"scores"}},
			{Name: "r", Op: network.WeightedSum, Inputs: []string{"weights", "y"}},
			scan("logits", b.classifier(classes, both, both), "r", "u"),
		},
		Output: "logits",
	}, b.weights, map[string]int{"text": 7, "question": 3}, false)
}
