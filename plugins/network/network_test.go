package network_test

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"bittern/plugins/network"
	"bittern/plugins/network/sample"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

// running is a graph that sums what enters, from an initial value, and adds a
// table's row: s' = s + x, output s' + shift[t].
func running(init float32, shifts ...float32) stepgraph.Graph {
	return stepgraph.Graph{
		Inputs: []stepgraph.Input{{Name: "x", Size: 1}},
		States: []stepgraph.State{{Name: "s", Size: 1, Init: []float32{init}, Next: "s'"}},
		Nodes: []stepgraph.Node{
			{Name: "s'", Op: stepgraph.Add, Inputs: []string{"s", "x"}, Size: 1},
			{Name: "out", Op: stepgraph.ScaleShift, Inputs: []string{"s'"}, Size: 1, Shift: stepgraph.Table{Rows: len(shifts), Values: shifts}},
		},
		Output: "out",
	}
}

// pair puts two values side by side.
var pair = stepgraph.Graph{
	Inputs: []stepgraph.Input{{Name: "x", Size: 1}, {Name: "y", Size: 1}},
	Nodes:  []stepgraph.Node{{Name: "both", Op: stepgraph.Concat, Inputs: []string{"x", "y"}, Size: 2}},
	Output: "both",
}

// reader reads a text in both directions and attends to it: the values can be
// computed by hand. The tables say which step of its scan a value is of.
//
//	f = running sums from the left, b = from the right
//	weights = softmax over the steps of f;  y = Σ weights·b
//	logits = [y, the b that its scan ends with]
func reader() network.Network {
	return network.Network{
		Model: "reader",
		Inputs: []network.Input{
			{Name: "x", Role: network.Features, Stream: "text", Size: 1},
			{Name: "lengths", Role: network.Lengths, Stream: "text", Size: 1},
			{Name: "allowed", Role: network.Candidates, Size: 2},
		},
		Stages: []network.Stage{
			{Name: "f", Op: network.Scan, Inputs: []string{"x"}, Graph: running(0.5)},
			{Name: "b", Op: network.Scan, Inputs: []string{"x"}, Graph: running(0, 100, 200), Reverse: true},
			{Name: "weights", Op: network.Softmax, Inputs: []string{"f"}},
			{Name: "y", Op: network.WeightedSum, Inputs: []string{"weights", "b"}},
			{Name: "end", Op: network.Scan, Inputs: []string{"x"}, Graph: running(0, 100, 200), Reverse: true, Last: true},
			{Name: "both", Op: network.Scan, Inputs: []string{"y", "end"}, Graph: pair},
		},
		Output: "both",
	}
}

// steps gives the running sums and their values to the left, at every step.
func steps() network.Network {
	n := network.Scanned("sums", running(100, 0, 10, 20, 30))
	n.Inputs = append(n.Inputs, network.Input{Name: "lengths", Role: network.Lengths, Stream: "sequence", Size: 1})
	n.Stages = append(n.Stages, network.Stage{Name: "both", Op: network.Scan, Inputs: []string{"scan", "x"}, Graph: pair})
	n.Output = "both"
	return n
}

