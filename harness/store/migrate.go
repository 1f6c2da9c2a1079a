package store

import (
	"context"
	"database/sql"
	"fmt"

	"bittern/plugins"
)

// applicationID marks the database as a run store ("Btrn" in the file's header).
const applicationID = 0x4274726e

// migrations lead from an empty database to the version of this program, the
// first i of them to version i. Released ones are never edited.
var migrations = []string{
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
		freeze          TEXT,
		draws           TEXT,
		calibration_sequences INTEGER NOT NULL DEFAULT 0,
		parameters      INTEGER NOT NULL DEFAULT 0,
		recurrent_bytes REAL NOT NULL DEFAULT 0,
		deployed_bytes  INTEGER NOT NULL DEFAULT 0,
		train_seconds   REAL NOT NULL DEFAULT 0,
		started_at      TEXT, -- RFC 3339, UTC
		finished_at     TEXT
	) STRICT;
	CREATE TABLE deployments (
		experiment       TEXT NOT NULL REFERENCES experiments (id),
		backend    TEXT NOT NULL,
		config     TEXT,
		status     TEXT NOT NULL,
		reason     TEXT NOT NULL,
		stderr     TEXT NOT NULL,
		metric     REAL,
		cost       TEXT,
		provenance TEXT,
		PRIMARY KEY (experiment, backend)
	) STRICT;
	CREATE TABLE suite_experiments (
		suite    TEXT NOT NULL,
		position INTEGER NOT NULL,
		experiment     TEXT NOT NULL REFERENCES experiments (id),
		PRIMARY KEY (suite, position),
		UNIQUE (suite, experiment)
	) STRICT;`,
}

// migrate brings the database to version len(migrations), in one transaction.
func (s *Store) migrate(ctx context.Context, migrations []string) error {
	var application, version, tables int
	err := s.db.QueryRowContext(ctx, `SELECT (SELECT application_id FROM pragma_application_id),
		(SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)`).Scan(&application, &version, &tables)
	switch {
	case err != nil:
		return s.explain(err)
	case application != applicationID && (application != 0 || version != 0 || tables != 0):
		return plugins.Problemf("%s is the database of another program; name another folder with --runs", s.path)
	case version > len(migrations):
		return plugins.Problemf("the run store %s has version %d, and this program knows up to %d; use a newer bittern, or name another folder with --runs", s.path, version, len(migrations))
	case version == len(migrations):
		return nil
	}
	// Readers and the writer then do not wait for each other.
	if _, err := s.db.ExecContext(ctx, `PRAGMA journal_mode = WAL`); err != nil {
		return s.explain(err)
	}
	return s.transact(ctx, func(tx *sql.Tx) error {
		// Another process may have been first.
		if err := tx.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
			return err
		}
		for ; version < len(migrations); version++ {
			if _, err := tx.ExecContext(ctx, migrations[version]); err != nil {
				return fmt.Errorf("to version %d: %w", version+1, err)
			}
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA application_id = %d; PRAGMA user_version = %d`, applicationID, version))
		return err
	})
}
