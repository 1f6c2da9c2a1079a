package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"bittern/plugins"
)

// Status says how far an experiment or a deployment has come.
type Status string

// The states of an experiment. A deployment is done, failed, or unsupported: the backend
// does not claim to run such a network. A row is read as damaged if it is not what was
// stored; only its key can be relied on then. Nothing is stored as damaged.
const (
	Pending     Status = "pending"
	Running     Status = "running"
	Done        Status = "done"
	Failed      Status = "failed"
	Unsupported Status = "unsupported"
	Damaged     Status = "damaged"
)

// ErrNotFound says that the store has no such experiment.
var ErrNotFound = errors.New("the run store has no such experiment")

// ErrDone is the error of replacing a finished result by an unfinished one. Only
// [Store.Reset] removes a finished result.
var ErrDone = errors.New("the result is finished and is not replaced by an unfinished one")

// Experiment is one task × model × quantizer × seed, trained once.
type Experiment struct {
	// ID is made by [ID] from Config, which holds all that determines the
	// numbers. Two suites that list the same experiment share it.
	ID     string          `json:"id"`
	Config json.RawMessage `json:"config"`

	// Task, Model and Quantizer are labels for tables. [Store.Experiments] returns those of
	// its suite, and other calls those of the suite that stored the experiment first.
	Task      string `json:"task"`
	Model     string `json:"model"`
	Quantizer string `json:"quantizer"`
	Seed      uint64 `json:"seed"`

	// Backends are the labels of the backends that the suite asks for. Only
	// [Store.Experiments] sets them.
	Backends []string `json:"-"`

	Status Status `json:"status"`
	Reason string `json:"reason,omitempty"` // of a failure, one sentence
	Stderr string `json:"stderr,omitempty"` // tail of the failed plugin's

	Steps  uint64 `json:"steps"`
	Epochs int    `json:"epochs"`

	// Metric names the unit of the three figures below and of the
	// deployments' metric. A figure is nil until it is measured.
	Metric         string   `json:"metric"`
	BestValidation *float64 `json:"best_validation,omitempty"` // of the deployable form; what selected the network
	BestStep       uint64   `json:"best_step"`                 // training steps done when it was reached
	PaperStyle     *float64 `json:"paper_style,omitempty"`     // test; batch statistics, fresh draws
	FrozenModel    *float64 `json:"frozen_model,omitempty"`    // test; by the model itself, frozen as deployed
	FrozenLoss     *float64 `json:"frozen_loss,omitempty"`     // the same in nats a target

	// PaperStyleGroups and FrozenModelGroups are the scores of the parts of a task, in its
	// order. The figures above are their means. They are empty if the task has no parts.
	PaperStyleGroups  []GroupScore `json:"paper_style_groups,omitempty"`
	FrozenModelGroups []GroupScore `json:"frozen_model_groups,omitempty"`

	// Freeze is how the network was frozen. With Config it determines the figures. Another
	// freeze replaces the figures and changes nothing of the training.
	Freeze json.RawMessage `json:"freeze,omitempty"`
	// Draws are the freezes of the best network, in the order they were drawn;
	// one of them is deployed.
	Draws []FreezeDraw `json:"draws,omitempty"`
	// CalibrationSequences counts the training sequences that the deployed
	// statistics were gathered over.
	CalibrationSequences int `json:"calibration_sequences,omitempty"`

	// Settings are the network's, as its model told them: see model.Plan.
	Settings []Setting `json:"settings,omitempty"`

	Parameters     int64   `json:"parameters"`
	RecurrentBytes float64 `json:"recurrent_bytes"` // weights of the recurrent layers alone, the paper's accounting
	DeployedBytes  int64   `json:"deployed_bytes"`  // everything the deployed network needs

	// Artifact is the checksum of the deployed network, see package artifact.
	Artifact string `json:"artifact,omitempty"`

	TrainSeconds float64         `json:"train_seconds"`
	StartedAt    time.Time       `json:"started_at,omitzero"`
	FinishedAt   time.Time       `json:"finished_at,omitzero"`
	Provenance   json.RawMessage `json:"provenance,omitempty"`
}

