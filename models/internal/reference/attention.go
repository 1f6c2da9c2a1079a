package reference

import "math"

// AttentiveReader is the network of Hermann et al., "Teaching Machines to Read and Comprehend"
// (NIPS 2015), section 3.3. Two layers read the text and two read the question: of each two, one
// reads from the first step of a sequence to its last, the other from the last to the first.
//
//	y(t) = →y(t) ‖ ←y(t) of the text        u = →y(n) ‖ ←y(1) of the question
//	m(t) = tanh(Wym·y(t) + Wum·u)           s(t) ∝ exp(wms·m(t))
//	r = Σ s(t)·y(t)    g = tanh(Wrg·r + Wug·u)    p ∝ exp(W·g + b) of the candidates
type AttentiveReader struct {
	Text, Question Layer // with lengths; in the forward direction
	Vocabulary     int
	Units, Classes int // the units of m and g; the classes of p
}

// Loss returns the mean of −log p over the targets that are not −1, in nats. The parameters p
// have the names and shapes of the model's plan. text and question are tokens [Steps × Batch],
// candidates are marks [Batch × Classes] or nil.
func (a AttentiveReader) Loss(p map[string][]float64, text, question, targets, candidates []int32) float64 {
	y := a.Text.BothWays(a.Text.named(p, "document.forward."), a.Text.named(p, "document.backward."), a.embed(p["embedding.W"], a.Text, text))
	asked := a.Question.BothWays(a.Question.named(p, "question.forward."), a.Question.named(p, "question.backward."), a.embed(p["embedding.W"], a.Question, question))
	d, batch := a.Text.Units, a.Text.Batch
	sum, count := 0.0, 0
	for i := range batch {
		if targets[i] < 0 {
			continue
		}
		u := append([]float64(nil), asked[a.Question.Lengths[i]-1][i*2*d:][:d]...)
		u = append(u, asked[0][i*2*d+d:][:d]...)
		var rows [][]float64
		for t := range a.Text.Lengths[i] {
			rows = append(rows, y[t][i*2*d:][:2*d])
		}
		g := a.Attend(p, rows, u)
		var logits []float64
		target := 0
		for class := range a.Classes {
			if class == int(targets[i]) {
				target = len(logits)
			}
			if candidates == nil || candidates[i*a.Classes+class] == 1 {
				logits = append(logits, dot(p["softmax.W"][class*a.Units:][:a.Units], g)+p["softmax.b"][class])
			}
		}
		sum += logSumExp(logits) - logits[target]
		count++
	}
	return sum / float64(count)
}

// Attend returns g of one sequence, with y as its rows and u as its question.
func (a AttentiveReader) Attend(p map[string][]float64, y [][]float64, u []float64) []float64 {
	n := len(u)
	row := func(name string, i int) []float64 { return p["attention."+name][i*n : (i+1)*n] }
	s, total, r := make([]float64, len(y)), 0.0, make([]float64, n)
	for t := range y {
		score := 0.0
		for i := range a.Units {
			score += p["attention.wms"][i] * math.Tanh(dot(row("Wym", i), y[t])+dot(row("Wum", i), u))
		}
		s[t] = math.Exp(score)
		total += s[t]
	}
	for t := range y {
		for j := range r {
			r[j] += s[t] / total * y[t][j]
		}
	}
	g := make([]float64, a.Units)
	for i := range g {
		g[i] = math.Tanh(dot(row("Wrg", i), r) + dot(row("Wug", i), u))
	}
	return g
}

// BothWays returns the hidden states of two layers side by side in the order of time,
// [Steps][Batch × 2·Units]. One scans x forward; the other scans each sequence from its last
// step to its first. Both begin fresh. Beyond the length of a sequence they are 0.
func (l Layer) BothWays(forward, backward Weights, x [][]float64) [][]float64 {
	ahead := l.Forward(forward, x, nil).H
	back := l.turned(l.Forward(backward, l.turned(x, l.Inputs), nil).H, l.Units)
	out := make([][]float64, l.Steps)
	for t := range out {
		out[t] = make([]float64, l.Batch*2*l.Units)
		for i := range l.Batch {
			if t < l.Lengths[i] {
				copy(out[t][2*i*l.Units:], ahead[t][i*l.Units:(i+1)*l.Units])
				copy(out[t][(2*i+1)*l.Units:], back[t][i*l.Units:(i+1)*l.Units])
			}
		}
	}
	return out
}

// turned returns the steps of each sequence in reverse order, as rows of this width. Beyond a
// sequence's length they are 0.
func (l Layer) turned(x [][]float64, width int) [][]float64 {
	out := make([][]float64, len(x))
	for t := range x {
		out[t] = make([]float64, len(x[t]))
		for i, n := range l.Lengths {
			if t < n {
				copy(out[t][i*width:(i+1)*width], x[n-1-t][i*width:])
			}
		}
	}
	return out
}

// named returns the weights of a layer, whose names in p begin with prefix.
func (l Layer) named(p map[string][]float64, prefix string) Weights {
	var w Weights
	for name, field := range w.fields() {
		*field = p[prefix+name]
	}
	return w
}

// embed looks up the columns of w [Inputs × Vocabulary] for tokens.
func (a AttentiveReader) embed(w []float64, l Layer, tokens []int32) [][]float64 {
	out := make([][]float64, l.Steps)
	for t := range out {
		out[t] = make([]float64, l.Batch*l.Inputs)
		for i := range l.Batch {
			for j := range l.Inputs {
				out[t][i*l.Inputs+j] = w[j*a.Vocabulary+int(tokens[t*l.Batch+i])]
			}
		}
	}
	return out
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}
