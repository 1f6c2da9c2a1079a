package backend

// Explanation is the model that a machine's figures come from. A machine that is measured
// has none: its lists are empty, and Notes say how it is measured.
type Explanation struct {
	Constants   []Constant `json:"constants,omitempty"`
	Formulas    []Formula  `json:"formulas,omitempty"`
	Calibration []Residual `json:"calibration,omitempty"`
	Notes       []string   `json:"notes,omitempty"`
}

// Constant is a figure that the model computes with.
type Constant struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit,omitempty"`   // "pJ/bit", "MHz"; empty for a number
	Node   string  `json:"node,omitempty"`   // the technology that the value is for, "65 nm, 1 V"; empty where it is of none
	Source string  `json:"source,omitempty"` // where it comes from, for which technology, and whether it is verified or assumed
}

// Formula says how a quantity is computed.
type Formula struct {
	Quantity   string `json:"quantity"`
	Expression string `json:"expression"`
}

// Residual is a figure that was published of a machine, beside what the model says of the
// same machine.
type Residual struct {
	Machine   string  `json:"machine"`
	Quantity  string  `json:"quantity"`
	Unit      string  `json:"unit,omitempty"`
	Published float64 `json:"published"`
	BottomUp  float64 `json:"bottom_up"`        // without any constant that was fitted
	Fitted    float64 `json:"fitted"`           // with the constants that were fitted
	InFit     bool    `json:"in_fit"`           // the machine took part in the fit
	Source    string  `json:"source,omitempty"` // of what is published
}
