package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"modernc.org/sqlite"

	"bittern/plugins"
)

// applicationID marks the database as a run store ("Btrn" in the file's header).
const applicationID = 0x4274726e

// version is of the layout below. A store of another version is refused.
const version = 5

// schema makes the tables of an empty database. The statements stand in the database
// as they stand here, by which damage to them is noticed.
var schema = []string{
	`CREATE TABLE experiments (
		id              TEXT PRIMARY KEY,
		task            TEXT NOT NULL,
		model           TEXT NOT NULL,
		quantizer       TEXT NOT NULL,
		seed            INTEGER NOT NULL, -- the 64 bits, signed
		config          TEXT NOT NULL,
		status          TEXT NOT NULL,
		reason          TEXT NOT NULL DEFAULT '',
		stderr          TEXT NOT NULL DEFAULT '',
		provenance      TEXT,
		steps           INTEGER NOT NULL DEFAULT 0,
		epochs          INTEGER NOT NULL DEFAULT 0,
		metric          TEXT NOT NULL DEFAULT '',
		best_validation REAL,
		best_step       INTEGER NOT NULL DEFAULT 0,
		paper_style     REAL,
		frozen_model    REAL,
		frozen_loss     REAL,
		paper_style_groups  TEXT,
		frozen_model_groups TEXT,
		settings        TEXT,
		freeze          TEXT,
		draws           TEXT,
		calibration_sequences INTEGER NOT NULL DEFAULT 0,
		parameters      INTEGER NOT NULL DEFAULT 0,
		recurrent_bytes REAL NOT NULL DEFAULT 0,
		deployed_bytes  INTEGER NOT NULL DEFAULT 0,
		artifact        TEXT NOT NULL DEFAULT '',
		train_seconds   REAL NOT NULL DEFAULT 0,
		started_at      TEXT, -- RFC 3339, UTC
		finished_at     TEXT,
		checksum        TEXT NOT NULL
	) STRICT`,
	`CREATE TABLE deployments (
		experiment       TEXT NOT NULL REFERENCES experiments (id),
		backend    TEXT NOT NULL,
		config     TEXT,
		status     TEXT NOT NULL,
		reason     TEXT NOT NULL,
		stderr     TEXT NOT NULL,
		doubt      TEXT NOT NULL,
		metric     REAL,
		group_scores TEXT,
		cost       TEXT,
		provenance TEXT,
		checksum   TEXT NOT NULL,
		PRIMARY KEY (experiment, backend)
	) STRICT`,
	`CREATE TABLE suite_experiments (
		suite      TEXT NOT NULL,
		position   INTEGER NOT NULL,
		experiment TEXT NOT NULL REFERENCES experiments (id),
		task       TEXT NOT NULL, -- this and the next two: the suite's labels
		model      TEXT NOT NULL,
		quantizer  TEXT NOT NULL,
		backends   TEXT NOT NULL, -- their labels, a JSON list
		checksum   TEXT NOT NULL,
		PRIMARY KEY (suite, position),
		UNIQUE (suite, experiment)
	) STRICT`,
	`CREATE TABLE budgets (
		experiment  TEXT NOT NULL, -- the ID with seed 0 and no cap on steps; see BudgetSteps
		nanoseconds INTEGER NOT NULL,
		steps       INTEGER NOT NULL,
		checksum    TEXT NOT NULL,
		PRIMARY KEY (experiment, nanoseconds)
	) STRICT`,
}

// prepare makes the tables of a new database, and otherwise makes sure that it is a
// sound run store of this version.
func (s *Store) prepare(ctx context.Context) error {
	var application, found, tables int
	err := s.db.QueryRowContext(ctx, `SELECT (SELECT application_id FROM pragma_application_id),
		(SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)`).Scan(&application, &found, &tables)
	switch {
	case err != nil:
		return s.explainOpening(err)
	case application == 0 && found == 0 && tables == 0:
		return s.create(ctx)
	case application != applicationID:
		return plugins.Problemf("%s is the database of another program; name another folder with --runs", s.path)
	case found > version:
		return plugins.Problemf("the run store %s has version %d, and this program knows up to %d; use a newer bittern, or name another folder with --runs", s.path, found, version)
	case found < version:
		return plugins.Problemf("the run store %s has version %d of an older bittern, and this program needs %d; move it away to train its experiments again, or name another folder with --runs", s.path, found, version)
	}
	return s.inspect(ctx)
}

// inspect has SQLite check the structure of its file, and compares the schema. SQLite
// cannot check the values in rows: see checksum.
func (s *Store) inspect(ctx context.Context) error {
	var verdict string
	if err := s.db.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&verdict); err != nil {
		return s.explainOpening(err)
	}
	if verdict != "ok" {
		return s.damaged(verdict)
	}
	rows, err := s.db.QueryContext(ctx, `SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid`)
	if err != nil {
		return s.explainOpening(err)
	}
	found, err := each(rows, func(rows *sql.Rows) (statement string, err error) { return statement, rows.Scan(&statement) })
	if err != nil {
		return s.explainOpening(err)
	}
	if !slices.Equal(found, schema) {
		return s.damaged("its tables are not those of a run store")
	}
	return nil
}

func (s *Store) create(ctx context.Context) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		var tables int // another process may have been first
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&tables); err != nil || tables > 0 {
			return err
		}
		for _, statement := range schema {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("make the tables: %w", err)
			}
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA application_id = %d; PRAGMA user_version = %d`, applicationID, version))
		return err
	})
}

func (s *Store) damaged(how string) error {
	return plugins.Problemf("%s is no run store or is damaged (%s); move it away or name another folder with --runs", s.path, how)
}

// explainOpening is like explain where the statements are known to be right: what else
// SQLite finds wrong with the file is damage.
func (s *Store) explainOpening(err error) error {
	explained := s.explain(err)
	var problem *plugins.Problem
	var fault *sqlite.Error
	if !errors.As(explained, &problem) && errors.As(err, &fault) {
		return s.damaged(fault.Error())
	}
	return explained
}