// BitsPerWeight returns the bits per weight of the deployed network; 0 if an older program froze
// it, which did not store them.
func (c Experiment) BitsPerWeight() float64 {
	for _, draw := range c.Draws {
		if draw.Deployed {
			return draw.BitsPerWeight
		}
	}
	return 0
}

// FreezeDraw is one draw of the weights, frozen and scored by the model.
type FreezeDraw struct {
	Draw       int     `json:"draw"` // from 0
	Validation float64 `json:"validation"`
	Test       float64 `json:"test"`
	Deployed   bool    `json:"deployed,omitempty"` // it validated best
	// BitsPerWeight is set for the deployed draw: the bits of all frozen recurrent weights
	// divided by their number, 32 in full precision.
	BitsPerWeight float64 `json:"bits_per_weight,omitempty"`
}

// GroupScore is the score of one part of a task, such as one of bAbI's tasks.
type GroupScore struct {
	Group   string  `json:"group"`
	Score   float64 `json:"score"` // in the unit of [Experiment.Metric]
	Targets int     `json:"targets"`
}

// Setting is one property of a network.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Setting returns the value of a setting; it is empty where the network has none of
// that name.
func (c Experiment) Setting(name string) string {
	for _, s := range c.Settings {
		if s.Name == name {
			return s.Value
		}
	}
	return ""
}

// ID derives an experiment's ID from all that determines its numbers: the first 16 hex
// digits of the SHA-256 of the JSON with its keys in order and its blanks removed,
// which is returned too. Numbers count as they are written.
func ID(config json.RawMessage) (id string, canonical json.RawMessage, err error) {
	decoder := json.NewDecoder(bytes.NewReader(config))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return "", nil, fmt.Errorf("an experiment's config: %w", err)
	}
	if decoder.More() {
		return "", nil, fmt.Errorf("an experiment's config is more than one JSON value: %s", config)
	}
	canonical, err = json.Marshal(value)
	if err != nil {
		return "", nil, fmt.Errorf("an experiment's config: %w", err)
	}
	digest := sha256.Sum256(canonical)
	return hex.EncodeToString(digest[:8]), canonical, nil
}

const experimentColumns = `id, task, model, quantizer, seed, config, status, reason, stderr, provenance, steps, epochs, metric,
	best_validation, best_step, paper_style, frozen_model, frozen_loss, paper_style_groups, frozen_model_groups, settings, freeze, draws, calibration_sequences, parameters, recurrent_bytes, deployed_bytes, artifact, train_seconds, started_at, finished_at`

// values are the fields of an experiment in the order of experimentColumns.
func (c Experiment) values() ([]any, error) {
	draws, err1 := listText(c.Draws)
	paperStyle, err2 := listText(c.PaperStyleGroups)
	frozen, err3 := listText(c.FrozenModelGroups)
	settings, err4 := listText(c.Settings)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	return []any{
		c.ID, c.Task, c.Model, c.Quantizer, int64(c.Seed), string(c.Config), c.Status, c.Reason, c.Stderr, optional(c.Provenance),
		int64(c.Steps), c.Epochs, c.Metric, c.BestValidation, int64(c.BestStep), c.PaperStyle, c.FrozenModel, c.FrozenLoss,
		paperStyle, frozen, settings, optional(c.Freeze), draws, c.CalibrationSequences, c.Parameters, c.RecurrentBytes, c.DeployedBytes, c.Artifact, c.TrainSeconds, stamp(c.StartedAt), stamp(c.FinishedAt),
	}, nil
}

func putExperiment(ctx context.Context, tx *sql.Tx, c Experiment) error {
	values, err := c.values()
	if err == nil {
		err = put(ctx, tx, "experiments", experimentColumns, values...)
	}
	if err != nil {
		return fmt.Errorf("experiment %s: %w", c.ID, err)
	}
	return nil
}

