package stack

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"bittern/plugins/model"
)

// beyond lists, in order, the parameters of the request that are not in the plan: the states
// that the quantizer learns.
func beyond(plan model.Plan, request model.Build) []string {
	planned := map[string]bool{}
	for _, p := range plan.Parameters {
		planned[p.Name] = true
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(request.Parameters)), func(name string) bool { return planned[name] })
}

// checkTensors returns an error that names every tensor that the request of Build lacks or
// has with another length than the plan's: a parameter's Value and Grad, its Quantized if it
// is quantized, the moments that the optimiser needs, buffers, and the tensors of the batch.
// The tensors of a parameter beyond the plan must be as long as its Value.
func checkTensors(plan model.Plan, request model.Build) error {
	var err error
	check := func(what string, got int, shape []int) { err = errors.Join(err, checkLength(what, got, shape...)) }
	parameters := slices.Clone(plan.Parameters)
	for _, name := range beyond(plan, request) {
		parameters = append(parameters, model.Parameter{Name: name, Shape: []int{len(request.Parameters[name].Value)}})
	}
	for _, p := range parameters {
		t := request.Parameters[p.Name]
		check(p.Name, len(t.Value), p.Shape)
		check("the gradient of "+p.Name, len(t.Grad), p.Shape)
		if p.Quantize {
			check("the quantized "+p.Name, len(t.Quantized), p.Shape)
		}
		if request.Optimiser == model.Adam {
			check("the first moment of "+p.Name, len(t.Moment1), p.Shape)
			check("the second moment of "+p.Name, len(t.Moment2), p.Shape)
		}
	}
	for _, b := range plan.Buffers {
		check("buffer "+b.Name, len(request.Buffers[b.Name]), b.Shape)
	}
	return errors.Join(err, request.Batch.Fits(request.Shape))
}

func checkLength(what string, got int, shape ...int) error {
	want := 1
	for _, n := range shape {
		want *= n
	}
	if got != want {
		return fmt.Errorf("%s has %d elements, its shape %v wants %d", what, got, shape, want)
	}
	return nil
}
