// Package backend is the contract of backend plugins: what a deployed network costs on a
// machine, and what that machine computes.
package backend

import (
	"context"

	"bittern/plugins"
	"bittern/plugins/network"
	"bittern/plugins/packed"
)

// Backend is one simulated or real machine.
//
// A session is Deploy, and then any number of Cost and Execute. A Backend serves one session
// at a time.
type Backend interface {
	Describe(ctx context.Context) (plugins.Description, error)

	// Explain says what the machine's figures are made of. It is asked before anything is
	// trained too: options that no machine can have are a *plugins.Problem.
	Explain(ctx context.Context, options plugins.Values) (Explanation, error)

	// Deploy loads a network, in place of the one before. It may keep the slices of the
	// request. A network that the machine cannot run is an *ErrUnsupported.
	Deploy(ctx context.Context, request Deploy) (Deployed, error)

	// Cost says what one sequence costs on this machine when it is run by itself. A sequence
	// that lacks steps of a stream is a *plugins.Problem.
	Cost(ctx context.Context, request CostRequest) (Cost, error)

	// Execute runs the deployed network over a batch, with this machine's arithmetic, and
	// scores the logits. A sequence that is not fresh goes on from the state in which the
	// sequence at the same place of the previous batch ended. A machine that only costs
	// returns an *ErrUnsupported.
	Execute(ctx context.Context, request Execute) (network.Score, error)
}

// TraitTimed is the trait of a machine whose Cost times this computer. The
// harness computes nothing else meanwhile.
const TraitTimed = "timed"

// RoleClock is the role of the option, a number of MHz, that is the clock of the whole
// machine. At half the clock a sequence takes the same cycles, twice the time, twice the
// energy of Static parts and the same energy of others. A machine of which a part keeps a
// time of its own, as a DRAM may, gives no option this role.
const RoleClock = "clock"

// ErrUnsupported says that the backend does not serve a request. It is not a failure: the
// report shows "n/a" with the reason.
type ErrUnsupported struct{ Reason string }

func (e *ErrUnsupported) Error() string { return "not supported by this backend: " + e.Reason }

// Deploy is the argument of [Backend.Deploy]: the network, and the tensors it
// names. Every MatVec and Lookup weight is in Weights (full-precision ones as
// 32-bit); every other tensor in the network carries its own data.
type Deploy struct {
	Options plugins.Values
	Network network.Network
	Weights map[string]packed.Matrix
}

// Deployed is what a machine says of a network that it has loaded.
type Deployed struct {
	// Tolerance is the largest difference, in nats a target, between the mean loss of the
	// outputs that Execute computes and the mean loss of exact arithmetic on the same
	// network; nil if the machine claims nothing. Reports mark a result that is further off.
	Tolerance *float64
	// Arithmetic names what Execute computes of this network: two backends of one
	// executable that name the same arithmetic for the same network give the same
	// outputs and scores to the bit, so that the harness executes one of them. Its words
	// are the backends' own. Where it is empty, or the machine has TraitTimed, nothing is shared.
	Arithmetic string
}

// CostRequest is the argument of [Backend.Cost].
type CostRequest struct {
	Steps map[string]int // time steps of the sequence, for each stream
}

// Cost is what one whole sequence costs when it is run by itself. A quantity that a machine
// cannot tell is nil, and Missing has the reason under the quantity's name: "cycles",
// "seconds", "energy", "area" or "memory".
type Cost struct {
	Cycles  *float64 // clock cycles
	Seconds *float64
	Energy  []Part // joules by part
	Area    []Part // mm² by part
	Memory  []Part // bytes by part, everything the deployed network needs
	// Measured says that the figures were timed, not modelled. N is then the number of timed
	// sequences, Seconds their median, and SecondsLow and SecondsHigh their lower and upper
	// quartile.
	Measured    bool
	N           int
	SecondsLow  *float64
	SecondsHigh *float64
	Missing     map[string]string // "energy" → "no power meter", …
	// Substitutions lists every weight that this machine keeps otherwise than it was
	// deployed, even if its values stay the same. Costs and outputs are those of what it
	// keeps.
	Substitutions []Substitution
	Notes         []string // which tables and designs, whether verified
}

// Substitution says what a machine keeps in place of a deployed weight.
type Substitution struct {
	Weight string // its name in the network
	From   string // its format as deployed, in the words of packed.Matrix.Format: "4 levels, 2 bits"
	To     string // its format on this machine: "float32", "12-bit fixed point"
	Reason string // why, and whether its values change
}

// Part is one named part of a sum.
type Part struct {
	Name  string
	Value float64
	// Outside says that the part is of what figures of recurrent accelerators leave out when
	// they are published: layers that are not recurrent, and what does not fit on the chip.
	// Tables show the sum with these parts and without.
	Outside bool
	// Static says of a part of the energy that the machine draws it for as long as the
	// sequence takes, whatever it computes: leakage, a clock that is never gated. The energy
	// of other parts is that of events: it does not depend on the clock, and is 0 where
	// nothing is computed. PartActivationMemory and PartDRAM may move inputs and logits then.
	Static bool
	// Assumed says that the part follows from a figure that the user gave: it is neither
	// measured nor modelled. Tables say so.
	Assumed bool
}

// The parts that networks have on every machine, so that tables can show several machines
// side by side. A machine may have others.
const (
	PartCodes       = "recurrent codes"   // of the weights of recurrent layers, in the width this machine keeps
	PartFloats      = "recurrent float32" // weights of recurrent layers that are kept as float32 values
	PartLevels      = "levels"            // the values that codes stand for
	PartTables      = "normalisation tables"
	PartState       = "state"
	PartEmbedding   = "embedding"
	PartOutputLayer = "output layer"
	PartWorkspace   = "workspace"
)

// The parts of the energy of recurrent layers. That of other layers may be a whole part, as
// of the memory.
const (
	PartArithmetic       = "arithmetic" // of matrix products, and of elementwise sums and products
	PartWeightMemory     = "weight memory"
	PartActivationMemory = "activation memory"
	PartNormalization    = "normalization"
	PartNonlinear        = "nonlinear units" // sigmoid, tanh, rounding
	PartDRAM             = "DRAM"
	PartLeakage          = "leakage"
	PartClock            = "clock and control"
	PartAttention        = "attention" // of the softmax and the weighted sum, which are of no recurrent layer
)

// The parts of the area beside those above that have one.
const (
	PartLanes         = "elementwise lanes"
	PartFurtherMemory = "further memory" // what does not fit into the memories of the machine, where nothing outside holds it
)

// Execute is the argument of [Backend.Execute].
type Execute struct {
	Batch network.Batch
	// Outputs receives the logits if it is not nil: [steps, sequences, classes], or
	// [sequences, classes] of a network with one target a sequence. Those of steps beyond a
	// sequence's length are 0.
	Outputs []float32
}