// PutSuite records that a suite asks for these experiments, in this order, on the backends
// with these labels. Experiments that the store does not have are added as pending; the
// others do not change, and the list of the suite keeps the labels that the suite gives
// them. Experiments and backends that the suite asked for earlier stay in the list behind
// the new ones, so that a run with another seed or length of training hides no finished
// result.
func (s *Store) PutSuite(ctx context.Context, suite string, experiments []Experiment, backends []string) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		before, err := listed(ctx, tx, suite)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM suite_experiments WHERE suite = ?`, suite); err != nil {
			return err
		}
		var list []listing
		for _, c := range experiments {
			if slices.ContainsFunc(list, func(l listing) bool { return l.id == c.ID }) {
				return fmt.Errorf("experiment %s is in suite %s twice", c.ID, suite)
			}
			status, err := statusOf(ctx, tx, "experiments", experimentColumns, `id = ?`, c.ID)
			if err == nil && status == "" {
				err = putExperiment(ctx, tx, Experiment{ID: c.ID, Config: c.Config, Task: c.Task, Model: c.Model, Quantizer: c.Quantizer, Seed: c.Seed, Status: Pending})
			}
			if err != nil {
				return fmt.Errorf("experiment %s: %w", c.ID, err)
			}
			entry := listing{c.ID, c.Task, c.Model, c.Quantizer, slices.Clone(backends)}
			if at := slices.IndexFunc(before, func(l listing) bool { return l.id == c.ID }); at >= 0 {
				for _, label := range before[at].backends {
					if !slices.Contains(entry.backends, label) {
						entry.backends = append(entry.backends, label)
					}
				}
				before = slices.Delete(before, at, at+1)
			}
			list = append(list, entry)
		}
		for position, l := range append(list, before...) {
			labels, err := json.Marshal(l.backends)
			if err != nil {
				return err
			}
			if err := put(ctx, tx, "suite_experiments", suiteColumns, suite, position, l.id, l.task, l.model, l.quantizer, string(labels)); err != nil {
				return fmt.Errorf("experiment %s in suite %s: %w", l.id, suite, err)
			}
		}
		return nil
	})
}

// listing is an experiment in the list of a suite, with the suite's labels and the
// backends it is wanted on.
type listing struct {
	id                     string
	task, model, quantizer string
	backends               []string
}

// listed reads the list of a suite. Damaged lines are left out: the list is about
// to be made anew.
func listed(ctx context.Context, tx *sql.Tx, suite string) ([]listing, error) {
	rows, err := tx.QueryContext(ctx, `SELECT `+suiteColumns+`, checksum FROM suite_experiments WHERE suite = ? ORDER BY position`, suite)
	if err != nil {
		return nil, err
	}
	all, err := each(rows, func(rows *sql.Rows) (listing, error) {
		values, err := rawValues(rows)
		if err != nil || !sound("suite_experiments", values) {
			return listing{}, err
		}
		l := listing{id: text(values[2]), task: text(values[3]), model: text(values[4]), quantizer: text(values[5])}
		return l, json.Unmarshal([]byte(text(values[6])), &l.backends)
	})
	return slices.DeleteFunc(all, func(l listing) bool { return l.id == "" }), err
}

const suiteColumns = `suite, position, experiment, task, model, quantizer, backends`

// Suites lists the suites that were recorded, by name.
func (s *Store) Suites(ctx context.Context) ([]string, error) {
	return collect(ctx, s, func(rows *sql.Rows) (suite string, err error) {
		return suite, rows.Scan(&suite)
	}, `SELECT DISTINCT suite FROM suite_experiments ORDER BY suite`)
}

// PutExperiment adds or replaces an experiment. If it would replace one that is done by one
// that is not, the error is [ErrDone]. Only [Store.Reset] replaces a damaged one.
func (s *Store) PutExperiment(ctx context.Context, c Experiment) error {
	for name, figure := range map[string]*float64{
		"best validation": c.BestValidation, "paper-style": c.PaperStyle, "frozen model": c.FrozenModel, "frozen loss": c.FrozenLoss,
		"recurrent bytes": &c.RecurrentBytes, "training seconds": &c.TrainSeconds,
	} {
		if figure != nil && math.IsNaN(*figure) {
			return fmt.Errorf("experiment %s: the %s figure is not a number", c.ID, name)
		}
	}
	return s.transact(ctx, func(tx *sql.Tx) error {
		before, err := statusOf(ctx, tx, "experiments", experimentColumns, `id = ?`, c.ID)
		if err != nil {
			return fmt.Errorf("experiment %s: %w", c.ID, err)
		}
		switch {
		case before == Damaged:
			return plugins.Problemf("the row of experiment %s in the run store %s is damaged; run the same command with --again to train it afresh", c.ID, s.path)
		case before == Done && c.Status != Done:
			return fmt.Errorf("experiment %s: %w", c.ID, ErrDone)
		}
		return putExperiment(ctx, tx, c)
	})
}

// DropDeployments removes the deployments of a frozen network that is about to be replaced.
func (s *Store) DropDeployments(ctx context.Context, id string) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM deployments WHERE experiment = ?`, id)
		return err
	})
}

