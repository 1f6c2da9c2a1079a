package conformance

import (
	"maps"
	"slices"

	"bittern/plugins/network"
)

// cloned returns a copy of a batch.
func cloned(b network.Batch) network.Batch {
	b.Int32, b.Float32 = maps.Clone(b.Int32), maps.Clone(b.Float32)
	for name, values := range b.Int32 {
		b.Int32[name] = slices.Clone(values)
	}
	for name, values := range b.Float32 {
		b.Float32[name] = slices.Clone(values)
	}
	b.Fresh, b.Targets = slices.Clone(b.Fresh), slices.Clone(b.Targets)
	return b
}

// withFresh returns the batch with other marks of which sequences start fresh.
func withFresh(b network.Batch, fresh func(sequence int) bool) network.Batch {
	b.Fresh = make([]int32, b.Sequences)
	for i := range b.Fresh {
		if fresh(i) {
			b.Fresh[i] = 1
		}
	}
	return b
}

func all(int) bool  { return true }
func none(int) bool { return false }

// copyBatch copies the content of a batch to another of the same shape.
func copyBatch(to, from network.Batch) {
	for name, values := range from.Int32 {
		copy(to.Int32[name], values)
	}
	for name, values := range from.Float32 {
		copy(to.Float32[name], values)
	}
	copy(to.Fresh, from.Fresh)
	copy(to.Targets, from.Targets)
}

// sequence returns a batch with sequence i alone.
func sequence(s network.Shape, b network.Batch, i int) network.Batch {
	one := s
	one.Sequences = 1
	alone := one.Allocate()
	for _, in := range s.Inputs {
		width := in.Size
		if in.Role == network.Features || in.Role == network.Candidates {
			takeColumn(alone.Float32[in.Name], b.Float32[in.Name], b.Sequences, i, width)
			takeColumn(alone.Int32[in.Name], b.Int32[in.Name], b.Sequences, i, width)
			continue
		}
		takeColumn(alone.Int32[in.Name], b.Int32[in.Name], b.Sequences, i, 1)
	}
	takeColumn(alone.Fresh, b.Fresh, b.Sequences, i, 1)
	takeColumn(alone.Targets, b.Targets, b.Sequences, i, 1)
	return alone
}

// takeColumn copies what sequence i has of a tensor [steps, sequences, width] or [sequences,
// width].
func takeColumn[T any](to, from []T, sequences, i, width int) {
	for t := range len(to) / width {
		copy(to[t*width:(t+1)*width], from[(t*sequences+i)*width:])
	}
}

// joined returns a shape with twice the steps, and a batch of it whose sequences are those of
// the first batch followed by those of the second.
func joined(s network.Shape, first, second network.Batch) (network.Shape, network.Batch) {
	long := s
	long.Steps = map[string]int{}
	for stream, steps := range s.Steps {
		long.Steps[stream] = 2 * steps
	}
	b := long.Allocate()
	for name := range b.Int32 {
		copy(b.Int32[name], slices.Concat(first.Int32[name], second.Int32[name]))
	}
	for name := range b.Float32 {
		copy(b.Float32[name], slices.Concat(first.Float32[name], second.Float32[name]))
	}
	copy(b.Fresh, first.Fresh)
	copy(b.Targets, slices.Concat(first.Targets, second.Targets))
	return long, b
}

// disturb changes the inputs of the steps that pick chooses.
func disturb(s network.Shape, b network.Batch, pick func(in network.Input, step, sequence int) bool) {
	for _, in := range s.Inputs {
		tokens, features := b.Int32[in.Name], b.Float32[in.Name]
		for t := range s.Steps[in.Stream] {
			for i := range s.Sequences {
				at := t*s.Sequences + i
				switch {
				case !pick(in, t, i):
				case in.Role == network.Tokens:
					tokens[at] = (tokens[at] + 1) % int32(in.Size)
				case in.Role == network.Features:
					for j := at * in.Size; j < (at+1)*in.Size; j++ {
						features[j] = 0.5 - features[j]
					}
				}
			}
		}
	}
}

// beyond returns a pick of the steps beyond the lengths of sequences.
func beyond(s network.Shape, b network.Batch) func(in network.Input, step, sequence int) bool {
	return func(in network.Input, step, sequence int) bool {
		return step >= b.Length(s.Inputs, in.Stream, sequence)
	}
}

// hasLengths reports whether a stream of the shape has lengths.
func hasLengths(s network.Shape) bool {
	return slices.ContainsFunc(s.Inputs, func(in network.Input) bool { return in.Role == network.Lengths })
}
