package experiment

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bittern/harness/artifact"
	"bittern/harness/metric"
	"bittern/harness/store"
	"bittern/harness/task"
	"bittern/plugins"
	"bittern/plugins/backend"
	"bittern/plugins/network"
)

// quiz is a task of two streams and one target a sequence, whose batches hold their
// number in their first target and nothing else. Every batch belongs to the group of
// its place.
type quiz struct{ groups []string }

func (quiz) Shape() network.Shape {
	return network.Shape{
		Inputs: []network.Input{
			{Name: "story", Role: network.Tokens, Stream: "story", Size: 9},
			{Name: "question", Role: network.Tokens, Stream: "question", Size: 9},
		},
		Steps: map[string]int{"story": 7, "question": 3}, Sequences: 2, Classes: 10000,
	}
}

func (quiz) Metric() metric.Metric               { return metric.Accuracy }
func (quiz) Steps() map[string]int               { return map[string]int{"story": 6, "question": 2} }
func (q quiz) Training(uint64, int) task.Batches { return q }
func (q quiz) Evaluation(task.Part) task.Batches { return q }
func (q quiz) Len() int                          { return len(q.groups) }
func (q quiz) Group(i int) string                { return q.groups[i] }
func (q quiz) Fill(i int, b network.Batch) error {
	b.Targets[0], b.Targets[1] = int32(i), -1
	return task.Ready(i, q.Len(), q.Shape(), b)
}

// marker is a backend that scores with a function of the batch's number.
type marker struct {
	score      func(i int) network.Score
	tolerance  *float64
	arithmetic string
	requests   []backend.Execute
	steps      map[string]int
}

func (*marker) Describe(context.Context) (plugins.Description, error) {
	return plugins.Description{}, nil
}

func (*marker) Explain(context.Context, plugins.Values) (backend.Explanation, error) {
	return backend.Explanation{}, nil
}

func (m *marker) Deploy(context.Context, backend.Deploy) (backend.Deployed, error) {
	return backend.Deployed{Tolerance: m.tolerance, Arithmetic: m.arithmetic}, nil
}

func (m *marker) Cost(_ context.Context, request backend.CostRequest) (backend.Cost, error) {
	m.steps = request.Steps
	return backend.Cost{}, nil
}

func (m *marker) Execute(_ context.Context, request backend.Execute) (network.Score, error) {
	m.requests = append(m.requests, request)
	return m.score(int(request.Batch.Targets[0])), nil
}

// mark deploys on the machine; loss is that of the model.
func mark(t *testing.T, m *marker, groups []string, loss float64) (outcome, error) {
	t.Helper()
	return deploy(t.Context(), m, Plugin{Label: "slide rule"}, artifact.Network{}, quiz{groups}, loss, scores{}, &Quiet{}, func(int, int) {})
}

// What two machines of one executable compute alike is executed on the first. Each
// holds it against its own tolerance.
func TestOneArithmeticIsExecutedOnce(t *testing.T) {
	t.Parallel()
	timed := Plugin{Label: "stopwatch", Description: plugins.Description{Traits: []string{backend.TraitTimed}}}
	for _, c := range []struct {
		name       string
		plugin     Plugin
		arithmetic string
		shared     bool
	}{
		{"the same", Plugin{Label: "abacus"}, "decimal", true},
		{"another", Plugin{Label: "abacus"}, "octal", false},
		{"none", Plugin{Label: "abacus"}, "", false},
		{"another executable", Plugin{Label: "abacus", SHA256: "1f"}, "decimal", false},
		{"a timed machine", timed, "decimal", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			known, groups := scores{}, []string{"qa1", "qa2"}
			run := func(p Plugin, m *marker) outcome {
				o, err := deploy(t.Context(), m, p, artifact.Network{}, quiz{groups}, 1, known, &Quiet{}, func(int, int) {})
				if err != nil {
					t.Fatal(err)
				}
				return o
			}
			half := func(i int) network.Score { return network.Score{LossSum: 1.02, Count: 1, Correct: i} }
			first := run(Plugin{Label: "slide rule"}, &marker{score: half, arithmetic: "decimal", tolerance: new(0.1)})
			m := &marker{score: func(int) network.Score { return network.Score{LossSum: 1, Count: 1} }, arithmetic: c.arithmetic, tolerance: new(0.01)}
			second := run(c.plugin, m)
			if first.scoredBy != "" || first.doubt != "" {
				t.Errorf("the first is scored by %q, in doubt %q", first.scoredBy, first.doubt)
			}
			if c.shared {
				if len(m.requests) != 0 || second.scoredBy != "slide rule" || second.arithmetic != "decimal" || second.doubt == "" ||
					*second.score != *first.score || !slices.Equal(second.groups, first.groups) {
					t.Errorf("%d calls of Execute, outcome %+v; want none and the score of the slide rule, which is in doubt here", len(m.requests), second)
				}
				if second.cost == nil {
					t.Error("it does not say what the network costs")
				}
				return
			}
			if len(m.requests) != len(groups) || second.scoredBy != "" || *second.score != 0 {
				t.Errorf("%d calls of Execute, outcome %+v; want a score of its own, 0", len(m.requests), second)
			}
		})
	}
}

