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
	"strings"
	"time"
)

// Status says how far an experiment or a deployment has come.
type Status string

// The states of an experiment. Of these a deployment is done or failed, or else
// unsupported: the backend does not claim to run such a network.
const (
	Pending     Status = "pending"
	Running     Status = "running"
	Done        Status = "done"
	Failed      Status = "failed"
	Unsupported Status = "unsupported"
)

// ErrNotFound says that the store has no such experiment.
var ErrNotFound = errors.New("the run store has no such experiment")

// ErrDone refuses to replace a finished result by an unfinished one; only
// [Store.Reset] gives a finished experiment up.
var ErrDone = errors.New("the result is finished and is not replaced by an unfinished one")

// Experiment is one task × model × quantizer × seed, trained once.
type Experiment struct {
	// ID is made by [ID] from Config, which holds all that determines the
	// numbers. Two suites that list the same experiment share it.
	ID     string          `json:"id"`
	Config json.RawMessage `json:"config"`

	// Task, Model and Quantizer are the labels to show.
	Task      string `json:"task"`
	Model     string `json:"model"`
	Quantizer string `json:"quantizer"`
	Seed      uint64 `json:"seed"`

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

	// Freeze is how the network was frozen, what determines the figures beside
	// Config. Another freeze replaces the figures; training stays as it is.
	Freeze json.RawMessage `json:"freeze,omitempty"`
	// Draws are the freezes of the best network, in the order they were drawn;
	// one of them is deployed.
	Draws []FreezeDraw `json:"draws,omitempty"`
	// CalibrationSequences counts the training sequences that the deployed
	// statistics were gathered over.
	CalibrationSequences int `json:"calibration_sequences,omitempty"`

	Parameters     int64   `json:"parameters"`
	RecurrentBytes float64 `json:"recurrent_bytes"` // weights of the recurrent layers alone, the paper's accounting
	DeployedBytes  int64   `json:"deployed_bytes"`  // everything the deployed network needs

	TrainSeconds float64         `json:"train_seconds"`
	StartedAt    time.Time       `json:"started_at,omitzero"`
	FinishedAt   time.Time       `json:"finished_at,omitzero"`
	Provenance   json.RawMessage `json:"provenance,omitempty"`
}

// FreezeDraw is one draw of the weights, frozen and scored by the model.
type FreezeDraw struct {
	Draw       int     `json:"draw"` // from 0
	Validation float64 `json:"validation"`
	Test       float64 `json:"test"`
	Deployed   bool    `json:"deployed,omitempty"` // it validated best
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
	best_validation, best_step, paper_style, frozen_model, freeze, draws, calibration_sequences, parameters, recurrent_bytes, deployed_bytes, train_seconds, started_at, finished_at`

// PutSuite records which experiments a suite lists now, in order, and adds those that
// are new as pending. Of the others it renews the labels and nothing else.
func (s *Store) PutSuite(ctx context.Context, suite string, experiments []Experiment) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM suite_experiments WHERE suite = ?`, suite); err != nil {
			return err
		}
		for position, c := range experiments {
			if _, err := tx.ExecContext(ctx, `INSERT INTO experiments (id, task, model, quantizer, seed, config, status)
				VALUES (?, ?, ?, ?, ?, ?, ?)
				ON CONFLICT (id) DO UPDATE SET task = excluded.task, model = excluded.model, quantizer = excluded.quantizer`,
				c.ID, c.Task, c.Model, c.Quantizer, int64(c.Seed), string(c.Config), Pending); err != nil {
				return fmt.Errorf("experiment %s: %w", c.ID, err)
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO suite_experiments (suite, position, experiment) VALUES (?, ?, ?)`, suite, position, c.ID); err != nil {
				return fmt.Errorf("experiment %s in suite %s: %w", c.ID, suite, err)
			}
		}
		return nil
	})
}

// Suites lists the suites that were recorded, by name.
func (s *Store) Suites(ctx context.Context) ([]string, error) {
	return collect(ctx, s, func(rows *sql.Rows) (suite string, err error) {
		return suite, rows.Scan(&suite)
	}, `SELECT DISTINCT suite FROM suite_experiments ORDER BY suite`)
}

// PutExperiment adds or replaces an experiment. [ErrDone] refuses to replace a done experiment by
// one that is not.
func (s *Store) PutExperiment(ctx context.Context, c Experiment) error {
	for name, figure := range map[string]*float64{
		"best validation": c.BestValidation, "paper-style": c.PaperStyle, "frozen model": c.FrozenModel,
		"recurrent bytes": &c.RecurrentBytes, "training seconds": &c.TrainSeconds,
	} {
		if figure != nil && math.IsNaN(*figure) {
			return fmt.Errorf("experiment %s: the %s figure is not a number", c.ID, name)
		}
	}
	var draws json.RawMessage
	if len(c.Draws) > 0 {
		text, err := json.Marshal(c.Draws)
		if err != nil {
			return fmt.Errorf("experiment %s: %w", c.ID, err)
		}
		draws = text
	}
	return s.transact(ctx, func(tx *sql.Tx) error {
		if err := keepDone(ctx, tx, c.Status, `SELECT status FROM experiments WHERE id = ?`, c.ID); err != nil {
			return fmt.Errorf("experiment %s: %w", c.ID, err)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO experiments (`+experimentColumns+`) VALUES (?`+strings.Repeat(`, ?`, 25)+`)
			ON CONFLICT (id) DO UPDATE SET task = excluded.task, model = excluded.model, quantizer = excluded.quantizer,
				status = excluded.status, reason = excluded.reason, stderr = excluded.stderr, provenance = excluded.provenance,
				steps = excluded.steps, epochs = excluded.epochs, metric = excluded.metric,
				best_validation = excluded.best_validation, best_step = excluded.best_step, paper_style = excluded.paper_style,
				frozen_model = excluded.frozen_model, freeze = excluded.freeze, draws = excluded.draws, calibration_sequences = excluded.calibration_sequences,
				parameters = excluded.parameters, recurrent_bytes = excluded.recurrent_bytes, deployed_bytes = excluded.deployed_bytes,
				train_seconds = excluded.train_seconds, started_at = excluded.started_at, finished_at = excluded.finished_at`,
			c.ID, c.Task, c.Model, c.Quantizer, int64(c.Seed), string(c.Config), c.Status, c.Reason, c.Stderr, optional(c.Provenance),
			int64(c.Steps), c.Epochs, c.Metric, c.BestValidation, int64(c.BestStep), c.PaperStyle, c.FrozenModel,
			optional(c.Freeze), optional(draws), c.CalibrationSequences, c.Parameters, c.RecurrentBytes, c.DeployedBytes, c.TrainSeconds, stamp(c.StartedAt), stamp(c.FinishedAt))
		if err != nil {
			return fmt.Errorf("experiment %s: %w", c.ID, err)
		}
		return nil
	})
}

