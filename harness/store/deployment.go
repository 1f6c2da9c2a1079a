package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
)

// Deployment is a trained experiment on one backend.
type Deployment struct {
	Experiment string `json:"experiment"` // its ID
	Backend    string `json:"backend"`    // label to show, one of a kind within the experiment

	// Config is what determines the figures, together with the experiment: the backend,
	// its version and options.
	Config json.RawMessage `json:"config,omitempty"`

	Status Status `json:"status"`
	Reason string `json:"reason,omitempty"` // of a failure or of what is not supported
	Stderr string `json:"stderr,omitempty"`

	// Doubt says why the metric is not to be trusted: it differs from what the model
	// computes with the same frozen network by more than the backend claims.
	Doubt string `json:"doubt,omitempty"`

	// Metric is the score of the logits that this backend computes on the test part, in the
	// unit of [Experiment.Metric]; nil if the backend does not compute any.
	Metric     *float64        `json:"metric,omitempty"`
	Groups     []GroupScore    `json:"groups,omitempty"` // the parts that Metric is the mean of
	Cost       *Cost           `json:"cost,omitempty"`
	Provenance json.RawMessage `json:"provenance,omitempty"`
}

// Cost is what one whole sequence, run by itself, costs on a backend. If the backend does
// not know a quantity, that is absent and Missing has the reason under its name.
type Cost struct {
	Steps    map[string]int    `json:"steps,omitempty"` // time steps of each stream that the sequence has
	Cycles   *float64          `json:"cycles,omitempty"`
	Seconds  *float64          `json:"seconds,omitempty"`
	Energy   []Part            `json:"energy,omitempty"`     // joules
	Area     []Part            `json:"area_parts,omitempty"` // mm²
	Memory   []Part            `json:"memory,omitempty"`     // bytes
	Measured bool              `json:"measured"`             // timed, not modelled
	N        int               `json:"n,omitempty"`          // timed sequences, of which Seconds is the median
	Missing  map[string]string `json:"missing,omitempty"`
	Notes    []string          `json:"notes,omitempty"`

	// SecondsLow and SecondsHigh are the quartiles of the timed sequences.
	SecondsLow  *float64 `json:"seconds_low,omitempty"`
	SecondsHigh *float64 `json:"seconds_high,omitempty"`

	// Substitutions are the weights that the backend stores in another form than the
	// deployed one.
	Substitutions []Substitution `json:"substitutions,omitempty"`

	// Calibration is what the model that these figures come from says of machines with
	// published figures. A report has it once for all deployments, and not here.
	Calibration []Residual `json:"calibration,omitempty"`
}

// Residual is a published figure of a machine beside what a model says of that machine.
type Residual struct {
	Machine   string  `json:"machine"`
	Quantity  string  `json:"quantity"`
	Unit      string  `json:"unit,omitempty"`
	Published float64 `json:"published"`
	BottomUp  float64 `json:"bottom_up"` // without any constant that was fitted
	Fitted    float64 `json:"fitted"`    // with the constants that were fitted
	InFit     bool    `json:"in_fit"`    // the machine took part in the fit
	Source    string  `json:"source,omitempty"`
}

// Substitution is what a machine has in place of a deployed weight, and why.
type Substitution struct {
	Weight string `json:"weight"`
	From   string `json:"from"`
	To     string `json:"to"`
	Reason string `json:"reason"`
}

// Part is one named share of a sum.
type Part struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	// Outside marks what published figures of recurrent accelerators leave out.
	Outside bool `json:"outside,omitempty"`
	// Static marks energy that is drawn for as long as the sequence takes, whatever is computed.
	Static bool `json:"static,omitempty"`
	// Assumed marks what follows from a figure that the user gave.
	Assumed bool `json:"assumed,omitempty"`
}

// TimeSteps returns how many time steps the sequence has, over all its streams; 0 if that is
// not known.
func (c Cost) TimeSteps() float64 {
	steps := 0
	for _, n := range c.Steps {
		steps += n
	}
	return float64(steps)
}

// Sum is the whole that parts are the shares of.
func Sum(parts []Part) float64 {
	total := 0.0
	for _, p := range parts {
		total += p.Value
	}
	return total
}

// PutDeployment adds or replaces a deployment of an experiment that is in the store. If it
// would replace a deployment that is done by one that is not, with the same Config, the
// error is [ErrDone].
func (s *Store) PutDeployment(ctx context.Context, d Deployment) error {
	if d.Metric != nil && math.IsNaN(*d.Metric) {
		return fmt.Errorf("experiment %s on %s: the metric is not a number", d.Experiment, d.Backend)
	}
	var cost json.RawMessage
	if d.Cost != nil {
		text, err := json.Marshal(d.Cost)
		if err != nil {
			return fmt.Errorf("experiment %s on %s: %w", d.Experiment, d.Backend, err)
		}
		cost = text
	}
	groups, err := listText(d.Groups)
	if err != nil {
		return fmt.Errorf("experiment %s on %s: %w", d.Experiment, d.Backend, err)
	}
	return s.transact(ctx, func(tx *sql.Tx) error {
		before, err := statusOf(ctx, tx, "deployments", deploymentColumns, `experiment = ? AND backend = ? AND config IS ?`, d.Experiment, d.Backend, optional(d.Config))
		if err == nil && before == Done && d.Status != Done {
			err = ErrDone
		}
		if err == nil {
			err = put(ctx, tx, "deployments", deploymentColumns,
				d.Experiment, d.Backend, optional(d.Config), d.Status, d.Reason, d.Stderr, d.Doubt, d.Metric, groups, optional(cost), optional(d.Provenance))
		}
		if err != nil {
			return fmt.Errorf("experiment %s on %s: %w", d.Experiment, d.Backend, err)
		}
		return nil
	})
}

const deploymentColumns = `experiment, backend, config, status, reason, stderr, doubt, metric, group_scores, cost, provenance`

// Deployments returns what is known of an experiment on every backend, by label. Some
// may be [Damaged], which is no error.
func (s *Store) Deployments(ctx context.Context, experiment string) ([]Deployment, error) {
	return collect(ctx, s, func(rows *sql.Rows) (Deployment, error) {
		values, err := rawValues(rows)
		if err != nil {
			return Deployment{}, err
		}
		if !sound("deployments", values) {
			return Deployment{
				Experiment: experiment, Backend: text(values[1]), Status: Damaged,
				Reason: "its row in the run store is damaged; run the suite again to deploy it anew",
			}, nil
		}
		var d Deployment
		var sum string
		var config, groups, cost, provenance sql.NullString
		if err := rows.Scan(&d.Experiment, &d.Backend, &config, &d.Status, &d.Reason, &d.Stderr, &d.Doubt, &d.Metric, &groups, &cost, &provenance, &sum); err != nil {
			return Deployment{}, err
		}
		d.Config, d.Provenance = raw(config), raw(provenance)
		if err := readList(groups, &d.Groups); err != nil {
			return Deployment{}, fmt.Errorf("the groups of experiment %s on %s: %w", d.Experiment, d.Backend, err)
		}
		if cost.Valid {
			if err := json.Unmarshal([]byte(cost.String), &d.Cost); err != nil {
				return Deployment{}, fmt.Errorf("the cost of experiment %s on %s: %w", d.Experiment, d.Backend, err)
			}
		}
		return d, nil
	}, `SELECT `+deploymentColumns+`, checksum FROM deployments WHERE experiment = ? ORDER BY backend`, experiment)
}
