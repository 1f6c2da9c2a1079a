package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
)

// Every row carries a checksum over its table and its content, in the column checksum,
// which stands last. SQLite itself notices damage to the structure of its file (the
// store asks at opening), but not to a value in a row.

// checksum is over the values that SQLite gives back for a row: nil, integers, numbers
// and text.
func checksum(table string, values []any) (string, error) {
	hash := sha256.New()
	fmt.Fprintf(hash, "%s %d\n", table, len(values))
	for _, value := range values {
		switch v := value.(type) {
		case nil:
			fmt.Fprintln(hash, "null")
		case int64:
			fmt.Fprintln(hash, "integer", v)
		case float64:
			fmt.Fprintf(hash, "real %x\n", math.Float64bits(v+0)) // SQLite keeps no sign of zero
		case string:
			fmt.Fprintf(hash, "text %d %s\n", len(v), v)
		default:
			return "", fmt.Errorf("a row of %s holds a %T", table, value)
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// put writes a row, in place of one with the same key.
func put(ctx context.Context, tx *sql.Tx, table, columns string, values ...any) error {
	for i, value := range values {
		plain, err := driver.DefaultParameterConverter.ConvertValue(value)
		if err != nil {
			return err
		}
		values[i] = plain
	}
	sum, err := checksum(table, values)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `REPLACE INTO `+table+` (`+columns+`, checksum) VALUES (?`+strings.Repeat(`, ?`, len(values))+`)`, append(values, sum)...)
	return err
}

// sound says whether values, of which the last is the checksum, are a row as it was stored.
func sound(table string, values []any) bool {
	last := len(values) - 1
	sum, err := checksum(table, values[:last])
	return err == nil && values[last] == sum
}

// raw reads all columns of the current row.
func rawValues(rows *sql.Rows) ([]any, error) {
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	return values, rows.Scan(into...)
}

// text is a value of a damaged row, to show.
func text(value any) string {
	if value == nil {
		return ""
	}
	return strings.ToValidUTF8(fmt.Sprint(value), "?")
}

// statusOf reads the status of the row that the condition picks; it is empty where
// there is none, and [Damaged] where the row's checksum does not fit.
func statusOf(ctx context.Context, tx *sql.Tx, table, columns, condition string, args ...any) (status Status, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT `+columns+`, checksum, status FROM `+table+` WHERE `+condition, args...)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if !rows.Next() {
		return "", rows.Err()
	}
	values, err := rawValues(rows)
	if err != nil {
		return "", err
	}
	last := len(values) - 1
	if !sound(table, values[:last]) {
		return Damaged, nil
	}
	return Status(text(values[last])), nil
}
