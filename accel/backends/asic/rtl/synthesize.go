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

// synthesizedColumns is the length of the products that the accumulators of a synthesized
// column have room for.
const synthesizedColumns = 512

// CellArea is the area of the cells that Yosys makes a column of, in the unit of the liberty
// file (µm² mostly), for a column of so many units of a width. There are no memories in it.
func CellArea(ctx context.Context, liberty string, units int, width datapath.Width) (_ float64, err error) {
	yosys, err := find("yosys", "yosys")
	if err != nil {
		return 0, err
	}
	folder, err := os.MkdirTemp("", "bittern-rtl-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	if err := unpack(filepath.Join(folder, "cells.lib"), liberty); err != nil {
		return 0, err
	}
	for _, name := range []string{"unit.sv", "column.sv"} {
		text, err := fs.ReadFile(sources, "sv/"+name)
		if err != nil {
			return 0, err
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			return 0, err
		}
	}
	sum := sumBits(datapath.Matrix{Width: width, Cols: synthesizedColumns})
	script := strings.Join([]string{
		"read_verilog -sv unit.sv column.sv",
		fmt.Sprintf("hierarchy -top column -chparam UNITS %d -chparam WEIGHT_BITS %d -chparam SUM_BITS %d", units, width, sum),
		"synth -top column",
		"dfflibmap -liberty cells.lib",
		"abc -liberty cells.lib",
		"opt_clean -purge",
		"tee -o area.txt stat -liberty cells.lib",
	}, "; ")
	if err := run(ctx, folder, yosys, "-q", "-p", script); err != nil {
		if strings.Contains(err.Error(), "iberty") || strings.Contains(err.Error(), "ABC") {
			err = plugins.Problemf("%s is no liberty file that Yosys can map to: %v", liberty, err)
		}
		return 0, err
	}
	report, err := os.ReadFile(filepath.Join(folder, "area.txt"))
	if err != nil {
		return 0, err
	}
	found := topArea.FindSubmatch(report)
	if found == nil {
		return 0, plugins.Problemf("%s gives cells no area, or not those of a column", liberty)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}

var topArea = regexp.MustCompile(`Chip area for top module '\\column': ([0-9.]+)`)

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
