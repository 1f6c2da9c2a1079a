package stepgraph

// Input returns the input of that name.
func (g Graph) Input(name string) (Input, bool) {
	for _, in := range g.Inputs {
		if in.Name == name {
			return in, true
		}
	}
	return Input{}, false
}

// Sizes returns the length of every value by name: the inputs (for a token, its
// vocabulary), the states and the nodes.
func (g Graph) Sizes() map[string]int {
	sizes := make(map[string]int, len(g.Inputs)+len(g.States)+len(g.Nodes))
	for _, in := range g.Inputs {
		sizes[in.Name] = in.Size
	}
	for _, s := range g.States {
		sizes[s.Name] = s.Size
	}
	for _, n := range g.Nodes {
		sizes[n.Name] = n.Size
	}
	return sizes
}

// MACs returns the multiply-accumulates of one time step by node: rows × columns
// for every MatVec. A Lookup reads one column and multiplies nothing.
func (g Graph) MACs() map[string]int {
	sizes := g.Sizes()
	macs := map[string]int{}
	for _, n := range g.Nodes {
		if n.Op == MatVec {
			macs[n.Name] = n.Size * sizes[n.Inputs[0]]
		}
	}
	return macs
}

// TableBytes is the storage of all scale and shift tables as float32:
// normalisation, with its statistics for every time step, and biases.
func (g Graph) TableBytes() int {
	bytes := 0
	for _, n := range g.Nodes {
		bytes += 4 * (len(n.Scale.Values) + len(n.Shift.Values))
	}
	return bytes
}

// StateBytes is the storage of the states' initial values as float32.
func (g Graph) StateBytes() int {
	bytes := 0
	for _, s := range g.States {
		bytes += 4 * s.Size
	}
	return bytes
}