func reference(t *testing.T, n network.Network) *network.Reference {
	t.Helper()
	r, err := network.NewReference(n, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func same(t *testing.T, what string, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-12 {
			t.Errorf("%s: value %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

// Two sequences of the lengths 3 and 1; what lies beyond the second's is looked at by
// no stage. The text is time-major.
func readerBatch() network.Batch {
	return network.Batch{
		Sequences: 2, Steps: map[string]int{"text": 3},
		Float32: map[string][]float32{"x": {1, 2, 2, 90, 3, 90}},
		Int32:   map[string][]int32{"lengths": {3, 1}, "allowed": {1, 1, 0, 1}},
		Targets: []int32{1, 1},
	}
}

func TestReferenceByHand(t *testing.T) {
	t.Parallel()
	r := reference(t, reader())
	got, err := r.Run(readerBatch())
	if err != nil {
		t.Fatal(err)
	}
	// f = 1.5, 3.5, 6.5; b = 6 + 200, 5 + 200, 3 + 100: the scan starts at the last
	// step, which has the first row.
	e := []float64{math.Exp(1.5), math.Exp(3.5), math.Exp(6.5)}
	y := (206*e[0] + 205*e[1] + 103*e[2]) / (e[0] + e[1] + e[2])
	// Of the second sequence one step counts: b = 2 + 100, weight 1.
	same(t, "logits", got, []float64{y, 206, 102, 102})

	score, err := r.Score(readerBatch())
	if err != nil {
		t.Fatal(err)
	}
	// The second sequence has one candidate, whose probability is 1.
	want := network.Score{LossSum: math.Log(1 + math.Exp(y-206)), Count: 2, Correct: 2}
	if math.Abs(score.LossSum-want.LossSum) > 1e-12 || score.Count != want.Count || score.Correct != want.Correct {
		t.Errorf("score %+v, want %+v", score, want)
	}
}

// A reverse scan starts fresh, whatever the batch says; one that is forward goes on
// from the last step that its sequence has, in its state and in its table.
func TestSequencesGoOn(t *testing.T) {
	t.Parallel()
	batch := func(fresh []int32, lengths []int32, x ...float32) network.Batch {
		return network.Batch{
			Sequences: 2, Steps: map[string]int{"sequence": 2}, Fresh: fresh, Targets: []int32{-1, -1, -1, -1},
			Float32: map[string][]float32{"x": x}, Int32: map[string][]int32{"lengths": lengths},
		}
	}
	r := reference(t, steps())
	for _, c := range []struct {
		what  string
		batch network.Batch
		want  []float64 // [2 steps, 2 sequences, sum and x]
	}{
		{"fresh", batch([]int32{1, 1}, []int32{2, 1}, 1, 3, 2, 90), []float64{101, 1, 103, 3, 113, 2, 0, 0}},
		{"both go on", batch([]int32{0, 0}, []int32{2, 2}, 1, 3, 2, 4), []float64{124, 1, 116, 3, 136, 2, 130, 4}},
		{"the second starts fresh", batch([]int32{0, 1}, []int32{2, 2}, 1, 3, 2, 4), []float64{137, 1, 103, 3, 139, 2, 117, 4}},
		{"nothing is carried", batch(nil, []int32{1, 2}, 1, 3, 90, 4), []float64{101, 1, 103, 3, 0, 0, 117, 4}},
		{"nothing was carried", batch([]int32{0, 0}, []int32{2, 1}, 1, 3, 2, 90), []float64{101, 1, 103, 3, 113, 2, 0, 0}},
	} {
		got, err := r.Run(c.batch)
		if err != nil {
			t.Fatal(err)
		}
		same(t, c.what, got, c.want)
	}

	backward := steps()
	backward.Stages[0].Reverse = true
	r = reference(t, backward)
	for _, fresh := range [][]int32{{1, 1}, {0, 0}} {
		got, err := r.Run(batch(fresh, []int32{2, 2}, 1, 3, 2, 4))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "reverse", got, []float64{113, 1, 117, 3, 102, 2, 104, 4})
	}
}

// A forward scan with Last gives what it has at the last step of each sequence.
func TestLastForward(t *testing.T) {
	t.Parallel()
	n := reader()
	n.Stages[4].Reverse = false
	got, err := reference(t, n).Run(readerBatch())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the last steps", []float64{got[1], got[3]}, []float64{206, 102})
}

func TestShapeOfNetworks(t *testing.T) {
	t.Parallel()
	n := reader()
	if n.Targets() != "" || n.Classes() != 2 || !slices.Equal(n.Streams(), []string{"text"}) || n.Along(n.Stages[5]) != "" || n.Along(n.Stages[3]) != "text" {
		t.Errorf("targets %q, classes %d, streams %q, want one target of 2 classes a sequence of the stream text", n.Targets(), n.Classes(), n.Streams())
	}
	s := steps()
	if s.Targets() != "sequence" || s.Classes() != 2 {
		t.Errorf("targets %q, classes %d, want one of 2 at every step", s.Targets(), s.Classes())
	}
	shape := n.Shape(2, map[string]int{"text": 3}, true)
	want := []network.Tensor{
		{Name: "x", Float32: true, Dims: []int{3, 2, 1}}, {Name: "lengths", Dims: []int{2}}, {Name: "allowed", Dims: []int{2, 2}},
		{Name: "fresh", Dims: []int{2}}, {Name: "targets", Dims: []int{2}},
	}
	if got := shape.Tensors(); !reflect.DeepEqual(got, want) {
		t.Errorf("tensors %v, want %v", got, want)
	}
	if b := shape.Allocate(); b.Fits(shape) != nil || b.Check(shape) == nil {
		t.Errorf("a batch that was laid out: fits %v, holds %v; want that it fits and holds no lengths", b.Fits(shape), b.Check(shape))
	}
	perStep := s.Shape(2, map[string]int{"sequence": 3}, false).Tensors()
	if got := perStep[len(perStep)-1]; !reflect.DeepEqual(got, network.Tensor{Name: "targets", Dims: []int{3, 2}}) {
		t.Errorf("targets at every step are %v, want [3 2]", got)
	}
}

func TestServes(t *testing.T) {
	t.Parallel()
	n := reader()
	for _, c := range []struct {
		spoil func(*network.Shape)
		want  string
	}{
		{func(*network.Shape) {}, ""},
		{func(s *network.Shape) { s.Sequences, s.Steps = 9, map[string]int{"text": 9} }, ""},
		{func(s *network.Shape) { s.Carried = true }, ""},
		{func(s *network.Shape) { s.Inputs = s.Inputs[1:] }, "takes the inputs"},
		{func(s *network.Shape) { s.Inputs = slices.Clone(s.Inputs); s.Inputs[0].Size = 2 }, "takes the inputs"},
		{func(s *network.Shape) { s.Classes = 3 }, "2 logits for 3 classes"},
		{func(s *network.Shape) { s.Targets = "text" }, `once a sequence, and the task has targets at every step of the stream "text"`},
	} {
		shape := n.Shape(2, map[string]int{"text": 3}, false)
		c.spoil(&shape)
		refused(t, n.Serves(shape), c.want)
	}
}

// refused checks that an error says what it must; "" wants none.
func refused(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("error %v, want %q in it", err, want)
	}
}

func TestValidateNamesThePlace(t *testing.T) {
	t.Parallel()
	token := network.Input{Name: "word", Role: network.Tokens, Stream: "text", Size: 1}
	for _, c := range []struct {
		want  string
		spoil func(*network.Network)
	}{
		{"", func(*network.Network) {}},
		{"names none", func(n *network.Network) { n.Inputs[0].Stream = "" }},
		{`it names the stream "text"`, func(n *network.Network) { n.Inputs[2].Stream = "text" }},
		{`no role "sound"`, func(n *network.Network) { n.Inputs[0].Role = "sound" }},
		{"its size is 0", func(n *network.Network) { n.Inputs[0].Size = 0 }},
		{"exactly 1 for lengths", func(n *network.Network) { n.Inputs[1].Size = 2 }},
		{"another tensor of a batch", func(n *network.Network) { n.Inputs[0].Name = network.TensorFresh }},
		{"another tensor of a batch", func(n *network.Network) { n.Inputs[0].Name = network.TensorTargets }},
		{`has the lengths "lengths" already`, func(n *network.Network) {
			n.Inputs = append(n.Inputs, network.Input{Name: "more", Role: network.Lengths, Stream: "text", Size: 1})
		}},
		{`the candidates "allowed" already`, func(n *network.Network) {
			n.Inputs = append(n.Inputs, network.Input{Name: "more", Role: network.Candidates, Size: 2})
		}},
		{"it has no name", func(n *network.Network) { n.Inputs[0].Name = "" }},
		{"taken twice", func(n *network.Network) { n.Inputs[2].Name = "x" }},
		{"taken twice", func(n *network.Network) { n.Stages[1].Name = "f" }},
		{"taken twice", func(n *network.Network) { n.Stages[1].Name = "x" }},
		{"(max): there is no such operation", func(n *network.Network) { n.Stages[2].Op = "max" }},
		{`"nowhere" is not defined`, func(n *network.Network) { n.Stages[0].Inputs = []string{"nowhere"} }},
		{`"both" is not defined before it`, func(n *network.Network) { n.Stages[0].Inputs = []string{"both"} }},
		{"a lengths, which is no operand", func(n *network.Network) { n.Stages[0].Inputs = []string{"lengths"} }},
		{"a candidates, which is no operand", func(n *network.Network) { n.Stages[5].Inputs[0] = "allowed" }},
		{`the streams "text" and "other" at once`, func(n *network.Network) {
			n.Inputs = append(n.Inputs, network.Input{Name: "z", Role: network.Features, Stream: "other", Size: 1})
			n.Stages[3].Inputs[1] = "z"
		}},
		{"run once", func(n *network.Network) { n.Stages[5].Reverse = true }},
		{"run once", func(n *network.Network) { n.Stages[5].Last = true }},
		{"run once", func(n *network.Network) {
			n.Stages[5].Inputs, n.Stages[5].Graph = []string{"end"}, running(0)
		}},
		{`"end" is no sequence`, func(n *network.Network) {
			n.Stages[3].Inputs[1] = "end"
			n.Stages[3], n.Stages[4] = n.Stages[4], n.Stages[3]
		}},
		{"has 2 inputs; it takes 1", func(n *network.Network) { n.Stages[2].Inputs = []string{"f", "b"} }},
		{"has 0 inputs; it takes 2", func(n *network.Network) { n.Stages[3].Inputs = nil }},
		{"has 1 inputs; it takes 2", func(n *network.Network) { n.Stages[5].Inputs = []string{"y"} }},
		{"has 0 inputs; it takes 0", func(n *network.Network) {
			n.Stages[0].Inputs, n.Stages[0].Graph = nil, stepgraph.Graph{}
		}},
		{"a graph or a direction", func(n *network.Network) { n.Stages[2].Reverse = true }},
		{"a graph or a direction", func(n *network.Network) { n.Stages[2].Graph = running(0) }},
		{"is a token, which only a look-up takes", func(n *network.Network) {
			n.Inputs = append(n.Inputs, token)
			n.Stages[2].Inputs = []string{"word"}
		}},
		{"are not both tokens", func(n *network.Network) {
			n.Inputs = append(n.Inputs, token)
			n.Stages[0].Inputs = []string{"word"}
		}},
		{`"y" has size 1, and the graph's input "x" has 2`, func(n *network.Network) {
			n.Stages[5].Graph.Inputs = []stepgraph.Input{{Name: "x", Size: 2}, {Name: "y", Size: 1}}
			n.Stages[5].Graph.Nodes = []stepgraph.Node{{Name: "both", Op: stepgraph.Concat, Inputs: []string{"x", "y"}, Size: 3}}
		}},
		{"2 values a step; it takes one", func(n *network.Network) {
			n.Stages[2] = network.Stage{Name: "two", Op: network.Scan, Inputs: []string{"f", "b"}, Graph: pair}
			n.Stages[3].Inputs[0] = "two"
		}},
		{"step graph: ", func(n *network.Network) { n.Stages[0].Graph.Output = "nowhere" }},
		{"it has no stage", func(n *network.Network) { n.Stages = nil }},
		{`"x" is no stage`, func(n *network.Network) { n.Output = "x" }},
		{"are 2, and the output has 1 classes", func(n *network.Network) { n.Output = "end" }},
	} {
		n := reader()
		c.spoil(&n)
		err := n.Validate(nil)
		refused(t, err, c.want)
		if _, refusal := network.NewReference(n, nil); (refusal == nil) != (err == nil) {
			t.Errorf("the reference answers %v to what Validate answers %v to", refusal, err)
		}
	}
	m, err := packed.FromValues([]float32{1}, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, reader().Validate(map[string]packed.Matrix{"W": m}), `"W" is given but no graph names it`)
	lookup := network.Scanned("", stepgraph.Graph{
		Inputs: []stepgraph.Input{{Name: "x", Token: true, Size: 1}},
		Nodes:  []stepgraph.Node{{Name: "y", Op: stepgraph.Lookup, Inputs: []string{"x"}, Size: 1, Weight: "E"}},
		Output: "y",
	})
	refused(t, lookup.Validate(nil), `"E" is not given`)
	refused(t, lookup.Validate(map[string]packed.Matrix{"E": m}), "")
}

func TestCheckRefusesAShape(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want  string
		spoil func(*network.Shape)
	}{
		{"", func(*network.Shape) {}},
		{"0 sequences", func(s *network.Shape) { s.Sequences = 0 }},
		{"-1 sequences", func(s *network.Shape) { s.Sequences = -1 }},
		{"0 classes", func(s *network.Shape) { s.Classes = 0 }},
		{"has 0 steps", func(s *network.Shape) { s.Steps = nil }},
		{"has -3 steps", func(s *network.Shape) { s.Steps = map[string]int{"text": -3} }},
		{`targets for the stream "sound", which no input has`, func(s *network.Shape) { s.Targets = "sound" }},
		{"2 candidates are given for 3 classes", func(s *network.Shape) { s.Classes = 3 }},
		{`no role "sound"`, func(s *network.Shape) { s.Inputs[0].Role = "sound" }},
		{"taken twice", func(s *network.Shape) { s.Inputs[1].Name = "x" }},
		{"more than 2147483647 elements", func(s *network.Shape) { s.Steps["text"] = 1 << 31 }},
		{"more than 2147483647 elements", func(s *network.Shape) { s.Steps["text"], s.Sequences = 1<<20, 1<<20 }},
		{"more than 2147483647 elements", func(s *network.Shape) { s.Sequences = math.MaxInt }},
		{"more than 2147483647 elements", func(s *network.Shape) { s.Inputs[0].Size = math.MaxInt }},
	} {
		shape := reader().Shape(2, map[string]int{"text": 3}, false)
		c.spoil(&shape)
		refused(t, shape.Check(), c.want)
		if c.want != "" {
			refused(t, readerBatch().Check(shape), c.want)
		}
	}
}

func TestCheckRefusesABatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want  string
		spoil func(*network.Batch)
	}{
		{"", func(*network.Batch) {}},
		{"", func(b *network.Batch) { b.Targets[1] = -1 }},
		{"0 sequences where 2", func(b *network.Batch) { *b = network.Batch{} }},
		{"3 sequences where 2", func(b *network.Batch) { b.Sequences = 3 }},
		{`4 steps of the stream "text" where 3`, func(b *network.Batch) { b.Steps = map[string]int{"text": 4} }},
		{"nothing is carried", func(b *network.Batch) { b.Fresh = []int32{1, 1} }},
		{"tensor x has 5 elements", func(b *network.Batch) { b.Float32["x"] = b.Float32["x"][1:] }},
		{"tensor x has 0 elements", func(b *network.Batch) { b.Float32 = nil }},
		{"tensor lengths has 0 elements", func(b *network.Batch) { b.Int32 = nil }},
		{"tensor allowed has 3 elements", func(b *network.Batch) { b.Int32["allowed"] = b.Int32["allowed"][1:] }},
		{"tensor targets has 0 elements", func(b *network.Batch) { b.Targets = nil }},
		{"feature 0 of step 1 of sequence 1 is NaN", func(b *network.Batch) { b.Float32["x"][3] = float32(math.NaN()) }},
		{"is +Inf", func(b *network.Batch) { b.Float32["x"][0] = float32(math.Inf(1)) }},
		{"sequence 1 is 0; it must be from 1 to 3", func(b *network.Batch) { b.Int32["lengths"][1] = 0 }},
		{"sequence 0 is 4; it must be from 1 to 3", func(b *network.Batch) { b.Int32["lengths"][0] = 4 }},
		{"class 1 of sequence 0 is marked 2", func(b *network.Batch) { b.Int32["allowed"][1] = 2 }},
		{"sequence 1 has no candidate", func(b *network.Batch) { b.Int32["allowed"][3] = 0 }},
		{"targets: the value of step 0 of sequence 1 is 2", func(b *network.Batch) { b.Targets[1] = 2 }},
		{"is -2; it must be from -1 to 1", func(b *network.Batch) { b.Targets[0] = -2 }},
	} {
		b := readerBatch()
		c.spoil(&b)
		refused(t, b.Check(reader().Shape(2, map[string]int{"text": 3}, false)), c.want)
	}
	carried := reader().Shape(2, map[string]int{"text": 3}, true)
	b := readerBatch()
	refused(t, b.Check(carried), "tensor fresh has 0 elements")
	b.Fresh = []int32{1, 2}
	refused(t, b.Check(carried), "fresh: the value of step 0 of sequence 1 is 2; it must be from 0 to 1")

	// With a target at each step, filling has none.
	everyStep := steps().Shape(2, map[string]int{"sequence": 3}, false)
	b = network.Batch{
		Sequences: 2, Steps: everyStep.Steps, Float32: map[string][]float32{"x": {1, 2, 2, 90, 3, 90}},
		Int32: map[string][]int32{"lengths": {3, 1}}, Targets: []int32{0, 1, 0, -1, 0, -1},
	}
	refused(t, b.Check(everyStep), "")
	b.Targets[5] = 0
	refused(t, b.Check(everyStep), "targets: step 2 of sequence 1 has the target 0, and the sequence has 1 steps")

	words := network.Shape{Inputs: []network.Input{{Name: "w", Role: network.Tokens, Stream: "s", Size: 4}}, Steps: map[string]int{"s": 2}, Sequences: 1, Classes: 4, Targets: "s"}
	b = words.Allocate()
	refused(t, b.Check(words), "")
	b.Int32["w"][1] = 4
	refused(t, b.Check(words), "the value of step 1 of sequence 0 is 4; it must be from 0 to 3")
}