// watcher is a backend that looks, in each of its calls, at who else may compute.
type watcher struct {
	marker
	t     *testing.T
	quiet *Quiet
}

func (w *watcher) look(call string, alone bool) {
	w.t.Helper()
	if w.quiet.turn.TryLock() {
		w.quiet.turn.Unlock()
		w.t.Errorf("%s: something could be timed beside it", call)
	}
	free := w.quiet.turn.TryRLock()
	if free {
		w.quiet.turn.RUnlock()
	}
	if free == alone {
		w.t.Errorf("%s: another experiment may compute beside it: %t, want %t", call, free, !alone)
	}
}

func (w *watcher) Deploy(ctx context.Context, request backend.Deploy) (backend.Deployed, error) {
	w.look("Deploy", false)
	return w.marker.Deploy(ctx, request)
}

func (w *watcher) Cost(ctx context.Context, request backend.CostRequest) (backend.Cost, error) {
	w.look("Cost", true)
	return w.marker.Cost(ctx, request)
}

func (w *watcher) Execute(ctx context.Context, request backend.Execute) (network.Score, error) {
	w.look("Execute", false)
	return w.marker.Execute(ctx, request)
}

// A machine that is timed has the processors to itself while its cost is taken, and waits
// its turn for all else.
func TestATimedBackendIsAlone(t *testing.T) {
	t.Parallel()
	w := &watcher{t: t, quiet: &Quiet{}}
	w.score = func(int) network.Score { return network.Score{LossSum: 1, Count: 1} }
	timed := Plugin{Label: "stopwatch", Description: plugins.Description{Traits: []string{backend.TraitTimed}}}
	if _, err := deploy(t.Context(), w, timed, artifact.Network{}, quiz{[]string{""}}, 1, scores{}, w.quiet, func(int, int) {}); err != nil {
		t.Fatal(err)
	}
	if len(w.requests) != 1 || w.steps == nil {
		t.Errorf("%d calls of Execute and steps %v of Cost, want one of each", len(w.requests), w.steps)
	}
}

// A loss that is none fails its deployment: neither a table nor JSON has room for an
// infinity.
func TestAScoreIsANumber(t *testing.T) {
	t.Parallel()
	for _, loss := range []float64{math.NaN(), math.Inf(1)} {
		_, err := mark(t, &marker{score: func(int) network.Score { return network.Score{LossSum: loss, Count: 1} }}, []string{""}, 0)
		if f, ok := errors.AsType[*Failure](err); !ok || !strings.HasPrefix(f.Reason, "slide rule has losses that sum to") {
			t.Errorf("a loss of %v: error %v, want a failure that says so", loss, err)
		}
	}
	if _, err := mark(t, &marker{score: func(int) network.Score { return network.Score{} }}, []string{""}, 0); err == nil {
		t.Error("a test part without a target has a score")
	}
}

