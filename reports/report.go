// Package reports turns the run store into comparison tables. It reads what
// was stored and never starts a plugin.
//
// [Collect] makes a [Report] of it: one [Network] for each setting that was trained, over its
// seeds, with its deployments. group.go and machine.go gather their figures; compare.go
// compares them with full precision and with each other. The tables that people read are made
// of columns, which are data (columns.go, hardware.go, calibration.go, cells.go);
// [Report.Document] lays them out as a [View] asks. Package format writes both the report and
// the document.
//
// Names, reasons and notes come from suite files and plugins. In every format they
// come out as text, whatever is in them.
package reports

import (
	"fmt"
	"strings"
	"time"

	"bittern/baselines/published"
	"bittern/harness/provenance"
	"bittern/harness/store"
)

// Report is the state of a suite in the run store.
type Report struct {
	Suite    string     `json:"suite"`
	Networks []*Network `json:"networks"`
	// Unfinished lists the experiments and deployments that have no result, with the
	// reason.
	Unfinished []Unfinished `json:"unfinished,omitempty"`
	// Experiments has everything of each finished experiment, seed by seed.
	Experiments []Experiment       `json:"experiments"`
	Provenance  []Provenance       `json:"provenance"`
	Deployed    []DeployedMachines `json:"deployed,omitempty"`
	// Calibration has what the models behind the costs say of machines with published figures.
	Calibration []Calibration `json:"calibration,omitempty"`
}

// Network is one task × model × quantizer of one setting, over all finished seeds.
type Network struct {
	Task          string `json:"task"`
	Model         string `json:"model"`
	Quantizer     string `json:"quantizer"`
	Normalization string `json:"normalization"`
	// Setting tells the network from others with the same names, such as "10 steps" or
	// "threads 1", and names its arithmetic if that is not float32. It is empty if there are no
	// others.
	Setting string   `json:"setting,omitempty"`
	Metric  string   `json:"metric"`
	Seeds   []uint64 `json:"seeds"`
	Steps   []uint64 `json:"steps"` // that the seeds were trained for, ascending

	Epochs       Figure `json:"epochs"`                  // that the seeds were trained for
	RecipeEpochs int    `json:"recipe_epochs,omitempty"` // that the suite's recipe has

	// Deployable is the test score of what was packed: the weights decoded from their
	// packed bits, of several draws the one that validated best, and the frozen
	// statistics, computed by the model in float32. Backends compute the same artifact
	// in their own arithmetic; see Deployments.
	Deployable Figure `json:"deployable"`
	// Doubts concern seeds whose artifact was computed by one or more backends, none of
	// which agrees with the model.
	Doubts     Doubts `json:"doubts,omitempty"`
	PaperStyle Figure `json:"paper_style"` // batch statistics, freshly drawn weights

	BitsPerWeight Figure  `json:"bits_per_weight"`  // of the frozen recurrent weights
	WeightBytes   float64 `json:"recurrent_bytes"`  // of the recurrent weights alone
	DeployedBytes float64 `json:"deployment_bytes"` // everything, as it is packed

	FullPrecision FullPrecision `json:"full_precision"`
	// Arithmetic is what the matrix products of its training computed with; see
	// [model.Arithmetic]. Rounding is nil where it is float32, or no such network is finished.
	Arithmetic string    `json:"arithmetic"`
	Rounding   *Rounding `json:"rounding,omitempty"`
	// Frontier says that no other network of the same task and metric is at least as good
	// in both Deployable and DeployedBytes, and better in one.
	Frontier bool `json:"frontier"`

	Published   []published.Result `json:"published,omitempty"` // of the same experiment
	Deployments []Deployment       `json:"deployments"`
}

// FullPrecision compares a network with the one of the same task, model settings and
// normalization whose recurrent weights have 32 bits.
type FullPrecision struct {
	Missing string `json:"missing,omitempty"` // why there is none
	Itself  bool   `json:"itself,omitempty"`  // this network is the full-precision one
	// Delta is the difference of the deployable means. P is the probability of a
	// difference at least as large by chance (Welch's test), if both have two seeds or
	// more.
	Delta *float64 `json:"delta,omitempty"`
	P     *float64 `json:"p,omitempty"`
	// WeightRatio and DeployedRatio are the bytes of the full-precision network over
	// those of this one.
	WeightRatio   *float64 `json:"recurrent_ratio,omitempty"`
	DeployedRatio *float64 `json:"deployment_ratio,omitempty"`
}

// Deployment is a network on one backend, over all seeds that it computed or costed.
type Deployment struct {
	Backend string   `json:"backend"`
	Seeds   []uint64 `json:"seeds"`
	// Unsupported says why the backend has no figures of the network, where it has none.
	Unsupported string `json:"unsupported,omitempty"`

	Metric  Figure   `json:"metric"`           // as the machine computes it from the packed artifact
	Doubts  Doubts   `json:"doubts,omitempty"` // of Metric
	Bytes   *float64 `json:"bytes"`            // everything, as the machine stores it; nil where it does not tell
	Energy  Figure   `json:"energy_joules"`    // per time step: of a whole sequence, over its steps of all streams
	Seconds Figure   `json:"seconds"`          // likewise
	Cycles  Figure   `json:"cycles"`           // likewise
	Steps   float64  `json:"sequence_steps"`   // time steps of that sequence, of all its streams
	Area    Figure   `json:"area_mm2"`
	// RecurrentEnergy and RecurrentArea are of the recurrent layers alone, as figures of
	// accelerators are published: without the parts that the backend says are outside of them.
	RecurrentEnergy Figure `json:"recurrent_energy_joules"` // per time step
	RecurrentArea   Figure `json:"recurrent_area_mm2"`
	// RecurrentBytes are the weights of recurrent layers, as the machine stores them; nil where
	// it does not tell.
	RecurrentBytes *float64 `json:"recurrent_bytes"`

	Measured bool     `json:"cost_measured"`   // timed, not simulated
	Timed    *Timed   `json:"timed,omitempty"` // where it was timed
	Notes    []string `json:"notes,omitempty"` // what the backend says of its figures

	Substitutions Substitutions `json:"substitutions,omitempty"`

	// EnergyRatio, SecondsRatio and RecurrentEnergyRatio are the energy, time and energy of
	// the recurrent layers of the full-precision network on the same backend over those of
	// this one.
	EnergyRatio          *float64 `json:"energy_ratio,omitempty"`
	SecondsRatio         *float64 `json:"seconds_ratio,omitempty"`
	RecurrentEnergyRatio *float64 `json:"recurrent_energy_ratio,omitempty"`

	EnergyParts []store.Part `json:"energy_parts,omitempty"` // joules per time step, the mean over the seeds
	AreaParts   []store.Part `json:"area_parts,omitempty"`   // mm²
	MemoryParts []store.Part `json:"memory_parts,omitempty"` // bytes
}

