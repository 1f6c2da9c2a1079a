package plugintest

import (
	"math"
	"slices"
	"testing"

	"bittern/plugins/backend"
	"bittern/plugins/network"
)

// backendSequences are those of a batch: the second has no target, and the last one
// step where there are lengths.
const backendSequences = 3

// run is what Execute answers, with outputs.
type run struct {
	score   network.Score
	outputs []float32
}

func (m *machine) shape() network.Shape { return m.program.Shape(backendSequences) }

func (m *machine) execute(b network.Batch) backend.Execute {
	return backend.Execute{Batch: b, Outputs: make([]float32, len(b.Targets)*m.program.Network.Classes())}
}

func (m *machine) run(t *testing.T, what string, b network.Batch) run {
	t.Helper()
	request := m.execute(b)
	score, err := m.Execute(t.Context(), request)
	if err != nil {
		t.Fatalf("Execute %s: %v", what, err)
	}
	return run{score, request.Outputs}
}

// checkExecute sees that scores and outputs repeat and belong together, that those
// of a sequence depend on nothing but the sequence, and where the machine claims a
// tolerance that they are those of the reference.
func (m *machine) checkExecute(t *testing.T) (reason string, refused bool) {
	t.Helper()
	shape := m.shape()
	batch := m.program.Batch(backendSequences, 0)
	request := m.execute(batch)
	score, err := m.Execute(t.Context(), request)
	if reason, refused := unsupported(t, "Execute", err); refused {
		return reason, true
	}
	want := run{score, request.Outputs}
	m.checkScore(t, batch, want)

	again := m.run(t, "again", batch)
	m.compare(t, "Execute again", batch, again, want, all)
	if again.score != want.score {
		t.Errorf("Execute again: %+v, want %+v as before", again.score, want.score)
	}
	silent, err := m.Execute(t.Context(), backend.Execute{Batch: batch})
	if err != nil {
		t.Fatalf("Execute without outputs: %v", err)
	}
	if silent != want.score {
		t.Errorf("Execute without outputs: %+v, want %+v as with them", silent, want.score)
	}
	for _, i := range []int{0, backendSequences - 1} {
		m.checkAlone(t, batch, want, i)
	}
	if hasLengths(shape) {
		other := cloned(batch)
		disturb(shape, other, beyond(shape, batch))
		got := m.run(t, "with other filling", other)
		m.compare(t, "with other values in the steps beyond lengths", batch, got, want, all)
		if got.score != want.score {
			t.Errorf("with other values in the steps beyond lengths: %+v, want %+v", got.score, want.score)
		}
	}
	if shape.Carried {
		m.checkCarried(t)
	}
	m.checkReference(t)
	return "", false
}

// checkScore scores the outputs.
func (m *machine) checkScore(t *testing.T, b network.Batch, r run) {
	t.Helper()
	shape, classes := m.shape(), m.program.Network.Classes()
	var want network.Score
	for at, target := range b.Targets {
		row := r.outputs[at*classes : (at+1)*classes]
		step, i := at/b.Sequences, at%b.Sequences
		want.Target(row, target, b.Candidates(shape.Inputs, i))
		if shape.Targets != "" && step >= b.Length(shape.Inputs, shape.Targets, i) && slices.ContainsFunc(row, func(v float32) bool { return v != 0 }) {
			t.Errorf("the outputs of step %d of sequence %d are %v, want 0 beyond its length", step, i, row)
		}
	}
	if r.score.Count != want.Count || r.score.Correct != want.Correct || math.Abs(r.score.LossSum-want.LossSum) > 1e-5*(1+want.LossSum) {
		t.Errorf("Execute answers %+v, want %+v as its outputs say", r.score, want)
	}
}

// compare looks at the outputs of the sequences that pick chooses. Sequences
// without a target need not be run, unless they go on.
func (m *machine) compare(t *testing.T, what string, b network.Batch, got, want run, pick func(sequence int) bool) {
	t.Helper()
	classes := m.program.Network.Classes()
	for at := range b.Targets {
		i := at % b.Sequences
		if !pick(i) || !b.Scored(i) && !m.program.Carried {
			continue
		}
		if k := difference(got.outputs[at*classes:(at+1)*classes], want.outputs[at*classes:]); k >= 0 {
			t.Errorf("%s: output %d of step %d of sequence %d = %v, want %v", what, k, at/b.Sequences, i, got.outputs[at*classes+k], want.outputs[at*classes+k])
			return
		}
	}
}

// checkAlone runs one sequence without the others.
func (m *machine) checkAlone(t *testing.T, b network.Batch, want run, i int) {
	t.Helper()
	alone := sequence(m.shape(), b, i)
	got := m.run(t, "one sequence", alone)
	classes := m.program.Network.Classes()
	outputs := make([]float32, len(got.outputs))
	takeColumn(outputs, want.outputs, b.Sequences, i, classes)
	if k := difference(got.outputs, outputs); k >= 0 && alone.Scored(0) {
		t.Errorf("sequence %d alone: output %d = %v, want %v as among the others", i, k, got.outputs[k], outputs[k])
	}
}

