package bench

import (
	"strconv"

	"bittern/harness/suite"
	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/network"
)

// reader is the training step of question answering: the attentive reader with the paper's
// sizes. As those of the peer, its documents and questions have all their steps.
func reader() timedStep {
	const sequences, document, question, units, embedding, vocabulary, classes = 32, 400, 20, 256, 200, 10000, 550
	text := func(name string) []network.Input {
		return []network.Input{
			{Name: name, Role: network.Tokens, Stream: name, Size: vocabulary},
			{Name: name + "-lengths", Role: network.Lengths, Stream: name, Size: 1},
		}
	}
	e := timedStep{
		name:  "TrainingStep/attentive-reader-256",
		model: "attentive-reader",
		shape: network.Shape{
			Inputs:    append(append(text("document"), text("question")...), network.Input{Name: "candidates", Role: network.Candidates, Size: classes}),
			Steps:     map[string]int{"document": document, "question": question},
			Sequences: sequences, Classes: classes,
		},
		options:  plugins.Values{"units": strconv.Itoa(units), "embedding": strconv.Itoa(embedding)},
		training: suite.Training{Optimiser: model.Adam, LearningRate: 0.003},
		peers:    []peerStep{{torchLSTM, []string{"reader"}}},
	}
	for _, size := range []struct {
		name  string
		value int
	}{
		{"units", units}, {"embedding", embedding}, {"batch", sequences}, {"length", document},
		{"question", question}, {"symbols", vocabulary}, {"classes", classes},
	} {
		e.peers[0].arguments = append(e.peers[0].arguments, "--"+size.name, strconv.Itoa(size.value))
	}
	// First the layers of both directions over the embedded text and question. Then m of the
	// attention over the whole text, and what is computed once for each sequence.
	for _, steps := range []int{document, question} {
		for range 2 {
			e.alone = append(e.alone, layerProducts(4*units, sequences, steps, units, embedding)...)
		}
	}
	e.alone = append(e.alone, linearProducts(sequences*document, units, 2*units)...)
	for range 3 { // Wum, Wrg and Wug
		e.alone = append(e.alone, linearProducts(sequences, units, 2*units)...)
	}
	e.alone = append(e.alone, linearProducts(sequences, classes, units)...)
	return e
}

// layerProducts returns the products of a recurrent layer forward and backward. gates is the
// number of rows of all gates together; inputs is the number of dense inputs, or 0 if inputs are
// one-hot.
func layerProducts(gates, sequences, steps, units, inputs int) []product {
	all := []product{
		{m: sequences, n: gates, k: units, transB: true, count: steps, reused: true},
		{m: sequences, n: units, k: gates, count: steps, reused: true},
		{m: gates, n: units, k: sequences * steps, transA: true, count: 1},
	}
	if inputs > 0 {
		all = append(all, linearProducts(sequences*steps, gates, inputs)...)
	}
	return all
}

// linearProducts returns the products of a linear layer over this many rows, forward and
// backward.
func linearProducts(rows, outputs, inputs int) []product {
	return []product{
		{m: rows, n: outputs, k: inputs, transB: true, count: 1},
		{m: rows, n: inputs, k: outputs, count: 1},
		{m: outputs, n: inputs, k: rows, transA: true, count: 1},
	}
}
