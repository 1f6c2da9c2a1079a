package experiment

import (
	"bittern/plugins/arena"
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
}

type parameter struct {
	model.Parameter
	model.Tensors
}

type buffer struct {
	model.Buffer
	Values []float32
}

type state struct {
	quantizer.State
	Values []float32
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

// allocate lays out all tensors of a plan in the arena, zeroed. A plan that this
// machine has no room for is the Failure of its experiment alone.
func allocate(a *arena.Arena, plan model.Plan, states []quantizer.State, shape network.Shape, optimiser model.Optimiser) (*tensors, error) {
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
	t.batch = batch
	return t, nil
}

// layOut makes every tensor of a plan with take, which returns the
// given number of elements.
func layOut(plan model.Plan, states []quantizer.State, optimiser model.Optimiser, take func(n int) []float32) *tensors {
	t := &tensors{}
	for _, p := range plan.Parameters {
		n := elements(p.Shape)
		values := model.Tensors{Value: take(n), Grad: take(n)}
		if p.Quantize {
			values.Quantized = take(n)
		}
		if optimiser == model.Adam {
			values.Moment1, values.Moment2 = take(n), take(n)
		}
		t.parameters = append(t.parameters, parameter{Parameter: p, Tensors: values})
	}
	for _, b := range plan.Buffers {
		t.buffers = append(t.buffers, buffer{Buffer: b, Values: take(elements(b.Shape))})
	}
	for _, s := range states {
		t.states = append(t.states, state{State: s, Values: take(s.Len)})
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
		State: make(map[string][]float32),
	}
	for _, s := range t.states {
		if s.Weight == p.Name {
			w.State[s.Name] = s.Values
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

// values maps the parameters by name, as a model's Build wants them.
func (t *tensors) values() map[string]model.Tensors {
	all := make(map[string]model.Tensors, len(t.parameters))
	for _, p := range t.parameters {
		all[p.Name] = p.Tensors
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

// resetMoments makes the optimiser start afresh.
func (t *tensors) resetMoments() {
	for _, p := range t.parameters {
		clear(p.Moment1)
		clear(p.Moment2)
	}
}

// size is the number of trained values.
func (t *tensors) size() int64 {
	var n int64
	for _, p := range t.parameters {
		n += int64(len(p.Value))
	}
	return n
}