// checkCarried sees that sequences go on where those of the batch before ended, as
// one long sequence would, and that a fresh one starts as the first did.
func (m *machine) checkCarried(t *testing.T) {
	t.Helper()
	shape := m.shape()
	first, second := m.program.Batch(backendSequences, 0), m.program.Batch(backendSequences, 1)
	afresh := withFresh(second, all)
	start := m.run(t, "a batch of fresh sequences", afresh)

	whole := m.run(t, "a batch", first)
	on := m.run(t, "a batch that goes on", withFresh(second, none))
	_, long := joined(shape, first, withFresh(second, none))
	if got := m.run(t, "a batch of twice the steps", long); difference(slices.Concat(whole.outputs, on.outputs), got.outputs) >= 0 {
		t.Errorf("sequences that go on give other outputs than one long sequence, want the same")
	}

	m.run(t, "a batch", first)
	fresh := func(i int) bool { return i != backendSequences-1 }
	mixed := m.run(t, "a batch of which some sequences go on", withFresh(second, fresh))
	m.compare(t, "a fresh sequence among those that go on", second, mixed, start, fresh)
	m.compare(t, "a sequence that goes on among fresh ones", second, mixed, on, func(i int) bool { return !fresh(i) })
}

// checkReference runs a series of batches beside the reference. The tolerance that
// a machine claims is of the mean loss over many targets; here there are few, and
// every one of them is held against it with a margin.
func (m *machine) checkReference(t *testing.T) {
	t.Helper()
	if m.deployed.Tolerance == nil {
		return
	}
	const lossMargin, outputMargin, rounding = 4, 10, 1e-5
	reference, err := network.NewReference(m.program.Network, m.program.Weights)
	if err != nil {
		t.Fatal(err)
	}
	for number := range 3 {
		b := m.program.Batch(backendSequences, number)
		got := m.run(t, "a batch", b)
		exact, err := reference.Run(b)
		if err != nil {
			t.Fatal(err)
		}
		differences, logits := m.differences(b, got.outputs, exact)
		if off, allowed := rms(differences), outputMargin**m.deployed.Tolerance*max(1, rms(logits))+rounding; off > allowed {
			t.Errorf("batch %d: the outputs are %.2g from those of exact arithmetic in the root mean square, want at most %.2g where the tolerance is %g", number, off, allowed, *m.deployed.Tolerance)
		}
		var want network.Score
		classes := m.program.Network.Classes()
		for at, target := range b.Targets {
			row := make([]float32, classes)
			for j := range row {
				row[j] = float32(exact[at*classes+j])
			}
			want.Target(row, target, b.Candidates(m.program.Network.Inputs, at%b.Sequences))
		}
		mean := func(s network.Score) float64 { return s.LossSum / float64(s.Count) }
		if off := math.Abs(mean(got.score) - mean(want)); off > lossMargin**m.deployed.Tolerance+rounding {
			t.Errorf("batch %d: the mean loss is %v, want %v of exact arithmetic; the tolerance is %g", number, mean(got.score), mean(want), *m.deployed.Tolerance)
		}
	}
}

// differences are those of outputs that must be right, with their exact values.
func (m *machine) differences(b network.Batch, outputs []float32, exact []float64) (differences, logits []float64) {
	classes := m.program.Network.Classes()
	for k := range outputs {
		if b.Scored(k/classes%b.Sequences) || m.program.Carried {
			differences = append(differences, float64(outputs[k])-exact[k])
			logits = append(logits, exact[k])
		}
	}
	return differences, logits
}

// checkRefusedBatches sees that batches which do not fit the network are answered
// with an error, and that the machine goes on afterwards.
func (m *machine) checkRefusedBatches(t *testing.T) {
	t.Helper()
	good := m.program.Batch(backendSequences, 0)
	want := m.run(t, "a batch", good)
	for what, spoil := range map[string]func(*network.Batch){
		"that is empty":             func(b *network.Batch) { *b = network.Batch{} },
		"without targets":           func(b *network.Batch) { b.Targets = nil },
		"without inputs":            func(b *network.Batch) { b.Int32, b.Float32 = nil, nil },
		"of a sequence more":        func(b *network.Batch) { b.Sequences++ },
		"with a target of no class": func(b *network.Batch) { b.Targets[0] = int32(m.program.Network.Classes()) },
	} {
		bad := cloned(good)
		spoil(&bad)
		if _, err := m.Execute(t.Context(), backend.Execute{Batch: bad}); err == nil {
			t.Errorf("Execute of a batch %s: no error, want it refused", what)
		}
	}
	if _, err := m.Execute(t.Context(), backend.Execute{Batch: good, Outputs: make([]float32, 1)}); err == nil {
		t.Errorf("Execute with room for one output: no error, want it refused")
	}
	m.compare(t, "Execute after what was refused", good, m.run(t, "after what was refused", good), want, all)
}
