package rtl

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"bittern/accel/backends/asic/internal/datapath"
	"bittern/plugins"
)

// Unit is a multiply-accumulate unit, which a column has many of and nothing else.
type Unit struct {
	Weights datapath.Width
	SumBits int // of its accumulator
}

// gates are a unit of standard cells, in a folder of its own, which has
//
//	unit.sv     the unit in SystemVerilog
//	cells.lib   the liberty file
//	models.v    what its cells compute
//	netlist.v   the module gates
type gates struct {
	Unit
	folder string
	area   float64
	netlist
}

// CellArea is the area of the cells that Yosys makes a unit of, in the unit of the liberty
// file (µm² mostly).
func (u Unit) CellArea(ctx context.Context, liberty string) (_ float64, err error) {
	g, err := u.synthesize(ctx, liberty)
	if err != nil {
		return 0, err
	}
	return g.area, g.Close()
}

func (g *gates) Close() error { return os.RemoveAll(g.folder) }

func (u Unit) synthesize(ctx context.Context, liberty string) (_ *gates, err error) {
	yosys, err := find("yosys", "yosys")
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "bittern-rtl-")
	if err != nil {
		return nil, err
	}
	g := &gates{Unit: u, folder: folder}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close())
		}
	}()
	if err := unpack(filepath.Join(folder, "cells.lib"), liberty); err != nil {
		return nil, err
	}
	if err := copySources(folder, sources, "unit.sv", "activity.sv"); err != nil {
		return nil, err
	}
	script := strings.Join([]string{
		"read_liberty -lib -ignore_miss_func cells.lib", // for the directions of pins
		"read_verilog -sv unit.sv",
		fmt.Sprintf("hierarchy -top unit -chparam WEIGHT_BITS %d -chparam SUM_BITS %d", u.Weights, u.SumBits),
		"synth -top unit -flatten",
		"dfflibmap -liberty cells.lib",
		"abc -liberty cells.lib",
		"opt_clean -purge",
		"tee -o area.txt stat -liberty cells.lib",
		"write_json unit.json",
		"design -reset",
		"read_liberty -ignore_miss_func cells.lib",
		"write_verilog -noattr models.v",
	}, "; ")
	if _, err := run(ctx, folder, yosys, "-q", "-p", script); err != nil {
		if strings.Contains(err.Error(), "iberty") || strings.Contains(err.Error(), "ABC") {
			err = plugins.Problemf("%s is no liberty file that Yosys can map to: %v", liberty, err)
		}
		return nil, err
	}
	report, err := os.ReadFile(filepath.Join(folder, "area.txt"))
	if err != nil {
		return nil, err
	}
	found := chipArea.FindSubmatch(report)
	if found == nil {
		return nil, plugins.Problemf("%s gives cells no area, or not those of a unit", liberty)
	}
	if g.area, err = strconv.ParseFloat(string(found[1]), 64); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(folder, "unit.json"))
	if err != nil {
		return nil, err
	}
	if g.netlist, err = parseNetlist(text); err != nil {
		return nil, fmt.Errorf("reading the unit that Yosys wrote: %w", err)
	}
	return g, os.WriteFile(filepath.Join(folder, "netlist.v"), []byte(g.verilog()), 0o644)
}

var chipArea = regexp.MustCompile(`Chip area for module '\\unit': ([0-9.]+)`)

// copySources puts some of the modules into a folder.
func copySources(folder string, sv fs.FS, names ...string) error {
	for _, name := range names {
		text, err := fs.ReadFile(sv, "sv/"+name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// unpack copies a file, which may be packed with gzip.
func unpack(to, from string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return plugins.Problemf("the liberty file cannot be read: %v", err)
	}
	defer source.Close()
	var text io.Reader = source
	if strings.HasSuffix(from, ".gz") {
		if text, err = gzip.NewReader(source); err != nil {
			return plugins.Problemf("%s is not packed with gzip: %v", from, err)
		}
	}
	target, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	if _, err := io.Copy(target, text); err != nil {
		return fmt.Errorf("reading %s: %w", from, err)
	}
	return nil
}