// DropDeployments forgets what a frozen network did on its backends, for it is
// about to be replaced by another.
func (s *Store) DropDeployments(ctx context.Context, id string) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM deployments WHERE experiment = ?`, id)
		return err
	})
}

// keepDone returns [ErrDone] where the query finds a done row and status is not.
func keepDone(ctx context.Context, tx *sql.Tx, status Status, query string, args ...any) error {
	var before Status
	err := tx.QueryRowContext(ctx, query, args...).Scan(&before)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err == nil && before == Done && status != Done:
		return ErrDone
	}
	return err
}

// Experiment returns the experiment with the given ID, or [ErrNotFound].
func (s *Store) Experiment(ctx context.Context, id string) (Experiment, error) {
	found, err := collect(ctx, s, scanExperiment, `SELECT `+experimentColumns+` FROM experiments WHERE id = ?`, id)
	if err != nil {
		return Experiment{}, err
	}
	if len(found) == 0 {
		return Experiment{}, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	return found[0], nil
}

// Experiments returns the experiments of a suite in the suite's order. A suite that was
// never recorded has none.
func (s *Store) Experiments(ctx context.Context, suite string) ([]Experiment, error) {
	return collect(ctx, s, scanExperiment, `SELECT `+experimentColumns+` FROM suite_experiments JOIN experiments ON id = experiment WHERE suite = ? ORDER BY position`, suite)
}

// LastDone returns the experiment that was finished last among those with the
// labels and the seed of c, or [ErrNotFound].
func (s *Store) LastDone(ctx context.Context, c Experiment) (Experiment, error) {
	found, err := collect(ctx, s, scanExperiment, `SELECT `+experimentColumns+` FROM experiments
		WHERE task = ? AND model = ? AND quantizer = ? AND seed = ? AND status = ? ORDER BY finished_at DESC LIMIT 1`,
		c.Task, c.Model, c.Quantizer, int64(c.Seed), Done)
	if err != nil {
		return Experiment{}, err
	}
	if len(found) == 0 {
		return Experiment{}, ErrNotFound
	}
	return found[0], nil
}

// Reset makes an experiment pending again and drops its results and its deployments.
// Its files are the caller's to remove.
func (s *Store) Reset(ctx context.Context, id string) error {
	c, err := s.Experiment(ctx, id)
	if err != nil {
		return err
	}
	return s.transact(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM deployments WHERE experiment = ?`, id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `REPLACE INTO experiments (id, task, model, quantizer, seed, config, status) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			c.ID, c.Task, c.Model, c.Quantizer, int64(c.Seed), string(c.Config), Pending)
		return err
	})
}

// collect runs a query and reads its rows.
func collect[T any](ctx context.Context, s *Store, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, s.explain(err)
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, s.explain(err)
		}
		list = append(list, item)
	}
	return list, s.explain(rows.Err())
}

func scanExperiment(rows *sql.Rows) (Experiment, error) {
	var c Experiment
	var seed, steps, bestStep int64
	var config string
	var freeze, draws, provenance, started, finished sql.NullString
	err := rows.Scan(&c.ID, &c.Task, &c.Model, &c.Quantizer, &seed, &config, &c.Status, &c.Reason, &c.Stderr, &provenance,
		&steps, &c.Epochs, &c.Metric, &c.BestValidation, &bestStep, &c.PaperStyle, &c.FrozenModel, &freeze, &draws, &c.CalibrationSequences,
		&c.Parameters, &c.RecurrentBytes, &c.DeployedBytes, &c.TrainSeconds, &started, &finished)
	if err != nil {
		return Experiment{}, err
	}
	c.Seed, c.Steps, c.BestStep, c.Config = uint64(seed), uint64(steps), uint64(bestStep), json.RawMessage(config)
	if draws.Valid {
		if err := json.Unmarshal([]byte(draws.String), &c.Draws); err != nil {
			return Experiment{}, fmt.Errorf("the draws of experiment %s: %w", c.ID, err)
		}
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