func TestBatchByHand(t *testing.T) {
	t.Parallel()
	b, inputs := readerBatch(), reader().Inputs
	b.Targets[1] = -1
	if b.Length(inputs, "text", 0) != 3 || b.Length(inputs, "text", 1) != 1 || b.Length(inputs[:1], "text", 1) != 3 {
		t.Error("lengths are not those of the batch, or not all steps where it has none")
	}
	if !b.Scored(0) || b.Scored(1) {
		t.Error("the first sequence has a target and the second has none")
	}
	if !slices.Equal(b.Candidates(inputs, 1), []int32{0, 1}) || b.Candidates(inputs[:1], 1) != nil {
		t.Error("candidates are not those of the sequence, or not nil where there are none")
	}
	if b.Fresh = nil; !b.Starts(1) {
		t.Error("a sequence does not start fresh where nothing is carried")
	}
	if b.Fresh = []int32{1, 0}; !b.Starts(0) || b.Starts(1) {
		t.Error("sequences do not start as marked")
	}
	steps := network.Batch{Sequences: 2, Targets: []int32{-1, -1, -1, 0}}
	if steps.Scored(0) || !steps.Scored(1) {
		t.Error("of targets at every step the second sequence has one and the first has none")
	}
}

func TestScoreByHand(t *testing.T) {
	t.Parallel()
	ln2 := float32(math.Ln2)
	for _, c := range []struct {
		what       string
		logits     []float32
		target     int32
		candidates []int32
		want       network.Score
	}{
		{"1 : 2 : 1", []float32{0, ln2, 0}, 1, nil, network.Score{LossSum: math.Log(2), Count: 1, Correct: 1}},
		{"another class", []float32{0, ln2, 0}, 2, nil, network.Score{LossSum: math.Log(4), Count: 1}},
		{"the first of equals", []float32{3, 3}, 0, nil, network.Score{LossSum: math.Log(2), Count: 1, Correct: 1}},
		{"the second of equals", []float32{3, 3}, 1, nil, network.Score{LossSum: math.Log(2), Count: 1}},
		{"no target", []float32{1, 2}, -1, nil, network.Score{}},
		{"candidates", []float32{0, 99, ln2}, 2, []int32{1, 0, 1}, network.Score{LossSum: math.Log(1.5), Count: 1, Correct: 1}},
		{"one candidate", []float32{-5, 99}, 0, []int32{1, 0}, network.Score{Count: 1, Correct: 1}},
		{"no candidate is the target", []float32{1, 2}, 1, []int32{1, 0}, network.Score{LossSum: math.Inf(1), Count: 1}},
		{"huge logits", []float32{3e38, 0}, 0, nil, network.Score{Count: 1, Correct: 1}},
		{"huge and wrong", []float32{1e6, 0}, 1, nil, network.Score{LossSum: 1e6, Count: 1}},
		{"low logits", []float32{-1e6, -1e6}, 0, nil, network.Score{LossSum: math.Log(2), Count: 1, Correct: 1}},
		{"far below a large one", []float32{30, 0}, 0, nil, network.Score{LossSum: math.Log1p(math.Exp(-30)), Count: 1, Correct: 1}},
	} {
		var got network.Score
		got.Target(c.logits, c.target, c.candidates)
		off := math.Abs(got.LossSum - c.want.LossSum)
		if got.LossSum == c.want.LossSum { // infinity
			off = 0
		}
		if !(off <= 1e-7*(1+math.Abs(c.want.LossSum))) || got.Count != c.want.Count || got.Correct != c.want.Correct {
			t.Errorf("%s: %+v, want %+v", c.what, got, c.want)
		}
	}
	sum := network.Score{LossSum: 1, Count: 2, Correct: 1}
	sum.Add(network.Score{LossSum: 0.5, Count: 3, Correct: 2})
	if sum != (network.Score{LossSum: 1.5, Count: 5, Correct: 3}) {
		t.Errorf("the sum of two scores is %+v", sum)
	}
}

