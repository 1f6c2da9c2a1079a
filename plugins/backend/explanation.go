package backend

// Explanation is the model that a machine's figures come from. A machine that is measured
// has none: its lists are empty, and Notes say how it is measured.
type Explanation struct {
	Constants   []Constant
	Formulas    []Formula
	Calibration []Residual
	Notes       []string
}

// Constant is a figure that the model computes with.
type Constant struct {
	Name   string
	Value  float64
	Unit   string // "pJ/bit", "MHz"; empty for a number
	Node   string // the technology that the value is for, "65 nm, 1 V"; empty where it is of none
	Source string // where it comes from, for which technology, and whether it is verified or assumed
}

// Formula says how a quantity is computed.
type Formula struct {
	Quantity   string
	Expression string
}

// Residual is a figure that was published of a machine, beside what the model says of the
// same machine.
type Residual struct {
	Machine   string
	Quantity  string
	Unit      string
	Published float64
	BottomUp  float64 // without any constant that was fitted
	Fitted    float64 // with the constants that were fitted
	InFit     bool    // the machine took part in the fit
	Source    string  // of what is published
}