// LastDone returns the experiment that was finished last among those with the seed of
// c that a suite lists under the labels of c, or [ErrNotFound].
func (s *Store) LastDone(ctx context.Context, c Experiment) (Experiment, error) {
	found, err := collect(ctx, s, scanExperiment, `SELECT `+experimentColumns+`, checksum FROM experiments
		WHERE id IN (SELECT experiment FROM suite_experiments WHERE task = ? AND model = ? AND quantizer = ?)
		AND seed = ? AND status = ? ORDER BY finished_at DESC LIMIT 1`,
		c.Task, c.Model, c.Quantizer, int64(c.Seed), Done)
	if err != nil {
		return Experiment{}, err
	}
	if len(found) == 0 {
		return Experiment{}, ErrNotFound
	}
	return found[0], nil
}

// Experiment returns the experiment with the given ID, or [ErrNotFound]. It may be
// [Damaged], which is no error.
func (s *Store) Experiment(ctx context.Context, id string) (Experiment, error) {
	found, err := collect(ctx, s, scanExperiment, `SELECT `+experimentColumns+`, checksum FROM experiments WHERE id = ?`, id)
	if err != nil {
		return Experiment{}, err
	}
	if len(found) == 0 {
		return Experiment{}, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	return found[0], nil
}

// Matching returns the experiments whose IDs begin with a prefix, including [Damaged] ones,
// ordered by task, model, quantizer and seed. The empty prefix returns all.
func (s *Store) Matching(ctx context.Context, prefix string) ([]Experiment, error) {
	return collect(ctx, s, scanExperiment, `SELECT `+experimentColumns+`, checksum FROM experiments
		WHERE substr(id, 1, length(?)) = ? ORDER BY task, model, quantizer, seed, id`, prefix, prefix)
}

// Experiments returns the experiments of a suite in the suite's order and with its labels,
// including [Damaged] ones; none if the suite was never recorded. If the list itself is
// damaged, the error is a [*plugins.Problem].
func (s *Store) Experiments(ctx context.Context, suite string) ([]Experiment, error) {
	const columns = 8 // of the list, its checksum the last
	return collect(ctx, s, func(rows *sql.Rows) (Experiment, error) {
		values, err := rawValues(rows)
		if err != nil {
			return Experiment{}, err
		}
		if !sound("suite_experiments", values[:columns]) || values[columns] != values[2] {
			return Experiment{}, plugins.Problemf("what the suite %s lists is damaged in the run store %s; run the suite again to store it anew", suite, s.path)
		}
		c, err := scanExperimentFrom(rows, columns)
		if err != nil {
			return Experiment{}, err
		}
		c.Task, c.Model, c.Quantizer = text(values[3]), text(values[4]), text(values[5])
		return c, json.Unmarshal([]byte(text(values[6])), &c.Backends)
	}, `SELECT l.*, e.* FROM (SELECT `+suiteColumns+`, checksum FROM suite_experiments) l
		LEFT JOIN (SELECT `+experimentColumns+`, checksum FROM experiments) e ON id = experiment WHERE suite = ? ORDER BY position`, suite)
}

// Reset replaces an experiment of the store, damaged or not, by a pending one, and removes
// its results and its deployments. The caller removes its files.
func (s *Store) Reset(ctx context.Context, pending Experiment) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		status, err := statusOf(ctx, tx, "experiments", experimentColumns, `id = ?`, pending.ID)
		if err != nil {
			return err
		}
		if status == "" {
			return fmt.Errorf("%w: %s", ErrNotFound, pending.ID)
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM deployments WHERE experiment = ?`, pending.ID); err != nil {
			return err
		}
		return putExperiment(ctx, tx, Experiment{
			ID: pending.ID, Config: pending.Config, Task: pending.Task, Model: pending.Model, Quantizer: pending.Quantizer,
			Seed: pending.Seed, Status: Pending,
		})
	})
}

// collect runs a query and reads its rows.
func collect[T any](ctx context.Context, s *Store, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, s.explain(err)
	}
	list, err := each(rows, scan)
	return list, s.explain(err)
}

// each reads all rows and closes them.
func each[T any](rows *sql.Rows, scan func(*sql.Rows) (T, error)) (list []T, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	return list, rows.Err()
}

func scanExperiment(rows *sql.Rows) (Experiment, error) { return scanExperimentFrom(rows, 0) }

// scanExperimentFrom reads an experiment from the columns after the first few, its
// checksum behind it.
func scanExperimentFrom(rows *sql.Rows, first int) (Experiment, error) {
	values, err := rawValues(rows)
	if err != nil {
		return Experiment{}, err
	}
	if values = values[first:]; !sound("experiments", values) {
		return Experiment{
			ID: text(values[0]), Task: text(values[1]), Model: text(values[2]), Quantizer: text(values[3]), Status: Damaged,
			Reason: "its row in the run store is damaged; run the suite with --again to train it afresh",
		}, nil
	}
	var c Experiment
	var seed, steps, bestStep int64
	var config string
	var paperStyle, frozen, settings, freeze, draws, provenance, started, finished sql.NullString
	var sum string
	into := []any{&c.ID, &c.Task, &c.Model, &c.Quantizer, &seed, &config, &c.Status, &c.Reason, &c.Stderr, &provenance,
		&steps, &c.Epochs, &c.Metric, &c.BestValidation, &bestStep, &c.PaperStyle, &c.FrozenModel, &c.FrozenLoss, &paperStyle, &frozen, &settings, &freeze, &draws, &c.CalibrationSequences,
		&c.Parameters, &c.RecurrentBytes, &c.DeployedBytes, &c.Artifact, &c.TrainSeconds, &started, &finished, &sum}
	for range first {
		into = slices.Insert(into, 0, any(new(any)))
	}
	if err := rows.Scan(into...); err != nil {
		return Experiment{}, err
	}
	c.Seed, c.Steps, c.BestStep, c.Config = uint64(seed), uint64(steps), uint64(bestStep), json.RawMessage(config)
	if err := errors.Join(
		readList(draws, &c.Draws), readList(paperStyle, &c.PaperStyleGroups), readList(frozen, &c.FrozenModelGroups), readList(settings, &c.Settings),
	); err != nil {
		return Experiment{}, fmt.Errorf("the lists of experiment %s: %w", c.ID, err)
	}
	c.Provenance, c.Freeze = raw(provenance), raw(freeze)
	if c.StartedAt, err = moment(started); err != nil {
		return Experiment{}, err
	}
	if c.FinishedAt, err = moment(finished); err != nil {
		return Experiment{}, err
	}
	return c, nil
}

// listText stores a list as JSON, an empty one as NULL, and readList reads it back.
func listText[T any](list []T) (sql.NullString, error) {
	if len(list) == 0 {
		return sql.NullString{}, nil
	}
	text, err := json.Marshal(list)
	return sql.NullString{String: string(text), Valid: true}, err
}

func readList[T any](text sql.NullString, list *[]T) error {
	if !text.Valid {
		return nil
	}
	return json.Unmarshal([]byte(text.String), list)
}

// optional stores absent JSON as NULL, and raw reads it back.
func optional(text json.RawMessage) sql.NullString {
	return sql.NullString{String: string(text), Valid: len(text) > 0}
}

func raw(text sql.NullString) json.RawMessage {
	if !text.Valid {
		return nil
	}
	return json.RawMessage(text.String)
}

// stamp stores a time, the zero time as NULL, and moment reads it back.
func stamp(t time.Time) sql.NullString {
	return sql.NullString{String: t.UTC().Format(time.RFC3339Nano), Valid: !t.IsZero()}
}

func moment(text sql.NullString) (time.Time, error) {
	if !text.Valid {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339Nano, text.String)
}
