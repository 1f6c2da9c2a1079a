package datapath

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"bittern/plugins/backend"
)

// groupSize is how many sequences run side by side, so that a weight that is
// read from memory serves all of them.
const groupSize = 32

// Execute runs the program as [backend.Backend.Execute] says. Sequences do not
// depend on each other, and no result depends on how they are grouped.
func (p *Program) Execute(ctx context.Context, request backend.Execute) error {
	if err := request.Validate(p.graph); err != nil {
		return err
	}
	workers := runtime.GOMAXPROCS(0)
	group := max(1, min(groupSize, (request.Sequences+workers-1)/workers))
	groups := (request.Sequences + group - 1) / group
	var (
		next    atomic.Int64
		running sync.WaitGroup
		failure atomic.Pointer[error]
	)
	for range min(workers, groups) {
		running.Go(func() {
			m := p.newMachine(group)
			for {
				first := (int(next.Add(1)) - 1) * group
				if first >= request.Sequences || failure.Load() != nil {
					return
				}
				if err := m.run(ctx, request, first, min(group, request.Sequences-first)); err != nil {
					failure.CompareAndSwap(nil, &err)
					return
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

// machine is the registers of one group of sequences.
type machine struct {
	*Program
	sequences int
	tokens    []int32 // of the time step at hand
	values    [][]int32
	sums      [][]int64
	multiplier
}

func (p *Program) newMachine(group int) *machine {
	m := &machine{Program: p, tokens: make([]int32, group)}
	for _, size := range p.values {
		m.values = append(m.values, make([]int32, group*size))
	}
	for _, size := range p.sums {
		m.sums = append(m.sums, make([]int64, group*size))
	}
	return m
}

// run computes the sequences from first on.
func (m *machine) run(ctx context.Context, request backend.Execute, first, sequences int) error {
	m.sequences = sequences
	for _, s := range m.states {
		for b := range sequences {
			copy(m.at(s.register, b), s.init)
		}
	}
	for t := range request.Length {
		if err := ctx.Err(); err != nil {
			return err
		}
		m.enter(request, first, t)
		for _, i := range m.instructions {
			if err := i.run(m, t); err != nil {
				return fmt.Errorf("time step %d: %w", t, err)
			}
		}
		for b := range sequences {
			step := (first+b)*request.Length + t
			outputs := request.Outputs[step*m.output.size : (step+1)*m.output.size]
			for i, v := range m.at(m.output, b) {
				outputs[i] = m.output.format.decode(v)
			}
		}
		for _, s := range m.states {
			if err := (move{s.next, s.register}).run(m, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// enter takes in the input of time step t.
func (m *machine) enter(request backend.Execute, first, t int) {
	for b := range m.sequences {
		step := (first+b)*request.Length + t
		if m.graph.Input.Token {
			m.tokens[b] = request.Tokens[step]
			continue
		}
		x := m.at(m.input, b)
		for i, v := range request.Dense[step*len(x) : (step+1)*len(x)] {
			x[i] = m.input.format.encode(float64(v))
		}
	}
}

// at returns a value of sequence b.
func (m *machine) at(v view, b int) []int32 { return v.of(m.values[v.buffer], b) }

// sum returns exact sums of sequence b.
func (m *machine) sum(v view, b int) []int64 { return m.sums[v.buffer][b*v.size : (b+1)*v.size] }