// The harness hands over batches alone: it has no room for logits, of which there
// would be 10,000 for each target.
func TestADeploymentAsksForNoOutputs(t *testing.T) {
	t.Parallel()
	m := &marker{score: func(i int) network.Score { return network.Score{LossSum: float64(i), Count: 1, Correct: i % 2} }}
	o, err := mark(t, m, []string{"", "", "", ""}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.requests) != 4 {
		t.Fatalf("%d calls of Execute, want one for each of 4 batches", len(m.requests))
	}
	for i, request := range m.requests {
		if request.Outputs != nil {
			t.Errorf("call %d has room for %d outputs, want none", i, len(request.Outputs))
		}
	}
	if o.score == nil || *o.score != 50 || o.groups != nil || o.doubt != "" {
		t.Errorf("outcome %+v, want 50 %% without groups and without a doubt", o)
	}
	want := map[string]int{"story": 6, "question": 2}
	if diff := cmp.Diff([]map[string]int{want, want}, []map[string]int{m.steps, o.steps}); diff != "" {
		t.Errorf("steps of the costed sequence, asked for and kept (-want +got):\n%s", diff)
	}
}

// The score is the mean over groups, however many targets each has: 3 of 4 in one and
// none of 1 in the other are 37.5 %.
func TestAScoreIsTheMeanOverGroups(t *testing.T) {
	t.Parallel()
	groups := []string{"qa1", "qa2", "qa1", "empty"}
	scores := []network.Score{{LossSum: 1, Count: 1, Correct: 1}, {LossSum: 2, Count: 1}, {LossSum: 2, Count: 3, Correct: 2}, {}}
	o, err := mark(t, &marker{score: func(i int) network.Score { return scores[i] }, tolerance: new(1e-9)}, groups, 1)
	if err != nil {
		t.Fatal(err)
	}
	if *o.score != 37.5 || o.doubt != "" { // the loss is the mean over all 5 targets
		t.Errorf("score %v, doubt %q, want 37.5 and none", *o.score, o.doubt)
	}
	want := []store.GroupScore{{Group: "qa1", Score: 75, Targets: 4}, {Group: "qa2", Score: 0, Targets: 1}}
	var d store.Deployment
	o.into(&d)
	if diff := cmp.Diff(want, d.Groups); diff != "" {
		t.Errorf("stored groups (-want +got):\n%s", diff)
	}
}

// A machine that scores otherwise than the model by more than it claims is in doubt; one
// that claims nothing is not.
func TestAnotherScoreIsInDoubt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		tolerance *float64
		doubt     bool
	}{{new(0.01), true}, {new(0.03), false}, {nil, false}} {
		m := &marker{score: func(int) network.Score { return network.Score{LossSum: 1.02, Count: 1} }, tolerance: test.tolerance}
		o, err := mark(t, m, []string{""}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(o.doubt, "slide rule computes a loss of 1.0200 nats a target and the model that trained the network 1.0000"); got != test.doubt || o.score == nil {
			t.Errorf("0.02 nats off, a claim of %v: doubt %q, score %v; want a doubt: %t", test.tolerance, o.doubt, o.score, test.doubt)
		}
	}
}

// What a machine says of a timed figure is stored whole.
func TestTheSpreadOfATimeIsStored(t *testing.T) {
	t.Parallel()
	o := outcome{cost: &backend.Cost{Seconds: new(2.0), SecondsLow: new(1.0), SecondsHigh: new(3.0), Measured: true, N: 7}, steps: map[string]int{"text": 5}}
	var d store.Deployment
	o.into(&d)
	want := &store.Cost{Steps: map[string]int{"text": 5}, Seconds: new(2.0), SecondsLow: new(1.0), SecondsHigh: new(3.0), Measured: true, N: 7}
	if diff := cmp.Diff(want, d.Cost); diff != "" {
		t.Errorf("stored cost (-want +got):\n%s", diff)
	}
}

// Groups stand in the order of the test part.
func TestGroupsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	var sums tally
	for _, name := range []string{"qa2", "qa10", "qa1", "qa10"} {
		sums.add(name, network.Score{Count: 1})
	}
	var names []string
	for _, g := range sums.score(metric.Accuracy).groups {
		names = append(names, g.Group)
	}
	if want := []string{"qa2", "qa10", "qa1"}; !slices.Equal(names, want) {
		t.Errorf("groups %q, want %q", names, want)
	}
}