// Figure is a number over seeds (or draws), or the reason why there is none.
type Figure struct {
	N       int      `json:"n"`
	Mean    *float64 `json:"mean"`
	Std     *float64 `json:"std,omitempty"` // sample standard deviation; absent for n = 1
	Missing string   `json:"missing,omitempty"`
}

// Doubt says why the score of one seed is not to be trusted.
type Doubt struct {
	Seed   uint64 `json:"seed"`
	Reason string `json:"reason"`
}

// Doubts are the doubts about several seeds.
type Doubts []Doubt

// String says in a line which seeds are in doubt, and why.
func (doubts Doubts) String() string {
	var texts []string
	for _, d := range doubts {
		texts = append(texts, fmt.Sprintf("seed %d: %s", d.Seed, d.Reason))
	}
	return strings.Join(texts, "; ")
}

// Substitutions list what a backend has in place of deployed weights, each once.
type Substitutions []store.Substitution

// Timed says how precise a measured time is. Over several seeds it is that of the worst.
type Timed struct {
	Sequences int `json:"sequences"` // of which the time is the median
	// Spread is (upper − lower quartile) / median of the sequences' times; nil where
	// the quartiles are not known.
	Spread *float64 `json:"spread"`
}

// wideSpread is the spread above which a table marks a time.
const wideSpread = 0.1

// Unfinished is an experiment or a deployment without a result.
type Unfinished struct {
	Task      string       `json:"task"`
	Model     string       `json:"model"`
	Quantizer string       `json:"quantizer"`
	Seed      uint64       `json:"seed"`
	Backend   string       `json:"backend,omitempty"`
	Status    store.Status `json:"status"`
	Reason    string       `json:"reason,omitempty"`
}

// Experiment is a finished experiment as it is stored: its configuration, draws and
// provenance with every sitting, and beside that what belongs to it.
type Experiment struct {
	store.Experiment
	Setting string `json:"setting,omitempty"` // see [Network]
	// Drawn is the test score, by the model itself, over the draws of the weights.
	Drawn       Figure             `json:"drawn"`
	Validations []store.Validation `json:"validations"` // in the order of their steps
	// Unread says why there are no validations though there should be.
	Unread      string             `json:"validations_unread,omitempty"`
	Deployments []store.Deployment `json:"deployments"`
	// Folder is where the run store has the metrics of each step, see
	// [store.ReadSteps].
	Folder string `json:"-"`

	// Training is the training loss over time. If it is empty, TrainingUnread says why.
	// Only [Report.ReadTraining] sets them.
	Training       []TrainingLoss `json:"-"`
	TrainingUnread string         `json:"-"`
}

// ModelName is the model's label, with what tells the network from others with the same
// labels, as in "lstm-512 (10 steps)".
func (n *Network) ModelName() string { return modelName(n.Model, n.Setting) }

// ModelName is the ModelName of the experiment's [Network].
func (e *Experiment) ModelName() string { return modelName(e.Model, e.Setting) }

func modelName(model, setting string) string {
	if setting == "" {
		return model
	}
	return model + " (" + setting + ")"
}

// Provenance is what one group of experiments was measured with. An experiment that
// several programs or machines contributed to is in several groups.
type Provenance struct {
	Setup
	Experiments int                   `json:"experiments"`
	Overheads   []provenance.Overhead `json:"overheads,omitempty"` // one a run
	Seeds       []uint64              `json:"seeds"`
	Steps       []uint64              `json:"steps"`    // that the experiments were trained for, ascending
	Sittings    []Sitting             `json:"sittings"` // of this group, experiment by experiment
}

// DeployedMachines is what one group of deployments was computed with.
type DeployedMachines struct {
	provenance.Machine
	Deployments int      `json:"deployments"`
	Backends    []string `json:"backends"` // plugins and versions, ascending
}

// Setup is what the experiments of a group have in common.
type Setup struct {
	provenance.Machine
	Threads int `json:"threads"`
	// Arithmetic is what the matrix products of training computed with.
	Arithmetic string `json:"arithmetic"`
	Data       string `json:"data"` // name of the data set
	SHA256     string `json:"sha256"`
	Synthetic  bool   `json:"synthetic,omitempty"`
	Note       string `json:"note,omitempty"`
}

// Sitting is one stretch of training of an experiment.
type Sitting struct {
	Experiment string    `json:"experiment"` // its ID
	Started    time.Time `json:"started"`
	Ended      time.Time `json:"ended,omitzero"`
	From       uint64    `json:"from"` // training steps done before it and by its end
	To         uint64    `json:"to"`
	Host       string    `json:"host,omitempty"` // of the worker, if one did it
}
