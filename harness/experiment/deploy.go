package experiment

import (
	"context"
	"errors"
	"fmt"
	"math"

	"bittern/harness/artifact"
	"bittern/harness/task"
	"bittern/plugins/backend"
	"bittern/plugins/model"
	"bittern/plugins/stepgraph"
)

// outcome is what one backend said of one deployed network. A question that
// the backend does not serve has its reason in missing.
type outcome struct {
	cost  *backend.Cost
	score *float64
	doubt string // why the score is not to be trusted
	// missing is why there is no score, or no cost.
	missing string
}

// outputBytes bounds the outputs of one call, so that a long test part neither
// fills the memory nor keeps the backend from answering for long.
const outputBytes = 4 << 20

// deploy asks a backend what a network costs and computes. Score is over all
// windows of the test part, from the outputs as the machine computes them.
//
// loss is the mean loss of the same frozen network by the model that trained it, in
// nats a target. A machine that is further from it than it claims is in doubt.
func deploy(ctx context.Context, b backend.Backend, plugin Plugin, n artifact.Network, t task.Task, loss float64, quiet *Quiet, report func(done, of int)) (outcome, error) {
	calls := context.WithoutCancel(ctx)
	deployed, err := b.Deploy(calls, backend.Deploy{Options: plugin.Options, Graph: n.Graph, Weights: n.Weights})
	if err != nil {
		return unsupported(outcome{}, err)
	}
	var o outcome
	sequences := t.Sequences(task.Test, 0)
	turn := quiet.compute
	if plugin.has(backend.TraitTimed) {
		turn = quiet.alone
	}
	var cost backend.Cost
	err = turn(func() (err error) {
		cost, err = b.Cost(calls, backend.CostRequest{Length: sequences.Length})
		return err
	})
	if err != nil {
		if o, err = unsupported(o, err); err != nil {
			return outcome{}, err
		}
	} else {
		o.cost = &cost
	}

	size := t.Shape().OutputSize
	probabilities := output(n.Graph).Op == stepgraph.Softmax
	perCall := min(sequences.Count, max(1, outputBytes/(4*sequences.Length*size)))
	outputs := make([]float32, perCall*sequences.Length*size)
	var sum model.Evaluation
	for from := 0; from < sequences.Count; from += perCall {
		if err := ctx.Err(); err != nil {
			return outcome{}, err
		}
		report(from, sequences.Count)
		some := sequences.Slice(from, min(perCall, sequences.Count-from))
		request := backend.Execute{
			Sequences: some.Count, Length: some.Length, Tokens: some.Tokens, Dense: some.Dense,
			Outputs: outputs[:some.Count*some.Length*size],
		}
		if err := quiet.compute(func() error { return b.Execute(calls, request) }); err != nil {
			return unsupported(o, err)
		}
		add(&sum, some.Score(request.Outputs, size, probabilities))
	}
	score := t.Metric().Score(sum)
	found := sum.LossSum / float64(sum.Count)
	if math.IsNaN(found) || math.IsNaN(score) || math.IsInf(score, 0) {
		return outcome{}, &Failure{Reason: fmt.Sprintf("%s gives targets probabilities of 0 or less: its loss would be %v and its score %v", plugin.Label, found, score)}
	}
	o.score = &score
	if deployed.Tolerance != nil && math.Abs(found-loss) > *deployed.Tolerance {
		o.doubt = fmt.Sprintf("%s computes a loss of %.4f nats a target and the model that trained the network %.4f, further apart than the %g that the machine claims; the export or the machine is wrong", plugin.Label, found, loss, *deployed.Tolerance)
	}
	return o, nil
}

// unsupported notes why a backend does not serve a request, which is no
// failure.
func unsupported(o outcome, err error) (outcome, error) {
	var cannot *backend.ErrUnsupported
	if errors.As(err, &cannot) {
		o.missing = cannot.Reason
		return o, nil
	}
	return outcome{}, failure(err)
}

func add(sum *model.Evaluation, e model.Evaluation) {
	sum.LossSum += e.LossSum
	sum.Count += e.Count
	sum.Correct += e.Correct
}

func output(g stepgraph.Graph) stepgraph.Node {
	for _, n := range g.Nodes {
		if n.Name == g.Output {
			return n
		}
	}
	return stepgraph.Node{}
}
