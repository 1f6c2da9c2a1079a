package experiment

import (
	"cmp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"bittern/harness/checkpoint"
	"bittern/internal/arena"
	"bittern/plugins/model"
)

// snapshot is a copy of the tensors that training goes on from, in memory that is kept for the
// next. Nothing else of a checkpoint has to be done before the next update of the parameters.
//
// Statistics of normalization are not copied, which only a calibration changes: before it, release
// the snapshot.
//
// A training step begins with work that leaves processors idle, such as the quantizer's, and
// moves parameters only at its end. So they are copied beside it; see [snapshot.finish].
type snapshot struct {
	arena    *arena.Arena
	tensors  *tensors
	from, to []checkpoint.Tensor
	copied   *tensors // of to; nil if there is no memory for them

	done  chan struct{} // closed when the parameters are copied; nil if there is no snapshot yet
	fault error         // of that copy; read it once done is closed
}

// newSnapshot makes a snapshot, which is the first, so that later ones find memory that the
// system has given already.
func newSnapshot(a *arena.Arena, t *tensors) (*snapshot, error) {
	s := &snapshot{arena: a, tensors: t}
	if err := s.begin(); err != nil {
		return nil, err
	}
	return s, s.finish()
}

// allocate makes the memory of the copy, unless there is.
func (s *snapshot) allocate() {
	if s.copied != nil {
		return
	}
	s.copied = s.tensors.alike()
	to := s.copied.resumed()
	for i, from := range s.tensors.resumed() {
		if unsafe.SliceData(from.Float32) != unsafe.SliceData(to[i].Float32) {
			s.from, s.to = append(s.from, from), append(s.to, to[i])
		}
	}
}

// release gives up the memory until the next begin. Nothing may be saving it any more.
func (s *snapshot) release() {
	if s.done != nil {
		<-s.done
	}
	s.from, s.to, s.copied = nil, nil, nil
}

// begin copies what any call to a plugin may change, and begins to copy the parameters and
// their moments.
func (s *snapshot) begin() error {
	if err := s.finish(); err != nil {
		return err
	}
	s.allocate()
	if err := s.take(func(t checkpoint.Tensor) bool { return !ofParameter(t) }); err != nil {
		return err
	}
	done := make(chan struct{})
	s.done = done
	go func() {
		s.fault = s.take(ofParameter)
		close(done)
	}()
	return nil
}

// finish waits until all is copied. Parameters must not move before. It may be called by
// several goroutines.
func (s *snapshot) finish() error {
	if s.done == nil {
		return nil
	}
	<-s.done
	return s.fault
}

// ofParameter says whether only an update changes a tensor.
func ofParameter(t checkpoint.Tensor) bool {
	return strings.HasPrefix(t.Name, valueName) || strings.HasPrefix(t.Name, moment1Name) || strings.HasPrefix(t.Name, moment2Name)
}

// bytesOf is the size of tensors of a checkpoint.
func bytesOf(list []checkpoint.Tensor) int64 {
	n := 0
	for _, t := range list {
		n += t.Bytes()
	}
	return int64(n)
}

// alike makes tensors of the same shapes for what is saved, except for statistics, which it shares.
func (t *tensors) alike() *tensors {
	made := func(values []float32) []float32 {
		if values == nil {
			return nil
		}
		return make([]float32, len(values))
	}
	trained := func(t model.Tensors) model.Tensors {
		return model.Tensors{Value: made(t.Value), Moment1: made(t.Moment1), Moment2: made(t.Moment2)}
	}
	out := &tensors{freezesMoments: t.freezesMoments, parameters: slices.Clone(t.parameters), buffers: slices.Clone(t.buffers), states: slices.Clone(t.states)}
	for i, p := range t.parameters {
		out.parameters[i].Tensors = trained(p.Tensors)
	}
	for i, b := range t.buffers {
		if !b.Statistic {
			out.buffers[i].Values = made(b.Values)
		}
	}
	for i, s := range t.states {
		out.states[i].Tensors = trained(s.Tensors)
	}
	return out
}

// take copies those tensors that are wanted, on as many processors as bring it on.
func (s *snapshot) take(wanted func(checkpoint.Tensor) bool) error {
	const (
		copiers = 4       // more than these do not get more out of memory
		piece   = 1 << 18 // elements
	)
	type part struct{ to, from []float32 }
	var parts []part
	for i, t := range s.from {
		if !wanted(t) {
			continue
		}
		from, to := t.Float32, s.to[i].Float32
		for begin := 0; begin < len(from); begin += piece {
			end := min(begin+piece, len(from))
			parts = append(parts, part{to[begin:end], from[begin:end]})
		}
	}
	var next atomic.Int64
	errs := make([]error, min(copiers, runtime.GOMAXPROCS(0), max(1, len(parts))))
	work := func(err *error) {
		defer s.arena.Guard(err)()
		for {
			i := int(next.Add(1)) - 1
			if i >= len(parts) {
				return
			}
			copy(parts[i].to, parts[i].from)
		}
	}
	var others sync.WaitGroup
	for i := range errs[1:] {
		others.Go(func() { work(&errs[i+1]) })
	}
	work(&errs[0])
	others.Wait()
	return cmp.Or(errs...)
}