// FuzzRun spoils the programs of package sample and their batches. Whatever is
// refused is refused with an error; what is not is run. Nothing panics.
func FuzzRun(f *testing.F) {
	programs := sample.Programs()
	for k := range programs {
		f.Add(uint8(k), uint8(3), uint8(0), int64(1))
		f.Add(uint8(k), uint8(7), uint8(4), int64(-1))
		f.Add(uint8(k), uint8(12), uint8(1), int64(math.MaxInt64))
	}
	f.Fuzz(func(t *testing.T, which, what, place uint8, value int64) {
		p := sample.Programs()[int(which)%len(programs)]
		n, b, size := p.Network, p.Batch(3, 0), int(value)
		steps := map[string]int{}
		for stream, count := range p.Steps {
			steps[stream] = count
		}
		b.Steps = steps
		in := &n.Inputs[int(place)%len(n.Inputs)]
		s := &n.Stages[int(place)%len(n.Stages)]
		name := append(slices.Clone(n.Inputs), network.Input{}, network.Input{Name: n.Output})[int(uint64(value)%uint64(len(n.Inputs)+2))].Name
		switch what % 16 {
		case 0:
			in.Size = size
		case 1:
			in.Stream = name
		case 2:
			in.Role = []network.Role{network.Tokens, network.Features, network.Lengths, network.Candidates}[uint64(value)%4]
		case 3:
			s.Op = []network.Op{network.Scan, network.Softmax, network.WeightedSum}[uint64(value)%3]
		case 4:
			s.Inputs = s.Inputs[:int(uint64(value)%uint64(len(s.Inputs)+1))]
		case 5:
			s.Inputs = append(slices.Clone(s.Inputs[1:]), name)
		case 6:
			s.Last = !s.Last
		case 7:
			s.Reverse = !s.Reverse
		case 8:
			n.Output = n.Stages[int(uint64(value)%uint64(len(n.Stages)))].Name
		case 9:
			b.Sequences = size
		case 10:
			steps[in.Stream] = size
		case 11:
			b.Targets[int(place)%len(b.Targets)] = int32(value)
		case 12:
			for _, values := range b.Int32 {
				values[int(place)%len(values)] = int32(value)
			}
		case 13:
			b.Fresh = make([]int32, uint64(value)%5)
		case 14:
			delete(b.Int32, in.Name)
			delete(b.Float32, in.Name)
		case 15:
			n.Stages = slices.Delete(n.Stages, int(place)%len(n.Stages), int(place)%len(n.Stages)+1)
		}
		n.Values()
		shape := n.Shape(b.Sequences, b.Steps, b.Fresh != nil)
		checked := b.Check(shape)
		r, err := network.NewReference(n, p.Weights)
		if err != nil {
			return
		}
		if err := n.Serves(shape); err != nil {
			t.Errorf("a network does not serve its own shape: %v", err)
		}
		logits, err := r.Run(b)
		if (err == nil) != (checked == nil) {
			t.Errorf("Run answers %v to what Check answers %v to", err, checked)
		}
		if err == nil && len(logits) != len(b.Targets)*n.Classes() {
			t.Errorf("%d logits for %d targets of %d classes", len(logits), len(b.Targets), n.Classes())
		}
	})
}
