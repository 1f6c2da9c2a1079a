package conformance

import (
	"math"
	"slices"

	"bittern/plugins/backend"
	"bittern/plugins/network"
)

// backendSequences is how many sequences a batch has. The second has no target. If the program
// has lengths, the last has one step.
const backendSequences = 3

// run is the answer of Execute, with outputs.
type run struct {
	score   network.Score
	outputs []float32
}

func (m *machine) shape() network.Shape { return m.program.Shape(backendSequences) }

func (m *machine) execute(b network.Batch) backend.Execute {
	return backend.Execute{Batch: b, Outputs: make([]float32, len(b.Targets)*m.program.Network.Classes())}
}

func (m *machine) run(r *recorder, what string, b network.Batch) run {
	request := m.execute(b)
	score, err := m.Execute(r.ctx, request)
	r.served("Execute "+what, err)
	return run{score, request.Outputs}
}

// checkExecuteRepeats checks that the same batch gives the same score and outputs again, and the
// same score without outputs.
func checkExecuteRepeats(r *recorder, m *machine) {
	batch := m.program.Batch(backendSequences, 0)
	want := m.run(r, "of a batch", batch)
	again := m.run(r, "again", batch)
	m.compare(r, "Execute again", batch, again, want, all)
	if again.score != want.score {
		r.saw("Execute again: %+v", again.score).want("%+v as before", want.score)
	}
	silent, err := m.Execute(r.ctx, backend.Execute{Batch: batch})
	r.must("Execute without outputs", err)
	if silent != want.score {
		r.saw("Execute without outputs: %+v", silent).want("%+v as with them", want.score)
	}
}

// checkExecuteLengths checks that steps beyond a sequence's length change nothing.
func checkExecuteLengths(r *recorder, m *machine) {
	batch := m.program.Batch(backendSequences, 0)
	want := m.run(r, "of a batch", batch)
	other := cloned(batch)
	disturb(m.shape(), other, beyond(m.shape(), batch))
	got := m.run(r, "with other filling", other)
	m.compare(r, "with other values in the steps beyond lengths", batch, got, want, all)
	if got.score != want.score {
		r.saw("with other values in the steps beyond lengths: %+v", got.score).want("%+v", want.score)
	}
}

// checkScore compares the score with that of the outputs, which must be 0 beyond a sequence's
// length.
func checkScore(r *recorder, m *machine) {
	b := m.program.Batch(backendSequences, 0)
	answer := m.run(r, "of a batch", b)
	shape, classes := m.shape(), m.program.Network.Classes()
	var want network.Score
	for at, target := range b.Targets {
		row := answer.outputs[at*classes : (at+1)*classes]
		step, i := at/b.Sequences, at%b.Sequences
		want.Target(row, target, b.Candidates(shape.Inputs, i))
		if shape.Targets != "" && step >= b.Length(shape.Inputs, shape.Targets, i) && slices.ContainsFunc(row, func(v float32) bool { return v != 0 }) {
			r.saw("the outputs of step %d of sequence %d are %v", step, i, row).want("0 beyond its length")
		}
	}
	if got := answer.score; got.Count != want.Count || got.Correct != want.Correct || math.Abs(got.LossSum-want.LossSum) > 1e-5*(1+want.LossSum) {
		r.saw("Execute answers %+v", got).want("%+v as its outputs say", want)
	}
}

// compare compares the outputs of the sequences that pick chooses. It skips sequences without a
// target unless their state is carried on, because a backend need not run them.
func (m *machine) compare(r *recorder, what string, b network.Batch, got, want run, pick func(sequence int) bool) {
	classes := m.program.Network.Classes()
	for at := range b.Targets {
		i := at % b.Sequences
		if !pick(i) || !b.Scored(i) && !m.program.Carried {
			continue
		}
		if k := difference(got.outputs[at*classes:(at+1)*classes], want.outputs[at*classes:]); k >= 0 {
			r.saw("%s: output %d of step %d of sequence %d = %v", what, k, at/b.Sequences, i, got.outputs[at*classes+k]).want("%v", want.outputs[at*classes+k])
		}
	}
}

// checkSequencesAlone runs each sequence without the others, and compares.
func checkSequencesAlone(r *recorder, m *machine) {
	batch := m.program.Batch(backendSequences, 0)
	want := m.run(r, "of a batch", batch)
	for _, i := range []int{0, backendSequences - 1} {
		m.runAlone(r, batch, want, i)
	}
}

