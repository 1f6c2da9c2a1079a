package program

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"bittern/accel/kernels/vecmath"
	"bittern/plugins/backend"
	"bittern/plugins/network"
)

// keptLimit bounds the bytes of the values between stages on one worker. A group that
// would take more is made smaller, down to one sequence.
const keptLimit = 64 << 20

// Execution runs batch after batch through a program. Sequences may go on from one batch
// to the next. It serves one caller at a time.
type Execution struct {
	program *Program
	carried [][]*State // by stage and place in the batch; nil where nothing is kept
}

// NewExecution makes an execution that carries no state yet.
func (p *Program) NewExecution() *Execution { return &Execution{program: p} }

// Execute is [backend.Backend.Execute] with the given limits on the number of workers and
// on the sequences of a group.
func (e *Execution) Execute(ctx context.Context, request backend.Execute, workers, group int) (network.Score, error) {
	p := e.program
	if err := request.Validate(p.network); err != nil {
		return network.Score{}, err
	}
	if err := ctx.Err(); err != nil {
		return network.Score{}, err
	}
	clear(request.Outputs)
	j := p.NewJob(request.Batch)
	j.outputs = request.Outputs
	j.scores = make([]network.Score, j.batch.Sequences)
	if j.batch.Fresh != nil {
		j.carry = e.begin(j.batch.Sequences)
	}
	order := j.order()
	longest := map[string]int{}
	for _, stream := range p.network.Streams() {
		for _, place := range order {
			longest[stream] = max(longest[stream], j.length(stream, place))
		}
	}
	group = groupSize(group, len(order), workers, p.KeptBytes(longest))
	if err := p.run(ctx, j, order, longest, workers, group); err != nil {
		return network.Score{}, err
	}
	e.carried = nil
	if j.carry != nil {
		e.carried = j.carry.next
	}
	var sum network.Score
	for _, score := range j.scores {
		sum.Add(score)
	}
	return sum, nil
}

// groupSize returns how many sequences a worker takes at once: no more than most, so few
// that every worker has some, and so few that their values between stages, each bytes
// long, stay within keptLimit.
func groupSize(most, sequences, workers, bytes int) int {
	size := min(most, (sequences+workers-1)/workers)
	if bytes > 0 {
		size = min(size, keptLimit/bytes)
	}
	return max(1, size)
}

// run takes the sequences, in the given order, through the program, group after group.
func (p *Program) run(ctx context.Context, j *Job, order []int, longest map[string]int, workers, group int) error {
	var (
		next    atomic.Int64
		running sync.WaitGroup
		failure atomic.Pointer[error]
	)
	for range min(workers, (len(order)+group-1)/group) {
		running.Go(func() {
			w := p.NewWorker(group, longest)
			for failure.Load() == nil {
				first := (int(next.Add(1)) - 1) * group
				if first >= len(order) {
					return
				}
				if err := w.Run(ctx, j, order[first:min(first+group, len(order))]); err != nil {
					failure.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	running.Wait()
	if err := failure.Load(); err != nil {
		return *err
	}
	return nil
}

// carry holds the states that sequences go on from, and those that the next batch will.
type carry struct{ now, next [][]*State }

// begin makes room for the states that the places of a batch will end with; other places
// keep their states.
func (e *Execution) begin(sequences int) *carry {
	c := &carry{now: e.carried}
	for number := range e.program.stages {
		var kept []*State
		if e.carried != nil {
			kept = e.carried[number]
		}
		next := make([]*State, max(sequences, len(kept)))
		copy(next, kept)
		c.next = append(c.next, next)
	}
	return c
}

// Job is one batch on its way through a program.
type Job struct {
	program *Program
	batch   network.Batch
	outputs []float32       // nil where nobody asked for them
	scores  []network.Score // by sequence; nil where nothing is scored
	carry   *carry          // nil where nothing is carried
}

// NewJob makes a job of a valid batch whose results are neither scored nor carried on. It
// serves to time the sequences.
func (p *Program) NewJob(b network.Batch) *Job { return &Job{program: p, batch: b} }

// order lists the places whose sequences are run, longest first: all places if outputs are
// asked for or states are carried, otherwise those that have a target.
func (j *Job) order() []int {
	all := j.outputs != nil || j.carry != nil
	var order []int
	streams, steps := j.program.network.Streams(), make([]int, j.batch.Sequences)
	for place := range steps {
		if !all && !j.batch.Scored(place) {
			continue
		}
		order = append(order, place)
		for _, stream := range streams {
			steps[place] += j.length(stream, place)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return steps[b] - steps[a] })
	return order
}

// length returns how many steps of a stream the sequence at a place has; 1 if there is no
// stream.
func (j *Job) length(stream string, place int) int {
	if stream == "" {
		return 1
	}
	return j.batch.Length(j.program.network.Inputs, stream, place)
}

// carried returns the state that the sequence at a place goes on from, nil if it starts
// fresh.
func (j *Job) carried(stage, place int) *State {
	if j.carry == nil || j.batch.Starts(place) || j.carry.now == nil || place >= len(j.carry.now[stage]) {
		return nil
	}
	return j.carry.now[stage][place]
}

// target returns the index of the target of a place at time step t.
func (j *Job) target(place, t int) int { return t*j.batch.Sequences + place }

// wants says whether the logits of a place at time step t are scored or asked for.
func (j *Job) wants(place, t int) bool {
	return j.outputs != nil || j.scores != nil && j.batch.Targets[j.target(place, t)] >= 0
}

// take scores logits, and writes them out where they are asked for.
func (j *Job) take(place, t int, logits []float32) {
	at := j.target(place, t)
	if j.outputs != nil {
		copy(j.outputs[at*j.program.classes:], logits)
	}
	if j.scores != nil {
		score(&j.scores[place], logits, j.batch.Targets[at], j.batch.Candidates(j.program.network.Inputs, place))
	}
}

// score is [network.Score.Target], faster where all classes are candidates.
func score(s *network.Score, logits []float32, target int32, candidates []int32) {
	if target >= 0 && candidates == nil {
		best := vecmath.ArgMax(logits)
		if sum := vecmath.SumExp(logits, logits[best]); !math.IsNaN(sum) {
			s.TargetOf(logits, target, best, sum)
			return
		}
	}
	s.Target(logits, target, candidates)
}
