//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"bittern/harness/store"
)

// exemption names values that differ between undisturbed runs. Its pattern matches the segments
// of a name as path.Match does; an exemption covers everything below a name that matches.
type exemption struct{ pattern, reason string }

// exempt lists everything that is not compared: what depends on the clock, how the work was
// divided into sittings, and checksums of such values. The runs themselves verify the checksums.
var exempt = []exemption{
	{store.FileName + "/experiments/*/train_seconds", "how long training took"},
	{store.FileName + "/experiments/*/started_at", "a time of day"},
	{store.FileName + "/experiments/*/finished_at", "a time of day"},
	{store.FileName + "/experiments/*/provenance/sittings", "one for each run that trained, with its times"},
	{store.FileName + "/experiments/*/checksum", "covers the times of its row"},
	{store.FileName + "/deployments/*/provenance/started", "a time of day"},
	{store.FileName + "/deployments/*/provenance/ended", "a time of day"},
	{store.FileName + "/deployments/*/provenance/overhead/seconds", "how long a step on the null plugins took"},
	{store.FileName + "/deployments/*,cpu/cost/seconds", "timed on this machine"},
	{store.FileName + "/deployments/*,cpu/cost/seconds_low", "timed on this machine"},
	{store.FileName + "/deployments/*,cpu/cost/seconds_high", "timed on this machine"},
	{store.FileName + "/deployments/*/checksum", "covers the times of its row"},
	{"*/seconds.jsonl/*/seconds", "how long each step took"},
	{"*/best/checkpoint.json/state/seconds", "how long training took up to there"},
	{"*/best/checkpoint.json/checksum", "covers that time"},
}

func exempted(name string) bool {
	segments := strings.Split(name, "/")
	return slices.ContainsFunc(exempt, func(e exemption) bool {
		pattern := strings.Split(e.pattern, "/")
		if len(pattern) > len(segments) {
			return false
		}
		for i := range pattern {
			if ok, err := path.Match(pattern[i], segments[i]); err != nil || !ok {
				return false
			}
		}
		return true
	})
}

// traces are the files and folders that runs left, and every stored value by its name. The name
// begins with that of the file. In a database it goes on with TABLE/KEY/COLUMN, and in JSON with
// keys and indices.
type traces struct {
	paths  map[string]bool
	values map[string]string
}