func (m *machine) runAlone(r *recorder, b network.Batch, want run, i int) {
	alone := sequence(m.shape(), b, i)
	got := m.run(r, "one sequence", alone)
	classes := m.program.Network.Classes()
	outputs := make([]float32, len(got.outputs))
	takeColumn(outputs, want.outputs, b.Sequences, i, classes)
	if k := difference(got.outputs, outputs); k >= 0 && alone.Scored(0) {
		r.saw("sequence %d alone: output %d = %v", i, k, got.outputs[k]).want("%v as among the others", outputs[k])
	}
}

// checkCarried checks that a sequence goes on from where it ended in the batch before, as one
// long sequence would, and that a fresh one begins anew.
func checkCarried(r *recorder, m *machine) {
	shape := m.shape()
	first, second := m.program.Batch(backendSequences, 0), m.program.Batch(backendSequences, 1)
	afresh := withFresh(second, all)
	start := m.run(r, "of a batch of fresh sequences", afresh)

	whole := m.run(r, "of a batch", first)
	on := m.run(r, "of a batch that goes on", withFresh(second, none))
	_, long := joined(shape, first, withFresh(second, none))
	if got := m.run(r, "of a batch of twice the steps", long); difference(slices.Concat(whole.outputs, on.outputs), got.outputs) >= 0 {
		r.saw("sequences that go on give other outputs than one long sequence").want("the same")
	}

	m.run(r, "of a batch", first)
	fresh := func(i int) bool { return i != backendSequences-1 }
	mixed := m.run(r, "of a batch of which some sequences go on", withFresh(second, fresh))
	m.compare(r, "a fresh sequence among those that go on", second, mixed, start, fresh)
	m.compare(r, "a sequence that goes on among fresh ones", second, mixed, on, func(i int) bool { return !fresh(i) })
}

// checkReference compares a series of batches with the reference. The tolerance that a backend
// claims holds for the mean loss over many targets. Here the targets are few, so each is
// compared, with a margin.
func checkReference(r *recorder, m *machine) {
	if m.deployed.Tolerance == nil {
		r.skip("the machine claims no tolerance")
	}
	const lossMargin, outputMargin, rounding = 4, 10, 1e-5
	reference, err := network.NewReference(m.program.Network, m.program.Weights)
	r.must("the reference executor", err)
	for number := range 3 {
		b := m.program.Batch(backendSequences, number)
		got := m.run(r, "of a batch", b)
		exact, err := reference.Run(b)
		r.must("the reference executor", err)
		differences, logits := m.differences(b, got.outputs, exact)
		if off, allowed := rms(differences), outputMargin**m.deployed.Tolerance*max(1, rms(logits))+rounding; off > allowed {
			r.saw("batch %d: the outputs are %.2g from those of exact arithmetic in the root mean square", number, off).want("at most %.2g where the tolerance is %g", allowed, *m.deployed.Tolerance)
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
			r.saw("batch %d: the mean loss is %v", number, mean(got.score)).want("%v of exact arithmetic; the tolerance is %g", mean(want), *m.deployed.Tolerance)
		}
	}
}

// differences returns the differences between outputs and exact values, and the exact values, of
// those outputs that must be right.
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

// checkRefusedBatches checks that a batch which does not fit the network is an error, and that
// the backend works afterwards.
func checkRefusedBatches(r *recorder, m *machine) {
	good := m.program.Batch(backendSequences, 0)
	want := m.run(r, "of a batch", good)
	for _, c := range []struct {
		what  string
		spoil func(*network.Batch)
	}{
		{"that is empty", func(b *network.Batch) { *b = network.Batch{} }},
		{"without targets", func(b *network.Batch) { b.Targets = nil }},
		{"without inputs", func(b *network.Batch) { b.Int32, b.Float32 = nil, nil }},
		{"of a sequence more", func(b *network.Batch) { b.Sequences++ }},
		{"with a target of no class", func(b *network.Batch) { b.Targets[0] = int32(m.program.Network.Classes()) }},
	} {
		bad := cloned(good)
		c.spoil(&bad)
		if _, err := m.Execute(r.ctx, backend.Execute{Batch: bad}); err == nil {
			r.saw("Execute of a batch %s: no error", c.what).want("it refused")
		}
	}
	if _, err := m.Execute(r.ctx, backend.Execute{Batch: good, Outputs: make([]float32, 1)}); err == nil {
		r.saw("Execute with room for one output: no error").want("it refused")
	}
	m.compare(r, "Execute after what was refused", good, m.run(r, "after what was refused", good), want, all)
}
