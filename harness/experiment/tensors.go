package experiment

import (
	"hash/maphash"
	"net/url"
	"slices"
	"unsafe"

	"bittern/internal/arena"
	"bittern/plugins/model"
	"bittern/plugins/network"
	"bittern/plugins/quantizer"
)

// tensors is everything of an experiment that lies in the shared arena: the harness
// allocates and saves it, the plugins compute on it.
type tensors struct {
	parameters []parameter // in the model's order
	buffers    []buffer
	weights    []quantizer.Weight // the quantized parameters, in the model's order
	states     []state
	batch      network.Batch

	freezesMoments bool // the quantizer reads second moments, in a freeze too
}

type parameter struct {
	model.Parameter
	model.Tensors
}

type buffer struct {
	model.Buffer
	Values []float32
}

// state is kept by the quantizer. One that is trained has what every trained tensor has.
type state struct {
	quantizer.State
	model.Tensors
}

// stateName names a state among the network's parameters, and its tensors in a
// checkpoint. Slashes in the names of weight and state are escaped: no two states share
// a name.
func stateName(s quantizer.State) string {
	return url.PathEscape(s.Weight) + "/" + url.PathEscape(s.Name)
}

// weightShapes lists what goes through the quantizer.
func weightShapes(plan model.Plan) []quantizer.Shape {
	var shapes []quantizer.Shape
	for _, p := range plan.Parameters {
		if p.Quantize {
			shapes = append(shapes, weightShape(p))
		}
	}
	return shapes
}

func weightShape(p model.Parameter) quantizer.Shape {
	return quantizer.Shape{Name: p.Name, Rows: p.Shape[0], Cols: p.Shape[1]}
}

// line is a cache line of 64 bytes in elements of 4; every tensor starts on one.
const line = 16

// allocate makes all tensors of an experiment in the arena, filled with zeros. If the
// machine has no room for the plan, the error is a *Failure of this experiment.
func allocate(a *arena.Arena, spec *Spec, plan model.Plan, states []quantizer.State, shape network.Shape) (*tensors, error) {
	optimiser := spec.Task.Training.Optimiser
	batch, err := shape.NewBatch(
		func(_ string, dims []int) ([]int32, error) { return arena.Make[int32](a, dims...) },
		func(_ string, dims []int) ([]float32, error) { return arena.Make[float32](a, dims...) },
	)
	if err != nil {
		return nil, err
	}
	// Counted first and made as one piece, so that all the room is reserved at
	// once and none of it is the arena's margin for growing.
	total := 0
	layOut(plan, states, optimiser, func(n int) []float32 {
		total += (n + line - 1) / line * line
		return nil
	})
	room, err := arena.Make[float32](a, total)
	if err != nil {
		return nil, failure(err)
	}
	t := layOut(plan, states, optimiser, func(n int) []float32 {
		values := room[:n:n]
		room = room[(n+line-1)/line*line:]
		return values
	})
	t.batch, t.freezesMoments = batch, spec.Quantizer.Has(quantizer.TraitSecondMoments)
	return t, nil
}

// layOut makes every tensor of a plan with take, which returns the
// given number of elements.
func layOut(plan model.Plan, states []quantizer.State, optimiser model.Optimiser, take func(n int) []float32) *tensors {
	t := &tensors{}
	trained := func(n int) model.Tensors {
		values := model.Tensors{Value: take(n), Grad: take(n)}
		if optimiser == model.Adam {
			values.Moment1, values.Moment2 = take(n), take(n)
		}
		return values
	}
	for _, p := range plan.Parameters {
		values := trained(elements(p.Shape))
		if p.Quantize {
			values.Quantized = take(elements(p.Shape))
		}
		t.parameters = append(t.parameters, parameter{Parameter: p, Tensors: values})
	}
	for _, b := range plan.Buffers {
		t.buffers = append(t.buffers, buffer{Buffer: b, Values: take(elements(b.Shape))})
	}
	for _, s := range states {
		values := model.Tensors{}
		if s.Trained {
			values = trained(elements(s.Shape))
		} else {
			values.Value = take(elements(s.Shape))
		}
		t.states = append(t.states, state{State: s, Tensors: values})
	}
	for _, p := range t.parameters {
		if p.Quantize {
			t.weights = append(t.weights, t.weight(p))
		}
	}
	return t
}

// weight is a quantized parameter as the quantizer sees it.
func (t *tensors) weight(p parameter) quantizer.Weight {
	w := quantizer.Weight{
		Shape:  weightShape(p.Parameter),
		Latent: p.Value, Quantized: p.Quantized, Grad: p.Grad, Moment2: p.Moment2,
		State: make(map[string]quantizer.StateTensors),
	}
	for _, s := range t.states {
		if s.Weight == p.Name {
			w.State[s.Name] = quantizer.StateTensors{Value: s.Value, Grad: s.Grad}
		}
	}
	return w
}

func elements(shape []int) int {
	n := 1
	for _, size := range shape {
		n *= size
	}
	return n
}

// values maps the names of everything that the optimiser trains, parameters and trained
// states, to their tensors, as a model's Build takes them.
func (t *tensors) values() map[string]model.Tensors {
	all := make(map[string]model.Tensors, len(t.parameters))
	for _, p := range t.parameters {
		all[p.Name] = p.Tensors
	}
	for _, s := range t.states {
		if s.Trained {
			all[stateName(s.State)] = s.Tensors
		}
	}
	return all
}

func (t *tensors) bufferValues() map[string][]float32 {
	all := make(map[string][]float32, len(t.buffers))
	for _, b := range t.buffers {
		all[b.Name] = b.Values
	}
	return all
}

// hasStatistics says whether normalization has statistics that are gathered for deployment.
func (t *tensors) hasStatistics() bool {
	return slices.ContainsFunc(t.buffers, func(b buffer) bool { return b.Statistic })
}

// seed makes fingerprints of one process alike.
var seed = maphash.MakeSeed()

// fingerprint tells networks apart by what an evaluation with such statistics reads: the
// weights that stand in Quantized, the parameters that are not quantized, and with frozen
// statistics those.
func (t *tensors) fingerprint(statistics model.Statistics) uint64 {
	var all maphash.Hash
	all.SetSeed(seed)
	add := func(values []float32) {
		sum := maphash.Bytes(seed, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), 4*len(values)))
		maphash.WriteComparable(&all, sum)
	}
	for _, p := range t.parameters {
		if p.Quantize {
			add(p.Quantized)
		} else {
			add(p.Value)
		}
	}
	for _, b := range t.buffers {
		if b.Statistic && statistics == model.Frozen {
			add(b.Values)
		}
	}
	return all.Sum64()
}

// resetMoments makes the optimiser start afresh.
func (t *tensors) resetMoments() {
	for _, p := range t.parameters {
		clear(p.Moment1)
		clear(p.Moment2)
	}
	for _, s := range t.states {
		clear(s.Moment1)
		clear(s.Moment2)
	}
}

// bytes is the size of all tensors but those of a batch.
func (t *tensors) bytes() int64 {
	n := 0
	count := func(t model.Tensors) {
		n += len(t.Value) + len(t.Quantized) + len(t.Grad) + len(t.Moment1) + len(t.Moment2)
	}
	for _, p := range t.parameters {
		count(p.Tensors)
	}
	for _, b := range t.buffers {
		n += len(b.Values)
	}
	for _, s := range t.states {
		count(s.Tensors)
	}
	return 4 * int64(n)
}

// size is the number of trained values, including those of states.
func (t *tensors) size() int64 {
	var n int64
	for _, trained := range t.values() {
		n += int64(len(trained.Value))
	}
	return n
}