// compare returns how others differ from t, and the leftovers: files and folders that t does not
// have.
func (t traces) compare(others traces) (differences, leftovers []string) {
	for _, name := range slices.Sorted(maps.Keys(t.values)) {
		if exempted(name) {
			continue
		}
		switch got, ok := others.values[name]; {
		case !ok && missing(path.Dir(name), t.values, others.values):
			// If the file or row with the value is missing, that counts as one difference.
		case !ok:
			differences = append(differences, name+" is missing")
		case got != t.values[name]:
			differences = append(differences, fmt.Sprintf("%s is %s, undisturbed %s", name, got, t.values[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(others.paths)) {
		if !t.paths[name] {
			leftovers = append(leftovers, name+" is left")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(others.values)) {
		if _, ok := t.values[name]; !ok && !exempted(name) && !within(name, others.paths, t.paths) {
			differences = append(differences, fmt.Sprintf("%s is %s, undisturbed absent", name, others.values[name]))
		}
	}
	return differences, leftovers
}

// missing reports whether others lack a value that t has.
func missing(name string, t, others map[string]string) bool {
	_, known := t[name]
	_, found := others[name]
	return known && !found
}

// within reports whether a value is in a file that is a leftover.
func within(name string, paths, known map[string]bool) bool {
	for ; name != "."; name = path.Dir(name) {
		if paths[name] {
			return !known[name]
		}
	}
	return false
}

// addPaths adds the names of everything in a folder.
func (t traces) addPaths(name, folder string) error {
	return t.walk(name, folder, func(string, string) error { return nil })
}

// addRuns adds everything in a folder of runs.
func (t traces) addRuns(folder string) error {
	database := ""
	err := t.walk("", folder, func(name, file string) error {
		if name == store.FileName {
			database = file
			return nil
		}
		if strings.HasPrefix(name, store.FileName) {
			return nil // a file of SQLite, of which only the name is compared
		}
		return t.addFile(name, file)
	})
	if err != nil || database == "" {
		return err
	}
	// This comes last, because opening a database makes files beside it.
	return t.addDatabase(store.FileName, database)
}

func (t traces) walk(prefix, folder string, file func(name, path string) error) error {
	return filepath.WalkDir(folder, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || at == folder {
			return err
		}
		relative, err := filepath.Rel(folder, at)
		if err != nil {
			return err
		}
		name := path.Join(prefix, filepath.ToSlash(relative))
		t.paths[name] = true
		if !entry.Type().IsRegular() {
			t.values[name] = entry.Type().String()
			return nil
		}
		return file(name, at)
	})
}

func (t traces) addFile(name, file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	switch path.Ext(name) {
	case ".json":
		t.addJSON(name, content)
	case ".jsonl":
		number := 0
		for line := range bytes.Lines(content) {
			t.addJSON(name+"/"+strconv.Itoa(number), line)
			number++
		}
		t.values[name] = strconv.Itoa(number) + " lines"
	default:
		t.values[name] = fmt.Sprintf("%d bytes with SHA-256 %x", len(content), sha256.Sum256(content))
	}
	return nil
}

// addJSON adds each value of a JSON text. A text that is no JSON is one value.
func (t traces) addJSON(name string, text []byte) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // numbers are compared as they are written
	var value any
	if err := decoder.Decode(&value); err != nil || decoder.More() {
		t.values[name] = strconv.Quote(string(text))
		return
	}
	t.addValue(name, value)
}

func (t traces) addValue(name string, value any) {
	switch value := value.(type) {
	case map[string]any:
		t.values[name] = "an object"
		for key, element := range value {
			t.addValue(name+"/"+key, element)
		}
	case []any:
		t.values[name] = fmt.Sprintf("a list of %d", len(value))
		for i, element := range value {
			t.addValue(name+"/"+strconv.Itoa(i), element)
		}
	default:
		t.values[name] = fmt.Sprintf("%v", value)
	}
}

// addDatabase adds every row of every table.
func (t traces) addDatabase(name, file string) (err error) {
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return err
	}
	defer func() {
		if closing := db.Close(); err == nil {
			err = closing
		}
	}()
	tables, err := names(db, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name`)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, table := range tables {
		if err := t.addTable(name, db, table); err != nil {
			return fmt.Errorf("table %s of %s: %w", table, file, err)
		}
	}
	return nil
}

// addTable adds the rows of a table. The name of a row is its primary key, with commas between
// the columns.
func (t traces) addTable(name string, db *sql.DB, table string) (err error) {
	keys, err := names(db, `SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk`, table)
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return errors.New("it has no primary key to compare rows by")
	}
	rows, err := db.QueryContext(context.Background(), `SELECT * FROM "`+table+`"`)
	if err != nil {
		return err
	}
	defer func() {
		if closing := rows.Close(); err == nil {
			err = closing
		}
	}()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	cells, pointers := make([]any, len(columns)), make([]any, len(columns))
	for i := range cells {
		pointers[i] = &cells[i]
	}
	for rows.Next() {
		if err := rows.Scan(pointers...); err != nil {
			return err
		}
		var key []string
		for _, column := range keys {
			key = append(key, fmt.Sprint(cells[slices.Index(columns, column)]))
		}
		row := path.Join(name, table, strings.Join(key, ","))
		for i, column := range columns {
			t.addCell(row+"/"+column, cells[i])
		}
	}
	return rows.Err()
}

func (t traces) addCell(name string, cell any) {
	switch cell := cell.(type) {
	case string:
		if strings.HasPrefix(cell, "{") || strings.HasPrefix(cell, "[") {
			t.addJSON(name, []byte(cell))
			return
		}
		t.values[name] = strconv.Quote(cell)
	case []byte:
		t.values[name] = fmt.Sprintf("%x", cell)
	default:
		t.values[name] = fmt.Sprint(cell) // Sprint writes as many digits of a float64 as it needs
	}
}

// names returns the only column of a query, which is text.
func names(db *sql.DB, query string, args ...any) (list []string, err error) {
	rows, err := db.QueryContext(context.Background(), query, args...)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closing := rows.Close(); err == nil {
			err = closing
		}
	}()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		list = append(list, text)
	}
	return list, rows.Err()
}
