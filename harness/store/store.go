// Package store keeps what was run: one row for each experiment and for each of its
// deployments in a SQLite database, and the metrics of the training steps as JSON
// Lines beside it.
//
//	RUNS/bittern.db            experiments, deployments, which suite lists which experiment,
//	                           how many training steps a budget stands for
//	RUNS/ID/steps.jsonl        one line for each training step, see [Steps]
//	RUNS/ID/validations.jsonl  one line for each validation, see [Validation]
//	RUNS/ID/seconds.jsonl      the time of each training step, which differs from run to run
//	RUNS/ID/log                what the plugins printed, if they printed anything
//	RUNS/ID/lock               held by the process that runs the experiment, see [Lock]
//
// Every change is one transaction that is on disk when the call returns.
// Several processes may use one store, even on several machines if their shared file system
// has working locks (see [Lock]). For that the database keeps a rollback journal, since
// SQLite's write-ahead log only works on one machine.
//
// Each row carries a checksum. A row that does not match its checksum is [Damaged].
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite" // also registers the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"bittern/harness/internal/diskfault"
	"bittern/plugins"
)

// FileName is the name of the database within the folder of runs.
const FileName = "bittern.db"

// Store is an open run store. It is safe for concurrent use.
type Store struct {
	dir  string
	path string
	db   *sql.DB
}

// Open opens the run store in the folder dir and makes both where they do not
// exist. A store of another version, a file that is no run store or is damaged, a full
// disk and a folder that cannot be written are each a [*plugins.Problem].
func Open(ctx context.Context, dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, diskfault.Explain(err, dir)
	}
	return open(ctx, dir, "rwc")
}

// OpenExisting opens the run store in dir for reading only, so that it may be on a file
// system that cannot be written. If there is none, the error is a [*plugins.Problem].
func OpenExisting(ctx context.Context, dir string) (*Store, error) {
	path := filepath.Join(dir, FileName)
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, plugins.Problemf("there is no run store at %s; run a suite first, or name the folder of another with --runs", path)
	}
	if err != nil {
		return nil, plugins.Problemf("the run store at %s cannot be read (%s); make it readable or name another folder with --runs", path, err)
	}
	s, err := open(ctx, dir, "ro")
	if err == nil {
		return s, nil
	}
	// A writer that was killed leaves a journal to roll back, which takes writing.
	if s, failed := open(ctx, dir, "rw"); failed == nil {
		return s, nil
	}
	return nil, err
}

// open opens the database in a mode of SQLite's: ro, rw, or rwc to create it too
// (https://sqlite.org/uri.html).
func open(ctx context.Context, dir, mode string) (*Store, error) {
	path := filepath.Join(dir, FileName)
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return nil, plugins.Problemf("%s is a symbolic link, which is never followed inside a folder of runs; name the folder that it leads to with --runs", path)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open the run store: %w", err)
	}
	source := url.URL{Scheme: "file", Path: filepath.ToSlash(absolute), RawQuery: url.Values{
		"mode":    {mode},
		"_txlock": {"immediate"}, // a transaction that will write says so at once, so it cannot fail half-way
		"_pragma": {
			"busy_timeout(30000)",
			"foreign_keys(1)",
			"synchronous(FULL)", // a finished experiment survives a power cut
		},
	}.Encode()}
	db, err := sql.Open("sqlite", source.String())
	if err != nil {
		return nil, fmt.Errorf("open the run store: %w", err)
	}
	// One connection: the writers of a process wait for each other here rather
	// than in SQLite's polling.
	db.SetMaxOpenConns(1)
	s := &Store{dir: dir, path: path, db: db}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// Close closes the store.
func (s *Store) Close() error { return s.explain(s.db.Close()) }

// Version returns a number that changes whenever another process changes the database, so
// that a caller who reads it repeatedly knows whether it must read again. Numbers of
// different [Store] values cannot be compared.
func (s *Store) Version(ctx context.Context) (version int64, err error) {
	err = s.db.QueryRowContext(ctx, `PRAGMA data_version`).Scan(&version)
	return version, s.explain(err)
}

// Dir is the folder of the run store.
func (s *Store) Dir() string { return s.dir }

// ExperimentDir is the folder of an experiment's own files. It may not exist yet.
func (s *Store) ExperimentDir(id string) string { return filepath.Join(s.dir, id) }

// transact runs change in a transaction.
func (s *Store) transact(ctx context.Context, change func(tx *sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return s.explain(err)
	}
	if err := change(tx); err != nil {
		// SQLite has ended some failed transactions by itself, and then has
		// nothing to roll back; either way the cause is what to report.
		_ = tx.Rollback()
		return s.explain(err)
	}
	return s.explain(tx.Commit())
}

// explain says what to do about SQLite's errors (https://sqlite.org/rescode.html).
func (s *Store) explain(err error) error {
	var problem *plugins.Problem
	var fault *sqlite.Error
	if errors.As(err, &problem) || !errors.As(err, &fault) {
		return err
	}
	const primary = 0xff // the rest of a code is detail
	switch fault.Code() & primary {
	case sqlite3.SQLITE_FULL:
		return diskfault.Full(s.path)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		return diskfault.Unwritable(s.path, fault.Error())
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		return s.damaged(fault.Error())
	case sqlite3.SQLITE_BUSY:
		return plugins.Problemf("another process has kept the run store %s busy for half a minute; end it or name another folder with --runs", s.path)
	}
	return fmt.Errorf("run store %s: %w", s.path, err)
}
