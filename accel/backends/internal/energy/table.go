// Package energy says what events and circuits cost. Its tables are data: energies, areas and
// leakage, with a source for each figure. It scales them from the node and voltage that they
// were published for to those of a machine.
//
// Published tables differ by 3 to 18 times on the same event, so a figure that was
// computed with one means little without its name.
package energy

import (
	"bytes"
	"embed"
	"encoding/csv"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Row is one figure of a table as it was published.
type Row struct {
	Quantity string
	Words    int // of a memory; 0 for everything else
	Bits     int // of a word of a memory
	Value    float64
	Unit     string
	Process  Process // the node is 0 where nothing is scaled, the voltage 0 of an area
	Source   string
}

// Table is a named set of figures.
type Table struct {
	Name  string
	About string
	Rows  []Row
}

//go:embed tables/*.csv
var files embed.FS

var tables = func() []*Table {
	names, err := fs.Glob(files, "tables/*.csv")
	if err != nil {
		panic(err)
	}
	var all []*Table
	for _, name := range names {
		t, err := read(name)
		if err != nil {
			panic(fmt.Sprintf("energy: %s: %v", name, err)) // it is part of the executable
		}
		all = append(all, t)
	}
	return all
}()

// Names lists the tables.
func Names() []string {
	var names []string
	for _, t := range tables {
		names = append(names, t.Name)
	}
	return names
}

// Find returns the table of that name, which must be one of [Names].
func Find(name string) *Table {
	return tables[slices.IndexFunc(tables, func(t *Table) bool { return t.Name == name })]
}

func read(name string) (*Table, error) {
	content, err := files.ReadFile(name)
	if err != nil {
		return nil, err
	}
	about, rest, _ := bytes.Cut(content, []byte("\n"))
	t := &Table{
		Name:  strings.TrimSuffix(path.Base(name), ".csv"),
		About: strings.TrimPrefix(string(about), "# "),
	}
	records, err := csv.NewReader(bytes.NewReader(rest)).ReadAll()
	if err != nil {
		return nil, err
	}
	for i, record := range records[1:] {
		row, err := parse(record)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", i+1, err)
		}
		t.Rows = append(t.Rows, row)
	}
	return t, t.check()
}

func parse(record []string) (row Row, err error) {
	number := func(text string) float64 {
		if text == "" || err != nil {
			return 0
		}
		var value float64
		value, err = strconv.ParseFloat(text, 64)
		return value
	}
	row = Row{
		Quantity: record[0], Words: int(number(record[1])), Bits: int(number(record[2])),
		Value: number(record[3]), Unit: record[4],
		Process: Process{int(number(record[5])), number(record[6])}, Source: record[7],
	}
	if _, ok := units[row.Unit]; err == nil && !ok {
		err = fmt.Errorf("unknown unit %q", row.Unit)
	}
	return row, err
}

// check returns an error where a quantity that every machine needs is missing.
func (t *Table) check() error {
	for _, quantity := range []string{multiply, add, floatMultiply, floatAdd, register, sramRead, sramWrite, sramLeakage, sramArea, multiplierArea, adderArea, registerArea, logicLeakage} {
		if len(t.rows(quantity)) == 0 {
			return fmt.Errorf("%s is missing", quantity)
		}
	}
	return nil
}

func (t *Table) rows(quantity string) []Row {
	return slices.DeleteFunc(slices.Clone(t.Rows), func(r Row) bool { return r.Quantity != quantity })
}

// The quantities of a table.
const (
	multiply       = "multiply"
	add            = "add"
	floatMultiply  = "float32 multiply"
	floatAdd       = "float32 add"
	register       = "register" // a clock cycle of a register
	sramRead       = "sram read"
	sramWrite      = "sram write"
	sramLeakage    = "sram leakage"
	sramArea       = "sram area"
	multiplierArea = "multiplier area"
	adderArea      = "adder area"
	registerArea   = "register area"
	logicLeakage   = "logic leakage"
	dram           = "dram " // a prefix
)

// units are those that figures may have, each in J, W or mm².
var units = map[string]float64{
	"pJ": 1e-12, "pJ/bit": 1e-12, "pJ/bit²": 1e-12,
	"µW/bit": 1e-6, "mW/µm²": 1e-3,
	"µm²/bit": 1e-6, "µm²/bit²": 1e-6,
}

// DRAMs lists the types of memory outside of the chip that all tables have.
func DRAMs() []string {
	var names []string
	for _, row := range tables[0].Rows {
		if name, ok := strings.CutPrefix(row.Quantity, dram); ok {
			names = append(names, name)
		}
	}
	return names
}
